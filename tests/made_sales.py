"""Sales with known laws."""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl

from meio_jax.forecast.panel import Calendar, Panel, Regressors, make_panel
from meio_jax.tables.periods import PeriodLength

END = datetime.date(2025, 3, 2)
"""Last day of all made sales."""


def steady(rng: np.random.Generator, days: int, mean: float, dispersion: float = 0.0) -> np.ndarray:
    """Independent days, variance mean + dispersion x mean^2."""
    rate = mean * rng.gamma(1 / dispersion, dispersion, days) if dispersion else np.full(days, mean)
    return rng.poisson(rate).astype(float)


def sales_frame(sales: dict[str, np.ndarray]) -> pl.DataFrame:
    """Rows `item_id, ds, units` of sales that end on `END`; days without sales are left out, the first one is not."""
    parts = []
    for name, units in sales.items():
        days = [END - datetime.timedelta(days=units.size - 1 - at) for at in range(units.size)]
        kept = np.flatnonzero((units > 0) | (np.arange(units.size) == 0))
        parts.append(
            pl.DataFrame({"item_id": [name] * kept.size, "ds": [days[at] for at in kept], "units": units[kept]})
        )
    return pl.concat(parts)


def panel_of(
    units: np.ndarray,
    horizon: int,
    period: PeriodLength = "day",
    start: datetime.date = END + datetime.timedelta(days=1),
    available: np.ndarray | None = None,
    regressors: Regressors | None = None,
) -> Panel:
    """A panel of sales `[items, past]`, all of them known unless `available` says otherwise."""
    units = np.atleast_2d(units).astype(float)
    known = np.ones(units.shape, bool) if available is None else available
    names = [f"item{at}" for at in range(len(units))]
    return make_panel(names, units, known, Calendar(period, start, units.shape[1], horizon), regressors)
