"""Mean demand of items by any form of the forecast."""

from __future__ import annotations

import polars as pl

from meio_jax.tables.quantiles import quantile_levels, quantile_name
from meio_jax.tables.settings import InstanceSettings


def mean_demand(forecast: pl.DataFrame, settings: InstanceSettings) -> pl.DataFrame:
    """Mean demand of every item: item_id, units (a period). Rough where the forecast is quantiles: their mean."""
    form = settings.forecast
    if form == "quantiles":
        levels = [pl.col(quantile_name(level)) for level in quantile_levels(forecast)]
        return forecast.group_by(pl.col("unique_id").alias("item_id")).agg(
            pl.mean_horizontal(levels).mean().alias("units")
        )
    if form == "history":
        first = forecast.group_by("item_id").agg(pl.col("ds").min(), pl.col("units").sum())
        periods = -settings.periods_of(first["ds"].to_numpy().astype("datetime64[D]"))
        return first.select("item_id", pl.col("units") / pl.Series(periods))
    column = "mean" if form == "mean" else "units"
    return forecast.group_by("item_id").agg(pl.col(column).mean().alias("units"))
