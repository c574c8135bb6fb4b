"""Demand of items over days, and the forecast table in each of its four forms."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

from meio_jax.generate.items import DEPARTMENTS, ITEM_BLOCK, Items, stream
from meio_jax.generate.options import GenerateOptions

QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
WEEK = np.array([0.98, 0.94, 0.93, 0.95, 1.04, 1.12, 1.04])  # Monday first


def day_factors(seed: int, start: date, days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weekly `[D, days]` and yearly `[D, days]` deviations from 1 of each department.

    Args:
        seed: seed of the instance.
        start: date of day 0.
        days: day numbers relative to `start`, possibly negative.
    """
    rng = np.random.default_rng([seed, 3])
    swing = rng.uniform(-1.0, 1.6, DEPARTMENTS)  # some departments sell on weekdays
    peak = rng.uniform(0.0, 365.25, DEPARTMENTS)
    weekday = (start.weekday() + days) % 7
    of_year = start.timetuple().tm_yday + days
    weekly = swing[:, None] * (WEEK[weekday] - 1.0)
    yearly = np.cos(2 * np.pi * (of_year[None, :] - peak[:, None]) / 365.25)
    return weekly, yearly


def mean_demand(options: GenerateOptions, items: Items, days: np.ndarray) -> np.ndarray:
    """Mean units per day of each item, `[I, days]`."""
    weekly, yearly = day_factors(options.seed, options.start_date, days)
    week = 1.0 + items.weekly_strength[:, None] * weekly[items.department]
    year = 1.0 + items.yearly_strength[:, None] * yearly[items.department]
    return items.rate[:, None] * week * year


def draw_demand(rng: np.random.Generator, mean: np.ndarray, dispersion: np.ndarray | float) -> np.ndarray:
    """Negative-binomial units; `mean` and `dispersion` broadcast, variance = mean + dispersion mean^2."""
    shape = 1.0 / dispersion
    return rng.poisson(mean * rng.standard_gamma(np.broadcast_to(shape, mean.shape)) / shape)


def demand_quantiles(mean: np.ndarray, dispersion: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    """Quantiles `[levels, I, T]` of the negative binomial; above a mean of 30 a gamma approximation.

    The gamma quantile is that of Wilson and Hilferty (1931).
    """
    shape = 1.0 / np.broadcast_to(dispersion, mean.shape)
    variance = mean + mean**2 / shape
    k = mean**2 / variance
    out = np.zeros((len(levels), *mean.shape))
    for row, level in enumerate(levels):
        z = normal_quantile(level)
        out[row] = np.maximum(np.round(mean * (1 - 1 / (9 * k) + z / (3 * np.sqrt(k))) ** 3), 0.0)
    small = mean <= 30.0
    m, r = mean[small], shape[small]
    success = m / (m + r)
    mass = np.exp(r * np.log1p(-success))
    below, value = mass.copy(), np.full((len(levels), m.size), -1.0)
    for units in range(1, 2000):
        for row, level in enumerate(levels):
            value[row] = np.where((value[row] < 0) & (below >= level), units - 1, value[row])
        if (value >= 0).all():
            break
        mass = mass * success * (r + units - 1) / units
        below = below + mass
    out[:, small] = np.maximum(value, 0.0)
    return out


def normal_quantile(level: float) -> float:
    """Standard normal quantile."""
    from statistics import NormalDist

    return NormalDist().inv_cdf(level)


def forecast_table(options: GenerateOptions, items: Items, ids: pl.Series, first: int) -> pl.DataFrame:
    """Forecast rows of some items of one block.

    Args:
        options: generator options.
        items: the items.
        ids: their ids, `[I]`.
        first: position of the first of them in its block (random numbers are drawn for whole blocks).
    """
    count, form = len(items.number), options.forecast
    rows = slice(first, first + count)
    if form == "history":
        days = np.arange(-options.history_days, 0)
        units = _units(options, items, days, rows, "history")
        return _long(ids, days, options.start_date).with_columns(units=pl.Series(units.ravel().astype(float)))
    days = np.arange(options.periods)
    mean = mean_demand(options, items, days)
    if form == "mean":
        frame = _long(ids, days, None)
        dispersion = np.repeat(items.dispersion, len(days))
        return frame.with_columns(
            mean=pl.Series(np.round(mean, 6).ravel()), dispersion=pl.Series(dispersion),
            law=pl.lit("negative_binomial"),
        )  # fmt: skip
    if form == "quantiles":
        quantiles = demand_quantiles(mean, items.dispersion[:, None], QUANTILES)
        frame = _long(ids, days, options.start_date).rename({"item_id": "unique_id"})
        return frame.with_columns([pl.Series(f"q{level:g}", quantiles[k].ravel()) for k, level in enumerate(QUANTILES)])
    units = _units(options, items, days, rows, "paths", options.paths)
    frame = _long(ids, np.tile(days, options.paths), None)
    path = np.tile(np.repeat(np.arange(options.paths), len(days)), count)
    frame = frame.with_columns(path=pl.Series(path), units=pl.Series(units.ravel().astype(float)))
    return frame.select("item_id", "path", "period", "units")


def _units(
    options: GenerateOptions, items: Items, days: np.ndarray, rows: slice, name: str, copies: int = 1
) -> np.ndarray:
    """Random demand `[I, copies, days]`; a row has a stream of its own, independent of other rows."""
    mean = mean_demand(options, items, days)
    block = int(items.number[0]) // ITEM_BLOCK
    out = np.empty((len(mean), copies, len(days)), np.int64)
    for k, position in enumerate(range(rows.start, rows.stop)):
        rng = stream(options.seed, block, f"{name}/{position}")
        out[k] = draw_demand(rng, np.tile(mean[k], (copies, 1)), items.dispersion[k])
    return out


def _long(ids: pl.Series, days: np.ndarray, start: date | None) -> pl.DataFrame:
    """Item-major frame of items x days with `period`, or `ds` when a start date is given."""
    index = np.repeat(np.arange(len(ids), dtype=np.uint32), len(days))
    frame = pl.DataFrame({"item_id": ids.gather(index)})
    if start is None:
        return frame.with_columns(period=pl.Series(np.tile(days.astype(np.int64), len(ids))))
    epoch = (start - date(1970, 1, 1)) // timedelta(days=1)
    ds = pl.Series(np.tile((epoch + days).astype(np.int32), len(ids))).cast(pl.Date)
    return frame.with_columns(ds=ds)
