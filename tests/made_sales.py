"""Sales with known laws, and a stand-in for the library of models."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import polars as pl

END = datetime.date(2025, 3, 2)
"""Last day of all made sales."""


class _MeanOf:
    def __init__(self, **options: Any) -> None:
        del options

    def forecast(self, y: np.ndarray, h: int) -> dict[str, np.ndarray]:
        """The mean of the past, every day."""
        return {"mean": np.full(h, y.mean())}


class MeanModels:
    """Stands in for `statsforecast.models`: every model foretells the mean."""

    AutoETS = TSB = CrostonSBA = HistoricAverage = _MeanOf


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
