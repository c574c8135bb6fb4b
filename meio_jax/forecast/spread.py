"""How much demand may differ from its rate: from period to period, and over the whole horizon."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from meio_jax.forecast.origins import Origins
from meio_jax.forecast.panel import Panel

_RECENT_YEARS = 1
_PRIOR_PERIODS = 10.0
_PRIOR_SPREAD = 0.5
_PERIOD_RANGE = (0.01, 20.0)
_LEVEL_ORIGINS = 6.0
_LEVEL_RANGE = (0.002, 2.0)
_SHARED_RANGE = (0.003, 1.0)
USUAL_LEVEL_SPREAD = 0.15


@dataclass(frozen=True)
class Spread:
    """Squared coefficients of variation beyond Poisson noise.

    `level` is that of a factor that scales the whole horizon (the rate is not known, and it moves), `period` that of
    a factor of each period.
    """

    level: Float[np.ndarray, " items"]
    period: Float[np.ndarray, " items"]


def one_ahead(
    panel: Panel, expected: Float[np.ndarray, "items past"], whole: Bool[np.ndarray, " items"]
) -> Float[np.ndarray, " items"]:
    """Variance around what was expected a period ahead, beyond Poisson noise, over its square."""
    recent = slice(-_RECENT_YEARS * panel.calendar.year, None)
    known = panel.known[:, recent]
    mean = np.where(known, expected[:, recent], 0.0)
    noise = np.where(whole[:, None], mean, 0.0)
    excess = np.where(known, (panel.units[:, recent] - mean) ** 2 - noise, 0.0).sum(1)
    usual = np.maximum(mean.sum(1) / np.maximum(known.sum(1), 1), 0.05) ** 2
    found = (excess + _PRIOR_PERIODS * _PRIOR_SPREAD * usual) / ((mean**2).sum(1) + _PRIOR_PERIODS * usual)
    return np.clip(found, *_PERIOD_RANGE)


def _missed(
    origins: Origins, foretold: np.ndarray, both: np.ndarray, whole: np.ndarray
) -> tuple[Float[np.ndarray, " items"], Float[np.ndarray, " items"]]:
    """Squared misses of rolling forecasts beyond what periods explain, and the square of what was foretold."""
    seen = np.maximum(origins.usable.sum(1), 1)
    noise = np.where(whole[:, None], foretold, 0.0) + both[:, None] * foretold**2 / origins.span
    missed = np.where(origins.usable, (origins.sold - foretold) ** 2 - noise, 0.0).sum(1) / seen
    size = np.where(origins.usable, foretold**2, 0.0).sum(1) / seen
    return missed, np.maximum(size, 1e-6)


def shared_level_spread(
    origins: Origins, foretold: Float[np.ndarray, "items origins"], both: np.ndarray, whole: np.ndarray
) -> float:
    """Level spread of a usual item of the catalog: what items with few origins of their own are taken for."""
    missed, size = _missed(origins, foretold, both, whole)
    weight = origins.count / (1 + size)
    total = float((weight * size).sum())
    found = float((weight * missed).sum()) / total if total > 0 else USUAL_LEVEL_SPREAD
    return float(np.clip(found, *_SHARED_RANGE))


def find_spread(
    origins: Origins,
    foretold: Float[np.ndarray, "items origins"],
    both: Float[np.ndarray, " items"],
    whole: Bool[np.ndarray, " items"],
    shared: float,
) -> Spread:
    """Spread of every item around its rate.

    Args:
        origins: Rolling forecasts.
        foretold: Units that they foretold, spells without sales counted.
        both: `one_ahead`: level and period together.
        whole: Items that are sold in whole units.
        shared: `shared_level_spread` of the catalog.
    """
    missed, size = _missed(origins, foretold, both, whole)
    level = (origins.count * missed + _LEVEL_ORIGINS * shared * size) / ((origins.count + _LEVEL_ORIGINS) * size)
    level = np.clip(level, *_LEVEL_RANGE)
    return Spread(level, np.maximum((both - level) / (1 + level), _PERIOD_RANGE[0]))
