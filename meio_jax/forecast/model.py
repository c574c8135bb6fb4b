"""From past sales to the rate of every period of the horizon and the spread around it.

`learn` finds what the items of a catalog share (season, weekdays, effects, how levels fare, how items fade), from some
or all of them; `fit` forecasts any items given that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from meio_jax.forecast import effects as known_effects
from meio_jax.forecast.censored import fill_in
from meio_jax.forecast.classes import demand_class
from meio_jax.forecast.effects import Effects, find_effects, own_effects, shared_effects
from meio_jax.forecast.fading import Fading, find_fading, share_left, spells
from meio_jax.forecast.level import FIRST_PERIODS, HALF_LIVES, Levels, around, smooth
from meio_jax.forecast.origins import Origins, catalog_loss, look_back, weights
from meio_jax.forecast.panel import Panel
from meio_jax.forecast.season import Season, find_season, own_season
from meio_jax.forecast.spread import Spread, find_spread, one_ahead, shared_level_spread

_NEAR = {"day": 28, "week": 8, "month": 3}
_RATIO_FLOOR = 0.05
_ROUNDS = 4


@dataclass(frozen=True)
class Shared:
    """What the items of a catalog share."""

    season: Season
    effects: Effects
    loss: Float[np.ndarray, " lives"]
    fading: Fading
    level_spread: float


@dataclass(frozen=True)
class Fitted:
    """Forecast of some items.

    Attributes:
        names: Ids of the items.
        kind: Class of demand of every item.
        rate: Expected demand of every period of the horizon.
        alive: Probability that an item sells on at all after its last spell without sales.
        spread: Spread around the rate.
        whole: Items that are sold in whole units.
        ratio: Past sales over what was expected of them, NaN where nothing is known: for items sold in fractions.
    """

    names: list[str]
    kind: list[str]
    rate: Float[np.ndarray, "items horizon"]
    alive: Float[np.ndarray, " items"]
    spread: Spread
    whole: Bool[np.ndarray, " items"]
    ratio: Float[np.ndarray, "items past"]


def exposure(panel: Panel, season: Season, effects: Effects) -> Float[np.ndarray, "items all"]:
    """Factor of season, weekday, events and price of every item and period, past and horizon."""
    year = own_season(panel, season, np.ones(panel.units.shape))
    seasonal = year[:, _all_phases(panel)]
    return seasonal * own_effects(panel, effects, _usual(panel, seasonal, shared_effects(panel, effects)))


def _all_phases(panel: Panel) -> Int[np.ndarray, " all"]:
    return np.concatenate([panel.calendar.past_phases(), panel.calendar.horizon_phases()])


def _usual(
    panel: Panel, seasonal: Float[np.ndarray, "items all"], factor: Float[np.ndarray, "#items all"]
) -> Float[np.ndarray, "items past"]:
    """What to expect of every period of the past without effects, given its season and the periods around it."""
    past = np.where(panel.known, seasonal[:, : panel.calendar.past], 0.0)
    return past * around(panel.sold, past * factor[:, : panel.calendar.past], _NEAR[panel.calendar.length])


def _shared_calendar(panel: Panel) -> tuple[Season, Effects]:
    """Season and effects, each found given the other."""
    calendar = panel.calendar
    effects = known_effects.none(calendar.cycle)
    factor = np.ones((1, calendar.past + calendar.horizon))
    season = find_season(panel, np.ones(panel.units.shape))
    for _ in range(_ROUNDS if panel.regressors.events or panel.regressors.log_price is not None else 1):
        # Weekdays even out within the weeks of the season; events and prices do not.
        only = shared_effects(panel, Effects(np.ones(calendar.cycle), effects.events, effects.elasticity))
        past = np.broadcast_to(only[:, : calendar.past], panel.units.shape)
        season = find_season(panel, past)
        effects = find_effects(panel, _usual(panel, own_season(panel, season, past)[:, _all_phases(panel)], factor))
        factor = shared_effects(panel, effects)
    return season, effects


@dataclass(frozen=True)
class _Seen:
    """A panel with its levels and rolling forecasts."""

    panel: Panel
    exposure: Float[np.ndarray, "items all"]
    levels: Levels
    origins: Origins
    whole: Bool[np.ndarray, " items"]

    @property
    def past(self) -> Float[np.ndarray, "items past"]:
        """Exposure of the past."""
        return self.exposure[:, : self.panel.calendar.past]


def _see(panel: Panel, season: Season, effects: Effects) -> _Seen:
    """Levels of a panel; where items ran out, demand is filled in from levels without these periods."""
    length = panel.calendar.length
    whole = ((panel.units == np.round(panel.units)) | ~panel.known).all(1)
    factor = exposure(panel, season, effects)
    past = factor[:, : panel.calendar.past]
    levels = smooth(panel.units, past, panel.known, HALF_LIVES[length], FIRST_PERIODS[length])
    if (panel.least > 0).any():
        expected = levels.before.mean(1).T * past
        panel = fill_in(panel, expected, one_ahead(panel, expected, whole))
        levels = smooth(panel.units, past, panel.known, HALF_LIVES[length], FIRST_PERIODS[length])
    return _Seen(panel, factor, levels, look_back(panel, past, levels), whole)


def learn(panel: Panel) -> Shared:
    """What the items of a panel share."""
    season, effects = _shared_calendar(panel)
    seen = _see(panel, season, effects)
    loss = catalog_loss(seen.origins)
    weight = weights(seen.origins, loss)
    level = (weight * seen.levels.before).sum(1)
    foretold = (weight[:, :, None] * seen.origins.foretold).sum(0)
    spell = spells(seen.panel, seen.past, level)
    fading = find_fading(seen.panel, seen.origins, foretold, spell)
    foretold = foretold * fading.drift * share_left(fading, spell[:, seen.origins.at])
    both = one_ahead(seen.panel, level.T * seen.past, seen.whole)
    return Shared(season, effects, loss, fading, shared_level_spread(seen.origins, foretold, both, seen.whole))


def fit(panel: Panel, shared: Shared) -> Fitted:
    """Forecast the items of a panel."""
    seen = _see(panel, shared.season, shared.effects)
    weight = weights(seen.origins, shared.loss)
    level = (weight * seen.levels.before).sum(1)
    spell = spells(seen.panel, seen.past, level)
    fading = shared.fading
    foretold = (weight[:, :, None] * seen.origins.foretold).sum(0)
    foretold = foretold * fading.drift * share_left(fading, spell[:, seen.origins.at])
    expected = level.T * seen.past
    both = one_ahead(seen.panel, expected, seen.whole)
    alive = share_left(fading, spell[:, -1])
    now = (weight * seen.levels.last).sum(0) * fading.drift * alive
    ratio = np.where(seen.panel.known, seen.panel.units / np.maximum(expected, _RATIO_FLOOR * _scale(seen)), np.nan)
    return Fitted(
        names=panel.names,
        kind=[demand_class(units[known]) for units, known in zip(panel.units, panel.known, strict=True)],
        rate=now[:, None] * seen.exposure[:, panel.calendar.past :],
        alive=alive,
        spread=find_spread(seen.origins, foretold, both, seen.whole, shared.level_spread),
        whole=seen.whole,
        ratio=ratio,
    )


def _scale(seen: _Seen) -> Float[np.ndarray, "items one"]:
    """Mean sales of every item, never zero."""
    count = np.maximum(seen.panel.known.sum(1, keepdims=True), 1)
    return np.maximum(seen.panel.sold.sum(1, keepdims=True) / count, 1e-12)
