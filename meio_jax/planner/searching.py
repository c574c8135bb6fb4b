"""The search of a plan, and a look at levels that no slope moves."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from meio_jax.certify.certificate import excess_on_host, relative_violation
from meio_jax.certify.confirm import confirmation, near
from meio_jax.certify.sample import sample_of
from meio_jax.certify.worlds import risk_of_total, together
from meio_jax.distributed.sharding import own_part
from meio_jax.model.capacity import charge
from meio_jax.planner.model import Model, early_scenarios, per_step
from meio_jax.planner.sampled_start import found_by_sample, sampled_start
from meio_jax.progress import AbstractProgress, Silent, Step
from meio_jax.results import Result
from meio_jax.solver.probe import probe
from meio_jax.solver.solve import Early, Solution, State, Trace, initial_state, solve
from meio_jax.solver.store import Part
from meio_jax.solver.subproblem import ItemState


def search(
    model: Model,
    state: State | None = None,
    *,
    progress: AbstractProgress | None = None,
    on_step: Callable[[State, Step, Trace], None] | None = None,
    history: tuple[Step, ...] = (),
) -> Solution:
    """Run the solver loop.

    Args:
        model: From `prepare`.
        state: Where to start; None: from the levels of the model without prices, or from those of a sample of the
            items (`solve.sample_items`).
        progress: Is told of every step, and may stop the search.
        on_step: Called with the state and the report of every step.
        history: Reports of the steps before `state`.

    Returns:
        Prices, parameters and how the search ended.

    Example:
        >>> solution = search(model)
        >>> float(solution.prices.min()) >= 0
        True
    """
    if state is None:
        begin = sampled_start(model)
        if begin is None:
            state = initial_state(model.store, model.method)
        else:
            model, state = begin.model, found_by_sample(begin, Silent() if progress is None else progress)
    early = _early(model, state, history)
    config = model.config
    asked = None
    if config.solve.confirm:
        stop = Silent().should_stop if progress is None else progress.should_stop
        given, chunk = model.instance.resources, per_step(config)
        asked = confirmation(model.store, given, config, model.method.averaging, chunk, stop)
    found = solve(
        model.store,
        model.method,
        state,
        model.limits,
        model.kind_of,
        progress=progress,
        on_step=on_step,
        history=history,
        confirm=asked,
        early=early,
    )
    return probed(model, found) if config.solve.probe else found


def _early(model: Model, state: State, history: tuple[Step, ...]) -> Early | None:
    """Steps of fewer scenarios at the beginning of a search from nothing, or of one that is continued from there.

    A search that starts from prices, those of an earlier run, is near from the beginning.
    """
    few = early_scenarios(model.config)
    started = bool(np.asarray(model.method.prices(state.shared.dual)).any())
    if few >= per_step(model.config) or (started and not history):
        return None

    def near_enough(state: State, report: Step) -> bool:
        given, aimed_at = model.instance.resources, model.store.resources
        return near(given, aimed_at, model.config, model.method.averaging, state, report)

    return Early(model.store.with_scenarios(few), near_enough)


def probed(model: Model, solution: Solution) -> Solution:
    """The solution with the levels of those items changed that multiples of their levels serve clearly better.

    The whole is kept only if it breaks the capacities no more than before and costs no more, on validation scenarios:
    at prices at which a capacity is used exactly, whoever uses it gains nothing by that, and may as well not be served.
    """
    if solution.result in (Result.INTERRUPTED, Result.NUMERICAL_FAILURE):
        return solution
    store, chunk = model.given.at_docks(solution.state.shared.docks), per_step(model.config)
    ids = jnp.arange(-(-4 * chunk // 8) * 8, dtype=jnp.int32)
    moved = jax.process_count() > 1

    def tried(part: Part) -> ItemState:
        nonlocal moved
        raw, others = part.items.plan(solution.improved), (part.items.mean, part.problem.first)
        found = probe(part.problem, raw, solution.prices, solution.list_prices, ids, others)
        moved = moved or bool(np.asarray(own_part(found.moved)).any())
        return dataclasses.replace(part.items, best=found.raw)

    better = solution.with_best(store.changed(solution.state.items, tried, "probed"))
    if not moved:
        return solution

    def merit(plan: Solution) -> tuple[float, float]:
        sample = sample_of(store, plan.state.items, plan.improved, solution.list_prices, chunk).upto(4 * chunk)
        usage = together(model.instance.resources, sample.usage)
        relative, _ = relative_violation(model.instance.resources, usage.used, usage.wanted, solution.usual)
        beyond = max(float(relative.max(initial=0)) - model.config.solve.violation, 0.0)
        over = np.maximum(excess_on_host(model.instance.resources, usage.used, usage.wanted), 0)
        risk = risk_of_total(store.problem.settings.risk, usage.worlds, np.arange(sample.scenarios))
        value = sample.objective() if risk is None else risk.objective
        return beyond, value + float(charge(elastic, over))

    prices, ceiling = np.asarray(solution.prices, float), model.method.ceiling
    elastic = prices if ceiling is None else np.where(np.isfinite(ceiling), ceiling, prices)
    before, after = merit(solution), merit(better)
    return better if after[0] <= before[0] + 1e-9 and after[1] <= before[1] else solution
