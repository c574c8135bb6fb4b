"""Networks of the kind that Jasin and Sinha (2015) published, as tables of an instance: one replenishment cycle.

Regions are the largest US metropolitan areas, 10 or 99 of them, with demand in proportion to population; 5 or 10
fulfilment nodes stock an item with some probability each. A parcel costs 8.759 + 0.423 + 0.000541 per mile (one unit of
a pound), and a unit that nobody ships twice that of the longest way. Each region is counted to the nearest node that
stocks the item, and that node holds expected demand and half a standard deviation. Orders are of single units.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import numpy as np
import polars as pl

from meio_jax.generate.geography import Places, distance_km, metros
from meio_jax.tables import InstanceSettings, Tables

FIXED, UNIT, MILE = 8.759, 0.423, 0.000541
KM_PER_MILE = 1.609344
SITES = ("Phoenix", "Dallas", "Indianapolis", "Philadelphia", "Seattle")
MORE_SITES = ("Atlanta", "Chicago", "Nashville", "Tampa", "Riverside")
# On the morning after the cycle: more than anybody will ask for.
NEXT_RECEIPT = 1e6


@dataclass(frozen=True)
class Shape:
    """A network and its items.

    Attributes:
        regions: Number of regions, the largest metropolitan areas.
        nodes: Number of fulfilment nodes, 5 or 10.
        stocked: Chance that a node stocks an item.
        items: Number of items.
        units: Mean demand of an item in the cycle.
        days: Length of the cycle.
        skew: Standard deviation of the logarithm by which stock is off what it should be, its sum unchanged; 0: none.
    """

    regions: int = 10
    nodes: int = 5
    stocked: float = 0.75
    items: int = 20
    units: float = 100.0
    days: int = 28
    skew: float = 0.0


def places(shape: Shape) -> tuple[Places, Places]:
    """Regions and sites."""
    world = metros()
    country = world.take(np.flatnonzero(world.country == "US"))
    regions = country.take(np.argsort(-country.population, kind="stable")[: shape.regions])
    wanted = (SITES + MORE_SITES)[: shape.nodes]
    at = [next(k for k, name in enumerate(country.name) if name.startswith(city)) for city in wanted]
    return regions, country.take(np.asarray(at))


def parcels(shape: Shape) -> tuple[np.ndarray, float]:
    """Cost of a parcel `[regions, nodes]`, and of a unit that nobody ships."""
    regions, sites = places(shape)
    miles = distance_km(regions.lat, regions.lon, sites.lat, sites.lon) / KM_PER_MILE
    cost = FIXED + UNIT + MILE * miles
    return cost, 2 * float(cost.max())


def stock_places(shape: Shape, seed: int) -> np.ndarray:
    """Which items a node stocks `[items, nodes]`; every item is stocked somewhere."""
    rng = np.random.default_rng([seed, 1])
    carried = rng.random((shape.items, shape.nodes)) < shape.stocked
    somewhere = rng.integers(shape.nodes, size=shape.items)
    carried[np.arange(shape.items), somewhere] |= ~carried.any(1)
    return carried


def stock_of(shape: Shape, seed: int) -> np.ndarray:
    """Units of every item at every node `[items, nodes]`."""
    cost, _ = parcels(shape)
    share = places(shape)[0].population
    share, carried = share / share.sum(), stock_places(shape, seed)
    nearest = np.where(carried[:, None], cost, np.inf).argmin(-1)
    mean = np.zeros((shape.items, shape.nodes))
    for item in range(shape.items):
        mean[item] = shape.units * np.bincount(nearest[item], share, shape.nodes)
    held = mean + 0.5 * np.sqrt(mean)
    if shape.skew:
        rng = np.random.default_rng([seed, 2])
        moved = held * np.exp(shape.skew * rng.standard_normal(held.shape))
        held = moved * held.sum(1, keepdims=True) / moved.sum(1, keepdims=True)
    return np.round(held)


def tables_of(shape: Shape, seed: int) -> Tables:
    """The instance: a cycle in which nothing arrives and nothing can be ordered in time."""
    cost, lost = parcels(shape)
    regions, sites = places(shape)
    share = regions.population / regions.population.sum()
    items, nodes = [f"item-{k}" for k in range(shape.items)], [f"fc-{k}" for k in range(shape.nodes)]
    names = [f"region-{k}" for k in range(shape.regions)]
    stock = stock_of(shape, seed)
    carried = stock_places(shape, seed)
    # An item may be stocked where it is carried: a storage class for every set of nodes.
    kinds = ["".join("01"[int(own)] for own in row) for row in carried]
    accepted = [";".join(sorted({kind for kind in kinds if kind[n] == "1"})) or "none" for n in range(shape.nodes)]
    i, n = np.nonzero(carried)
    pair = {"item_id": np.asarray(items)[i], "node_id": np.asarray(nodes)[n]}
    frames = {
        "items": {
            "item_id": items,
            "storage_class": kinds,
            "volume_m3": 0.001,
            "weight_kg": 0.45,
            "price": lost,
            "unit_cost": 0.01,
            "holding_cost": 0.0,
            "lost_sale_cost": lost,
            "unmet": "lost",
            "profile": "all",
        },
        "nodes": {
            "node_id": nodes,
            "kind": "fc",
            "latitude": sites.lat,
            "longitude": sites.lon,
            "storage_classes": accepted,
        },
        "regions": {"region_id": names, "latitude": regions.lat, "longitude": regions.lon},
        "speeds": {"speed_id": ["standard"], "promise_days": 5, "deliver_by_hour": 24.0},
        "transit": {
            "node_id": np.tile(nodes, shape.regions),
            "region_id": np.repeat(names, shape.nodes),
            "hours": 24.0,
            "cost_per_unit": cost.ravel(),
        },
        "cutoffs": {"node_id": nodes, "speed_id": "standard", "cutoff_hour": 24.0},
        "offers": {**pair, "vendor_id": "vendor", "unit_cost": 0.01, "lead_time_mean": float(shape.days)},
        "shares": {"profile": "all", "region_id": names, "speed_id": "standard", "wave": 0, "share": share},
        "forecast": {
            "item_id": np.repeat(items, shape.days),
            "period": np.tile(np.arange(shape.days), shape.items),
            "mean": shape.units / shape.days,
            "dispersion": 0.0,
        },
        "on_hand": {**pair, "units": stock[i, n]},
        "on_order": {**pair, "units": NEXT_RECEIPT, "period_due": shape.days},
    }
    chosen = {
        "name": f"{shape.regions} x {shape.nodes}",
        "start_date": datetime.date(2026, 1, 5),
        "periods": shape.days,
        "bucket_periods": 7,
        "wave_ends": [24.0],
        "forecast": "mean",
        "terminal_credit": 0.0,
        "terminal": "liquidate",
    }
    return Tables.from_frames(InstanceSettings(**chosen), **{name: pl.DataFrame(rows) for name, rows in frames.items()})
