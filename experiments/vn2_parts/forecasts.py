"""Forecasts of the weeks to come, as `meio forecast` makes them."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field

import numpy as np

from meio_jax.forecast.model import Fitted, fit, learn
from meio_jax.forecast.panel import Calendar, make_panel
from meio_jax.forecast.paths import draw, generator
from vn2_parts.policies import Paths
from vn2_parts.rules import Seen

HORIZON, PATHS = 7, 300


@dataclass
class Forecasts:
    """Forecasts after every week, kept once they are made. Each is made of the weeks before it only.

    Attributes:
        sales: Recorded sales `[items, weeks]`.
        in_stock: Where the item was on the shelf.
        start: Monday of the first week.
    """

    sales: np.ndarray
    in_stock: np.ndarray
    start: datetime.date
    kept: dict[int, Fitted] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [f"item{at}" for at in range(len(self.sales))]

    def fitted(self, week: int) -> Fitted:
        """Forecast of the weeks from `week` on, from those before it."""
        if week not in self.kept:
            calendar = Calendar("week", self.start + datetime.timedelta(days=7 * week), week, HORIZON)
            panel = make_panel(self.names, self.sales[:, :week], self.in_stock[:, :week], calendar)
            self.kept[week] = fit(panel, learn(panel))
        return self.kept[week]

    def paths(self) -> Paths:
        """Sample paths of the weeks to come, `[paths, items, weeks]`."""
        drawn: dict[int, np.ndarray] = {}

        def paths(seen: Seen) -> np.ndarray:
            week = seen.sales.shape[1]
            if week not in drawn:
                found = self.fitted(week)
                own = [draw(found, item, PATHS, generator(0, name)) for item, name in enumerate(found.names)]
                drawn[week] = np.stack(own, 1)
            return drawn[week]

        return paths
