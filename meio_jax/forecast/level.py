"""Levels of demand: discounted sums of sales over discounted sums of what the calendar lets one expect.

With exposure 1 this is exponential smoothing; with a season it is the mean of the power steady model (Smith 1979;
Harvey and Fernandes 1989), whose conjugate law of the level is a gamma law. Periods that are not known change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from meio_jax.tables.periods import PeriodLength

HALF_LIVES: dict[PeriodLength, tuple[float, ...]] = {
    "day": (7.0, 28.0, 84.0, 300.0),
    "week": (3.0, 10.0, 30.0, 90.0),
    "month": (2.0, 4.0, 8.0, 16.0, 36.0),
}
"""Periods after which a sale counts half, one level each."""

FIRST_PERIODS: dict[PeriodLength, int] = {"day": 28, "week": 8, "month": 4}
"""Periods whose mean is what a level begins with."""


@dataclass(frozen=True)
class Levels:
    """Levels by half-life: `before` each period of the past, and the `last` one."""

    before: Float[np.ndarray, "past lives items"]
    last: Float[np.ndarray, "lives items"]


def smooth(
    units: Float[np.ndarray, "items past"],
    exposure: Float[np.ndarray, "items past"],
    known: Bool[np.ndarray, "items past"],
    half_lives: tuple[float, ...],
    first_periods: int,
) -> Levels:
    """Levels of some items.

    Args:
        units: Sales.
        exposure: Factor of the calendar and of events: what to expect of a period is level x exposure.
        known: Periods that count.
        half_lives: In periods.
        first_periods: Known periods whose mean the level begins with, counted as half as many.
    """
    keep = 0.5 ** (1 / np.asarray(half_lives))[:, None]
    sold, weight = np.where(known, units, 0.0).T, np.where(known, exposure, 0.0).T
    start = _first_mean(sold, weight, known.T, first_periods)
    below = np.full((len(half_lives), units.shape[0]), first_periods / 2)
    above = start * below
    before = np.empty((units.shape[1], *below.shape))
    for period, counts in enumerate(known.T):
        before[period] = above / below
        above = np.where(counts, keep * above + sold[period], above)
        below = np.where(counts, keep * below + weight[period], below)
    return Levels(before, above / below)


def _first_mean(sold: np.ndarray, weight: np.ndarray, known: np.ndarray, periods: int) -> Float[np.ndarray, " items"]:
    """Mean of the first known periods of every item, per unit of exposure."""
    early = known & (np.cumsum(known, axis=0) <= periods)
    total = np.where(early, weight, 0.0).sum(0)
    return np.where(early, sold, 0.0).sum(0) / np.where(total > 0, total, 1.0)


def around(
    units: Float[np.ndarray, "items past"], exposure: Float[np.ndarray, "items past"], half_width: int
) -> Float[np.ndarray, "items past"]:
    """Level of the periods around each: sales over exposure from `half_width` before to `half_width` after."""
    past = units.shape[1]
    low = np.maximum(np.arange(past) - half_width, 0)
    high = np.minimum(np.arange(past) + half_width + 1, past)
    sums = [np.concatenate([np.zeros((len(one), 1)), np.cumsum(one, axis=1)], axis=1) for one in (units, exposure)]
    above, below = (one[:, high] - one[:, low] for one in sums)
    return above / np.where(below > 0, below, 1.0)
