"""Small instances on which a search could stop too early, or say too little of what its items could still save."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from execution_parts.instances import Case, case

from meio_jax.tables import Tables

DAYS = 14


def with_tables(tables: Tables, settings: dict | None = None, **changed: pl.DataFrame) -> Tables:
    """An instance with some tables and settings replaced."""
    frames = {name: frame for name, frame in tables.frames().items() if frame.height} | changed
    return Tables.from_frames(tables.settings.model_copy(update=settings or {}), **frames)


def few_paths(items: int) -> Tables:
    """Demand that is given as twelve sample paths of a negative binomial law."""
    tables, dice = case("lead-7").tables(items, DAYS), np.random.default_rng(1)
    rows = [
        {"item_id": item, "period": t, "path": path, "units": int(dice.negative_binomial(2, 1 / 3))}
        for item in tables.items["item_id"]
        for path in range(12)
        for t in range(DAYS)
    ]
    return with_tables(tables, {"forecast": "paths"}, forecast=pl.DataFrame(rows))


def law_of_few_paths(items: int) -> Tables:
    """The same instance with the law that its paths were drawn from: what a plan by few paths is worth in truth."""
    return Case("lead-7", dispersion=0.5, offers=case("lead-7").offers).tables(items, DAYS)


def slow_movers(items: int) -> Tables:
    """A unit in three weeks."""
    return Case("slow-movers", mean=0.05, offers=({"lead_time_mean": 4.0},)).tables(items, DAYS)


def dear_offers(items: int) -> Tables:
    """Buying costs more than a lost sale: nothing is to be bought."""
    return Case("dear-offers", offers=({"lead_time_mean": 2.0, "unit_cost": 18.0},)).tables(items, DAYS)


def late_receipts(items: int) -> Tables:
    """No stock, and all that is under way comes on the last day but four, in one lot."""
    tables = case("lead-7").tables(items, DAYS)
    late = pl.DataFrame(
        [{"item_id": item, "node_id": "n0", "period_due": 9, "units": 60.0} for item in tables.items["item_id"]]
    )
    return with_tables(tables, on_hand=tables.on_hand.clear(), on_order=late)


def closed_first_week(items: int) -> Tables:
    """No demand in the first week, and no stock when it begins."""
    tables = case("lead-1").tables(items, DAYS)
    forecast = tables.forecast.with_columns(pl.when(pl.col("period") < 7).then(0.0).otherwise("mean").alias("mean"))
    return with_tables(tables, forecast=forecast, on_hand=tables.on_hand.clear())


def tight_lane(items: int) -> Tables:
    """A lane that carries nine tenths of what is asked for."""
    return _limited("three-tiers", items, "lane", {"node_id": "n1", "to_node": "n2", "measure": "units"}, 0.9)


def tight_storage(items: int) -> Tables:
    """Room for two days of demand where five are wanted."""
    return _limited("lead-7", items, "storage", {"node_id": "n0", "measure": "units"}, 2.0)


def tight_spend(items: int) -> Tables:
    """Money for eight tenths of what is asked for."""
    per_bucket = 0.8 * 7 * case("lead-1").offers[0].get("unit_cost", 5.0)
    return _limited("lead-1", items, "spend", {"measure": "money"}, per_bucket)


def _limited(name: str, items: int, kind: str, columns: dict[str, str], days_of_demand: float) -> Tables:
    one = case(name)
    row = {"resource_id": f"tight {kind}", "kind": kind, "capacity": days_of_demand * one.mean * items} | columns
    return with_tables(one.tables(items, DAYS), resources=pl.DataFrame([row]))


def _plain(name: str) -> Callable[[int], Tables]:
    return lambda items: case(name).tables(items, DAYS)


INSTANCES = {
    "few-paths": few_paths,
    "slow-movers": slow_movers,
    "dear-offers": dear_offers,
    "late-receipts": late_receipts,
    "closed-first-week": closed_first_week,
    "tight-lane": tight_lane,
    "tight-storage": tight_storage,
    "tight-spend": tight_spend,
    "lead-21": _plain("lead-21"),
    "weekly-review": _plain("weekly-review"),
    "pack-12": _plain("pack-12"),
    "shared-vendors": _plain("shared-vendors"),
    "three-tiers": _plain("three-tiers"),
    "backorders": _plain("backorders"),
    "gamma-lead": _plain("gamma-lead"),
}

LAWS = {"few-paths": law_of_few_paths}
"""What instances are judged by where their own forecast has too few scenarios to judge anything."""
