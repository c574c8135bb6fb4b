"""The rate of demand of every day of the horizon, by a model for the class of the item (statsforecast)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from meio_jax.errors import InputError, Problem
from meio_jax.forecast.spread import SMOOTHING, Past

_SEASON = 7


def _library() -> Any:
    """The models of statsforecast.

    Raises:
        InputError: If it is not installed.
    """
    try:
        from statsforecast import models
    except ImportError as error:
        expected, remedy = "the library statsforecast", "pip install -e '.[forecast]'"
        raise InputError([Problem("meio forecast", "", "", str(error), expected, remedy)]) from None
    return models


def require_library() -> None:
    """Find out before anything is read whether the library is there.

    Raises:
        InputError: If it is not installed.
    """
    _library()


def _with_week(models: Any) -> Any:
    """Exponential smoothing with or without a week, additive or multiplicative, chosen by information criterion."""
    return models.AutoETS(season_length=_SEASON, model="ZNA")


def _probability_and_size(models: Any) -> Any:
    """How often and how much is sold, smoothed apart; an item that sells no more fades (Teunter, Syntetos, Babai)."""
    return models.TSB(alpha_d=SMOOTHING, alpha_p=SMOOTHING)


def _interval_and_size(models: Any) -> Any:
    """Croston's method without its bias (Syntetos and Boylan): a pause of sales does not lower the rate."""
    return models.CrostonSBA()


MODELS: dict[str, tuple[Callable[[Any], Any], bool]] = {
    "smooth": (_with_week, True),
    "erratic": (_probability_and_size, False),
    "intermittent": (_probability_and_size, False),
    "lumpy": (_interval_and_size, False),
    "sparse": (lambda models: models.HistoricAverage(), False),
}
"""The model of every class, and whether it knows the week by itself (measured: docs/forecast.md)."""


def rates(past: Past, kind: str, horizon: int) -> np.ndarray:
    """Expected demand of the days of the horizon, `[horizon]`, never negative.

    Args:
        past: Sales of the item.
        kind: Its class.
        horizon: Days.

    Raises:
        InputError: If statsforecast is not installed.
    """
    make, knows_week = MODELS[kind]
    week = past.week[np.arange(horizon) % 7]
    plain = past.last_level * week
    if past.units.size < 2 * _SEASON or not past.units.any():
        return plain
    found = make(_library()).forecast(y=past.units.astype(np.float64), h=horizon)["mean"]
    rate = np.asarray(found, float) * (1.0 if knows_week else week)
    # A model that fails to converge says nothing: the smoothed level does.
    return np.maximum(rate, 0.0) if np.isfinite(rate).all() else plain
