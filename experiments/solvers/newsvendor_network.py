"""Two-stage newsvendor networks with recourse, as tables of an instance and as an extensive-form linear program.

Stock is bought at the end of day 0 and arrives on day 1, the only day with demand. What is not sold is held for one
day and then credited. Storage (end of day 1) and outbound capacity (day 1) are shared by all items, in expectation.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import equinox as eqx
import highspy
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl

from meio_jax.catalog import draw
from meio_jax.planner import Model
from meio_jax.scenarios import TRAINING
from meio_jax.tables import InstanceSettings, Tables

ITEMS, NODES, REGIONS, SPEEDS, PATHS = 6, 3, 4, 2, 64
_NAMES = {"items": "i", "nodes": "n", "regions": "r"}


@dataclass(frozen=True)
class Extensive:
    """Optimum of the linear program: value, order `[items, nodes]`, duals of capacity by resource id."""

    value: float
    order: np.ndarray
    duals: dict[str, float]


def _ids(kind: str, count: int) -> list[str]:
    return [f"{_NAMES[kind]}{number}" for number in range(count)]


def random_tables(seed: int, *, several: bool) -> Tables:
    """A random instance; with `several` every class may be served by every node, else by exactly one."""
    rng = np.random.default_rng([seed, int(several)])
    items, nodes, regions, speeds = (
        _ids("items", ITEMS),
        _ids("nodes", NODES),
        _ids("regions", REGIONS),
        ["fast", "slow"],
    )
    mean = rng.uniform(40, 160, ITEMS)
    paths = mean[:, None] * rng.gamma(4.0, 0.25, (ITEMS, 2 * PATHS))
    forecast = [
        (item, path, period, float(paths[i, path]) if period else 0.0)
        for i, item in enumerate(items)
        for path in range(2 * PATHS)
        for period in range(2)
    ]
    share = rng.dirichlet(np.full(REGIONS * SPEEDS, 3.0))
    cost = rng.uniform(8, 12, ITEMS)
    # With one node for each class, region r belongs to node r modulo the number of nodes.
    pairs = [(n, r) for n in range(NODES) for r in range(REGIONS) if several or r % NODES == n]
    # ... and all parcels of a node cost the same: then it does not matter which class a scarce unit serves.
    parcel = rng.uniform(1, 4, len(pairs)) if several else rng.uniform(1, 4, NODES)[[n for n, _ in pairs]]
    load = mean.sum() / NODES
    frames = {
        "items": {
            "item_id": items,
            "volume_m3": rng.uniform(0.5, 2, ITEMS),
            "weight_kg": np.ones(ITEMS),
            "price": cost + 10,
            "unit_cost": cost,
            "holding_cost": rng.uniform(0.5, 2, ITEMS),
            "lost_sale_cost": cost + rng.uniform(6, 14, ITEMS),
            "backorder_cost": np.zeros(ITEMS),
            "unmet": ["lost"] * ITEMS,
            "downgrade_share": np.zeros(ITEMS),
            "downgrade_cost": np.zeros(ITEMS),
            "profile": ["all"] * ITEMS,
        },
        "nodes": {
            "node_id": nodes,
            "kind": ["fc"] * NODES,
            "country": ["US"] * NODES,
            "latitude": np.zeros(NODES),
            "longitude": np.zeros(NODES),
            "storage_classes": [""] * NODES,
            "holding_factor": rng.uniform(0.8, 1.2, NODES),
            "handling_cost": rng.uniform(0.1, 0.3, NODES),
            "inbound_cost": rng.uniform(0.1, 0.3, NODES),
            "review_period": [2] * NODES,
            "review_offset": [0] * NODES,
            "allocation": ["proportional"] * NODES,
        },
        "regions": {
            "region_id": regions,
            "latitude": np.zeros(REGIONS),
            "longitude": np.zeros(REGIONS),
            "population": np.ones(REGIONS),
            "region_group": ["all"] * REGIONS,
            "country": ["US"] * REGIONS,
        },
        "speeds": {
            "speed_id": speeds,
            "promise_days": [1, 3],
            "deliver_by_hour": [24.0, 24.0],
            "cost_factor": [1.4 if several else 1.0, 1.0],
        },
        "transit": {
            "node_id": [nodes[n] for n, _ in pairs],
            "region_id": [regions[r] for _, r in pairs],
            "hours": np.full(len(pairs), 4.0),
            "zone": [1] * len(pairs),
            "cost_per_unit": parcel,
            "cost_per_kg": np.zeros(len(pairs)),
            "carbon_kg_per_unit": np.zeros(len(pairs)),
        },
        "cutoffs": {
            "node_id": [n for n in nodes for _ in speeds],
            "speed_id": speeds * NODES,
            "cutoff_hour": [24.0] * (NODES * SPEEDS),
        },
        "shares": {
            "profile": ["all"] * (REGIONS * SPEEDS),
            "region_id": [r for r in regions for _ in speeds],
            "speed_id": speeds * REGIONS,
            "wave": [0] * (REGIONS * SPEEDS),
            "share": share,
        },
        "offers": {
            "item_id": [i for i in items for _ in nodes],
            "vendor_id": ["v"] * (ITEMS * NODES),
            "node_id": nodes * ITEMS,
            "unit_cost": np.repeat(cost, NODES),
            "freight_cost": rng.uniform(0.2, 0.6, ITEMS * NODES),
            "lead_time_mean": np.ones(ITEMS * NODES),
            "lead_time_sd": np.zeros(ITEMS * NODES),
            "lead_time_law": ["fixed"] * (ITEMS * NODES),
            "pack_size": [1] * (ITEMS * NODES),
            "min_order": [0] * (ITEMS * NODES),
            "share": np.ones(ITEMS * NODES),
        },
        "resources": {
            "resource_id": [f"{kind}-{n}" for kind in ("storage", "outbound") for n in nodes],
            "kind": ["storage"] * NODES + ["outbound"] * NODES,
            "node_id": nodes * 2,
            "bucket": [1] * (2 * NODES),
            "measure": ["m3"] * NODES + ["units"] * NODES,
            "capacity": np.concatenate([load * rng.uniform(0.2, 0.5, NODES), load * rng.uniform(0.7, 1.1, NODES)]),
        },
    }
    settings = InstanceSettings(
        name=f"newsvendor-{seed}",
        start_date=datetime.date(2025, 1, 6),
        periods=2,
        bucket_periods=1,
        wave_ends=[24.0],
        forecast="paths",
        terminal_credit=0.6,
        stationary_targets=True,
    )
    tables = {name: pl.DataFrame(columns) for name, columns in frames.items()}
    tables["forecast"] = pl.DataFrame(forecast, schema=["item_id", "path", "period", "units"], orient="row")
    return Tables.from_frames(settings, **tables)


def training_demand(model: Model) -> np.ndarray:
    """Sampled demand of day 1 as the planner sees it: `[items, scenarios, speeds, regions]`."""
    problem, layout = model.problem, model.instance.layout
    catalog = eqx.tree_at(lambda c: c.scenarios, problem.catalog, None, is_leaf=lambda leaf: leaf is None)
    ids = jnp.arange(model.config.scenarios.train, dtype=jnp.int32)
    demand = np.zeros((int(layout.item.max()) + 1, ids.shape[0], SPEEDS, REGIONS))
    sample = eqx.filter_jit(lambda one: draw(problem.settings.scenarios, catalog.profiles, one, ids, TRAINING).demand)
    for block in range(layout.blocks):
        leaves = jax.tree.map(lambda leaf, block=block: leaf[block], catalog.per_block())
        day = np.asarray(sample(leaves), float)[1, 0].reshape(SPEEDS, REGIONS, layout.item.shape[1], -1)
        for at in np.flatnonzero(layout.live[block] > 0):
            demand[layout.item[block, at]] = np.moveaxis(day[:, :, at], -1, 0)
    return demand


class _Columns:
    """Columns of a linear program, collected before they are passed on in one go."""

    def __init__(self) -> None:
        self.cost: list[float] = []
        self.upper: list[float] = []
        self.rows: dict[int, list[tuple[int, float]]] = {}

    def add(self, cost: float, upper: float, entries: list[tuple[int, float]]) -> None:
        column = len(self.cost)
        self.cost.append(cost)
        self.upper.append(upper)
        for row, value in entries:
            self.rows.setdefault(row, []).append((column, value))


def solve_extensive(tables: Tables, demand: np.ndarray) -> Extensive:
    """The linear program over all items and scenarios at once: orders first, then sales, stock and lost sales."""
    items, scenarios = demand.shape[:2]
    t, nodes = tables, tables.nodes["node_id"].to_list()
    pairs = {(row["node_id"], row["region_id"]): row["cost_per_unit"] for row in t.transit.iter_rows(named=True)}
    item_rows, node_rows = list(t.items.iter_rows(named=True)), list(t.nodes.iter_rows(named=True))
    offer = {(row["item_id"], row["node_id"]): row for row in t.offers.iter_rows(named=True)}
    regions, factor = t.regions["region_id"].to_list(), t.speeds["cost_factor"].to_list()
    columns, capacity = _Columns(), {row["resource_id"]: row["capacity"] for row in t.resources.iter_rows(named=True)}
    names = list(capacity)
    first = len(names)
    weight = 1.0 / scenarios

    def balance(i: int, s: int, n: int) -> int:
        return first + (i * scenarios + s) * len(nodes) + n

    for i, item in enumerate(item_rows):
        credit = t.settings.terminal_credit * item["unit_cost"]
        for n, node in enumerate(node_rows):
            own = offer[item["item_id"], node["node_id"]]
            cost = own["unit_cost"] + own["freight_cost"] + node["inbound_cost"]
            columns.add(cost, highspy.kHighsInf, [(balance(i, s, n), 1.0) for s in range(scenarios)])
        for s in range(scenarios):
            for n, node in enumerate(node_rows):
                kept = weight * (item["holding_cost"] * node["holding_factor"] - credit)
                store = names.index(f"storage-{node['node_id']}")
                columns.add(kept, highspy.kHighsInf, [(balance(i, s, n), -1.0), (store, weight * item["volume_m3"])])
    free = first + items * scenarios * len(nodes)
    right = np.zeros(free)
    right[:first] = [capacity[name] for name in names]
    constant, row, extra = 0.0, free, []
    for i, item in enumerate(item_rows):
        for s in range(scenarios):
            for v in range(len(factor)):
                for r, region in enumerate(regions):
                    units = float(demand[i, s, v, r])
                    constant += weight * item["lost_sale_cost"] * units
                    for n, node in enumerate(node_rows):
                        if (node["node_id"], region) in pairs and units > 0:
                            gain = (
                                factor[v] * pairs[node["node_id"], region]
                                + node["handling_cost"]
                                - item["lost_sale_cost"]
                            )
                            ship = names.index(f"outbound-{node['node_id']}")
                            columns.add(
                                weight * gain, highspy.kHighsInf, [(balance(i, s, n), -1.0), (ship, weight), (row, 1.0)]
                            )
                    extra.append(units)
                    row += 1
    lower = np.concatenate([np.full(first, -highspy.kHighsInf), right[first:], np.full(len(extra), -highspy.kHighsInf)])
    upper = np.concatenate([right, extra])
    solver = _passed(columns, lower, upper)
    solver.run()
    solution = solver.getSolution()
    order = np.zeros((items, len(nodes)))
    per_item = len(nodes) * (1 + scenarios)
    for i in range(items):
        order[i] = solution.col_value[i * per_item : i * per_item + len(nodes)]
    duals = {name: -float(solution.row_dual[at]) for at, name in enumerate(names)}
    return Extensive(solver.getObjectiveValue() + constant, order, duals)


def _passed(columns: _Columns, lower: np.ndarray, upper: np.ndarray) -> highspy.Highs:
    """A HiGHS model of the collected columns."""
    starts, index, values = [], [], []
    for row in range(len(lower)):
        starts.append(len(index))
        for column, value in columns.rows.get(row, []):
            index.append(column)
            values.append(value)
    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = len(columns.cost), len(lower)
    program.col_cost_ = np.asarray(columns.cost)
    program.col_lower_, program.col_upper_ = np.zeros(len(columns.cost)), np.asarray(columns.upper)
    program.row_lower_, program.row_upper_ = lower, upper
    program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    program.a_matrix_.start_ = np.asarray([*starts, len(index)], np.int32)
    program.a_matrix_.index_ = np.asarray(index, np.int32)
    program.a_matrix_.value_ = np.asarray(values)
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.passModel(program)
    return solver
