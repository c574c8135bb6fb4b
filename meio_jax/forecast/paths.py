"""Sample paths of one item: whole units, never negative, the same whatever else is in the catalog."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from meio_jax.forecast.classes import demand_class
from meio_jax.forecast.rates import rates
from meio_jax.forecast.spread import Spread, find_spread, look_back

LONG_BLOCK = 28
"""Days of the blocks that some paths are made of: long enough to hold a pause of sales, or the end of one."""

_GROUP = 6
_FROM_BLOCKS = (4, 5)
"""Of every six paths, four follow the model and two are blocks of the past. Pairs, since plans are optimised on even
paths and judged on odd ones."""


@dataclass(frozen=True)
class ItemForecast:
    """Rate of every day `[horizon]`, spread around it, and the past sales that some paths are made of."""

    kind: str
    rate: np.ndarray
    spread: Spread
    units: np.ndarray


def generator(seed: int, item: str, purpose: str = "paths") -> np.random.Generator:
    """Random numbers of an item: they depend on its id and the seed, not on where it is in the catalog."""
    key = hashlib.blake2b(f"{seed}\0{purpose}\0{item}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))


def forecast_item(units: np.ndarray, horizon: int) -> ItemForecast:
    """Forecast one item.

    Args:
        units: Its sales by day, `[days]`; the horizon begins the day after the last.
        horizon: Days to forecast.

    Raises:
        InputError: If statsforecast is not installed.
    """
    past = look_back(units)
    kind = demand_class(units)
    return ItemForecast(kind, rates(past, kind, horizon), find_spread(past, horizon), units)


def _model_paths(found: ItemForecast, paths: int, rng: np.random.Generator) -> np.ndarray:
    """Poisson draws around a rate that is scaled by a factor of the path and one of each day (both gamma)."""
    level, day = found.spread.level, found.spread.day
    mean = found.rate * rng.gamma(1 / level, level, (paths, 1))
    if day > 1e-6:
        mean = mean * rng.gamma(1 / day, day, (paths, found.rate.size))
    return rng.poisson(mean)


def block_paths(
    units: np.ndarray, horizon: int, paths: int, rng: np.random.Generator, block: int = LONG_BLOCK
) -> np.ndarray:
    """Paths pieced together of blocks of the past that begin on the weekday they stand for (Kunsch 1989).

    Args:
        units: Sales by day, `[days]`, at least one.
        horizon: Days of a path.
        paths: How many.
        rng: Random numbers.
        block: Days of a block, whole weeks; fewer where the past is shorter.

    Returns:
        Sales, `[paths, horizon]`.
    """
    days = units.size
    length = min(block, days // 7 * 7) or days
    choices = (days - length) // 7 + 1
    count = -(-horizon // length)
    start = days - length - 7 * rng.integers(0, choices, (paths, count))
    at = start[:, :, None] + np.arange(length)
    return units[at].reshape(paths, -1)[:, :horizon]


def draw(found: ItemForecast, paths: int, rng: np.random.Generator) -> np.ndarray:
    """Sample paths of a forecast, `[paths, horizon]`, whole units."""
    drawn = _model_paths(found, paths, rng)
    from_blocks = np.isin(np.arange(paths) % _GROUP, _FROM_BLOCKS)
    blocks = block_paths(found.units, found.rate.size, int(from_blocks.sum()), rng)
    drawn[from_blocks] = np.rint(blocks).astype(drawn.dtype)
    return drawn


def sample_paths(units: np.ndarray, item: str, horizon: int, paths: int = 200, seed: int = 0) -> np.ndarray:
    """Sample paths of the demand of one item.

    Args:
        units: Its sales by day, `[days]`, from its first day to the day before the horizon.
        item: Its id, which with the seed keys the random numbers.
        horizon: Days to forecast.
        paths: How many.
        seed: Master seed.

    Returns:
        Whole units, `[paths, horizon]`.

    Raises:
        InputError: If statsforecast is not installed.
    """
    return draw(forecast_item(units, horizon), paths, generator(seed, item))
