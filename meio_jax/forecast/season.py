"""The year in the sales of a catalog: factors by part of the year, laid on the calendar of the horizon.

What all items do in the same weeks is told apart from noise by years that agree; what one item does beyond that is
shrunk to it, as much as items of this catalog repeat themselves from year to year (empirical Bayes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from meio_jax.forecast.level import around
from meio_jax.forecast.panel import Panel

DISPERSION = 0.7
"""Usual variance of a period's sales beyond Poisson noise, over their squared mean; weights items."""

_LEAST_YEARS = 0.75
_ROUNDS = 8
_ONE_YEAR = 0.6
"""Share of a peak seen in one year only that is expected again."""
_SHORT_VARIANCE = 0.02
_MOST_VARIANCE = 0.5
_MEDIAN_OF_SQUARES = 0.455
"""Median of the square of a standard normal variable."""
_CAUTION = 1.4
"""Parts of the year are many, so that the largest deviation among them is mostly chance."""
_WEEKS_AROUND = np.asarray([0.25, 0.5, 1.0, 0.5, 0.25])


@dataclass(frozen=True)
class Season:
    """Factors of the parts of the year, mean 1, and how much items differ from them.

    `variance` is that of an item's own factors around the shared ones; `years` is how much history they come from.
    """

    shared: Float[np.ndarray, " phases"]
    variance: float
    years: float


def flat(phases: int) -> Season:
    """No season: what is assumed where less than nine months are known."""
    return Season(np.ones(phases), 0.0, 0.0)


def find_season(panel: Panel, exposure: Float[np.ndarray, "items past"]) -> Season:
    """Season of the items of a panel, given other known factors (`exposure`; ones where there are none)."""
    calendar = panel.calendar
    years = _known_years(panel)
    if years < _LEAST_YEARS:
        return flat(calendar.phases)
    phase = calendar.past_phases()
    back = _years_back(panel)
    shared = np.ones(calendar.phases)
    for _ in range(_ROUNDS):
        expected = np.where(panel.known, exposure * shared[phase], 0.0)
        level = around(panel.sold, expected, calendar.year // 4)
        weight = np.where(panel.known, 1 / (1 + DISPERSION * level), 0.0)
        table = np.zeros((2, back.max() + 1, calendar.phases))
        np.add.at(table[0], (back, phase), (weight * panel.sold).sum(0))
        np.add.at(table[1], (back, phase), (weight * level * exposure).sum(0))
        shared = _shrunk(*table)
    return Season(shared, _own_variance(panel, exposure, shared, phase, back), years)


def _years_back(panel: Panel) -> Int[np.ndarray, " past"]:
    """Years, counted back from the horizon, of every period: 0 for the last one."""
    return (panel.calendar.past - 1 - np.arange(panel.calendar.past)) // panel.calendar.year


def _known_years(panel: Panel) -> float:
    """Length of the history of the item with the longest one, in years."""
    started = np.flatnonzero(panel.known.any(0))
    return (panel.calendar.past - started[0]) / panel.calendar.year if started.size else 0.0


def _shrunk(sold: Float[np.ndarray, "years phases"], usual: Float[np.ndarray, "years phases"]) -> np.ndarray:
    """Factors of the parts of the year, each shrunk to 1 as far as years disagree (positive-part James and Stein)."""
    have = usual > 0
    ratio = np.where(have, sold / np.where(have, usual, 1.0), 0.0)
    seen = have.sum(0)
    total = usual.sum(0)
    mean = np.where(total > 0, sold.sum(0) / np.where(total > 0, total, 1.0), 1.0)
    apart = np.where(have, ratio - mean, 0.0)
    freedom = int(np.maximum(seen - 1, 0).sum())
    if 4 * freedom > mean.size:
        noise = float((apart**2).sum()) / freedom
    else:
        noise = float(np.median(np.diff(mean) ** 2)) / (2 * _MEDIAN_OF_SQUARES) + 1e-4
    signal = np.maximum((mean - 1) ** 2, 1e-12)
    keep = np.clip(1 - _CAUTION * noise / np.maximum(seen, 1) / signal, 0.0, 1.0)
    factor = 1 + np.where(seen >= 2, keep, _ONE_YEAR * keep) * (mean - 1)
    known = seen > 0
    return np.where(known, factor / factor[known].mean(), 1.0) if known.any() else np.ones(mean.size)


def _spread_out(table: np.ndarray) -> np.ndarray:
    """Weeks take part of their neighbours: items differ by seasons, not by single weeks. Months stay as they are."""
    if table.shape[-1] != 52:
        return table
    reach = _WEEKS_AROUND.size // 2
    return sum((w * np.roll(table, at - reach, -1) for at, w in enumerate(_WEEKS_AROUND)), np.zeros(table.shape))


def _own_variance(
    panel: Panel, exposure: np.ndarray, shared: np.ndarray, phase: Int[np.ndarray, " past"], back: np.ndarray
) -> float:
    """Variance of items' own factors: what their deviations in one year say about those in another."""
    # A level of the year around hides no wave of a year.
    if back.max() < 1:
        return _SHORT_VARIANCE
    expected = np.where(panel.known, exposure * shared[phase], 0.0)
    usual = expected * around(panel.sold, expected, panel.calendar.year // 2)
    table = np.zeros((2, back.max() + 1, panel.calendar.phases, len(panel.names)))
    np.add.at(table[0], (back, phase), panel.sold.T)
    np.add.at(table[1], (back, phase), usual.T)
    sold, usual = _spread_out(table.swapaxes(2, 3))
    above = below = 0.0
    for one in range(len(sold) - 1):
        for other in range(one + 1, len(sold)):
            weight = 1 / ((1 + DISPERSION * usual[one]) * (1 + DISPERSION * usual[other]))
            above += float((weight * (sold[one] - usual[one]) * (sold[other] - usual[other])).sum())
            below += float((weight * usual[one] * usual[other]).sum())
    return float(np.clip(above / below, 0.0, _MOST_VARIANCE)) if below > 0 else _SHORT_VARIANCE


def own_season(
    panel: Panel, season: Season, exposure: Float[np.ndarray, "items past"]
) -> Float[np.ndarray, "items phases"]:
    """Factors of every item: the shared ones times its own, shrunk to 1; mean 1."""
    calendar = panel.calendar
    if season.years == 0 or season.variance == 0:
        return np.broadcast_to(season.shared, (len(panel.names), calendar.phases))
    phase = calendar.past_phases()
    expected = np.where(panel.known, exposure * season.shared[phase], 0.0)
    table = np.zeros((2, calendar.phases, len(panel.names)))
    np.add.at(table[0], phase, panel.sold.T)
    np.add.at(table[1], phase, (expected * around(panel.sold, expected, panel.calendar.year // 2)).T)
    sold, usual = _spread_out(table.swapaxes(1, 2))
    # Days of one week go up and down together, so noise does not average out within a week.
    weeks = max(calendar.past / calendar.year, 1.0) * (_WEEKS_AROUND.sum() if calendar.phases == 52 else 1.0)
    told = season.variance * usual / (1 + DISPERSION * usual / weeks)
    ratio = np.where(usual > 0, sold / np.where(usual > 0, usual, 1.0), 1.0)
    factor = season.shared * (1 + told / (1 + told) * (ratio - 1))
    return factor / factor.mean(1, keepdims=True)
