"""Effects of weekdays, events and prices: shared by the catalog, and an item's own where it sells enough to tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from meio_jax.forecast.panel import Panel
from meio_jax.forecast.season import DISPERSION

_WEEKS = 16
_WEEKDAY_PRIOR = 30.0
"""Units at which an item's own weekday counts as much as the catalog's."""
_EVENT_PRIOR = 20.0
_EVENT_CATALOG_PRIOR = 5.0
"""Units, discounted by dispersion, at which what the catalog did at an event counts as much as no effect."""
_PRICE_PRIOR_SD = 1.5
_PRICE_STEPS = 20
_PRICE_RANGE = (-6.0, 1.0)


@dataclass(frozen=True)
class Effects:
    """What the catalog says: factors of the weekdays (mean 1), of events by name, and the elasticity of price."""

    week: Float[np.ndarray, " cycle"]
    events: dict[str, float]
    elasticity: float


def none(cycle: int) -> Effects:
    """No effects."""
    return Effects(np.ones(cycle), {}, 0.0)


def _week_sums(panel: Panel, usual: Float[np.ndarray, "items past"]) -> Float[np.ndarray, "2 items cycle"]:
    cycle = panel.calendar.cycle
    periods = min(panel.calendar.past // cycle, _WEEKS) * cycle
    tables = (panel.sold, np.where(panel.known, usual, 0.0))
    return np.stack([one[:, one.shape[1] - periods :].reshape(len(one), -1, cycle).sum(1) for one in tables])


def find_effects(panel: Panel, usual: Float[np.ndarray, "items past"]) -> Effects:
    """Effects that the items of a panel share.

    Args:
        panel: Past sales.
        usual: What to expect of every period without the effects.
    """
    weight = 1 / (1 + DISPERSION * np.where(panel.known, usual, 0.0).mean(1))
    week = np.ones(panel.calendar.cycle)
    if week.size > 1:
        sold, expected = (weight[:, None] * _week_sums(panel, usual)).sum(1)
        week = np.where(expected > 0, sold / np.where(expected > 0, expected, 1.0), 1.0)
        week = week / week.mean() if week.mean() > 0 else np.ones(week.size)
    base = np.where(panel.known, usual * week[panel.calendar.weekdays()[: panel.calendar.past]], 0.0)
    elasticity = _elasticity(panel, base)
    base = base * _price_factor(panel, elasticity)[:, : panel.calendar.past]
    return Effects(week, _events(panel, base), elasticity)


def _events(panel: Panel, base: Float[np.ndarray, "items past"]) -> dict[str, float]:
    """Sales over what was expected at each event, every period weighted by how much it can tell."""
    weight = np.where(panel.known, 1 / (1 + DISPERSION * base), 0.0)
    found = {}
    for name, where in panel.regressors.events.items():
        there = weight * where[:, : panel.calendar.past]
        sold, expected = float((there * panel.units).sum()), float((there * base).sum())
        found[name] = (sold + _EVENT_CATALOG_PRIOR) / (expected + _EVENT_CATALOG_PRIOR)
    return found


def _elasticity(panel: Panel, base: Float[np.ndarray, "items past"]) -> float:
    """Elasticity of price: Newton steps on the likelihood of over-dispersed counts, with a normal prior around 0."""
    price = panel.regressors.log_price
    if price is None:
        return 0.0
    move = np.where(panel.known, price[:, : panel.calendar.past], 0.0)
    slope = 0.0
    for _ in range(_PRICE_STEPS):
        mean = base * np.exp(np.clip(slope * move, -5, 5))
        weight = 1 / (1 + DISPERSION * mean)
        pull = float((weight * move * (panel.sold - mean)).sum()) - slope / _PRICE_PRIOR_SD**2
        step = pull / (float((weight * move**2 * mean).sum()) + 1 / _PRICE_PRIOR_SD**2)
        slope = float(np.clip(slope + np.clip(step, -1, 1), *_PRICE_RANGE))
    return slope


def _price_factor(panel: Panel, elasticity: float) -> Float[np.ndarray, "#items all"]:
    price = panel.regressors.log_price
    if price is None or elasticity == 0:
        return np.ones((1, panel.calendar.past + panel.calendar.horizon))
    return np.exp(np.clip(elasticity * price, -5, 5))


def shared_effects(panel: Panel, effects: Effects) -> Float[np.ndarray, "#items all"]:
    """Factor of every period by what the catalog says alone; a first axis of one where items do not differ."""
    factor = effects.week[panel.calendar.weekdays()] * _price_factor(panel, effects.elasticity)
    for name, where in panel.regressors.events.items():
        factor = factor * np.where(where, effects.events.get(name, 1.0), 1.0)
    return factor


def own_effects(
    panel: Panel, effects: Effects, usual: Float[np.ndarray, "items past"]
) -> Float[np.ndarray, "items all"]:
    """Factor of every item and period, past and horizon: weekday, price and events.

    Args:
        panel: Past sales.
        effects: What the catalog says.
        usual: What to expect of every period of the past without the effects.
    """
    past = panel.calendar.past
    sold, expected = _week_sums(panel, usual)
    week = (sold + _WEEKDAY_PRIOR * effects.week) / (expected + _WEEKDAY_PRIOR)
    week = week / week.mean(1, keepdims=True)
    factor = week[:, panel.calendar.weekdays()] * _price_factor(panel, effects.elasticity)
    for name, where in panel.regressors.events.items():
        shared = effects.events.get(name, 1.0)
        there = panel.known & where[:, :past]
        own = np.where(there, panel.units, 0.0).sum(1), np.where(there, usual * factor[:, :past], 0.0).sum(1)
        effect = (own[0] + _EVENT_PRIOR * shared) / (own[1] + _EVENT_PRIOR)
        factor = factor * np.where(where, effect[:, None], 1.0)
    return factor
