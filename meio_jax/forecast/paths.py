"""Sample paths: whole units (or fractions where an item is sold in fractions), never negative."""

from __future__ import annotations

import datetime
import hashlib

import numpy as np
from jaxtyping import Float

from meio_jax.forecast.model import Fitted, fit, learn
from meio_jax.forecast.panel import Calendar, make_panel
from meio_jax.tables.periods import PeriodLength

_MOST_RATIO = 20.0


def generator(seed: int, item: str, purpose: str = "paths") -> np.random.Generator:
    """Random numbers of an item: they depend on its id and the seed, not on where it is in the catalog."""
    key = hashlib.blake2b(f"{seed}\0{purpose}\0{item}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))


def draw(found: Fitted, item: int, paths: int, rng: np.random.Generator) -> Float[np.ndarray, "paths horizon"]:
    """Sample paths of one item of a forecast.

    A path has one gamma factor for its level and may be that of an item that sells no more. Whole units are negative
    binomial around it; fractions are the item's own past, each period over what was expected of it.

    Args:
        found: Forecast of some items.
        item: Which of them.
        paths: How many.
        rng: Random numbers.
    """
    level, alive = float(found.spread.level[item]), float(found.alive[item])
    factor = rng.gamma(1 / level, level, paths)
    if alive < 1:
        factor *= (rng.random(paths) < alive) / max(alive, 1e-9)
    mean = factor[:, None] * found.rate[item]
    if found.whole[item]:
        period = float(found.spread.period[item])
        return rng.poisson(mean * rng.gamma(1 / period, period, mean.shape)).astype(float)
    ratio = found.ratio[item][~np.isnan(found.ratio[item])]
    ratio = np.minimum(ratio, _MOST_RATIO)
    return mean * rng.choice(ratio / ratio.mean(), mean.shape)


def sample_paths(
    units: Float[np.ndarray, " past"],
    item: str,
    horizon: int,
    paths: int = 1000,
    seed: int = 0,
    *,
    start: datetime.date = datetime.date(2025, 1, 6),
    period: PeriodLength = "day",
) -> Float[np.ndarray, "paths horizon"]:
    """Sample paths of the demand of one item by itself.

    Args:
        units: Its sales, from its first period to the one before the horizon.
        item: Its id, which with the seed keys the random numbers.
        horizon: Periods to forecast.
        paths: How many.
        seed: Master seed.
        start: First day of the horizon.
        period: Length of a period.
    """
    past = np.asarray(units, float)[None]
    panel = make_panel([item], past, np.ones(past.shape, bool), Calendar(period, start, past.shape[1], horizon))
    return draw(fit(panel, learn(panel)), 0, paths, generator(seed, item))
