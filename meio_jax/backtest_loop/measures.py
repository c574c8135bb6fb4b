"""Result tables of a backtest, from the days of every arm."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import numpy as np
import polars as pl

from meio_jax.backtest import World
from meio_jax.backtest.daily import PROMISES
from meio_jax.backtest_loop.live import Life, Step
from meio_jax.tables.schema import FLOOR_KINDS

_UNITS = ("demand", "shipped", "on_time", "late", "lost", "downgraded", "backordered", "purchased", "received")


def result_frames(lives: list[Life], world: World) -> Iterator[tuple[str, pl.DataFrame]]:
    """All result tables by name."""
    yield "daily", pl.concat([_daily(life, world) for life in lives])
    yield "promises", pl.concat([_promises(life, world) for life in lives])
    yield "capacity_by_day", pl.concat([_usage(life, world) for life in lives])
    yield "capacity", pl.concat([_capacity(life) for life in lives])
    yield "docks", pl.concat([_docks(life) for life in lives])
    yield "prices", pl.concat([_prices(life) for life in lives])
    yield "solves", pl.concat([_solves(life) for life in lives])
    yield "nervousness", pl.concat([_nervous(life) for life in lives])
    yield "items", pl.concat([life.outcome.items.with_columns(arm=pl.lit(life.name)) for life in lives])
    for name, part in (("orders", "orders"), ("transfers", "transfers")):
        yield name, pl.concat([_executed(life, part) for life in lives])


def _date(world: World, day: int) -> datetime.date:
    return world.settings.date_of(day)


def _daily(life: Life, world: World) -> pl.DataFrame:
    """Costs by term, units, stock, days of cover and turns, a row per day.

    Days of cover: stock at the end of the day over the units sold per day in the days so far, at most the last 28.
    """
    rows = []
    sold = np.array([step.day.units["shipped"] for step in life.steps], float)
    for number, step in enumerate(life.steps):
        day = step.day
        stock = int(day.stock.sum())
        rate = float(sold[max(0, number - 27) : number + 1].mean())
        costs = {name: value for name, value in day.cost.items() if name != "terminal"}
        row: dict[str, object] = {"arm": life.name, "day": day.day, "date": _date(world, day.day)}
        row |= {"total": sum(costs.values())} | costs | {name: day.units[name] for name in _UNITS}
        row |= {"transferred": day.units["transferred"], "waiting_unit_days": day.units["waited"]}
        row |= {"held_unit_days": day.units["held"]}
        row |= {"stock": stock, "stock_value": day.stock_value, "on_order": day.on_order}
        rows.append(row | {"days_of_cover": stock / rate if rate > 0 else None, "short_transfers": step.short})
    return pl.DataFrame(rows, schema_overrides={"days_of_cover": pl.Float64})


def _promises(life: Life, world: World) -> pl.DataFrame:
    """Promises kept by speed asked for, a row per day and speed."""
    rows = [
        {"arm": life.name, "day": step.day.day, "speed_id": speed}
        | dict(zip(PROMISES, step.day.promises[number].tolist(), strict=True))
        for step in life.steps
        for number, speed in enumerate(world.speeds)
    ]
    return pl.DataFrame(rows)


def _usage(life: Life, world: World) -> pl.DataFrame:
    """Use of every capacity, a row per day and resource (floors are judged over buckets, see `capacity`)."""
    ids = world.limit_rows["resource_id"].to_list()
    kinds = world.limit_rows["kind"].to_list()
    rows = []
    for step in life.steps:
        bucket = step.day.day // world.bucket_periods
        for number, (name, kind) in enumerate(zip(ids, kinds, strict=True)):
            if kind in FLOOR_KINDS:
                continue
            capacity = float(world.limits.capacity[number, bucket])
            if kind == "spend":
                capacity /= min(world.bucket_periods, world.periods - bucket * world.bucket_periods)
            rows.append(
                {
                    "arm": life.name,
                    "day": step.day.day,
                    "resource_id": name,
                    "kind": kind,
                    "usage": float(step.day.usage[number]),
                    "capacity": capacity if np.isfinite(capacity) else None,
                }
            )
    schema = {"arm": pl.String, "day": pl.Int64, "resource_id": pl.String, "kind": pl.String}
    return pl.DataFrame(rows, schema=schema | {"usage": pl.Float64, "capacity": pl.Float64})


def _capacity(life: Life) -> pl.DataFrame:
    """Mean use of every capacity by bucket, its violation, and that of the worst day; null where nothing fits."""
    table = life.outcome.capacity
    finite = lambda name: pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name)
    columns = [finite(name) for name in ("capacity", "violation", "excess")]
    return table.with_columns(*columns, arm=pl.lit(life.name)).rename({"excess": "worst_day"})


def _docks(life: Life) -> pl.DataFrame:
    """Goods that wait in the evening; rows with any.

    `inbound`: outside of a node, since dock or hall are full or it is closed; `outbound`: for customers, to leave.
    """
    parts = []
    for direction, name in (("inbound", "waiting"), ("outbound", "held")):
        here = life.outcome.stock.filter(pl.col(f"{name}_units") > 0)
        found = {f"waiting_{size}": pl.col(f"{name}_{size}").cast(pl.Float64) for size in ("units", "m3")}
        parts.append(here.select("day", "node_id", direction=pl.lit(direction), **found))
    return pl.concat(parts).select(pl.lit(life.name).alias("arm"), pl.all())


def _prices(life: Life) -> pl.DataFrame:
    """Price of every capacity on each day (that of the first bucket of the plan in force)."""
    schema = {"arm": pl.String, "day": pl.Int64, "resource_id": pl.String, "kind": pl.String, "price": pl.Float64}
    parts = [pl.DataFrame(schema=schema)]
    for step in life.steps:
        if step.prices is not None and step.prices.height:
            rows = step.prices.select("resource_id", "kind", pl.col("price").cast(pl.Float64))
            named = rows.with_columns(arm=pl.lit(life.name), day=pl.lit(step.day.day, pl.Int64))
            parts.append(named.select(list(schema)))
    return pl.concat(parts)


def _solves(life: Life) -> pl.DataFrame:
    """What was computed on each day, and how long it took."""
    rows: list[dict[str, object]] = []
    for step in life.steps:
        about = {"day": step.day.day, "how": step.how, "seconds": step.seconds, "result": step.result or None}
        rows.append({"arm": life.name} | about)
    return pl.DataFrame(rows, schema_overrides={"result": pl.String})


def _nervous(life: Life) -> pl.DataFrame:
    """How much each new plan changed of the one before."""
    rows = [_nervous_row(life.name, step) for step in life.steps if step.change is not None]
    names = ("moved", "planned", "quantities", "orders")
    schema: dict = {"arm": pl.String, "day": pl.Int64} | dict.fromkeys(names, pl.Float64)
    return pl.DataFrame(rows, schema=schema)


def _nervous_row(arm: str, step: Step) -> dict[str, object]:
    change = step.change
    assert change is not None  # asked for by the caller
    sums = {"moved": change.moved, "planned": change.planned}
    return {"arm": arm, "day": step.day.day} | sums | {"quantities": change.quantities, "orders": change.orders}


def _executed(life: Life, part: str) -> pl.DataFrame:
    """What was ordered (or shipped) on each day."""
    tables = [
        getattr(step, part).with_columns(arm=pl.lit(life.name), day=pl.lit(step.day.day, pl.Int64))
        for step in life.steps
    ]
    return pl.concat(tables, how="diagonal_relaxed")
