"""How much better than a plan the best known one is: long searches from several starts, judged on fresh scenarios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from meio_jax.certify.slack import read_blocks, surroundings
from meio_jax.config.settings import Config
from meio_jax.config.values import Values
from meio_jax.dual.subgradient import ProjectedSubgradient
from meio_jax.planner.certifying import certify
from meio_jax.planner.finished import Plan
from meio_jax.planner.model import Model, prepare
from meio_jax.planner.searching import search
from meio_jax.policy import AbstractPolicy
from meio_jax.scenarios.sampling import HOLDOUT
from meio_jax.solver.first_levels import in_units
from meio_jax.solver.refine import Judged, Surroundings
from meio_jax.solver.refine import judge as judge_block
from meio_jax.solver.solve import Solution, initial_state
from meio_jax.tables import Tables

LONG = {
    "max_steps": 600,
    "min_steps": 600,
    "decay_steps": 500,
    "confirm": False,
    "probe": True,
    "averaging": 128,
    "slack_items": 0,
}
STARTS = (None, 1.0, 0.5, 2.0)
"""Factors on the plan's levels from which levels are searched at its prices; None: newsvendor levels."""
_CHUNK = 256


@dataclass(frozen=True)
class Judgement:
    """Items of an instance under several plans, on the same scenarios: objective and priced objective, money.

    `cost` and `total` are `[plans, items]`, `gross` what each item pays in all under the first plan, `[items]`.
    """

    cost: np.ndarray
    total: np.ndarray
    gross: np.ndarray


def longer(
    plan: Plan, seed: int, *, held: bool = False, factor: float | None = None
) -> tuple[Model, Solution, AbstractPolicy]:
    """A search four times as long: its model, what it found, and its levels in units of stock.

    Args:
        plan: The plan that is judged.
        seed: Of the training scenarios.
        held: Whether prices stay those of the plan; else they are searched as well.
        factor: The search starts from the plan's levels times this; None: from newsvendor levels.
    """
    model, found = plan.model, plan.solution
    solve = model.config.solve.model_copy(update=LONG)
    config: Config = model.config.model_copy(update={"solve": solve, "seed": seed})
    values, prices = model.values, np.asarray(found.prices)
    if held:
        values = Values(values.policy, values.objective, ProjectedSubgradient(step_size=0.0))
    start = (lambda _: prices) if held else None
    again = prepare(model.instance.tables, config, values=values, start_prices=start)
    items = None
    if factor is not None:
        levels = jax.tree.map(lambda leaf: factor * leaf, levels_of(model, found))
        items = again.problem.begin(in_units(levels, again.problem.scale))
    first = jnp.asarray(prices) if held else None
    state = initial_state(again.store, again.method, first, found.list_prices if held else None, items)
    done = search(again, state)
    return again, done, levels_of(again, done, last=held)


def levels_of(model: Model, found: Solution, *, last: bool = False) -> AbstractPolicy:
    """Levels of a search in units of stock; `last`: the mean of its last steps, and not the best of these means."""
    items = found.state.items
    return model.problem.policy(items.mean if last else items.plan(found.improved))


def judge_of(plan: Plan, law: Tables | None) -> Model:
    """The model whose scenarios judge plans: that of the plan, or that of the law that its forecast was drawn from."""
    return plan.model if law is None else prepare(law, plan.model.config, values=plan.model.values)


def judged(model: Model, found: Solution, plans: list[AbstractPolicy], scenarios: range) -> Judgement:
    """Every plan on the same holdout scenarios of a model, at the prices of the plan that is judged first."""
    around = surroundings(model.given.problem, found, stationary=model.stationary)
    numbers = list(range(model.store.block_sizes[0].size))
    blocks = read_blocks(model.given, found, numbers)
    parts = [
        _block(around, blocks[number][0], [_slice(plan, number) for plan in plans], scenarios) for number in numbers
    ]
    cost, total, gross = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    return Judgement(cost, total, gross)


def _slice(plan: AbstractPolicy, number: int) -> AbstractPolicy:
    return jax.tree.map(lambda leaf: leaf[number], plan)


def _block(around: Surroundings, leaves: tuple, plans: list[AbstractPolicy], scenarios: range) -> tuple[Any, ...]:
    live = np.asarray(leaves[0].live) > 0
    starts = range(scenarios.start, scenarios.stop, _CHUNK)

    def mean(plan: AbstractPolicy) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found: list[Judged] = [
            judge_block(around, leaves, plan, _CHUNK, jnp.asarray(first, jnp.int32), HOLDOUT) for first in starts
        ]
        figures = [(one.cost, one.total, one.gross) for one in found]
        cost, total, gross = (np.mean([np.asarray(f[k], float) for f in figures], axis=0)[live] for k in range(3))
        return cost, total, gross

    each = [mean(plan) for plan in plans]
    return np.stack([one[0] for one in each]), np.stack([one[1] for one in each]), each[0][2]


def saved_by_items(plan: Plan, judge: Model, scenarios: int) -> tuple[np.ndarray, np.ndarray]:
    """What every item saves at the prices of a plan by the best levels known, and what it pays in all, `[items]`.

    The best is chosen on other scenarios than those that it is judged on, so that chance does not choose.
    """
    tried = [levels_of(plan.model, plan.solution)]
    tried += [longer(plan, 1 + k, held=True, factor=factor)[2] for k, factor in enumerate(STARTS)]
    first = plan.model.config.scenarios.holdout
    choosing = judged(judge, plan.solution, tried, range(first, first + scenarios))
    best = np.argmin(choosing.total, axis=0)
    judging = judged(judge, plan.solution, tried, range(first + scenarios, first + 2 * scenarios))
    after = np.take_along_axis(judging.total, best[None], axis=0)[0]
    return judging.total[0] - after, judging.gross


def best_known(plan: Plan, judge: Model, scenarios: int, seeds: tuple[int, ...]) -> float:
    """By how much the best long search that keeps the capacities is cheaper, as a share of gross cost, not below 0."""
    levels = [levels_of(plan.model, plan.solution)]
    for seed in seeds:
        again, done, found = longer(plan, seed)
        if certify(again, done).certificate.largest_violation <= plan.model.config.solve.violation:
            levels.append(found)
    first = plan.model.config.scenarios.holdout
    cost = judged(judge, plan.solution, levels, range(first, first + scenarios))
    whole = cost.cost.sum(axis=1)
    return float((whole[0] - whole.min()) / cost.gross.sum())
