"""New items: rows of the forecast table from a like item, or at a given rate, where an item has none or few."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import polars as pl

from meio_jax.tables.context import Scope
from meio_jax.tables.findings import Findings, View
from meio_jax.tables.quantiles import quantile_levels, quantile_name
from meio_jax.tables.settings import InstanceSettings

NEW_COLUMNS = ("like_item", "like_factor", "rate")
_VALUES = ("units", "mean")
# Past sales at a rate are so many blocks long, and no shorter than this.
_BLOCKS, _FEWEST = 4, 28
# Means up to here use the exact distribution.
_COUNTED = 400.0


def with_new_items(items: View, forecast: View, settings: InstanceSettings, scope: Scope, findings: Findings) -> View:
    """The forecast with rows for items that have none, or whose past sales begin late.

    An item takes the rows of its `like_item`, times `like_factor`, before its own first row (of past sales) or as a
    whole (of a forecast); else rows at its `rate`. An item that has neither and no row is taken to have no demand, with
    a warning, unless no item has any.

    Args:
        items: Items, checked cell by cell.
        forecast: The forecast, checked cell by cell, returns netted. Rows of like items that are not among the items
            are left out.
        settings: Form of the forecast, and the horizon.
        scope: Whether like items may be missing: those of a part of the catalog may be.
        findings: Where problems and warnings are told.
    """
    names, column = items.frame.get_column("item_id").drop_nulls(), forecast.table.item_column
    own = forecast.frame.filter(pl.col(column).is_in(names.implode())) if scope is Scope.BLOCK else forecast.frame
    marked = items.frame.filter(pl.col("like_item").is_not_null() | pl.col("rate").is_not_null())
    known = own.get_column(column).unique()
    bare = names.unique(maintain_order=True).filter(~names.unique(maintain_order=True).is_in(known.implode()))
    if marked.is_empty() and bare.is_empty():
        return replace(forecast, frame=own)
    added = list(_like_rows(items, forecast.frame, marked, (own, column), scope, findings))
    told = pl.concat([frame.select(column) for frame in added]).get_column(column) if added else bare.clear()
    rates = marked.filter(pl.col("rate").is_not_null() & ~pl.col("item_id").is_in(told.implode()))
    added += list(_rate_rows(rates, own, column, forecast, settings))
    made = pl.concat([frame.select(column) for frame in added]).get_column(column) if added else bare.clear()
    if made.n_unique():
        findings.warn(
            "new items",
            made.n_unique(),
            "items with no rows of their own, or few, are planned like another item (like_item) or at a rate (rate)",
            f"{items.source.label}, item_id={made[0]}",
            "empty the columns once the items have a forecast or past sales of their own",
        )
    left = bare.filter(~bare.is_in(made.implode()))
    whole = left.len() == names.n_unique() and (scope is Scope.ALL or left.len() > 1)
    if left.len() and settings.forecast != "history" and not whole:
        findings.warn(
            "items without a forecast",
            left.len(),
            "items without a row in the forecast are planned with no demand",
            f"{forecast.source.label}, item_id={left[0]}",
            "add their rows, or give items.like_item or items.rate",
        )
        idle = pl.DataFrame({"item_id": left, "rate": [0.0] * left.len()})
        added += list(_rate_rows(idle, own, column, forecast, settings))
    frames = [own, *(frame.select(own.columns).cast(own.schema) for frame in added)]
    return replace(forecast, frame=pl.concat(frames) if added else own)


def _like_rows(
    items: View,
    rows: pl.DataFrame,
    marked: pl.DataFrame,
    own: tuple[pl.DataFrame, str],
    scope: Scope,
    findings: Findings,
) -> Iterator[pl.DataFrame]:
    """Rows of like items under the names of the new ones."""
    table, column = own
    named = marked.filter(pl.col("like_item").is_not_null())
    likes = named.select(pl.col("item_id").alias("__new"), "like_item", "like_factor")
    if likes.is_empty():
        return
    known = rows.get_column(column).unique()
    if scope is not Scope.BLOCK:
        alone = items.rows(pl.col("like_item").is_not_null() & ~pl.col("like_item").is_in(known.implode()))
        expected = "an item with rows of its own in the table forecast"
        findings.add_rows(items, alone, "like_item", expected, "name an item that has been sold, or give rate instead")
    pairs = rows.join(likes, left_on=column, right_on="like_item", how="inner", maintain_order="left")
    past = "ds" in rows.columns and "units" in rows.columns
    begin = table.group_by(column).agg(pl.col("ds").min() if past else pl.len()).rename({column: "__new"})
    begin = begin.rename({"ds" if past else "len": "__begin"})
    pairs = pairs.join(begin, on="__new", how="left", maintain_order="left")
    before = pl.col("__begin").is_null()
    pairs = pairs.filter(before | (pl.col("ds") < pl.col("__begin")) if past else before)
    if pairs.is_empty():
        return
    by = ["__new", "path"] if "path" in rows.columns else ["__new"]
    order = "ds" if "ds" in rows.columns else "period"
    values = [name for name in rows.columns if name in _VALUES or name.startswith("q0") or name.startswith("q1")]
    counted = "units" in values
    pairs = pairs.sort(*by, order, maintain_order=True).with_columns(
        (_scaled(name, by) if counted else pl.col(name) * pl.col("like_factor")).alias(name) for name in values
    )
    yield pairs.drop(column).rename({"__new": column})


def _scaled(name: str, by: list[str]) -> pl.Expr:
    """Units times the factor; whole units stay whole, and their sum right to half a unit."""
    exact = (pl.col(name) * pl.col("like_factor")).cum_sum().over(by)
    whole = (exact + 0.5).floor()
    parts = whole - whole.shift(1, fill_value=0.0).over(by)
    return (
        pl.when((pl.col(name) == pl.col(name).round()).all().over(by))
        .then(parts)
        .otherwise(pl.col(name) * pl.col("like_factor"))
    )


def _rate_rows(
    rates: pl.DataFrame, own: pl.DataFrame, column: str, forecast: View, settings: InstanceSettings
) -> Iterator[pl.DataFrame]:
    """Rows of items at a rate of so many units a period: Poisson demand, the same draws in every reading."""
    form, horizon = settings.forecast, range(settings.periods)
    first = dict(own.group_by(column).agg(pl.col("ds").min()).iter_rows()) if form == "history" else {}
    known = set(own.get_column(column).unique().to_list())
    for item, rate in rates.select("item_id", "rate").iter_rows():
        if form == "history":
            yield from _past(item, rate, first.get(item), settings)
        elif item in known:
            continue
        elif form == "mean":
            yield pl.DataFrame({"item_id": item, "period": horizon, "mean": rate}).with_columns(
                dispersion=pl.lit(0.0), law=pl.lit("negative_binomial")
            )
        elif form == "paths":
            count = int(own.get_column("path").max() or 0) + 1  # type: ignore[arg-type]
            units = _random(item).poisson(rate, (count, len(horizon))).astype(float)
            path, period = np.divmod(np.arange(units.size), len(horizon))
            yield pl.DataFrame({"item_id": [item] * units.size, "path": path, "period": period, "units": units.ravel()})
        else:
            values = {quantile_name(level): [poisson_quantile(rate, level)] for level in quantile_levels(own)}
            days = pl.DataFrame({"ds": [settings.date_of(period) for period in horizon]})
            yield pl.DataFrame({column: [item], **values}).join(days, how="cross")


def _past(item: str, rate: float, begins: object, settings: InstanceSettings) -> Iterator[pl.DataFrame]:
    """Past sales at a rate before the item's own first row, as long as a history must be to be drawn from."""
    step = settings.history_row_days
    rows = -(-max(_BLOCKS * settings.history_block, _FEWEST) // step)
    days = [settings.date_of(-step * number) for number in range(rows, 0, -1)]
    units = _random(item).poisson(rate * step, len(days)).astype(float)
    kept = [(day, sold) for day, sold in zip(days, units.tolist(), strict=True) if begins is None or day < begins]  # type: ignore[operator]
    if kept:
        yield pl.DataFrame(
            {"item_id": [item] * len(kept), "ds": [day for day, _ in kept], "units": [sold for _, sold in kept]}
        ).with_columns(available=pl.lit(True))


def _random(item: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(item.encode(), digest_size=8).digest(), "little"))


def poisson_quantile(mean: float, level: float) -> float:
    """Least number of units of a Poisson law whose probability not to be exceeded is the level."""
    if mean <= 0:
        return 0.0
    if mean > _COUNTED:
        return float(max(round(mean + math.sqrt(mean) * NormalDist().inv_cdf(level)), 0))
    units, mass = 0, math.exp(-mean)
    total = mass
    while total < level and units < 10 * _COUNTED:
        units += 1
        mass *= mean / units
        total += mass
    return float(units)
