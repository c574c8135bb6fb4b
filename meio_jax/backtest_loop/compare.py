"""Our arm against a baseline: the same items, customers and vendors under both, paired item by item.

Intervals are of 95 %, from items drawn anew (bootstrap). Items share capacities, whose effects no such interval holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from meio_jax.backtest import World
from meio_jax.backtest_loop.live import Life

_DRAWS = 4000
_TERMS = (
    *("purchase", "inbound", "transfer", "handling", "holding", "outbound", "downgrade", "lost_sale", "backorder"),
    *("waste", "ordering"),
)

Sums = dict[str, np.ndarray]
Metric = Callable[[Sums], np.ndarray]


@dataclass(frozen=True)
class Difference:
    """One metric of two arms; the difference is in percent of the baseline (shares: in percentage points), with its
    interval; None where the baseline has 0."""

    metric: str
    ours: float
    baseline: float
    difference: float | None
    low: float | None
    high: float | None


def value_at_start(world: World) -> np.ndarray:
    """Replacement cost of what every item has at the start, on hand and under way, times the terminal credit."""
    units = world.on_hand.sum(1).astype(float)
    np.add.at(units, world.on_order[0], world.on_order[2])
    return world.terminal_credit * world.catalog.unit_cost * units


def item_sums(life: Life, world: World) -> Sums:
    """Figures of every item: costs by term, `total` (stock used counts as cost: what is left at the end is credited,
    what was there at the start is charged), units, and promises of all speeds but the slowest."""
    table = life.outcome.items
    sums = {name: table[name].to_numpy().astype(float) for name in (*_TERMS, "total", "demand", "on_time", "lost")}
    sums |= {name: table[name].to_numpy().astype(float) for name in ("purchased", "transferred", "shipped")}
    sums["total"] = sums["total"] + value_at_start(world)
    place = pl.DataFrame({"item_id": world.items})
    fast = life.outcome.kept.filter(pl.col("speed_id").is_in(world.speeds[:-1] or world.speeds))
    asked = fast.group_by("item_id").agg(pl.col("demand").sum(), pl.col("on_time").sum())
    joined = place.join(asked, on="item_id", how="left", maintain_order="left")
    sums["fast_asked"], sums["fast_kept"] = (
        joined[name].fill_null(0.0).to_numpy().astype(float) for name in ("demand", "on_time")
    )
    return sums


def _plain(name: str) -> Metric:
    return lambda sums: sums[name]


def _ratio(top: str, bottom: str) -> Metric:
    return lambda sums: sums[top] / np.maximum(sums[bottom], 1e-9)


SHARES = ("promises_kept", "fast_promises_kept")
"""Metrics that are shares, whose difference is in percentage points."""

METRICS: dict[str, Metric] = {
    "total": _plain("total"),
    **{name: _plain(name) for name in _TERMS},
    "lost_units": _plain("lost"),
    "purchased_units": _plain("purchased"),
    "transferred_units": _plain("transferred"),
    "promises_kept": _ratio("on_time", "demand"),
    "fast_promises_kept": _ratio("fast_kept", "fast_asked"),
}


def compare(ours: Life, other: Life, world: World, seed: int) -> list[Difference]:
    """Every metric of two arms, and how they differ."""
    sides = [item_sums(life, world) for life in (ours, other)]
    items = len(world.items)
    count = np.random.default_rng(seed).multinomial(items, np.full(items, 1 / items), size=_DRAWS)
    whole = [{name: values.sum(keepdims=True) for name, values in side.items()} for side in sides]
    drawn = [{name: count @ values for name, values in side.items()} for side in sides]
    return [_difference(name, metric, whole, drawn) for name, metric in METRICS.items()]


def _difference(name: str, metric: Metric, whole: list[Sums], drawn: list[Sums]) -> Difference:
    ours, base = (float(metric(side)[0]) for side in whole)
    mine, theirs = (metric(side) for side in drawn)
    if name in SHARES:
        change, spread = 100 * (ours - base), 100 * (mine - theirs)
    elif abs(base) < 1e-9:
        return Difference(name, ours, base, None, None, None)
    else:
        change = 100 * (ours - base) / abs(base)
        spread = 100 * (mine - theirs) / np.maximum(np.abs(theirs), 1e-9)
    low, high = np.quantile(spread, [0.025, 0.975])
    return Difference(name, ours, base, change, float(low), float(high))
