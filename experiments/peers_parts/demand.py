"""Demand of the suite: Poisson with a trend, a season and a shock on its mean, or a recorded series without noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PERIODS = 30
_MEAN, _SLOPE, _SWING, _CYCLE, _SHOCK_AT, _SHOCK = 20.0, 0.05, 0.5, 30, 15, 2.0
_GROWTH, _DECAY, _MOST, _LEAST = 1.01, 0.90, 2.0, 0.2
# Daily sales of a volatile item of the M5 competition, units, as the suite picked them; it scales them to a mean of 20.
_RECORDED = np.array(
    [2, 3, 4, 0, 0, 1, 0, 2, 1, 1, 5, 3, 1, 0, 0, 2, 7, 2, 2, 13, 8, 11, 50, 60, 54, 51, 39, 50, 48, 61], float
)


@dataclass(frozen=True)
class Demand:
    """What moves the mean; `recorded`: the series instead, which is certain."""

    trend: bool = False
    season: bool = False
    shock: bool = False
    recorded: bool = False

    def means(self) -> np.ndarray:
        """Mean of every period, before goodwill."""
        if self.recorded:
            return _MEAN * _RECORDED / _RECORDED.mean()
        period = np.arange(PERIODS)
        mean = np.full(PERIODS, _MEAN)
        if self.trend:
            mean = mean * (1 + _SLOPE * period)
        if self.season:
            mean = mean * (1 + _SWING * np.sin(2 * np.pi / _CYCLE * period))
        if self.shock:
            mean = np.where(period >= _SHOCK_AT, mean * _SHOCK, mean)
        return mean

    def drawn(self, mean: float, generator: np.random.Generator) -> float:
        """Units asked for in a period."""
        return mean if self.recorded else float(generator.poisson(mean))


DEMANDS = {
    "stationary": Demand(),
    "trend+seasonal": Demand(trend=True, season=True),
    "trend+seasonal+shock": Demand(trend=True, season=True, shock=True),
    "recorded": Demand(recorded=True),
}


def goodwill_after(goodwill: float, missing: float) -> float:
    """Factor on demand after a period that missed so many units: it grows by 1 % or falls by a tenth."""
    return max(_LEAST, goodwill * _DECAY) if missing > 0 else min(_MOST, goodwill * _GROWTH)
