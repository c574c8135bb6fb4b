"""The one solver loop: evaluate the item problems at the prices, then let the dual method move the prices."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from meio_jax.dual.base import Observation, Progress, Tolerances
from meio_jax.dual.best import BestSoFar, BestState
from meio_jax.model.capacity import charge, gap, size_of
from meio_jax.progress import AbstractProgress, Silent, Step
from meio_jax.results import Result
from meio_jax.solver.price_scale import usual_size
from meio_jax.solver.subproblem import AbstractSubproblem, Evaluation, Iterate


class Mean(eqx.Module):
    """Running means over recent steps: of the iterates, of their evaluations, and of the prices they were made at.

    Iterates move from step to step, and each sees few scenarios. Their mean does neither (Polyak and Juditsky 1992),
    and since prices integrate the excess of every step, it is the mean whose usage settles at capacity.
    `last` is the relative excess of the last step, and `jump` the mean square of its change from step to step: twice
    the variance that scenarios cause, whichever way a search moves (von Neumann 1941).
    """

    iterate: eqx.Module
    evaluation: Evaluation
    prices: Float[Array, "buckets resources"]
    last: Float[Array, "buckets resources"]
    jump: Float[Array, "buckets resources"]


class State(eqx.Module, Generic[Iterate]):
    """Everything that is needed to continue a solve.

    `price_scale` and `usual` come from the first evaluation: a price at which every capacity would matter, and what an
    excess over a capacity of nothing is measured against.
    """

    step: Int[Array, ""]
    warm: Iterate
    dual: BestState
    mean: Mean
    best: Iterate
    best_evaluation: Evaluation
    price_scale: Float[Array, "buckets resources"]
    usual: Float[Array, "buckets resources"]


class Trace(eqx.Module):
    """What one step reports, as means over recent steps: evaluation, prices, and usage above capacity as a share."""

    evaluation: Evaluation
    prices: Float[Array, "buckets resources"]
    relative: Float[Array, "buckets resources"]


@dataclass(frozen=True)
class Limits:
    """How long to search and how well: steps, check interval, least steps before stopping, tolerances.

    `kinds` names the kind of every resource, for reports by kind; empty: no such report.
    """

    max_steps: int = 200
    min_steps: int = 20
    check_every: int = 5
    tolerances: Tolerances = field(default_factory=Tolerances)
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Solution(Generic[Iterate]):
    """Outcome of a solve.

    `best` is the search state of the best iterate and `prices` the prices at which it was evaluated; `bound` is the
    largest Lagrangian value seen; `state` continues the search; `trace` is the last step's report; `confirmed` is what
    the plan was confirmed by, where it was.
    """

    result: Result
    best: Iterate
    best_evaluation: Evaluation
    prices: Float[Array, "buckets resources"]
    bound: float
    steps: int
    seconds: float
    state: State[Iterate]
    history: list[Step]
    trace: Trace
    confirmed: Any = None


def initial_state(
    problem: AbstractSubproblem,
    method: BestSoFar,
    prices: Array | None = None,
    warm: eqx.Module | None = None,
) -> State:
    """State before the first step: from nothing, or from the prices and search state of an earlier solve."""
    warm = problem.init() if warm is None else warm
    blank = Evaluation.zeros(problem.zero_prices())
    zeros = jnp.zeros_like(blank.bound)
    shared = problem.everywhere(
        (jnp.zeros((), jnp.int32), method.init(zeros if prices is None else prices), blank, zeros)
    )
    step, dual, blank, zeros = shared
    mean = Mean(warm, blank, zeros, zeros, zeros)
    return State(
        step=step, warm=warm, dual=dual, mean=mean, best=warm, best_evaluation=blank, price_scale=zeros, usual=zeros
    )


@eqx.filter_jit
def joint_step(problem: AbstractSubproblem, method: BestSoFar, kind: Array, state: State) -> tuple[State, Trace]:
    """One evaluation (and gradient step) of all item problems, and one move of the prices.

    The first evaluation sets the scale of the prices; `kind` numbers the kind of every resource.
    """
    prices = method.prices(state.dual)
    evaluation, warm = problem.evaluate(prices, state.warm)
    first = usual_size(evaluation.excess, evaluation.bound, kind)
    usual = jnp.where(state.step == 0, first, state.usual)
    price_scale = jnp.where(state.step == 0, problem.price_scale(evaluation, first, kind), state.price_scale)
    seen = observation(evaluation, usual, price_scale)
    jump = jnp.where(state.step == 0, 0, jnp.square(seen.relative - state.mean.last))
    new = Mean(state.warm, evaluation, prices, seen.relative, jump)
    mean = _averaged(problem, state, new, method.averaging)
    judged = observation(mean.evaluation, usual, price_scale)
    dual = method.judge(judged, mean.prices, method.step(seen, state.dual))
    now, before = (mean.iterate, mean.evaluation), (state.best, state.best_evaluation)
    best = jax.tree.map(lambda new, old: jnp.where(dual.improved, new, old), now, before)
    after = State(state.step + 1, warm, dual, mean, best[0], best[1], price_scale, usual)
    return after, Trace(mean.evaluation, mean.prices, judged.relative)


def observation(evaluation: Evaluation, usual: Array, price_scale: Array) -> Observation:
    """What a dual method sees of an evaluation."""
    size = size_of(evaluation.bound, usual)
    return Observation(evaluation.value, jnp.asarray(evaluation.terms.gross), evaluation.excess, size, price_scale)


def averaging_weight(step: Int[Array, ""], window: int, dtype: jnp.dtype) -> Float[Array, ""]:
    """Weight of the newest step in the running means."""
    return jnp.maximum(1 / window, 3 / (step.astype(dtype) + 3))


def effective_steps(step: int, window: int) -> float:
    """Of how many steps, counted alike, the running means are as exact as they are after some steps."""
    share = 0.0
    for past in range(step):
        weight = max(1 / window, 3 / (past + 3))
        share = (1 - weight) ** 2 * share + weight**2
    return 1 / share if share else 0.0


def _averaged(problem: AbstractSubproblem, state: State, new: Mean, window: int) -> Mean:
    """Mean of the recent third of all steps, at most of about `window` steps: the first prices are soon forgotten."""
    weight = averaging_weight(state.step, window, new.prices.dtype)
    mix = lambda old, fresh: old + weight * (fresh - old)
    means = lambda mean: (mean.evaluation, mean.prices, mean.jump)
    evaluation, prices, jump = jax.tree.map(mix, means(state.mean), means(new))
    return Mean(problem.blend(state.mean.iterate, new.iterate, weight), evaluation, prices, new.last, jump)


def _report(trace: Trace, step: int, limits: Limits, started: float, previous: float | None) -> Step:
    value = float(trace.evaluation.value)
    charged = float(charge(trace.prices, trace.evaluation.excess))
    gross = max(float(trace.evaluation.terms.gross), 1e-12)
    change = float("inf") if previous is None else abs(value - previous) / gross
    return Step(
        step=step,
        max_steps=limits.max_steps,
        seconds=time.perf_counter() - started,
        cost=value,
        lagrangian=value + charged,
        violation=max(float(jnp.max(trace.relative, initial=0)), 0.0),
        gap=float(gap(charged, gross)),
        change=change,
        price_norm=float(jnp.linalg.norm(trace.prices)),
        by_kind=_worst_by_kind(trace, limits.kinds),
    )


def _due(report: Step, first: int, limits: Limits) -> bool:
    """Whether the tolerances are checked after this step; `first` steps came before the search."""
    return not (report.step % limits.check_every or report.step - first < min(limits.min_steps, limits.max_steps))


def _ended(report: Step, method: BestSoFar, limits: Limits) -> Result | None:
    """What the tolerances say of the means over recent steps."""
    return method.terminate(Progress(report.violation, report.gap, report.change), limits.tolerances)


def _accepted(state: State) -> State:
    """The state with the mean of recent iterates as its best, at the prices it was made at."""
    mean = state.mean
    where = lambda s: (s.best, s.best_evaluation, s.dual.price)
    return eqx.tree_at(where, state, (mean.iterate, mean.evaluation, mean.prices))


def _worst_by_kind(trace: Trace, kinds: tuple[str, ...]) -> dict[str, float]:
    worst = np.maximum(np.asarray(trace.relative).max(axis=0, initial=0), 0)
    return {
        kind: float(max(w for w, k in zip(worst, kinds, strict=True) if k == kind)) for kind in dict.fromkeys(kinds)
    }


def solve(
    problem: AbstractSubproblem,
    method: BestSoFar,
    state: State,
    limits: Limits,
    kind: Array,
    *,
    progress: AbstractProgress | None = None,
    on_step: Callable[[State, Step, Trace], None] | None = None,
    history: tuple[Step, ...] = (),
    advance: Callable[..., tuple[State, Trace]] = joint_step,
    confirm: Callable[[State, Step], Any] | None = None,
) -> Solution:
    """Run joint steps until the method terminates, the steps run out, or the user stops.

    Args:
        problem: The item problems.
        method: A dual method that keeps the best iterate.
        state: Where to start: `initial_state(...)`, or the state of an earlier solve.
        limits: Steps, check interval and tolerances.
        kind: Number of the kind of every resource; prices of one kind share a scale.
        progress: Receives every step; silent by default.
        on_step: Called after each step with the state (checkpoints) and its report.
        history: Reports of the steps before `state`, when a solve is continued.
        advance: What makes a step; another one streams the items past the devices.
        confirm: Asked whenever the tolerances are checked, in place of the means over recent steps, which see few
            scenarios: what shows that the mean of recent iterates meets them, None if it does not.

    Returns:
        The solution; `result` says why the loop ended.
    """
    progress = Silent() if progress is None else progress
    started = time.perf_counter() - (history[-1].seconds if history else 0.0)
    steps = list(history)
    trace, confirmed = None, None
    first = steps[0].step - 1 if steps else int(state.step)

    def verdict(now: State, report: Step) -> tuple[Result | None, Any]:
        if not _due(report, first, limits):
            return None, None
        if confirm is None:
            return _ended(report, method, limits), None
        found = confirm(now, report)
        return (None if found is None else Result.CONVERGED), found

    # A run that is continued may have ended already: it was stopped after its last step.
    result, confirmed = verdict(state, steps[-1]) if steps else (None, None)
    for number in range(int(state.step) + 1, limits.max_steps + 1):
        if result is not None:
            break
        state, trace = advance(problem, method, kind, state)
        past = steps[-limits.check_every].cost if len(steps) >= limits.check_every else None
        report = _report(trace, number, limits, started, past)
        steps.append(report)
        progress.update(report)
        if on_step is not None:
            on_step(state, report, trace)
        result, confirmed = (Result.INTERRUPTED, None) if progress.should_stop() else verdict(state, report)
    progress.close()
    if confirmed is not None:
        state = _accepted(state)
    if trace is None:
        _, trace = advance(problem, method, kind, state)
    return Solution(
        result=Result.MAX_STEPS if result is None else result,
        best=state.best,
        best_evaluation=state.best_evaluation,
        prices=state.dual.price,
        bound=float(state.dual.bound),
        steps=int(state.step),
        seconds=time.perf_counter() - started,
        state=state,
        history=steps,
        trace=trace,
        confirmed=confirmed,
    )
