"""Checks of the forecast: every item, every period, no day out of place, quantiles in order."""

from __future__ import annotations

import datetime
import itertools

import polars as pl

from meio_jax.tables.check_complete import check_complete
from meio_jax.tables.check_history import check_history, with_period
from meio_jax.tables.context import Context
from meio_jax.tables.findings import ROW, View
from meio_jax.tables.quantiles import quantile_levels, quantile_name
from meio_jax.tables.settings import InstanceSettings


def check_forecast(context: Context) -> None:
    """Run every check of this module."""
    found = context.get("forecast")
    if not found or context.settings is None:
        return
    (forecast,) = found
    settings = context.settings
    if settings.forecast == "history":
        check_history(context, forecast, settings)
        return
    _check_horizon(context, forecast, settings)
    check_complete(context, forecast, settings, _with_period(forecast, settings))
    if settings.forecast == "paths":
        _check_paths(context, forecast)
    if settings.forecast == "mean":
        _check_laws(context, forecast)
    if settings.forecast == "quantiles":
        _check_crossing(context, forecast)
    _check_every_item(context, forecast)


def _check_every_item(context: Context, forecast: View) -> None:
    if found := context.get("items"):
        (items,) = found
        column = forecast.table.item_column
        known = forecast.frame.lazy().select(pl.col(column).alias("item_id")).unique()
        bare = items.frame.lazy().select("item_id").drop_nulls().unique(maintain_order=True)
        context.findings.add_keys(
            forecast.source.label,
            bare.join(known, on="item_id", how="anti", maintain_order="left").collect(),
            column,
            "rows for every item of table items",
            "add the forecast of the item, or remove the item",
        )


def _with_period(forecast: View, settings: InstanceSettings) -> pl.LazyFrame:
    return forecast.numbered() if settings.forecast != "quantiles" else with_period(forecast, settings).lazy()


def _check_horizon(context: Context, forecast: View, settings: InstanceSettings) -> None:
    dated = settings.forecast == "quantiles"
    last = settings.end_date - datetime.timedelta(days=1)
    span = f"a day from {settings.start_date} to {last}" if dated else f"a period from 0 to {settings.periods - 1}"
    # Where business goes on, a longer forecast says how.
    late = pl.lit(False) if settings.terminal == "continue" else pl.col("period") >= settings.periods
    outside = late | ((pl.col("period") < 0) if dated else False)
    context.findings.add_rows(
        forecast,
        _with_period(forecast, settings).filter(outside).collect(),
        "ds" if dated else "period",
        f"{span} (start_date and periods in instance.yaml)",
        "remove the row or lengthen the horizon",
    )


def _check_crossing(context: Context, forecast: View) -> None:
    names = [quantile_name(level) for level in quantile_levels(forecast.frame)]
    for low, high in itertools.pairwise(names):
        crossed = forecast.rows(pl.col(high) < pl.col(low)).with_columns(pl.col(low).alias("__low"))
        context.findings.add_rows(
            forecast,
            crossed,
            high,
            f"a value of at least {{__low}}, the value of {low}",
            "correct the quantiles, for instance by sorting them",
        )


def _check_paths(context: Context, forecast: View) -> None:
    """Paths of an item are numbered from 0 without a gap, and all items have as many: scenarios take them in turn."""
    counts = (
        forecast.numbered()
        .drop_nulls(["item_id", "path"])
        .group_by("item_id", maintain_order=True)
        .agg(pl.col("path").max() + 1, pl.col("path").n_unique().alias("__count"), pl.col(ROW).min())
        .collect()
    )
    most = counts.select(pl.col("path").max()).item() or 1
    wrong = counts.filter((pl.col("__count") != pl.col("path")) | (pl.col("path") != most))
    context.findings.add_rows(
        forecast,
        wrong,
        "path",
        f"{most} paths, numbered from 0 to {most - 1}, as the item with most has",
        "give every item as many paths, numbered from 0 without a gap",
        note="{__count} paths, the last of them numbered by {path} - 1",
    )


def _check_laws(context: Context, forecast: View) -> None:
    """An item has one law of demand."""
    first = pl.col("law").first().over("item_id")
    context.findings.add_rows(
        forecast,
        forecast.rows(pl.col("law") != first),
        "law",
        "the same law in all rows of an item",
        "choose one law for the item",
    )
