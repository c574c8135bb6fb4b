"""Laws of demand as forecasts of the planner."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats

from truth_families.network import START

_SPREADS = 5.0
LAWS = "normal, normal_clipped, exponential, gamma, poisson, geometric, negative_binomial or fixed"


@dataclass(frozen=True)
class Law:
    """Demand of a period in the planner's form `mean`; `shift` was added to what the textbook means.

    A textbook's normal demand may be negative, the planner's may not. Where all unmet demand is filled later, or the
    season ends after one period, a constant added to demand moves every level by that constant and no cost: so the
    whole bell is moved above zero.
    """

    mean: float
    dispersion: float
    name: str
    shift: float = 0.0

    def quantiles(self, probability: np.ndarray) -> np.ndarray:
        """The inverse of the distribution function, never below zero."""
        if self.name == "fixed":
            return np.full(probability.shape, self.mean)
        if self.name == "normal":
            return np.maximum(stats.norm.ppf(probability, self.mean, self.mean * self.dispersion**0.5), 0.0)
        if self.name == "gamma":
            return stats.gamma.ppf(probability, 1 / self.dispersion, scale=self.mean * self.dispersion)
        if self.dispersion == 0:
            return stats.poisson.ppf(probability, self.mean)
        return stats.nbinom.ppf(probability, 1 / self.dispersion, 1 / (1 + self.mean * self.dispersion))


def law(name: str, mean: float, sd: float | None = None) -> Law:
    """A law by its name in the truth tables; `mean` and `sd` are those of one period.

    Raises:
        ValueError: If the law is not known or its numbers are not possible.
    """
    if not mean > 0 or (sd is not None and sd < 0):
        raise ValueError(f"demand {name} with mean {mean} and sd {sd}: expected a mean > 0 and an sd >= 0")
    if name in ("normal", "normal_clipped", "gamma", "negative_binomial") and sd is None:
        raise ValueError(f"demand {name}: expected a standard deviation beside the mean")
    squared = 0.0 if sd is None else (sd / mean) ** 2
    if name == "normal":
        shift = max(0.0, _SPREADS * sd - mean)
        return Law(mean + shift, (sd / (mean + shift)) ** 2, "normal", shift)
    if name == "negative_binomial" and sd**2 < mean:
        raise ValueError(f"demand {name} with mean {mean} and sd {sd}: expected a variance of at least the mean")
    known = {
        "normal_clipped": Law(mean, squared, "normal"),
        "exponential": Law(mean, 1.0, "gamma"),
        "gamma": Law(mean, squared, "gamma"),
        "poisson": Law(mean, 0.0, "negative_binomial"),
        "geometric": Law(mean, 1.0, "negative_binomial"),
        "negative_binomial": Law(mean, squared - 1 / mean, "negative_binomial"),
        "fixed": Law(mean, 0.0, "fixed"),
    }
    if name not in known:
        raise ValueError(f"demand {name!r}: expected {LAWS}")
    return known[name]


def mean_forecast(laws: dict[str, Law], periods: int, first: int = 0) -> pl.DataFrame:
    """Forecast of every item: no demand before period `first`, then its law."""
    period = pl.int_range(periods, eager=True).alias("period")
    return pl.concat(
        pl.DataFrame(
            {
                "item_id": item,
                "period": period,
                "mean": (period >= first).cast(pl.Float64) * one.mean,
                "dispersion": one.dispersion,
                "law": one.name,
            }
        )
        for item, one in laws.items()
    )


def season_paths(laws: dict[str, Law], grid: int) -> pl.DataFrame:
    """Sample paths of one season in period 1: `grid` evenly spread quantiles, in random order.

    The planner optimises on the even paths of an item and judges on the odd ones; both see every quantile twice, so
    that a search which takes `grid` paths a step sees the whole law in every step. Evenly spread quantiles stand for
    the law far better than as many random draws, so that prices can be compared to a fraction of a percent.
    """
    probability = (np.arange(grid) + 0.5) / grid
    path = np.arange(4 * grid)
    frames = []
    for number, (item, one) in enumerate(laws.items()):
        rng, values = np.random.default_rng(number), one.quantiles(probability)
        season = np.empty(4 * grid)
        season[0::2], season[1::2] = (np.concatenate([rng.permutation(values) for _ in range(2)]) for _ in range(2))
        for period, units in enumerate((np.zeros(4 * grid), season)):
            frames.append(pl.DataFrame({"item_id": item, "path": path, "period": period, "units": units}))
    return pl.concat(frames)


def equally_likely(items: list[str], values: list[float]) -> pl.DataFrame:
    """Past sales in which every value comes up once: drawn day by day, a law that the form `mean` does not have."""
    days = [START - datetime.timedelta(days=back + 1) for back in range(len(values))]
    return pl.concat(pl.DataFrame({"item_id": item, "ds": days, "units": values}) for item in items)
