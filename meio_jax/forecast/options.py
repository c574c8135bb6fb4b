"""What a forecast is made with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ForecastOptions:
    """Options of `meio forecast`.

    Attributes:
        periods: Horizon in days, for a file of sales (an instance says its own).
        paths: Sample paths per item.
        seed: Master seed; with the item's id and sales it decides the item's paths, whatever else is in the catalog.
        history_days: Most recent days of sales that are used.
        holdout: Last days of the history that the calibration is judged on; 0: no calibration.
        block_items: Items that are in memory together.
    """

    periods: int = 42
    paths: int = 200
    seed: int = 0
    history_days: int = 364
    holdout: int = 28
    block_items: int = 1000
