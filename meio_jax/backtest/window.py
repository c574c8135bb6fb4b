"""The instance as it stands on a later day: calendar, forecast, review days and capacities moved along.

Days before and after are those of the first instance, so that a window of a window is not made twice over: a
capacity of a bucket stays what it was on every single day, whatever day the window starts on.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from meio_jax.backtest.lookup import frame
from meio_jax.tables.periods import PERIODS_PER_CYCLE


def window(tables, first: int, periods: int):
    """The same items and network on day `first`, with a horizon of `periods` days.

    Days past the end of the forecast repeat its last week (the last day, where it is shorter than a week); past
    sales stay as they are. Stock and goods under way are those of the instance.

    Args:
        tables: The instance (`meio_jax.tables.Tables`).
        first: Day on which the window starts, from 0.
        periods: Its length, days.
    """
    settings = tables.settings
    moved = settings.model_copy(
        update={
            "start_date": settings.date_of(first),
            "periods": periods,
            "frozen_periods": max(settings.frozen_periods - first, 0),
            "warmup_periods": min(max(settings.warmup_periods - first, 0), periods - 1),
        }
    )
    nodes = frame(tables, "nodes").with_columns((pl.col("review_offset") - first) % pl.col("review_period"))
    return tables.replace(
        settings=moved,
        nodes=nodes,
        forecast=moved_forecast(tables, first, periods),
        resources=_resources(tables, first, periods),
        **_decided(tables, first),
    )


def _decided(tables, first: int) -> dict[str, pl.DataFrame]:
    """What is fixed: days of orders are so many days nearer, frozen days so many fewer; rows expire on dates."""
    later = {name: frame(tables, name) for name in ("overrides", "planned_orders")}
    moved = {name: table.with_columns(pl.col("period") - first) for name, table in later.items() if table.height}
    offers = frame(tables, "offers")
    if first and "frozen_periods" in offers.columns:
        moved["offers"] = offers.with_columns((pl.col("frozen_periods") - first).clip(0))
    return moved


def source_days(known: int, first: int, periods: int, cycle: int = 7) -> np.ndarray:
    """Day of a forecast of `known` days that each day of a window takes its values from, `[periods]`.

    Days past the end repeat the last `cycle` days.
    """
    day = first + np.arange(periods)
    cycle = min(cycle, known)
    return np.where(day < known, day, known - cycle + (day - known) % cycle)


def moved_forecast(tables, first: int, periods: int) -> pl.DataFrame:
    """The forecast of `tables` for `periods` days from day `first` on; past its end as in `window`."""
    settings, table = tables.settings, frame(tables, "forecast")
    form = str(settings.forecast)
    if form == "history":
        return table
    if form == "quantiles":
        age, name = pl.Series("from_", settings.periods_of(table["ds"].to_numpy())), "ds"
    else:
        age, name = table["period"].cast(pl.Int64).alias("from_"), "period"
    known = int(np.max(age.to_numpy(), initial=-1)) + 1
    source = source_days(known, first, periods, PERIODS_PER_CYCLE[settings.period])
    day = [settings.date_of(first + number) if form == "quantiles" else number for number in range(periods)]
    days = pl.DataFrame({"from_": source, "value_": pl.Series(day, dtype=table.schema[name])})
    joined = table.with_columns(age).join(days, on="from_", how="inner").with_columns(pl.col("value_").alias(name))
    return joined.sort(*_by_day(table, form), maintain_order=True).select(table.columns)


def _by_day(table: pl.DataFrame, form: str) -> list[str]:
    keys = {"quantiles": ["unique_id", "ds"], "paths": ["item_id", "path", "period"], "mean": ["item_id", "period"]}
    return [name for name in keys[form] if name in table.columns]


def _resources(tables, first: int, periods: int) -> pl.DataFrame:
    """Capacities of the window's buckets: the mean of their days' (of spend the sum), from those of the instance."""
    settings, table = tables.settings, frame(tables, "resources")
    if not table.height or not table["bucket"].is_not_null().any():
        return table
    days = settings.bucket_periods
    buckets = -(-settings.periods // days)
    length = np.minimum(days, settings.periods - np.arange(buckets) * days)
    own = np.minimum((first + np.arange(periods)) // days, buckets - 1)
    parts = [table.filter(pl.col("bucket").is_null())]
    everywhere = dict(parts[0].select("resource_id", "capacity").iter_rows())
    for rows in table.filter(pl.col("bucket").is_not_null()).partition_by("resource_id", maintain_order=True):
        default = everywhere.get(rows["resource_id"][0])
        given = dict.fromkeys(range(buckets), default) if default is not None else {}
        given |= dict(zip(rows["bucket"].to_list(), rows["capacity"].to_list(), strict=True))
        parts.append(_moved_rows(rows, given, own, length, days))
    return pl.concat(parts)


def _moved_rows(rows: pl.DataFrame, given: dict, own: np.ndarray, length: np.ndarray, days: int) -> pl.DataFrame:
    """Rows of one resource by the window's buckets, from the capacity of every old bucket.

    `own` is the old bucket of each day of the window; days without a limit are left out of a bucket's mean.
    """
    spend = rows["kind"][0] == "spend"
    bucket, capacity = [], []
    for new, first in enumerate(range(0, len(own), days)):
        olds = [old for old in own[first : first + days].tolist() if old in given]
        if not olds:
            continue
        each = [given[old] / (length[old] if spend else 1) for old in olds]
        bucket.append(new)
        capacity.append(float(np.sum(each)) if spend else float(np.mean(each)))
    like = rows.head(1).drop("bucket", "capacity")
    moved = like.join(
        pl.DataFrame(
            {"bucket": bucket, "capacity": capacity},
            schema={"bucket": rows.schema["bucket"], "capacity": rows.schema["capacity"]},
        ),
        how="cross",
    )
    return moved.select(rows.columns)
