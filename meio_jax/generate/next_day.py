"""Tomorrow's instance: the calendar moved by a day, some items new, some gone, one node with less capacity."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from meio_jax.errors import InputError, Problem
from meio_jax.tables import Tables

_WEEK = 7
_BY_DAY = {"mean": "period", "paths": "period", "quantiles": "ds", "history": "ds"}

# Of the new items: no column of a table is called so.
_LIKE, _NEW = "__like", "__new"


@dataclass(frozen=True)
class NextDay:
    """What changes overnight.

    Attributes:
        new, gone: Share of the items that are new, and that are gone.
        node: Node that loses capacity; None: the one whose rows come first among resources of a single node.
        capacity: What is left of its storage, inbound and outbound capacity.
        revision: Standard deviation of the logarithm of an item's forecast revision; 0: the forecast only moves.
        seed: Which items go and what the new ones are like.
    """

    new: float = 0.02
    gone: float = 0.02
    node: str | None = None
    capacity: float = 0.9
    revision: float = 0.0
    seed: int = 0


def next_day(tables: Tables, change: NextDay | None = None, plan: Mapping[str, pl.DataFrame] | None = None) -> Tables:
    """The instance of the day after, checked.

    Capacities by bucket move with the calendar; the last day of the new forecast repeats the one a week before it. A
    new item is like an old one, with its stock and offers, but sells half to one and a half times as much.

    Args:
        tables: The instance of today.
        change: What else changes overnight.
        plan: Tables `orders`, `transfers` and `expected` of today's plan. The day is then lived
            through: what was due has arrived, what the plan orders and transfers today is under way, what it expects to
            ship has left, and reviews are a day nearer. None: stock, goods under way and the days until the next
            review are as today, as if the day had not passed but for the calendar.

    Raises:
        InputError: If an item has a shelf life.
    """
    if tables.items["shelf_life"].is_not_null().any():
        remedy = "leave out the shelf lives, or live the day with `meio backtest`"
        raise InputError([Problem("items", "", "shelf_life", None, "items that keep: ages are not moved here", remedy)])
    change = NextDay() if change is None else change
    rng = np.random.default_rng(change.seed)
    moved = _moved(tables) if plan is None else _lived(tables, _moved(tables), plan, rng)
    names = tables.items["item_id"].to_list()
    gone = rng.choice(names, round(change.gone * len(names)), replace=False).tolist()
    kept = [name for name in names if name not in set(gone)]
    like = rng.choice(kept, round(change.new * len(names)), replace=False).tolist()
    texts = {_LIKE: pl.String, _NEW: pl.String}
    new = pl.DataFrame({_LIKE: like, _NEW: [f"new-{change.seed}-{k}" for k in range(len(like))]}, schema=texts)
    factors = dict(zip(new[_NEW].to_list(), rng.uniform(0.5, 1.5, len(like)).tolist(), strict=True))
    factors |= dict(zip(kept, np.exp(rng.normal(0, change.revision, len(kept))).tolist(), strict=True))
    frames = moved.frames()
    for name, column in (("items", "item_id"), ("offers", "item_id"), ("on_hand", "item_id"), ("on_order", "item_id")):
        frames[name] = _exchange(frames[name], column, gone, new)
    column = "unique_id" if tables.settings.forecast == "quantiles" else "item_id"
    forecast = _exchange(frames["forecast"], column, gone, new)
    frames["forecast"] = _scaled(forecast, column, factors)
    frames["resources"] = _less_capacity(frames["resources"], change)
    return Tables.from_frames(moved.settings, **frames)


def _exchange(frame: pl.DataFrame, column: str, gone: list[str], new: pl.DataFrame) -> pl.DataFrame:
    """Rows without the items that are gone, and with copies of old ones under new names."""
    copies = frame.join(new, left_on=column, right_on=_LIKE, how="inner").with_columns(pl.col(_NEW).alias(column))
    return pl.concat([frame.filter(~pl.col(column).is_in(gone)), copies.select(frame.columns)])


def _values(frame: pl.DataFrame) -> list[str]:
    """Columns of a forecast that count units."""
    return [name for name in frame.columns if name in ("mean", "units") or name.startswith("q0")]


def _scaled(frame: pl.DataFrame, column: str, factors: dict[str, float]) -> pl.DataFrame:
    factor = pl.DataFrame({column: list(factors), "factor": list(factors.values())})
    joined = frame.join(factor, on=column, how="left", maintain_order="left")
    scaled = joined.with_columns(pl.col(name) * pl.col("factor").fill_null(1.0) for name in _values(frame))
    return scaled.select(frame.columns)


def _less_capacity(resources: pl.DataFrame, change: NextDay) -> pl.DataFrame:
    local = pl.col("kind").is_in(["storage", "inbound", "outbound"])
    named = resources.filter(local & pl.col("node_id").is_not_null())["node_id"]
    node = change.node or (named[0] if named.len() else "")
    return resources.with_columns(
        pl.when(local & (pl.col("node_id") == node)).then(pl.col("capacity") * change.capacity).otherwise("capacity")
    )


def _moved(tables: Tables) -> Tables:
    """The same items a day later."""
    settings = tables.settings
    day = datetime.timedelta(days=1)
    later = settings.model_copy(update={"start_date": settings.start_date + day})
    return tables.replace(settings=later, forecast=_next_forecast(tables), resources=_next_capacity(tables))


def _lived(today: Tables, moved: Tables, plan: Mapping[str, pl.DataFrame], rng: np.random.Generator) -> Tables:
    """The stock, the goods under way and the review days after a day by the plan."""
    keys = ["item_id", "node_id"]
    tomorrow = moved.settings.start_date
    due = (pl.col("due_date") - pl.lit(tomorrow)).dt.total_days().alias("period_due")
    transfers = plan["transfers"].filter(pl.col("ship_date") < tomorrow)
    under_way = pl.concat(
        [
            today.on_order.select(*keys, pl.col("period_due") - 1, "units"),
            plan["orders"].filter(pl.col("order_date") < tomorrow).select(*keys, due, pl.col("units").cast(pl.Float64)),
            transfers.select("item_id", pl.col("to_node").alias("node_id"), due, pl.col("units").cast(pl.Float64)),
        ]
    )
    stock = pl.concat(
        [
            today.on_hand.select(*keys, "units"),
            under_way.filter(pl.col("period_due") < 0).select(*keys, "units"),
            transfers.select("item_id", pl.col("from_node").alias("node_id"), -pl.col("units").cast(pl.Float64)),
            _shipped(today, plan, rng),
        ]
    )
    nodes = today.nodes.with_columns((pl.col("review_offset") - 1) % pl.col("review_period"))
    left = stock.group_by(keys, maintain_order=True).agg(pl.col("units").sum().clip(lower_bound=0))
    later = under_way.filter(pl.col("period_due") >= 0)
    later = later.group_by([*keys, "period_due"], maintain_order=True).agg(pl.col("units").sum())
    return moved.replace(nodes=nodes, on_hand=left.filter(pl.col("units") > 0), on_order=later)


def _shipped(today: Tables, plan: Mapping[str, pl.DataFrame], rng: np.random.Generator) -> pl.DataFrame:
    """What leaves every node on the first day, as negative whole units: Poisson with the mean that the plan expects."""
    per_day = pl.col("units").sum() / today.settings.periods
    mean = plan["expected"].group_by(["item_id", "node_id"], maintain_order=True).agg(per_day)
    units = -rng.poisson(np.maximum(mean["units"].to_numpy(), 0)).astype(float)
    return mean.with_columns(units=pl.Series(units, dtype=pl.Float64))


def _next_forecast(tables: Tables) -> pl.DataFrame:
    """Forecast (or sales) without the first day, and with a last day like the one a week before it."""
    frame, column = tables.forecast, _BY_DAY[tables.settings.forecast]
    one: int | datetime.timedelta = 1 if column == "period" else datetime.timedelta(days=1)
    last, first = frame[column].max(), frame[column].min()
    weekday = pl.col(column) == pl.lit(last) - (_WEEK - 1) * pl.lit(one)
    added = frame.filter(weekday).with_columns((pl.lit(last) + pl.lit(one)).cast(frame.schema[column]).alias(column))
    whole = pl.concat([frame.filter(pl.col(column) > first), added])
    if column == "period":
        return whole.with_columns((pl.col(column) - 1).cast(frame.schema[column]))
    return whole


def _next_capacity(tables: Tables) -> pl.DataFrame:
    """Capacities by bucket, each a day later: the last day of a bucket is the first of the one after it."""
    settings, frame = tables.settings, tables.resources
    later = frame.filter(pl.col("bucket").is_not_null()).with_columns(pl.col("bucket") - 1)
    keys = ["resource_id", "bucket"]
    joined = frame.join(later.select(*keys, after="capacity"), on=keys, how="left", maintain_order="left")
    share = 1 / settings.bucket_periods
    mixed = (1 - share) * pl.col("capacity") + share * pl.col("after").fill_null(pl.col("capacity"))
    return joined.with_columns(mixed.alias("capacity")).select(frame.columns)
