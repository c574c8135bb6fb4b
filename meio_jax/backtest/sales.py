"""Daily unit sales of every item, sampled from the instance's forecast or taken from recorded sales.

Draws are keyed by (seed, replication, item id), so an item sees the same sales in whatever catalog it is in.
"""

import hashlib
import math
from typing import NamedTuple

import numpy as np
import polars as pl

from meio_jax.backtest import draws
from meio_jax.backtest.compiled import compiled
from meio_jax.backtest.lookup import bad, frame, rows_of, solid
from meio_jax.tables.availability import filled_sales
from meio_jax.tables.periods import PERIODS_PER_CYCLE

LAWS = ("negative_binomial", "normal", "gamma", "fixed")


def id_keys(ids: list[str]) -> np.ndarray:
    """A 64-bit key of every id, `[items]` uint64, the same on every machine."""
    raw = b"".join(hashlib.blake2b(text.encode(), digest_size=8).digest() for text in ids)
    return np.frombuffer(raw, "<u8").astype(np.uint64)


class Forecast(NamedTuple):
    """Arrays of one forecast, whatever its form; what a form does not use is empty.

    `value` and `spread` are `[items, periods]` (form mean). `series` holds stacked values of the other forms:
    quantile values `[items, periods * levels]` flattened, or paths and histories of item i in
    `series[start[i]:start[i + 1]]`. `levels` are quantile levels, `law` is per item and period.
    """

    form: str
    value: np.ndarray
    spread: np.ndarray
    law: np.ndarray
    series: np.ndarray
    start: np.ndarray
    levels: np.ndarray
    periods: int
    rho: float
    block: int
    cycle: int


def read_forecast(tables) -> Forecast:
    """The forecast of a `Tables` as arrays."""
    return solid(_read_forecast(tables))


def _read_forecast(tables) -> Forecast:
    settings, table = tables.settings, frame(tables, "forecast")
    ids = frame(tables, "items")["item_id"].to_list()
    form, periods = str(settings.forecast), settings.periods
    empty2, empty = np.zeros((1, 1)), np.zeros(0)
    law = np.zeros((1, 1), np.int8)
    none = np.zeros(len(ids) + 1, np.int64)
    cycle = PERIODS_PER_CYCLE[settings.period]
    tail = (periods, float(settings.autocorrelation), int(settings.history_block), cycle)
    if form == "mean":
        at = (rows_of(table["item_id"], ids), table["period"].to_numpy())
        value, spread = np.zeros((len(ids), periods)), np.zeros((len(ids), periods))
        law = np.zeros((len(ids), periods), np.int8)
        value[at] = table["mean"].to_numpy()
        spread[at] = table["dispersion"].to_numpy() if "dispersion" in table.columns else 0.0
        if "law" in table.columns:
            law[at] = rows_of(table["law"], list(LAWS))
        return Forecast(form, value, spread, law, empty, none, empty, *tail)
    if form == "quantiles":
        names = sorted((name for name in table.columns if name[:1] == "q"), key=lambda name: float(name[1:]))
        item = rows_of(table["unique_id"], ids)
        day = settings.periods_of(table["ds"].cast(pl.Date).to_numpy())
        values = np.zeros((len(ids), periods, len(names)))
        inside = (day >= 0) & (day < periods)
        values[item[inside], day[inside]] = table.select(names).to_numpy()[inside]
        levels = np.array([float(name[1:]) for name in names])
        return Forecast(form, empty2, empty2, law, values.reshape(-1), none, levels, *tail)
    if form == "paths":
        series, start = _paths(table, ids, periods)
    else:
        series, start = _history(table, ids, settings)
    return Forecast(form, empty2, empty2, law, series, start, empty, *tail)


def _paths(table: pl.DataFrame, ids: list[str], periods: int) -> tuple[np.ndarray, np.ndarray]:
    ordered = table.with_columns(pl.Series("_row", rows_of(table["item_id"], ids))).sort("_row", "path", "period")
    count = np.bincount(ordered["_row"].to_numpy(), minlength=len(ids))
    start = np.concatenate([[0], np.cumsum(count)])
    if (count % periods).any() or (count == 0).any():
        raise bad("forecast", "form paths", "path", "every path of every item to cover every period")
    return ordered["units"].cast(pl.Float64).to_numpy().copy(), start


def _history(table: pl.DataFrame, ids: list[str], settings) -> tuple[np.ndarray, np.ndarray]:
    item = rows_of(table["item_id"], ids)
    age = -1 - settings.periods_of(table["ds"].cast(pl.Date).to_numpy())
    length = np.zeros(len(ids), np.int64)
    np.maximum.at(length, item, age + 1)
    start = np.concatenate([[0], np.cumsum(length)])
    series = np.zeros(start[-1])
    at = start[item + 1] - 1 - age
    np.add.at(series, at, table["units"].cast(pl.Float64).to_numpy())
    if "available" in table.columns:
        known = np.ones(series.size, bool)
        np.logical_and.at(known, at, table["available"].fill_null(True).to_numpy())
        cycle = PERIODS_PER_CYCLE[settings.period]
        for row in np.unique(item[~known[at]]):
            own = slice(start[row], start[row + 1])
            series[own] = filled_sales(series[own, None], known[own, None], cycle)[:, 0]
    return series, start


def sample_sales(forecast: Forecast, keys: np.ndarray, scale: np.ndarray, seed: np.uint64) -> np.ndarray:
    """Unit sales `[items, periods]` int32 of one replication.

    Args:
        forecast: The forecast.
        keys: Key of every item.
        scale: `[items, periods]` or `[1, 1]` factor on the forecast (factors that days share).
        seed: State of the replication.
    """
    out = np.zeros((len(keys), forecast.periods), np.int32)
    if forecast.form == "mean":
        _draw_mean(forecast.value, forecast.spread, forecast.law, keys, scale, seed, out)
    elif forecast.form == "quantiles":
        _draw_quantiles(forecast.series, forecast.levels, forecast.rho, keys, scale, seed, out)
    elif forecast.form == "paths":
        _draw_paths(forecast.series, forecast.start, keys, scale, seed, out)
    else:
        _draw_history(forecast.series, forecast.start, (forecast.block, forecast.cycle), keys, scale, seed, out)
    return out


@compiled
def _scale(scale, item, period):
    return scale[min(item, scale.shape[0] - 1), min(period, scale.shape[1] - 1)]


@compiled
def _draw_mean(value, spread, law, keys, scale, seed, out):
    for i in range(out.shape[0]):
        state = draws.key(draws.key(seed, draws.DEMAND), keys[i])
        for t in range(out.shape[1]):
            mean = value[i, t] * _scale(scale, i, t)
            width = spread[i, t]
            rate = mean
            if mean <= 0.0:
                continue
            if width > 0.0 and (law[i, t] == 0 or law[i, t] == 2):
                state, rate = draws.gamma(state, 1.0 / width)
                rate *= mean * width
            elif width > 0.0 and law[i, t] == 1:
                state, z = draws.normal(state)
                rate = max(mean + math.sqrt(width) * mean * z, 0.0)
            if law[i, t] == 0:
                state, out[i, t] = draws.poisson(state, rate)
            else:
                state, out[i, t] = draws.whole(state, rate)


@compiled
def _quantile(values, start, levels, u):
    """Linear between levels; beyond the first and last level the end segments go on, not below 0."""
    last = len(levels) - 1
    k = 0
    while k < last - 1 and u > levels[k + 1]:
        k += 1
    if last == 0:
        return max(values[start], 0.0)
    low, high = values[start + k], values[start + k + 1]
    return max(low + (high - low) * (u - levels[k]) / (levels[k + 1] - levels[k]), 0.0)


@compiled
def _draw_quantiles(values, levels, rho, keys, scale, seed, out):
    periods = out.shape[1]
    for i in range(out.shape[0]):
        state = draws.key(draws.key(seed, draws.DEMAND), keys[i])
        state, z = draws.normal(state)
        for t in range(periods):
            if t > 0:
                state, e = draws.normal(state)
                z = rho * z + math.sqrt(1.0 - rho * rho) * e
            u = 0.5 * math.erfc(-z / math.sqrt(2.0))
            units = _quantile(values, (i * periods + t) * len(levels), levels, u)
            state, out[i, t] = draws.whole(state, units * _scale(scale, i, t))


@compiled
def _draw_paths(series, start, keys, scale, seed, out):
    """One path of each item, of the odd ones where there are two or more: planners fit their plans to the
    others."""
    periods = out.shape[1]
    for i in range(out.shape[0]):
        state = draws.key(draws.key(seed, draws.DEMAND), keys[i])
        state, u = draws.uniform(state)
        paths = (start[i + 1] - start[i]) // periods
        path = 1 + 2 * int(u * (paths // 2)) if paths > 1 else 0
        for t in range(periods):
            units = series[start[i] + path * periods + t] * _scale(scale, i, t)
            state, out[i, t] = draws.whole(state, units)


@compiled
def _draw_history(series, start, blocks, keys, scale, seed, out):
    """Blocks of past periods laid end to end; whole weeks of days start on the weekday where they are put.

    `blocks` are the periods of a block and of the cycle of weekdays (1 where there is none).
    """
    block, cycle = blocks
    for i in range(out.shape[0]):
        state = draws.key(draws.key(seed, draws.DEMAND), keys[i])
        length = start[i + 1] - start[i]
        if length == 0:
            continue
        size = min(block, length)
        first = 0
        for t in range(out.shape[1]):
            if t % block == 0:
                state, u = draws.uniform(state)
                choices = length - size + 1
                if block % cycle == 0 and choices > cycle:
                    # the horizon starts the day after the history ends: position p has the weekday of p -
                    # length
                    offset = (t + length) % cycle
                    first = offset + cycle * int(u * ((choices - 1 - offset) // cycle + 1))
                else:
                    first = int(u * choices)
            units = series[start[i] + first + (t % block) % size] * _scale(scale, i, t)
            state, out[i, t] = draws.whole(state, units)


def recorded_sales(actual: pl.DataFrame, ids: list[str], settings) -> np.ndarray:
    """Recorded sales `[items, periods]` int32 from a frame with `item_id`, `units` and `period` or `ds`."""
    at = rows_of(actual["item_id"], ids)
    if "period" in actual.columns:
        period = actual["period"].to_numpy()
    elif "ds" in actual.columns:
        period = settings.periods_of(actual["ds"].cast(pl.Date).to_numpy())
    else:
        raise bad("recorded sales", "", "period", "a column `period`, or `ds` with dates")
    inside = (period >= 0) & (period < settings.periods)
    out = np.zeros((len(ids), settings.periods), np.int32)
    np.add.at(out, (at[inside], period[inside]), np.round(actual["units"].to_numpy()[inside]).astype(np.int32))
    return out
