"""What a planner knows of demand on a morning of a backtest: what the instance forecasts, or something else."""

from __future__ import annotations

import abc
from dataclasses import dataclass

import numpy as np
import polars as pl

from meio_jax.backtest import read_world
from meio_jax.backtest.baselines.setting import demand_moments
from meio_jax.backtest.sales import read_forecast
from meio_jax.tables import Tables


class AbstractKnowledge(abc.ABC):
    """A forecast in place of the morning's own."""

    @abc.abstractmethod
    def seen(self, day: int, morning: Tables) -> Tables:
        """The morning of day `day` as its planner sees it."""


class OwnForecast(AbstractKnowledge):
    """The forecast of the instance, moved on day by day, or its past sales with those of the days lived."""

    def seen(self, day: int, morning: Tables) -> Tables:
        del day
        return morning


@dataclass(frozen=True)
class PerfectForecast(AbstractKnowledge):
    """Demand itself: what every customer of the days lived will ask for, by item and day.

    It is a bound for what better forecasts may gain. Which region a customer is in, and how long vendors take, stays
    as uncertain as it is for others; after the days lived, demand is what the other knowledge expects.

    Attributes:
        coming: Units asked for on every day lived, `[days, items]`, in the order of the items table.
        then: What is known of later days.
    """

    coming: np.ndarray
    then: AbstractKnowledge

    def seen(self, day: int, morning: Tables) -> Tables:
        expected = self.then.seen(day, morning)
        mean = demand_moments(read_forecast(expected), read_world(expected))[0]
        left = min(len(self.coming) - day, mean.shape[1])
        mean[:, :left] = self.coming[day : day + left].T
        items = morning.items["item_id"]
        periods = mean.shape[1]
        rows = {
            "item_id": items.gather(np.repeat(np.arange(items.len(), dtype=np.uint32), periods)),
            "period": np.tile(np.arange(periods), items.len()),
            "mean": mean.ravel(),
            "dispersion": np.zeros(mean.size),
        }
        settings = morning.settings.model_copy(update={"forecast": "mean"})
        return expected.replace(settings=settings, forecast=pl.DataFrame(rows).with_columns(law=pl.lit("fixed")))
