"""What capacities are counted in: the measures, the column of `items` that each needs, and their names in texts."""

from __future__ import annotations

import polars as pl

MEASURES = ("units", "m3", "kg", "money", "pallets", "hours", "lines")
"""`lines` are order lines: orders, shipments or receipts of an item, or what customers order at once."""

_WORDS = {
    "units": ("unit", "units"),
    "m3": ("m³", "m³"),
    "kg": ("kg", "kg"),
    "pallets": ("pallet", "pallets"),
    "hours": ("hour", "hours"),
    "lines": ("order line", "order lines"),
}
_NEEDED = {"m3": "volume_m3", "kg": "weight_kg", "pallets": "units_per_pallet", "hours": "hours_per_unit"}


def unit_word(measure: str | None) -> str:
    """What one of a measure is called: `per pallet`."""
    return _WORDS.get(measure or "units", (str(measure),))[0]


def unit_words(measure: str | None) -> str:
    """What many of a measure are called."""
    return _WORDS.get(measure or "units", (str(measure),))[-1]


def needed_columns() -> dict[str, str]:
    """Columns of `items` without which a capacity in a measure counts nothing, by measure."""
    return dict(_NEEDED)


def unit_sizes() -> dict[str, pl.Expr]:
    """What a unit of a row of `items` takes of a capacity, by measure; 0 where its column is empty.

    Of order lines it is what it takes of those of customers: lines of other kinds are counted by order, not by unit.
    """
    return {
        "units": pl.lit(1.0),
        "m3": pl.col("volume_m3"),
        "kg": pl.col("weight_kg"),
        "pallets": (1 / pl.col("units_per_pallet")).fill_null(0.0),
        "hours": pl.col("hours_per_unit").fill_null(0.0),
        "lines": 1 / pl.col("units_per_line"),
    }
