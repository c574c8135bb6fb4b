"""What a forecast is made with."""

from __future__ import annotations

from dataclasses import dataclass

from meio_jax.tables.periods import PeriodLength

HORIZON: dict[PeriodLength, int] = {"day": 42, "week": 13, "month": 6}
"""Periods that are forecast by default, for a file of sales."""

HELD_OUT: dict[PeriodLength, int] = {"day": 28, "week": 8, "month": 6}
"""Periods that the calibration is judged on by default."""

MOST_PATHS, LEAST_PATHS, MOST_ROWS = 1000, 200, 100_000_000
"""Paths per item by default: 1,000, fewer where the table would have more than `MOST_ROWS` rows, never below 200."""


@dataclass(frozen=True)
class ForecastOptions:
    """Options of `meio forecast`.

    Attributes:
        periods: Horizon, for a file of sales (an instance says its own). None: 42 days, 13 weeks or 6 months.
        paths: Sample paths per item. None: 1,000, fewer in large catalogs.
        seed: Master seed; with the item's id, its sales and what the catalog shares it decides the item's paths.
        history_days: Most recent days of sales that are used; three years, since a season shows in years that agree.
        holdout: Last periods of the history that the calibration is judged on; 0: no calibration. None: 28 days, 8
            weeks or 6 months.
        block_items: Items that are in memory together.
        period: Length of a period, for a file of sales. None: a day, unless rows look like weeks or months, which is
            an error.
    """

    periods: int | None = None
    paths: int | None = None
    seed: int = 0
    history_days: int = 1098
    holdout: int | None = None
    block_items: int = 1000
    period: PeriodLength | None = None

    def path_count(self, items: int, periods: int) -> int:
        """Paths per item for a catalog of `items` over `periods`."""
        if self.paths is not None:
            return self.paths
        fit = MOST_ROWS // max(items * periods, 1)
        return min(MOST_PATHS, max(LEAST_PATHS, fit - fit % 2))
