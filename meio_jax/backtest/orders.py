"""The stream of customer orders: who orders what, for which promise, at which hour of the day."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import polars as pl

from meio_jax.backtest import draws
from meio_jax.backtest.compiled import compiled
from meio_jax.backtest.lookup import bad, rows_of, solid
from meio_jax.backtest.network import World
from meio_jax.backtest.options import Options
from meio_jax.backtest.sales import Forecast, id_keys, read_forecast, recorded_sales, sample_sales
from meio_jax.tables.periods import PERIODS_PER_CYCLE


class Orders(NamedTuple):
    """Orders in the sequence in which they are served; arrays `[orders]`.

    `hour` is the clock time of the day in (0, 24]; `coin` keys the customer's own random answers; `late`
    marks orders that were placed on an earlier day and wait.
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

Demand = pl.DataFrame | np.ndarray | Forecast
"""Recorded orders, recorded sales `[items, days]`, or a forecast."""


def blank_orders(count: int) -> Orders:
    """Room for that many orders."""
    item, region, speed, units = (np.zeros(count, np.int64) for _ in range(4))
    coin, late = np.zeros(count, np.uint64), np.zeros(count, np.bool_)
    return Orders(item, region, speed, units, np.zeros(count), coin, late)


def joined(first: Orders, then: Orders) -> Orders:
    """Two batches, one after the other."""
    return Orders(*[np.concatenate(pair) for pair in zip(first, then, strict=True)])


def state_of(seed: int, replication: int) -> np.uint64:
    """The random state of a replication; equal for every plan, so that plans meet the same world."""
    return draws.derived(seed % 2**64, 0x5EED, replication)


@compiled
def _weekly_factors(cv, keys, state, week, out):
    """Gamma factors of mean 1 on all demand of an item in a week (`week` periods): `out [items, periods]`."""
    shape = 1.0 / (cv * cv)
    for i in range(out.shape[0]):
        own = draws.key(draws.key(state, draws.FACTOR), keys[i])
        for t in range(out.shape[1]):
            _, draw = draws.gamma(draws.key(own, t // week), shape)
            out[i, t] = draw / shape


@compiled
def _cumulate(split, profile, tilt, out):
    """Cumulative weights of a profile's classes, share x tilt of the region (no tilt: shares); returns
    their number."""
    total, n = 0.0, 0
    for k in range(split.start[profile], split.start[profile + 1]):
        total += split.share[k] * (tilt[split.region[k]] if len(tilt) > 0 else 1.0)
        out[n] = total
        n += 1
    return n


@compiled
def _tilt(state, region_key, cv, out):
    """This week's gamma factors of the regions, for one item."""
    shape = 1.0 / (cv * cv)
    for r in range(len(out)):
        _, draw = draws.gamma(draws.key(state, region_key[r]), shape)
        out[r] = draw / shape


@compiled
def _day_orders(split, profile, keys, sales, shared, out):
    """Fill `out` with one order per `lot` units sold.

    `shared` is `(state of the day, state of the week, coefficient of variation, region keys, tilt, weights,
    lot)`; the last two arrays are scratch, and `tilt` is empty where regions do not vary.
    """
    state0, week, cv, region_key, tilt, weights, lot = shared
    n = 0
    for i in range(len(sales)):
        left = sales[i]
        if left <= 0:
            continue
        first = split.start[profile[i]]
        if len(tilt) > 0:
            _tilt(draws.key(week, keys[i]), region_key, cv, tilt)
        classes = _cumulate(split, profile[i], tilt, weights)
        state = draws.key(state0, keys[i])
        while left > 0 and classes > 0:
            state, u = draws.uniform(state)
            lo, hi = 0, classes - 1
            while lo < hi:
                middle = (lo + hi) // 2
                if weights[middle] <= u * weights[classes - 1]:
                    lo = middle + 1
                else:
                    hi = middle
            state, v = draws.uniform(state)
            k = first + lo
            end, begin = split.wave_ends[split.wave[k] + 1], split.wave_ends[split.wave[k]]
            out.item[n], out.region[n], out.speed[n] = i, split.region[k], split.speed[k]
            out.units[n] = min(left, lot)
            out.hour[n] = end - v * (end - begin)
            out.coin[n] = draws.scramble(state)
            left -= lot
            n += 1
    return n


def world_factors(settings, state: np.uint64) -> np.ndarray:
    """Factors by week on the demand of all items together, lognormal of mean 1, their logarithms AR(1).

    Args:
        settings: Of the instance.
        state: Random state of the replication.
    """
    keep = settings.world_factor_persistence
    spread = np.sqrt(np.log(1 + settings.world_factor_cv**2))
    shocks = [draws.normal(draws.derived(state, draws.WORLD, week))[1] for week in range(settings.periods)]
    states = [shocks[0]]
    for shock in shocks[1:]:
        states.append(keep * states[-1] + np.sqrt(1 - keep**2) * shock)
    return np.exp(spread * np.array(states) - spread**2 / 2)


def sampled_orders(world: World, demand: Forecast | np.ndarray, state: np.uint64, lot: int = 1) -> OrderSource:
    """Orders drawn from a forecast, or from recorded sales `[items, days]`, split by the shares.

    With a shared factor, all demand of an item in a week is scaled by one gamma factor, and its regions by
    factors of their own that week (normalised); recorded sales are split by the plain shares. With a world factor,
    the demand of all items is scaled by one factor more.

    Args:
        world: The instance.
        demand: Its forecast, or recorded unit sales.
        state: Random state of the replication.
        lot: Units per order.
    """
    split, catalog, cv = world.split, world.catalog, world.shared_factor_cv
    varied = isinstance(demand, Forecast) and cv > 0
    factor_periods = PERIODS_PER_CYCLE[world.settings.period]
    if isinstance(demand, Forecast):
        scale = np.ones((len(world.items), world.periods) if varied else (1, 1))
        if varied:
            _weekly_factors(cv, catalog.key, state, factor_periods, scale)
        if world.settings.world_factor_cv > 0:
            scale = scale * world_factors(world.settings, state)[np.arange(world.periods) // factor_periods]
        sales = sample_sales(demand, catalog.key, scale, state)
    else:
        sales = demand
    by_day = np.ascontiguousarray(sales.T)
    region_key = id_keys(world.regions)
    tilt = np.ones(len(world.regions) if varied else 0)
    weights = np.zeros(int(np.diff(split.start).max(initial=0)))

    def day(t: int) -> Orders:
        out = blank_orders(int(np.sum(-(-by_day[t].astype(np.int64) // lot))))
        week = draws.derived(state, draws.TILT, t // factor_periods)
        shared = (draws.derived(state, draws.SPLIT, t), week, float(cv), region_key, tilt, weights, lot)
        n = _day_orders(split, catalog.profile, catalog.key, by_day[t], shared, out)
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
    everything = solid(everything)
    return lambda t: Orders(*[column[start[t] : start[t + 1]] for column in everything])


def read_demand(world: World, tables, options: Options) -> Demand:
    """What the options ask for: recorded orders, recorded sales, or the instance's forecast."""
    if options.orders is not None:
        return options.orders
    if options.actual is not None:
        return recorded_sales(options.actual, world.items, tables.settings)
    return read_forecast(tables)


def order_source(world: World, demand: Demand, state: np.uint64, lot: int = 1) -> OrderSource:
    """The order stream of a replication; `lot` is the units of a sampled order."""
    if isinstance(demand, pl.DataFrame):
        return given_orders(world, demand, state)
    return sampled_orders(world, demand, state, lot)
