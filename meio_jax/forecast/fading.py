"""Items that stop: what items of the catalog sold after a spell without sales, by the length of the spell.

A spell is measured by the units that were to be expected while it lasted: ten days without a sale mean nothing for an
item that sells once a month, and the end of one that sold eight a day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from meio_jax.forecast.origins import Origins
from meio_jax.forecast.panel import Panel
from meio_jax.forecast.season import DISPERSION

SPELLS = np.asarray([0.7, 1.5, 2.5, 4.0, 6.0, 9.0, 14.0, 25.0, 60.0])
"""Bounds of the classes of spells, in expected units."""

_USUAL = np.asarray([1.0, 1.0, 1.0, 0.97, 0.95, 0.9, 0.8, 0.6, 0.3, 0.05])
"""Share of demand that is left after such a spell, where the catalog says nothing."""
_USUAL_UNITS = 20.0
_DRIFT_ORIGINS = 4.0
_RECENT_YEARS = 1.5


@dataclass(frozen=True)
class Fading:
    """Share of the foretold demand that came, by class of spell (`left`), and in all (`drift`).

    `drift` is what levels miss because the whole catalog grows or shrinks, shrunk to 1 as far as origins disagree.
    """

    drift: float
    left: Float[np.ndarray, " spells"]


USUAL = Fading(1.0, _USUAL)


def spells(
    panel: Panel, exposure: Float[np.ndarray, "items past"], level: Float[np.ndarray, "past items"]
) -> Float[np.ndarray, "items moments"]:
    """Units that were to be expected since the last sale, at the start of every period and after the last.

    The level is that of the last sale: it falls while nothing is sold.
    """
    sold, weight = panel.sold.T, np.where(panel.known, exposure, 0.0).T
    found = np.zeros((len(sold) + 1, len(panel.names)))
    then = level[0] if len(level) else np.zeros(len(panel.names))
    for period, units in enumerate(sold):
        then = np.where(found[period] == 0, level[period], then)
        found[period + 1] = np.where(units > 0, 0.0, found[period] + weight[period] * then)
    return found.T


def find_fading(
    panel: Panel, origins: Origins, foretold: Float[np.ndarray, "items origins"], spell: np.ndarray
) -> Fading:
    """What rolling forecasts of the past say.

    Args:
        panel: Past sales.
        origins: Rolling forecasts.
        foretold: Units that the weighted levels foretold.
        spell: `spells` of the panel.
    """
    if not origins.usable.any():
        return USUAL
    weight = origins.usable / (1 + DISPERSION * foretold.mean(1, keepdims=True) / origins.span)
    sold, expected = weight * origins.sold, weight * foretold
    age = (panel.calendar.past - origins.at) / panel.calendar.year
    recent = 0.5 ** (age / _RECENT_YEARS) * (expected.sum(0) > 1)
    if recent.sum() == 0:
        return USUAL
    ratio = sold.sum(0) / np.maximum(expected.sum(0), 1e-9)
    share = recent / recent.sum()
    mean = float((share * ratio).sum())
    count = max(0.5 / float((share**2).sum()), 1.0)
    noise = (float((share * (ratio - mean) ** 2).sum()) + 0.05**2) / count
    keep = count / (count + _DRIFT_ORIGINS) * max(0.0, 1 - noise / max((mean - 1) ** 2, 1e-9))
    which = np.digitize(spell[:, origins.at], SPELLS)
    tables = [np.bincount(which.ravel(), (one * recent).ravel(), _USUAL.size) for one in (sold, expected)]
    left = (tables[0] / max(mean, 0.1) + _USUAL_UNITS * _USUAL) / (tables[1] + _USUAL_UNITS)
    return Fading(1 + (mean - 1) * keep, np.minimum(np.minimum.accumulate(left), 1.0))


def share_left(fading: Fading, spell: np.ndarray) -> np.ndarray:
    """Share of demand that is left after a spell."""
    return fading.left[np.digitize(spell, SPELLS)]
