"""How much demand may differ from its rate: from day to day, and over the whole horizon."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SMOOTHING = 0.05
"""Weight of the newest day in the level of the past."""

_FIRST_DAYS = 28
_RECENT = 182
_WEEKS = 16
_WEEKDAY_PRIOR = 30.0
"""Units at which a weekday's own sales count as much as a flat week."""

_ORIGINS = 8
_ORIGIN_DAYS = 28
_EARLIEST_ORIGIN = 84
_LEVEL_PRIOR, _LEVEL_PRIOR_ORIGINS = 0.1, 4.0
_LEVEL_RANGE = (0.01, 1.5)
_MOST_DISPERSION = 20.0


@dataclass(frozen=True)
class Past:
    """An item's sales seen one day ahead.

    `level [days]` is the smoothed mean before each day and `last_level` that after the last; `week [7]` are factors
    of the seven days that follow the last one, with mean 1.
    """

    units: np.ndarray
    level: np.ndarray
    last_level: float
    week: np.ndarray

    @property
    def expected(self) -> np.ndarray:
        """What was to be expected of every day, the day before."""
        return self.level * self.weekdays

    @property
    def weekdays(self) -> np.ndarray:
        """Factor of the weekday of every day of the past."""
        back = np.arange(self.units.size) - self.units.size
        return self.week[back % 7]


def look_back(units: np.ndarray) -> Past:
    """Smooth the sales of one item, `[days]`, and find its week."""
    level, now = np.empty(units.size), float(units[:_FIRST_DAYS].mean()) if units.size else 0.0
    for day, sold in enumerate(units.tolist()):
        level[day] = now
        now += SMOOTHING * (sold - now)
    return Past(units, level, now, _week(units, level))


def _week(units: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Factors of the coming seven days: sales against the level over the last weeks, shrunk to 1 where few are sold."""
    factors = np.ones(7)
    weeks = min(units.size // 7, _WEEKS)
    if weeks:
        recent = slice(units.size - 7 * weeks, None)
        sold, usual = (table[recent].reshape(weeks, 7).sum(0) for table in (units, level))
        factors = (sold + _WEEKDAY_PRIOR) / (usual + _WEEKDAY_PRIOR)
    return factors / factors.mean()


@dataclass(frozen=True)
class Spread:
    """Squared coefficients of variation beyond Poisson noise.

    `level` is that of a factor that scales the whole horizon (the rate is not known, and it moves), `day` that of
    a factor of each day.
    """

    level: float
    day: float


def find_spread(past: Past, horizon: int) -> Spread:
    """Spread of an item around its rate, from its own past.

    One day ahead, the excess of the squared errors over Poisson noise gives the two factors together. Over a horizon,
    errors of the level do not cancel: what rolling forecasts of the past missed, beyond what days explain, is the
    factor of the level. It is shrunk to a usual value, since the past holds few horizons.
    """
    expected, units = past.expected[-_RECENT:], past.units[-_RECENT:]
    size = float(np.sum(expected**2))
    both = float(np.sum((units - expected) ** 2 - expected)) / size if size > 0 else 0.0
    both = float(np.clip(both, 0.0, _MOST_DISPERSION))
    span = min(_ORIGIN_DAYS, horizon)
    origins = [past.units.size - span * back for back in range(1, _ORIGINS + 1)]
    seen = np.asarray([at for at in origins if at >= _EARLIEST_ORIGIN], int)
    level = _LEVEL_PRIOR
    if seen.size:
        foretold = past.level[seen] * span
        sold = np.asarray([past.units[at : at + span].sum() for at in seen])
        size = float(np.mean(foretold**2))
        missed = float(np.sum((sold - foretold) ** 2 - foretold - both * foretold**2 / span))
        weight = (seen.size + _LEVEL_PRIOR_ORIGINS) * size
        level = (missed + _LEVEL_PRIOR_ORIGINS * _LEVEL_PRIOR * size) / weight if size > 0 else _LEVEL_PRIOR
    level = float(np.clip(level, *_LEVEL_RANGE))
    return Spread(level, max((both - level) / (1 + level), 0.0))
