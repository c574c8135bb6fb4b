"""Writing the instance folder."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from meio_jax.generate import (
    RESOURCE_KINDS,
    Need,
    accumulate_need,
    by_bucket,
    describe,
    due_by_bucket,
    items_table,
    network_tables,
    offers_table,
    plan_stock,
    resources_table,
    shares_table,
    starting_stock,
    stock_tables,
    write_frame,
    write_text,
)
from meio_jax.generate.us.assemble import Parts, lead_times_table
from meio_jax.generate.us.sources import Sales

LEVEL_DAYS = 84  # the level of the mean form is that of the last days, at most this many
WEEK = 7


def weekday_factors(sales: Sales, department: np.ndarray) -> np.ndarray:
    """Factor of each weekday by department, `[departments, 7]`; 0 is the weekday of the first day planned."""
    days = sales.units.shape[1]
    phase = (np.arange(days) - days) % WEEK  # the day before the horizon has phase 6
    total = np.zeros((department.max() + 1, WEEK))
    for k in range(WEEK):
        np.add.at(total[:, k], department, sales.units[:, phase == k].mean(axis=1))
    return total / total.mean(axis=1, keepdims=True)


def daily_means(sales: Sales, parts: Parts, periods: int) -> np.ndarray:
    """Forecast mean of each item and day, `[I, periods]`: recent level times the weekday factor."""
    recent = sales.units[:, -LEVEL_DAYS:].mean(axis=1)
    long_run = sales.units.mean(axis=1)
    level = np.where(recent > 0, recent, 0.25 * long_run)  # nothing sold lately is not nothing for ever
    factor = weekday_factors(sales, parts.items.department)
    return level[:, None] * factor[parts.items.department][:, np.arange(periods) % WEEK]


def forecast_table(sales: Sales, parts: Parts, mean: np.ndarray, form: str) -> pl.DataFrame:
    """The table `forecast` in the form `history` or `mean`."""
    count, periods = mean.shape
    if form == "history":
        days = sales.units.shape[1]
        ds = [sales.start + timedelta(days=k - days) for k in range(days)]
        return pl.DataFrame(
            {
                "item_id": np.repeat(parts.ids, days),
                "ds": ds * count,
                "units": sales.units.ravel().astype(float),
            }
        )
    return pl.DataFrame(
        {
            "item_id": np.repeat(parts.ids, periods),
            "period": np.tile(np.arange(periods), count),
            "mean": np.round(mean, 6).ravel(),
            "dispersion": np.repeat(parts.items.dispersion, periods),
            "law": ["negative_binomial"] * (count * periods),
        }
    )


def write_instance(
    folder: Path,
    sales: Sales,
    parts: Parts,
    *,
    form: str,
    periods: int,
    bucket_periods: int,
    tightness: float,
    seed: int,
) -> None:
    """Write all tables, and the kept-apart sales to `actuals/actual.parquet` if there are any."""
    network, items, profiles = parts.network, parts.items, parts.profiles
    mean = daily_means(sales, parts, periods)
    plan = plan_stock(
        network,
        mean.mean(axis=1)[:, None] * profiles.through[items.profile],
        items.dispersion,
        parts.vendors.mean[items.vendor],
        parts.vendors.sd[items.vendor],
    )
    u = np.random.default_rng([seed, 12]).random((2, *plan.rate.shape))
    on_hand = starting_stock(plan, u[0])
    need = Need.empty(len(profiles.name), -(-periods // bucket_periods), len(parts.samples), len(network.node_id))
    due = due_by_bucket(network, plan, u[1], periods, bucket_periods)
    accumulate_need(need, items, by_bucket(mean, periods, bucket_periods), plan.on_hand, on_hand, due)
    tables = {
        **network_tables(network),
        "items": items_table(items, parts.ids, profiles),
        "offers": offers_table(network, parts.vendors, items, parts.ids),
        "lead_times": lead_times_table(parts.vendors, parts.samples),
        "forecast": forecast_table(sales, parts, mean, form),
        "shares": shares_table(network, profiles),
        "resources": resources_table(
            network,
            profiles,
            need,
            parts.vendors.vendor_id,
            kinds=RESOURCE_KINDS,
            tightness=tightness,
            horizon=(periods, bucket_periods),
        ),
        **stock_tables(network, plan, on_hand, u[1], parts.ids, periods),
    }
    for name, frame in tables.items():
        write_frame(folder, name, frame)
    if sales.future.shape[1]:
        days = sales.future.shape[1]
        ds = [sales.start + timedelta(days=k) for k in range(days)]
        actual = pl.DataFrame(
            {
                "item_id": np.repeat(parts.ids, days),
                "ds": ds * len(parts.ids),
                "units": sales.future.ravel().astype(float),
            }
        )
        (folder / "actuals").mkdir()
        write_frame(folder / "actuals", "actual", actual)
    text = describe(
        name=f"US network, {len(parts.ids)} items, seed {seed}",
        start_date=sales.start,
        periods=periods,
        bucket_periods=bucket_periods,
        wave_ends=network.wave_ends,
        forecast=form,
    )
    write_text(folder / "instance.yaml", text)
