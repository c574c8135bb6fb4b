"""Priced preference rounds against the optimal assignment of each wave, from stock that the simulation meets.

For every item, scenario and wave of some periods the rounds serve demand from stock on hand; a linear program serves
the same demand from the same stock at least cost (parcels, handling, the price of outbound capacity, lost sales).
Both see one wave at a time and nobody is downgraded, so the difference is what the rounds lose: they go from fast
to slow, share scarce stock in proportion, rank by the weight of a group of items, and stop after some rounds.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import equinox as eqx
import highspy
import jax
import jax.numpy as jnp
import numpy as np
from scipy import sparse

from meio_jax.config import Config
from meio_jax.generate import GenerateOptions, generate_instance
from meio_jax.model.catalog import draw
from meio_jax.model.resources import outbound_price
from meio_jax.planner import Model, prepare, search
from meio_jax.policy import policy_family
from meio_jax.scenarios import HOLDOUT
from meio_jax.simulation.outcome import Record
from meio_jax.simulation.rollout import rollout
from meio_jax.simulation.serve import Customer, serve_waves
from meio_jax.solver.subproblem import block_lists
from meio_jax.tables import Tables, read_instance
from solvers.extensive import load
from solvers.newsvendor_network import Size, random_tables

SCENARIOS, STEPS, BLOCKS, PERIODS = 8, 60, 2, 6


def planned(tables: Tables) -> tuple[Model, eqx.Module]:
    """A short search: stock and prices of about the size that a plan has."""
    config = {"instance": {"path": "in-memory"}, "run": "in-memory", "scenarios": {"train": 64, "per_step": 16}}
    model = prepare(tables, Config.model_validate({**config, "solve": {"max_steps": STEPS, "min_steps": STEPS}}))
    return model, search(model)


def waves(model: Model, solution: eqx.Module, block: int) -> list[dict]:
    """What both solvers of a wave see: stock, demand and unit costs, for some periods of a block of items."""
    problem = model.problem
    network, prices = problem.network, solution.prices
    catalog = eqx.tree_at(lambda c: c.scenarios, problem.catalog, None, is_leaf=lambda leaf: leaf is None)
    leaves = jax.tree.map(lambda leaf: leaf[block], catalog.per_block())
    items = leaves[0]
    policy = jax.tree.map(lambda leaf: leaf[block], problem.policy(solution.state.items.plan(solution.improved)))
    ids = jnp.arange(SCENARIOS, dtype=jnp.int32)

    @eqx.filter_jit
    def simulate() -> tuple:
        scenarios = draw(problem.settings.scenarios, catalog.profiles, leaves, ids, HOLDOUT)
        lists = block_lists(network, problem.resources, problem.settings, items, prices)
        form = problem.settings.form
        stock = rollout(network, policy, items, scenarios, lists, form=form, record=Record(stock=True)).stock
        priced = jax.vmap(lambda v, w: outbound_price(problem.resources, prices, v, w))(items.volume, items.weight)
        return scenarios.demand, stock.reshape(-1, *stock.shape[2:]), lists, priced

    demand, stock, lists, priced = simulate()
    nothing = jnp.zeros(items.items * SCENARIOS, stock.dtype)
    customer = Customer(jnp.repeat(items.weight, SCENARIOS), nothing, nothing)
    inner = policy_family("base_stock")(nothing)
    serve = eqx.filter_jit(
        lambda on_hand, wanted, one: serve_waves(
            network, inner, on_hand, wanted, one, customer, problem.settings.form, record=False
        )
    )
    found = []
    first = max(network.periods // 3, 1)
    for period in range(first, min(first + PERIODS, network.periods)):
        bucket, on_hand = period // network.bucket_periods, stock[period - 1]
        if network.periods == 2:
            # Two-stage networks: what was ordered on day 0 is on the shelf on day 1.
            on_hand = jnp.repeat(policy.target[0], SCENARIOS, axis=-1)
        for wave in range(network.waves):
            one = jax.tree.map(lambda leaf, b=bucket, w=wave: leaf[b, w][None], lists)
            left, unmet, done = serve(on_hand, demand[period, wave][None], one)
            rent = np.asarray(priced[:, bucket], float).repeat(SCENARIOS, axis=0).T
            found.append(_wave(model, items, wave, (on_hand, demand[period, wave], rent), (unmet, done)))
            on_hand = left
    return found


def _wave(model: Model, items: eqx.Module, wave: int, seen: tuple, did: tuple) -> dict:
    """Cost of the rounds and of the optimal assignment, summed over items and scenarios, and how scarce stock was."""
    network = model.problem.network
    on_hand, demand, rent = (np.asarray(part, float) for part in seen)
    unmet, done = did
    spread = lambda leaf: np.asarray(leaf, float).repeat(SCENARIOS)
    lost = np.where(spread(items.backorder) > 0, spread(items.backorder_cost) * 7, spread(items.lost_sale_cost))
    moved = rent + np.asarray(network.handling_cost, float)[:, None]
    outbound = np.asarray(done.outbound_cost, float) + np.sum(moved * np.asarray(done.outbound, float), axis=0)
    missed = np.asarray(unmet.total, float)
    unit = np.asarray(network.outbound_unit, float)[..., None]
    unit = unit + np.asarray(network.outbound_kg, float)[..., None] * spread(items.weight) + moved
    allowed = np.asarray(network.eligible[wave] & items.group_stockable)
    best_out, best_missed = assign(on_hand, demand, unit, lost, allowed)
    wanted = demand.sum((0, 1))
    return {
        "rounds": float(np.sum(outbound + lost * missed)),
        "best": float(np.sum(best_out + lost * best_missed)),
        "rounds_outbound": float(outbound.sum()),
        "best_outbound": float(best_out.sum()),
        "scarce": float(np.sum(wanted[missed > 1e-3 * wanted])),
        "wanted": float(wanted.sum()),
    }


def assign(
    on_hand: np.ndarray, demand: np.ndarray, unit: np.ndarray, lost: np.ndarray, allowed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Least cost of serving each column's demand from its stock, as one program over all columns.

    Args:
        on_hand: Units `[nodes, batch]`.
        demand: Units `[speeds, regions, batch]`.
        unit: Cost of a unit `[speeds, regions, nodes, batch]`.
        lost: Cost of a unit that nobody serves `[batch]`.
        allowed: Which node may serve which class `[speeds, regions, nodes]`.

    Returns:
        Outbound cost and units missed, each `[batch]`.
    """
    nodes, batch = on_hand.shape
    flat = demand.reshape(-1, batch)
    classes, (k, n) = flat.shape[0], np.nonzero(allowed.reshape(-1, nodes))
    cost = unit.reshape(-1, nodes, batch)[k, n]
    column, b = (axis.ravel() for axis in np.indices(cost.shape))
    keep = (flat[k[column], b] > 0) & (on_hand[n[column], b] > 0)
    column, b = column[keep], b[keep]
    if not len(column):
        # Nobody asks, or nobody has anything: there is no program to solve.
        return np.zeros(batch), flat.sum(0)
    rows = np.concatenate([n[column] * batch + b, nodes * batch + k[column] * batch + b])
    place = np.arange(len(column))
    matrix = sparse.csc_matrix(
        (np.ones(2 * len(column)), (rows, np.tile(place, 2))), shape=((nodes + classes) * batch, len(column))
    )
    upper = np.concatenate([on_hand.ravel(), flat.ravel()])
    paid = cost[column, b]
    solver = load(paid - lost[b], matrix, upper)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise RuntimeError(f"HiGHS: {solver.modelStatusToString(solver.getModelStatus())}")
    units = np.asarray(solver.getSolution().col_value)
    outbound = np.bincount(b, paid * units, batch)
    return outbound, flat.sum(0) - np.bincount(b, units, batch)


def compare(name: str, tables: Tables) -> dict:
    """Regret of the rounds on one network."""
    model, solution = planned(tables)
    blocks = range(min(BLOCKS, model.instance.layout.blocks))
    rows = [row for block in blocks for row in waves(model, solution, block)]
    total = {key: sum(row[key] for row in rows) for key in rows[0]}
    regret = lambda row: 100 * (row["rounds"] / row["best"] - 1) if row["best"] > 0 else 0.0
    return {
        "family": "fulfilment",
        "instance": name,
        "nodes": model.problem.network.nodes,
        "reference": total["best"],
        "ours": total["rounds"],
        "waves": len(rows),
        "scarce_pct": 100 * total["scarce"] / total["wanted"],
        "regret_pct": regret(total),
        "outbound_regret_pct": 100 * (total["rounds_outbound"] / total["best_outbound"] - 1),
        "worst_regret_pct": max(regret(row) for row in rows),
        # The program is exact: the rounds may lose to it, never win.
        "met": all(row["rounds"] >= row["best"] * (1 - 1e-5) for row in rows),
    }


def compare_all(instances: list[Path]) -> Iterator[dict]:
    """Random newsvendor networks, synthetic networks of three shapes, and the given instances."""
    cases = [(f"newsvendor network {seed}", random_tables(seed, Size(), several=True)) for seed in range(3)]
    for shape, tiers in (("local", (1, 2, 2)), ("national", (2, 5, 3)), ("global", (2, 6, 4))):
        options = GenerateOptions(shape=shape, items=100, nodes_per_tier=tiers, periods=28)
        with tempfile.TemporaryDirectory() as folder:
            generate_instance(options, Path(folder) / "instance")
            cases.append((f"synthetic, {shape}", read_instance(Path(folder) / "instance")))
    cases += [(folder.name, read_instance(folder)) for folder in instances]
    return (compare(name, tables) for name, tables in cases)
