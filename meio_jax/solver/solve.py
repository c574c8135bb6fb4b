"""The one solver loop: evaluate the item problems at the prices, then let the dual method move the prices."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Generic

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from meio_jax.distributed.kept_programs import kept_jit
from meio_jax.dual.base import Observation, Progress, Tolerances
from meio_jax.dual.best import BestSoFar, BestState
from meio_jax.model.capacity import charge, gap, size_of
from meio_jax.model.docks import mean_shares, queue_up
from meio_jax.model.queues import Docks, Shares
from meio_jax.model.resources import Resources
from meio_jax.progress import AbstractProgress, Silent, Step
from meio_jax.results import Result
from meio_jax.solver.price_scale import bounded_scale, usual_size
from meio_jax.solver.store import AbstractStore, Items, Moment
from meio_jax.solver.subproblem import Evaluation, Totals, evaluation_of, ranking_prices, unit_of_prices
from meio_jax.solver.world_memory import WorldMemory, at_quantiles, risk_above_mean

# Least weight of what a step brings to docks in the means that the next step sees: plans move, and queues with them.
_LEAST_NEW = 0.1

# How many validation scenarios take as long as one scenario of a step: those are simulated forward only, without the
# tail, but drawn anew and recorded by speed and order (measured on the quickstart).
STEP_WORK = 4


class Mean(eqx.Module):
    """Running means over recent steps of evaluations, of the prices they were made at, and of those that rank lists.

    Iterates move from step to step, and each sees few scenarios. Their mean does neither (Polyak and Juditsky 1992),
    and since prices integrate the excess of every step, it is the mean whose usage settles at capacity.
    `last` is the relative excess of the last step, and `jump` the mean square of its change from step to step: twice
    the variance that scenarios cause, whichever way a search moves (von Neumann 1941).
    """

    evaluation: Evaluation
    prices: Float[Array, "buckets resources"]
    list_prices: Float[Array, "buckets resources"]
    last: Float[Array, "buckets resources"]
    jump: Float[Array, "buckets resources"]


class SharedState(eqx.Module):
    """What a search knows besides the items: its size does not depend on their number.

    `list_prices` rank the fulfilment options: a running mean of the prices, because lists that follow every move of a
    price swing between near-equal nodes. `price_scale` and `usual` come from the first evaluation: a price at which
    every capacity would matter, and what an excess over a capacity of nothing is measured against. `docks` are running
    means of what passes docks that queue; None where nothing does.
    `memory` is what is known of single scenarios; None where nothing is asked of them.
    """

    step: Int[Array, ""]
    list_prices: Float[Array, "buckets resources"]
    dual: BestState
    mean: Mean
    best_evaluation: Evaluation
    best_list_prices: Float[Array, "buckets resources"]
    price_scale: Float[Array, "buckets resources"]
    usual: Float[Array, "buckets resources"]
    docks: Shares | None = None
    memory: WorldMemory | None = None


class State(eqx.Module, Generic[Items]):
    """Everything that is needed to continue a solve: what belongs to the items, and what they share."""

    items: Items
    shared: SharedState


class Trace(eqx.Module):
    """What one step reports, as means over recent steps: evaluation, prices, and usage above capacity as a share.

    `undefined` is how many derivatives of the step were no finite numbers.
    """

    evaluation: Evaluation
    prices: Float[Array, "buckets resources"]
    relative: Float[Array, "buckets resources"]
    undefined: Float[Array, ""] | float = 0.0


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
class Solution(Generic[Items]):
    """Outcome of a solve.

    `prices` are those at which the best plan was evaluated, and `list_prices` those that rank its fulfilment options;
    `bound` is the largest Lagrangian value seen; `state` holds the plan and continues the search; `trace` is the last
    step's report; `confirmed` is what the plan was confirmed by, where it was.
    """

    result: Result
    best_evaluation: Evaluation
    prices: Float[Array, "buckets resources"]
    list_prices: Float[Array, "buckets resources"]
    bound: float
    steps: int
    seconds: float
    state: State[Items]
    history: list[Step]
    trace: Trace
    confirmed: Any = None

    @property
    def improved(self) -> bool:
        """Whether the mean of the items' parameters is their best (`ItemState.plan`)."""
        return bool(self.state.shared.dual.improved)

    @property
    def usual(self) -> np.ndarray:
        """What an excess over a capacity of nothing is a share of, `[buckets, resources]`."""
        return np.asarray(self.state.shared.usual)

    def with_best(self, items: Items) -> "Solution[Items]":
        """The same solution with other best parameters, which stand in `best` of these items."""
        improved = lambda shared: shared.dual.improved
        shared = eqx.tree_at(improved, self.state.shared, jnp.zeros_like(improved(self.state.shared)))
        return replace(self, state=State(items, shared), confirmed=None)


def initial_state(
    store: AbstractStore[Items],
    method: BestSoFar,
    prices: Array | None = None,
    list_prices: Array | None = None,
    items: Items | None = None,
) -> State[Items]:
    """State before the first step: from nothing, or from prices and items of an earlier solve."""
    zeros = jnp.zeros_like(store.resources.capacity)
    blank = Evaluation.zeros(zeros, **store.terms)
    ranking = zeros if list_prices is None else list_prices
    shared = SharedState(
        step=jnp.zeros((), jnp.int32),
        list_prices=ranking,
        dual=method.init(zeros if prices is None else prices),
        mean=Mean(blank, zeros, ranking, zeros, zeros),
        best_evaluation=blank,
        best_list_prices=ranking,
        price_scale=zeros,
        usual=zeros,
        docks=None if store.docks is None else store.docks.shares,
        memory=store.memory,
    )
    return State(store.start() if items is None else items, store.everywhere(shared))


def joint_step(store: AbstractStore[Items], method: BestSoFar, kind: Array, state: State) -> tuple[State, Trace]:
    """One evaluation (and gradient step) of all items, and one move of the prices.

    The first evaluation sets the scale of the prices; `kind` numbers the kind of every resource.
    """
    at = _moment(method, store.damping, state.shared)
    totals, items = store.sweep(at, state.items)
    shared, trace = shared_step(store.resources, method, kind, state.shared, at, totals, store.docks)
    return State(items, shared), trace


@kept_jit
def _moment(method: BestSoFar, damping: float, shared: SharedState) -> Moment:
    """What the next step tells the items."""
    prices = method.prices(shared.dual)
    weight = averaging_weight(shared.step, method.averaging, prices.dtype)
    ranking = ranking_prices(shared.list_prices, prices, damping)
    return Moment(prices, ranking, shared.step, weight, shared.dual.improved, shared.docks, shared.memory)


@kept_jit
def shared_step(
    resources: Resources,
    method: BestSoFar,
    kind: Array,
    before: SharedState,
    at: Moment,
    totals: Totals,
    docks: Docks | None = None,
) -> tuple[SharedState, Trace]:
    """Judge what the items add up to, and move the prices."""
    memory = None
    if before.memory is not None and totals.usage.worlds is not None:
        memory = before.memory.extended(totals.usage.worlds)
        totals = _of_worlds(resources, memory, totals)
    evaluation = evaluation_of(resources, totals)
    first = usual_size(evaluation.excess, evaluation.bound, kind)
    usual = jnp.where(before.step == 0, first, before.usual)
    unit = bounded_scale(unit_of_prices(resources, evaluation, first, kind, method.floor_scale), method.ceiling)
    price_scale = jnp.where(before.step == 0, unit, before.price_scale)
    seen = observation(evaluation, usual, price_scale)
    jump = jnp.where(before.step == 0, 0, jnp.square(seen.relative - before.mean.last))
    new = Mean(evaluation, at.prices, before.list_prices, seen.relative, jump)
    mean = _averaged(before.mean, new, at.weight)
    judged = observation(mean.evaluation, usual, price_scale)
    dual = method.judge(judged, mean.prices, method.step(seen, before.dual))
    keep = lambda new, old: jax.tree.map(lambda now, was: jnp.where(dual.improved, now, was), new, old)
    after = SharedState(
        step=before.step + 1,
        list_prices=at.list_prices,
        dual=dual,
        mean=mean,
        best_evaluation=keep(mean.evaluation, before.best_evaluation),
        best_list_prices=keep(mean.list_prices, before.best_list_prices),
        price_scale=price_scale,
        usual=usual,
        docks=_passing(docks, before.docks, totals.loads, at.weight),
        memory=memory,
    )
    return after, Trace(mean.evaluation, mean.prices, judged.relative, totals.undefined)


def _passing(docks: Docks | None, before: Shares | None, loads: Array | None, weight: Array) -> Shares | None:
    """Running means of what passes the docks: that of the first step, and then mixed with those of later ones."""
    if docks is None or before is None or loads is None:
        return None
    now = mean_shares(docks, loads, queue_up(docks, loads))
    part = jnp.clip(weight, _LEAST_NEW, 1)
    return jax.tree.map(lambda old, new: old + part * (new - old), before, now)


def _of_worlds(resources: Resources, memory: WorldMemory, totals: Totals) -> Totals:
    """The totals of a step with the use of held capacities at its quantile, and the risk of the total cost."""
    used = at_quantiles(resources, memory, totals.usage)
    return replace(totals, value=totals.value + risk_above_mean(memory, used), usage=used)


def trace_of(shared: SharedState) -> Trace:
    """What the last step reported."""
    judged = observation(shared.mean.evaluation, shared.usual, shared.price_scale)
    return Trace(shared.mean.evaluation, shared.mean.prices, judged.relative)


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


def _averaged(old: Mean, new: Mean, weight: Float[Array, ""]) -> Mean:
    """Mean of the recent third of all steps, at most of about `window` steps: the first prices are soon forgotten."""
    means = lambda mean: (mean.evaluation, mean.prices, mean.list_prices, mean.jump)
    mixed = jax.tree.map(lambda before, after: before + weight * (after - before), means(old), means(new))
    return eqx.tree_at(means, new, mixed)


@dataclass(frozen=True)
class Early(Generic[Items]):
    """Steps of fewer scenarios while a search is far from its tolerances: what they miss is larger than their noise.

    Attributes:
        store: The same items, with fewer scenarios in every step.
        near: Whether the search has come so near that its steps are to see all their scenarios from now on.
    """

    store: AbstractStore[Items]
    near: Callable[[State[Items], Step], bool]


@dataclass(frozen=True)
class Answer:
    """What a check of a plan found: what shows that it is good enough (None: it is not), after so many scenarios."""

    found: Any
    scenarios: int = 0


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


def _due(steps: list[Step], limits: Limits) -> bool:
    """Whether the tolerances are checked after the last of these steps.

    Checks take no longer than the steps between them, so that a plan that passes by little is not judged over and over.
    After the last step a plan is judged in any case.
    """
    report, first = steps[-1], steps[0].step - 1
    if report.step - first < min(limits.min_steps, limits.max_steps):
        return False
    if report.step >= limits.max_steps:
        return True
    since = next((number for number in reversed(range(len(steps))) if steps[number].checked), 0)
    done = sum(step.scenarios for step in steps[since:])
    return report.step % limits.check_every == 0 and steps[since].checked <= STEP_WORK * done


def _still_early(steps: list[Step], state: State, early: Early | None, limits: Limits) -> bool:
    """Whether the next step sees fewer scenarios: so did all before it, and the search is still far.

    The last third of the steps sees all scenarios in any case.
    """
    if early is None or any(step.scenarios != early.store.scenarios for step in steps):
        return False
    if not steps:
        return True
    first, report = steps[0].step - 1, steps[-1]
    if 3 * (report.step - first) >= 2 * (limits.max_steps - first):
        return False
    return bool(report.step % limits.check_every) or not early.near(state, report)


def _ended(report: Step, method: BestSoFar, limits: Limits) -> Result | None:
    """What the tolerances say of the means over recent steps."""
    return method.terminate(Progress(report.violation, report.gap, report.change), limits.tolerances)


def _accepted(state: State) -> State:
    """The state with the mean of recent iterates as its best, at the prices it was made at."""
    mean = state.shared.mean
    where = lambda s: (s.best_evaluation, s.best_list_prices, s.dual.price, s.dual.improved)
    now = (mean.evaluation, mean.list_prices, mean.prices, jnp.ones_like(state.shared.dual.improved))
    return State(state.items, eqx.tree_at(where, state.shared, now))


def _worst_by_kind(trace: Trace, kinds: tuple[str, ...]) -> dict[str, float]:
    worst = np.maximum(np.asarray(trace.relative).max(axis=0, initial=0), 0)
    return {
        kind: float(max(w for w, k in zip(worst, kinds, strict=True) if k == kind)) for kind in dict.fromkeys(kinds)
    }


@dataclass
class _Search(Generic[Items]):
    """A search under way: what it asks, whom it tells, and the reports of its steps."""

    store: AbstractStore[Items]
    method: BestSoFar
    limits: Limits
    kind: Array
    progress: AbstractProgress
    on_step: Callable[[State, Step, Trace], None] | None
    confirm: Callable[[State, Step], Answer] | None
    early: Early[Items] | None
    steps: list[Step]
    started: float
    told: bool = False

    def step(self, state: State[Items], far: bool, checked: int) -> State[Items]:
        """One joint step and its report; `checked`: scenarios that were simulated to check the plan before it."""
        store = self.early.store if far and self.early is not None else self.store
        state, trace = joint_step(store, self.method, self.kind, state)
        every = self.limits.check_every
        past = self.steps[-every].cost if len(self.steps) >= every else None
        report = _report(trace, int(state.shared.step), self.limits, self.started, past)
        report = replace(report, scenarios=store.scenarios, checked=checked)
        self.steps.append(report)
        self.progress.update(report)
        self._tell_undefined(int(trace.undefined), report.step)
        if self.on_step is not None:
            self.on_step(state, report, trace)
        return state

    def _tell_undefined(self, count: int, step: int) -> None:
        """Say once that derivatives were no numbers, which is a fault of the model and not of the data."""
        if count and not self.told:
            self.told = True
            text = f"{count} derivatives of step {step} were no finite numbers: these levels were left as they were."
            self.progress.warning(f"{text} Please report this with the instance; later steps with such are not told.")

    def far(self, state: State[Items]) -> bool:
        """Whether the next step sees fewer scenarios."""
        return _still_early(self.steps, state, self.early, self.limits)

    def verdict(self, state: State[Items]) -> tuple[Result | None, Answer]:
        """Whether the search ends with its last step, and what shows it; it was not one of fewer scenarios."""
        if not self.steps or not _due(self.steps, self.limits):
            return None, Answer(None)
        if self.confirm is None:
            return _ended(self.steps[-1], self.method, self.limits), Answer(None)
        answer = self.confirm(state, self.steps[-1])
        return (None if answer.found is None else Result.CONVERGED), answer

    def run(self, state: State[Items]) -> tuple[State[Items], Result, Answer]:
        """Step until there is a verdict, the steps run out or the user stops."""
        far = self.far(state)
        # A run that is continued may have ended already: it was stopped after its last step.
        result, answer = (None, Answer(None)) if far else self.verdict(state)
        while result is None and int(state.shared.step) < self.limits.max_steps:
            state = self.step(state, far, answer.scenarios)
            if self.progress.should_stop():
                return state, Result.INTERRUPTED, Answer(None)
            far = far and self.far(state)
            result, answer = (None, Answer(None)) if far else self.verdict(state)
        return state, Result.MAX_STEPS if result is None else result, answer


def solve(
    store: AbstractStore[Items],
    method: BestSoFar,
    state: State[Items],
    limits: Limits,
    kind: Array,
    *,
    progress: AbstractProgress | None = None,
    on_step: Callable[[State, Step, Trace], None] | None = None,
    history: tuple[Step, ...] = (),
    confirm: Callable[[State, Step], Answer] | None = None,
    early: Early[Items] | None = None,
) -> Solution[Items]:
    """Run joint steps until the method terminates, the steps run out, or the user stops.

    Args:
        store: The items.
        method: A dual method that keeps the best iterate.
        state: Where to start: `initial_state(...)`, or the state of an earlier solve.
        limits: Steps, check interval and tolerances.
        kind: Number of the kind of every resource; prices of one kind share a scale.
        progress: Receives every step; silent by default.
        on_step: Called after each step with the state (checkpoints) and its report.
        history: Reports of the steps before `state`, when a solve is continued.
        confirm: Asked whenever the tolerances are checked, in place of the means over recent steps, which see few
            scenarios: what shows that the mean of recent iterates meets them.
        early: Steps of fewer scenarios at the beginning; they end when the search has come near, and no plan is
            returned as converged before.

    Returns:
        The solution; `result` says why the loop ended.
    """
    progress = Silent() if progress is None else progress
    started = time.perf_counter() - (history[-1].seconds if history else 0.0)
    search = _Search(store, method, limits, kind, progress, on_step, confirm, early, list(history), started)
    state, result, answer = search.run(state)
    progress.close()
    if answer.found is not None:
        state = _accepted(state)
    shared = state.shared
    return Solution(
        result=result,
        best_evaluation=shared.best_evaluation,
        prices=shared.dual.price,
        list_prices=shared.best_list_prices,
        bound=float(shared.dual.bound),
        steps=int(state.shared.step),
        seconds=time.perf_counter() - started,
        state=state,
        history=search.steps,
        trace=trace_of(shared),
        confirmed=answer.found,
    )
