"""The order-by-order simulator: every customer is served as he comes, from the site that is cheapest at that moment."""

from __future__ import annotations

from functools import partial

import numpy as np
import polars as pl
from scipy import sparse
from solvers.extensive import load

from fulfilment_parts.hindsight import least_cost
from fulfilment_parts.networks import Shape, parcels, places, tables_of
from meio_jax.backtest import Options, PlanTable, Snapshot, read_world
from meio_jax.backtest.network import World
from meio_jax.backtest.orders import order_source, read_demand, state_of
from meio_jax.backtest.simulation import Simulation
from meio_jax.backtest.unit_values import UNIT_VALUES
from meio_jax.config import make_config
from meio_jax.instance import build_instance
from meio_jax.planner import settings_of
from meio_jax.plans.order_system import node_value_frame

# Programs of larger networks take too long to be solved ten times a morning for every item.
FEW_REGIONS = 10

_NO_TARGETS = pl.DataFrame(schema={"item_id": pl.String, "node_id": pl.String, "target": pl.Float64})


def costs(shape: Shape, seed: int, worlds: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Outbound cost and lost sales of every rule, and the least with hindsight, each `[items, worlds]`."""
    tables = tables_of(shape, seed)
    made = build_instance(tables, block_items=1, dtype=np.float32)
    settings = settings_of(make_config(fulfilment={"by": "value", "rounds": 10}), made)
    values = node_value_frame(made, settings, np.zeros(made.resources.capacity.shape, np.float32))
    world, options = read_world(tables), Options.unlimited(ordering="morning")
    rules = {
        "cheapest": PlanTable(_NO_TARGETS),
        "by value": PlanTable(_NO_TARGETS, values=values),
        "duals, solved anew every morning": partial(by_duals, shape, 0),
    }
    if shape.regions <= FEW_REGIONS:
        rules["duals of ten sampled futures, every morning"] = partial(by_duals, shape, 10)
    demand = read_demand(world, tables, options)
    found: dict[str, list[np.ndarray]] = {name: [] for name in rules}
    best = []
    for number in range(worlds):
        source = order_source(world, demand, state_of(seed, number), 1)
        for name, plan in rules.items():
            books = Simulation(world, plan, options, state_of(seed, number)).run(source).books
            # Columns of outbound cost and of lost sales.
            found[name].append(books.cost[:, 5] + books.cost[:, 7])
        asked = np.zeros((shape.regions, shape.items))
        for day in range(shape.days):
            orders = source(day)
            np.add.at(asked, (orders.region, orders.item), orders.units)
        best.append(least_cost(world.on_hand.T.astype(float), asked, *parcels(shape)))
    return {name: np.stack(rows, axis=1) for name, rows in found.items()}, np.stack(best, axis=1)


def by_duals(shape: Shape, futures: int, now: Snapshot) -> PlanTable:
    """Values of a morning: dual prices of the transportation problem of the demand of the days that are left.

    That demand is what is expected (the rule of Acimovic and Graves 2015, for items of single units), or, where there
    are `futures`, so many are drawn and the duals averaged: what is left of the regret then is little that could be
    known.
    """
    population = places(shape)[0].population
    left = shape.units * (1 - now.day / shape.days) * population / population.sum()
    drawn = np.random.default_rng(now.day).poisson(left, (futures, left.size)) if futures else left[None]
    duals = lambda stock: np.mean([_duals(stock, demand, *parcels(shape)) for demand in drawn.astype(float)], axis=0)
    base = np.stack([duals(stock) for stock in now.on_hand.astype(float)])
    return PlanTable(_NO_TARGETS, values=_table(now.world, base))


def _duals(stock: np.ndarray, demand: np.ndarray, parcel: np.ndarray, lost: float) -> np.ndarray:
    nodes = parcel.shape[1]
    region, node = (axis.ravel() for axis in np.indices(parcel.shape))
    rows = np.concatenate([node, nodes + region])
    matrix = sparse.csc_matrix((np.ones(rows.size), (rows, np.tile(np.arange(node.size), 2))))
    solver = load(parcel.ravel() - lost, matrix, np.concatenate([stock, demand]))
    solver.run()
    return -np.asarray(solver.getSolution().row_dual)[:nodes]


def _table(world: World, base: np.ndarray) -> pl.DataFrame:
    item, node = np.indices(base.shape)
    columns = dict.fromkeys(UNIT_VALUES[1:], 0.0)
    return pl.DataFrame(
        {
            "item_id": np.asarray(world.items)[item.ravel()],
            "node_id": np.asarray(world.nodes)[node.ravel()],
            "base_value": base.ravel(),
        }
    ).with_columns(**{name: pl.lit(value) for name, value in columns.items()})
