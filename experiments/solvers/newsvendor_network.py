"""Random two-stage newsvendor networks with recourse, as tables of an instance.

Stock is bought at the end of day 0 and arrives on day 1, the only day with demand. What is not sold is held for one
day and then credited. Storage (end of day 1) and outbound capacity (day 1) are shared by all items, in expectation.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl

from meio_jax.model.catalog import draw
from meio_jax.planner import Model
from meio_jax.tables import InstanceSettings, Tables

SPEEDS = ("fast", "slow")


@dataclass(frozen=True)
class Size:
    """How large an instance is; `paths` is the number of training paths of an item's demand (as many to judge)."""

    items: int = 6
    nodes: int = 3
    regions: int = 4
    paths: int = 64

    @property
    def classes(self) -> int:
        """Demand classes: speed x region."""
        return len(SPEEDS) * self.regions

    def names(self, kind: str) -> list[str]:
        """Names of all items, nodes or regions."""
        return [f"{kind}-{number}" for number in range(getattr(self, kind))]


def _pairs(size: Size, *, several: bool) -> list[tuple[int, int]]:
    """Which node may serve which region: all of them, or one for each region."""
    every = [(n, r) for n in range(size.nodes) for r in range(size.regions)]
    return every if several else [(n, r) for n, r in every if r % size.nodes == n]


def _items(size: Size, cost: np.ndarray, rng: np.random.Generator) -> dict:
    return {
        "item_id": size.names("items"),
        "volume_m3": rng.uniform(0.5, 2, size.items),
        "weight_kg": np.linspace(0.5, 1.5, size.items),
        "price": cost + 10,
        "unit_cost": cost,
        "holding_cost": rng.uniform(0.5, 2, size.items),
        "lost_sale_cost": cost + rng.uniform(6, 14, size.items),
        "unmet": ["lost"] * size.items,
        "profile": ["all"] * size.items,
    }


def _network(size: Size, rng: np.random.Generator, *, several: bool) -> dict[str, dict]:
    """Nodes, regions, speeds, and who serves whom at what cost."""
    nodes, regions = size.names("nodes"), size.names("regions")
    pairs = _pairs(size, several=several)
    # With one node for a class all parcels of a node cost the same: whom a scarce unit serves does not matter.
    parcel = rng.uniform(1, 4, len(pairs)) if several else rng.uniform(1, 4, size.nodes)[[n for n, _ in pairs]]
    return {
        "nodes": {
            "node_id": nodes,
            "kind": ["fc"] * size.nodes,
            "holding_factor": rng.uniform(0.8, 1.2, size.nodes),
            "handling_cost": rng.uniform(0.1, 0.3, size.nodes),
            "inbound_cost": rng.uniform(0.1, 0.3, size.nodes),
            "review_period": [2] * size.nodes,
        },
        "regions": {"region_id": regions},
        "speeds": {
            "speed_id": list(SPEEDS),
            "promise_days": [1, 3],
            "deliver_by_hour": [24.0, 24.0],
            "cost_factor": [1.4 if several else 1.0, 1.0],
        },
        "transit": {
            "node_id": [nodes[n] for n, _ in pairs],
            "region_id": [regions[r] for _, r in pairs],
            "hours": np.full(len(pairs), 4.0),
            "cost_per_unit": parcel,
        },
        "cutoffs": {
            "node_id": [n for n in nodes for _ in SPEEDS],
            "speed_id": list(SPEEDS) * size.nodes,
            "cutoff_hour": [24.0] * (size.nodes * len(SPEEDS)),
        },
    }


def _demand(size: Size, mean: np.ndarray, rng: np.random.Generator) -> dict[str, pl.DataFrame]:
    """Sample paths of demand, and its shares by class."""
    units = np.zeros((size.items, 2 * size.paths, 2))
    units[:, :, 1] = mean[:, None] * rng.gamma(4.0, 0.25, (size.items, 2 * size.paths))
    item, path, period = (axis.ravel() for axis in np.indices(units.shape))
    forecast = {
        "item_id": np.asarray(size.names("items"))[item],
        "path": path,
        "period": period,
        "units": units.ravel(),
    }
    shares = {
        "profile": ["all"] * size.classes,
        "region_id": [r for r in size.names("regions") for _ in SPEEDS],
        "speed_id": list(SPEEDS) * size.regions,
        "wave": [0] * size.classes,
        "share": rng.dirichlet(np.full(size.classes, 3.0)),
    }
    return {"forecast": pl.DataFrame(forecast), "shares": pl.DataFrame(shares)}


def _supply(size: Size, cost: np.ndarray, load: float, rng: np.random.Generator) -> dict[str, dict]:
    """Offers of one vendor with a lead time of a day, and capacities in units of the mean load of a node."""
    nodes = size.names("nodes")
    pairs = size.items * size.nodes
    storage, outbound = load * rng.uniform(0.1, 0.4, size.nodes), load * rng.uniform(0.7, 1.1, size.nodes)
    return {
        "offers": {
            "item_id": [i for i in size.names("items") for _ in nodes],
            "vendor_id": ["vendor"] * pairs,
            "node_id": nodes * size.items,
            "unit_cost": np.repeat(cost, size.nodes),
            "freight_cost": rng.uniform(0.2, 0.6, pairs),
            "lead_time_mean": np.ones(pairs),
        },
        "resources": {
            "resource_id": [f"{kind}-{n}" for kind in ("storage", "outbound") for n in nodes],
            "kind": ["storage"] * size.nodes + ["outbound"] * size.nodes,
            "node_id": nodes * 2,
            "bucket": [1] * (2 * size.nodes),
            "measure": ["m3"] * size.nodes + ["units"] * size.nodes,
            "capacity": np.concatenate([storage, outbound]),
        },
    }


def random_tables(seed: int, size: Size, *, several: bool) -> Tables:
    """A random instance; with `several` every class may be served by every node, else by exactly one."""
    rng = np.random.default_rng([seed, int(several)])
    mean, cost = rng.uniform(40, 160, size.items), rng.uniform(8, 12, size.items)
    frames = {
        "items": _items(size, cost, rng),
        **_network(size, rng, several=several),
        **_supply(size, cost, mean.sum() / size.nodes, rng),
    }
    settings = InstanceSettings(
        name=f"newsvendor-{seed}",
        start_date=datetime.date(2025, 1, 6),
        periods=2,
        bucket_periods=1,
        wave_ends=(24.0,),
        forecast="paths",
        terminal_credit=0.6,
        stationary_targets=True,
        terminal="liquidate",
    )
    tables = {name: pl.DataFrame(columns) for name, columns in frames.items()}
    return Tables.from_frames(settings, **tables, **_demand(size, mean, rng))


def sampled_demand(model: Model, count: int, purpose: int) -> np.ndarray:
    """Sampled demand of day 1 as the planner sees it: `[items, scenarios, speed x region]`."""
    problem, layout = model.problem, model.instance.layout
    catalog = eqx.tree_at(lambda c: c.scenarios, problem.catalog, None, is_leaf=lambda leaf: leaf is None)
    ids = jnp.arange(count, dtype=jnp.int32)
    classes = problem.network.speeds * problem.network.regions
    demand = np.zeros((int(layout.item.max()) + 1, count, classes))
    sample = eqx.filter_jit(lambda one: draw(problem.settings.scenarios, catalog.profiles, one, ids, purpose).demand)
    for block in range(layout.blocks):
        leaves = jax.tree.map(lambda leaf, block=block: leaf[block], catalog.per_block())
        day = np.asarray(sample(leaves), float)[1, 0].reshape(classes, layout.item.shape[1], count)
        for at in np.flatnonzero(layout.live[block] > 0):
            demand[layout.item[block, at]] = day[:, at].T
    return demand
