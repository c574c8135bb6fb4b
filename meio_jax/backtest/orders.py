"""The stream of customer orders: who orders what, for which promise, at which hour of the day."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import polars as pl

from meio_jax.backtest import draws
from meio_jax.backtest.compiled import compiled
from meio_jax.backtest.lookup import bad, rows_of
from meio_jax.backtest.network import World
from meio_jax.backtest.sales import Forecast, id_keys, read_forecast, recorded_sales, sample_sales


class Orders(NamedTuple):
    """Orders in the sequence in which they are served; arrays `[orders]`.

    `hour` is the clock time of the day in (0, 24]; `coin` keys the customer's own random answers; `late` marks
    orders that were placed on an earlier day and wait.
    """

    item: np.ndarray
    region: np.ndarray
    speed: np.ndarray
    units: np.ndarray
    hour: np.ndarray
    coin: np.ndarray
    late: np.ndarray


OrderSource = Callable[[int], Orders]
"""Gives the orders of a day, sorted by hour."""


def no_orders() -> Orders:
    """No order at all."""
    whole = np.zeros(0, np.int64)
    return Orders(whole, whole, whole, whole, np.zeros(0), np.zeros(0, np.uint64), np.zeros(0, np.bool_))


def joined(first: Orders, then: Orders) -> Orders:
    """Two batches, one after the other."""
    return Orders(*[np.concatenate(pair) for pair in zip(first, then, strict=True)])


def state_of(seed: int, replication: int) -> np.uint64:
    """The random state of a replication; equal for every plan, so that plans meet the same world."""
    return draws.derived(seed % 2**64, 0x5EED, replication)


def shared_factors(world: World, state: np.uint64) -> np.ndarray:
    """`[days, regions]` gamma factors of mean 1 that scale all demand of a region and day."""
    factor = np.ones((world.periods, len(world.regions)))
    if world.shared_factor_cv > 0:
        _gamma_factors(world.shared_factor_cv, id_keys(world.regions), state, factor)
    return factor


@compiled
def _gamma_factors(cv, region_key, state, out):
    for t in range(out.shape[0]):
        day = draws.key(draws.key(state, draws.FACTOR), t)
        for r in range(out.shape[1]):
            _, draw = draws.gamma(draws.key(day, region_key[r]), 1.0 / (cv * cv))
            out[t, r] = draw * cv * cv


@compiled
def _cumulate(split, factor, out):
    """Cumulative weights of a profile's classes on one day: share x factor of the region."""
    for p in range(len(split.start) - 1):
        total = 0.0
        for k in range(split.start[p], split.start[p + 1]):
            total += split.share[k] * factor[split.region[k]]
            out[k] = total


@compiled
def _day_orders(split, cumulative, profile, keys, sales, seed_and_lot, out):
    """Fill `out` with one order per `lot` units sold; returns the number of orders."""
    state0, lot = seed_and_lot
    n = 0
    for i in range(len(sales)):
        left = sales[i]
        if left <= 0:
            continue
        first, last = split.start[profile[i]], split.start[profile[i] + 1]
        total = cumulative[last - 1] if last > first else 0.0
        if total <= 0.0:
            continue
        state = draws.key(state0, keys[i])
        while left > 0:
            state, u = draws.uniform(state)
            lo, hi = first, last - 1
            while lo < hi:
                middle = (lo + hi) // 2
                if cumulative[middle] <= u * total:
                    lo = middle + 1
                else:
                    hi = middle
            state, v = draws.uniform(state)
            end, begin = split.wave_ends[split.wave[lo] + 1], split.wave_ends[split.wave[lo]]
            out.item[n], out.region[n], out.speed[n] = i, split.region[lo], split.speed[lo]
            out.units[n] = min(left, lot)
            out.hour[n] = end - v * (end - begin)
            out.coin[n] = draws.scramble(state)
            left -= lot
            n += 1
    return n


def sampled_orders(
    world: World, forecast: Forecast | None, actual: np.ndarray | None, state: np.uint64, lot: int = 1
) -> OrderSource:
    """Orders drawn from the forecast, or from recorded sales `actual [items, days]` split by the shares.

    Args:
        world: The instance.
        forecast: Its forecast; not used with `actual`.
        actual: Recorded unit sales.
        state: Random state of the replication.
        lot: Units per order.
    """
    factor = shared_factors(world, state) if actual is None else np.ones((world.periods, len(world.regions)))
    split, catalog = world.split, world.catalog
    if actual is None:
        scale = np.ones((1, 1))
        if world.shared_factor_cv > 0:
            by_region = np.zeros((len(world.profiles), len(world.regions)))
            owner = np.repeat(np.arange(len(world.profiles)), np.diff(split.start))
            np.add.at(by_region, (owner, split.region), split.share)
            scale = (by_region @ factor.T)[catalog.profile]
        sales = sample_sales(forecast, catalog.key, scale, state)
    else:
        sales = actual
    by_day = np.ascontiguousarray(sales.T)
    cumulative = np.zeros(len(split.share))

    def day(t: int) -> Orders:
        _cumulate(split, factor[t], cumulative)
        count = int(np.sum(-(-by_day[t].astype(np.int64) // lot)))
        out = Orders(
            *[np.zeros(count, np.int64) for _ in range(4)],
            np.zeros(count),
            np.zeros(count, np.uint64),
            np.zeros(count, np.bool_),
        )
        at = draws.derived(state, draws.SPLIT, t)
        n = _day_orders(split, cumulative, catalog.profile, catalog.key, by_day[t], (at, lot), out)
        order = np.argsort(out.hour[:n])
        return Orders(*[column[:n][order] for column in out])

    return day


def given_orders(world: World, table: pl.DataFrame, state: np.uint64) -> OrderSource:
    """Orders that the user recorded: `item_id, region_id, speed_id, day, hour` and, if not 1, `units`."""
    missing = {"item_id", "region_id", "speed_id", "day", "hour"} - set(table.columns)
    if missing:
        raise bad("orders", "", ", ".join(sorted(missing)), "these columns", None)
    table = table.sort("day", "hour", maintain_order=True)
    units = table["units"] if "units" in table.columns else pl.Series("units", np.ones(table.height, np.int64))
    coins = np.array([draws.derived(state, k) for k in range(table.height)], np.uint64)
    everything = Orders(
        rows_of(table["item_id"], world.items, "orders"),
        rows_of(table["region_id"], world.regions, "orders"),
        rows_of(table["speed_id"], world.speeds, "orders"),
        units.cast(pl.Int64).to_numpy().copy(),
        table["hour"].cast(pl.Float64).to_numpy().copy(),
        coins,
        np.zeros(table.height, np.bool_),
    )
    start = np.searchsorted(table["day"].to_numpy(), np.arange(world.periods + 1))
    return lambda t: Orders(*[column[start[t] : start[t + 1]] for column in everything])


def order_source(world: World, tables, options, state: np.uint64) -> OrderSource:
    """The order stream that the options ask for."""
    if options.orders is not None:
        return given_orders(world, options.orders, state)
    actual = None
    if options.actual is not None:
        actual = recorded_sales(options.actual, world.items, tables.settings)
    forecast = read_forecast(tables) if actual is None else None
    return sampled_orders(world, forecast, actual, state, options.units_per_order)

