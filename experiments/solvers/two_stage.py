"""The planner against the extensive-form program, both on the same training scenarios, and its bounds."""

from __future__ import annotations

import time
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from meio_jax.certify.clairvoyant import clairvoyant_bound, scenario_bounds
from meio_jax.config import Config
from meio_jax.model.catalog import draw
from meio_jax.planner import Model, prepare, search
from meio_jax.plans.decisions import joined
from meio_jax.scenarios import HOLDOUT, TRAINING
from meio_jax.solver.solve import Solution
from meio_jax.solver.subproblem import InventorySubproblem
from solvers.extensive import Data, Extensive, read
from solvers.newsvendor_network import Size, random_tables, sampled_demand

# Kept back while the planner searches, so that its plan keeps the capacities that the program has; the part of
# itself by which each capacity is moved for the range of duals is a few times larger.
STEPS = 400
_MARGIN = 5e-4
_NEARBY = 2e-3
# Units: what single precision loses in a sum over all items.
_ROUNDING = 1e-2


@dataclass(frozen=True)
class Kind:
    """One of the two kinds of instance: how many nodes a class may be served from, and the gap that is allowed."""

    name: str
    several: bool
    tolerance_pct: float


KINDS = (
    Kind("newsvendor network, one node", False, 0.5),
    Kind("newsvendor network, several nodes", True, 2.0),
)


def configuration(size: Size, steps: int) -> Config:
    """The same settings for every instance; each step sees all training scenarios, so nothing is averaged."""
    return Config.model_validate(
        {
            "instance": {"path": "in-memory"},
            "run": "in-memory",
            "scenarios": {"train": size.paths, "per_step": size.paths, "holdout": 2, "clairvoyant": 0},
            "dual": {"name": "augmented", "options": {"step_size": 0.05, "penalty": 0.3}},
            "fulfilment": {"rounds": size.nodes, "weight_bands": size.items, "tiers": 3},
            "solve": {
                "max_steps": steps,
                "min_steps": steps,
                "decay_steps": steps,
                "learning_rate": 0.1,
                "final_learning_rate": 0.0003,
                "capacity_margin": _MARGIN,
                "violation": _MARGIN,
                "probe": False,
                "slack_items": 0,
                "gap": 1e-3,
            },
        }
    )


def orders_of(model: Model, solution: Solution) -> np.ndarray:
    """What the plan buys on day 0 `[items, nodes]`: shelves are empty, so that is its target."""
    ((_, policy),) = model.store.plans(solution.state.items, solution.improved)
    return np.asarray(joined(model.instance, policy.target)[0].T, float)


def over(model: Model, solution: Solution) -> tuple[np.ndarray, float]:
    """Usage above the capacities as the program has them (no margin) on day 1, and the largest as a share."""
    tight, given = model.problem.resources, model.instance.resources
    moved = jnp.where(tight.present, tight.capacity - given.capacity, 0)
    excess = np.asarray(solution.best_evaluation.excess + moved, float)[1]
    return excess, max(float(np.max(excess / np.asarray(given.capacity, float)[1])), 0.0)


def compare(seed: int, kind: Kind, size: Size, steps: int = STEPS) -> dict:
    """One instance by both solvers, and the bounds on it."""
    started = time.perf_counter()
    tables = random_tables(seed, size, several=kind.several)
    model = prepare(tables, configuration(size, steps))
    solution = search(model)
    searched = time.perf_counter() - started
    data = read(tables)
    program = Extensive(data, sampled_demand(model, size.paths, TRAINING))
    best = program.solve()
    cost, prices = float(solution.best_evaluation.value), np.asarray(solution.prices, float)[1]
    excess, violation = over(model, solution)
    recourse = program.with_orders(orders_of(model, solution), data.capacity + np.maximum(excess, 0) + _ROUNDING)
    row = {
        "family": kind.name,
        "instance": seed,
        "reference": best.value,
        "ours": cost,
        "gap_pct": 100 * (cost / best.value - 1),
        "tolerance_pct": kind.tolerance_pct,
        "violation": violation,
        # What the plan's orders lose to the program's, and what its fulfilment loses to a recourse that sees all.
        "orders_pct": 100 * (recourse / best.value - 1),
        "fulfilment_pct": 100 * (cost - recourse) / best.value,
        "lagrangian": cost + float(prices @ excess),
        "lagrangian_label": "estimate" if kind.several else "bound",
        "exact_at_prices": program.at_prices(prices),
        **_prices(program, prices),
        **_clairvoyant(model, data, prices, size),
        "seconds": searched,
    }
    return {**row, "met": _met(row, kind)}


def _prices(program: Extensive, prices: np.ndarray) -> dict:
    """Prices beside duals: which duals are unique, and how far they move when a capacity moves a little."""
    exact, nearby = program.dual_ranges(), program.dual_ranges(_NEARBY)
    dual = exact.mean(axis=1)
    unique = exact[:, 1] - exact[:, 0] <= 1e-3 * np.maximum(dual, 1)
    outside = np.maximum(np.maximum(nearby[:, 0] - prices, prices - nearby[:, 1]), 0)
    # In percent of the largest dual: what a price of 0.1 beside one of 10 loses is next to nothing.
    error = 100 * np.abs(prices - dual) / max(float(dual.max()), 1e-9)
    return {
        "prices": prices.tolist(),
        "duals": dual.tolist(),
        "duals_nearby": nearby.tolist(),
        "unique": unique.tolist(),
        "price_error_pct": error.tolist(),
        "price_outside_pct": (100 * outside / max(float(dual.max()), 1e-9)).tolist(),
        "worst_price_pct": float(np.max(np.where(unique, error, 0))),
    }


def _clairvoyant(model: Model, data: Data, prices: np.ndarray, size: Size) -> dict:
    """The clairvoyant bound beside the program with orders per scenario, on the holdout scenarios.

    With capacities priced, the program is one per item and scenario, and the bound should be its optimum; with
    capacities kept it is larger, and with one order for all scenarios larger again.
    """
    priced = jnp.zeros_like(model.instance.resources.capacity).at[1].set(jnp.asarray(prices))
    given = eqx.tree_at(lambda p: p.resources, model.problem, model.instance.resources)
    bound = clairvoyant_bound(given, priced, size.paths, chunk=size.paths)
    ours = _each_scenario(given, priced, size.paths) - float(prices @ data.capacity)
    demand = sampled_demand(model, size.paths, HOLDOUT)
    knowing = Extensive(data, demand, knows_all=True)
    theirs = knowing.each_at_prices(prices)
    return {
        "clairvoyant": bound.value,
        "clairvoyant_lp": knowing.at_prices(prices),
        "clairvoyant_worst_pct": 100 * float(np.max(np.abs(ours / theirs - 1))),
        "knowing_lp": knowing.solve().value,
        "not_knowing_lp": Extensive(data, demand).solve().value,
    }


def _each_scenario(problem: InventorySubproblem, priced: jnp.ndarray, count: int) -> np.ndarray:
    """The clairvoyant bound of every holdout scenario, summed over items, before the rent of the capacities."""
    catalog = eqx.tree_at(lambda c: c.scenarios, problem.catalog, None, is_leaf=lambda leaf: leaf is None)
    ids = jnp.arange(count, dtype=jnp.int32)

    @eqx.filter_jit
    def bounds(leaves: tuple) -> jnp.ndarray:
        scenarios = draw(problem.settings.scenarios, catalog.profiles, leaves, ids, HOLDOUT)
        each = scenario_bounds(problem.network, problem.resources, leaves[0], scenarios, priced)
        return leaves[0].live @ each.reshape(leaves[0].items, count)

    every = catalog.per_block()
    blocks = jax.tree.leaves(every)[0].shape[0]
    return sum(np.asarray(bounds(jax.tree.map(lambda leaf, b=b: leaf[b], every)), float) for b in range(blocks))


def _met(row: dict, kind: Kind) -> bool:
    """Whether an instance shows what it must: order of the bounds, gap, capacities kept."""
    size = abs(row["reference"])
    rounding = 1e-5 * size
    ordered = row["reference"] <= row["ours"] + rounding and row["exact_at_prices"] <= row["reference"] + rounding
    known = abs(row["clairvoyant"] - row["clairvoyant_lp"]) <= rounding and row["clairvoyant_worst_pct"] <= 1e-3
    known = known and row["clairvoyant_lp"] <= row["knowing_lp"] + rounding <= row["not_knowing_lp"] + 2 * rounding
    within = row["gap_pct"] <= row["tolerance_pct"] and row["violation"] <= 1e-5
    # With one node the item problems are convex: the value at the end is the bound itself, but for the last steps.
    bound = kind.several or row["lagrangian"] <= row["reference"] + 1e-4 * size
    return bool(ordered and known and within and bound)
