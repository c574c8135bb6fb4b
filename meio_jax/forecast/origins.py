"""Rolling forecasts of the past: what each level would have foretold from several days on, and what was sold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from meio_jax.forecast.level import FIRST_PERIODS, Levels
from meio_jax.forecast.panel import Panel
from meio_jax.tables.periods import PeriodLength

SPAN: dict[PeriodLength, int] = {"day": 28, "week": 8, "month": 6}
"""Longest time over which rolling forecasts are added up."""

_LOSS_FLOOR = 1e-2
_CATALOG_ORIGINS = 4.0
"""Origins that the catalog's losses count for when an item's levels are weighed."""


@dataclass(frozen=True)
class Origins:
    """Rolling forecasts over `span` periods from each of several origins.

    Attributes:
        at: Origins: the first period foretold.
        span: Periods that are added up.
        foretold: By half-life of the level.
        sold: What was sold.
        usable: Where enough was known before, and something after.
        count: Origins of every item that count as independent (they overlap).
    """

    at: Int[np.ndarray, " origins"]
    span: int
    foretold: Float[np.ndarray, "lives items origins"]
    sold: Float[np.ndarray, "items origins"]
    usable: Bool[np.ndarray, "items origins"]
    count: Float[np.ndarray, " items"]


def look_back(panel: Panel, exposure: Float[np.ndarray, "items past"], levels: Levels) -> Origins:
    """Rolling forecasts of a panel by its levels."""
    calendar = panel.calendar
    span = max(min(calendar.horizon, SPAN[calendar.length], calendar.past // 2), 1)
    step, first = max(span // 2, 1), FIRST_PERIODS[calendar.length]
    at = np.arange(calendar.past - span, max(calendar.past // 4, first // 2, 1) - 1, -step)
    weight = np.where(panel.known, exposure, 0.0)
    sums = [
        np.concatenate([np.zeros((len(one), 1)), np.cumsum(one, axis=1)], axis=1)
        for one in (panel.sold, weight, panel.known)
    ]
    sold, expected, _ = (one[:, at + span] - one[:, at] for one in sums)
    usable = (sums[2][:, at] >= first) & (expected > 0)
    foretold = np.moveaxis(levels.before[at], 0, 2) * expected
    return Origins(at, span, foretold, sold, usable, usable.sum(1) * step / span)


def losses(origins: Origins) -> Float[np.ndarray, "lives items"]:
    """Mean squared error of every level, over what the item's counts vary by themselves."""
    usable = origins.usable
    seen = np.maximum(usable.sum(1), 1)
    scale = np.maximum(np.where(usable, origins.sold, 0.0).sum(1) / seen, 0.3)[:, None]
    error = np.where(usable, origins.sold - origins.foretold, 0.0) ** 2
    return (error / (scale + 0.3 * scale**2)).sum(2) / seen


def catalog_loss(origins: Origins) -> Float[np.ndarray, " lives"]:
    """Geometric mean of the items' losses, over that of the best level."""
    lives = len(origins.foretold)
    told = origins.count > 2
    if not told.any():
        return np.ones(lives)
    mean = np.exp(np.log(losses(origins)[:, told] + _LOSS_FLOOR).mean(1))
    return mean / mean.min()


def weights(origins: Origins, catalog: Float[np.ndarray, " lives"]) -> Float[np.ndarray, "lives items"]:
    """Weight of every level: the posterior of normal errors whose variance is not known, catalog as prior."""
    log_loss = np.log(losses(origins) + _LOSS_FLOOR)
    score = -0.5 * (origins.count * log_loss + _CATALOG_ORIGINS * np.log(catalog)[:, None])
    weight = np.exp(score - score.max(0))
    return weight / weight.sum(0)
