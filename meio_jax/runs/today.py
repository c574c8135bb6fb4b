"""What a run says of today: what is to be bought, when the next order is expected, and what to look at first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from meio_jax.plans.planned import NextOrder, next_order, says_when
from meio_jax.runs.data import read_table


@dataclass(frozen=True)
class Today:
    """Purchase orders of today, and the next day on which one is expected (None: not within the horizon)."""

    items: int
    units: int
    cost: float
    next: NextOrder | None


def read_today(run: Path) -> Today | None:
    """What is to be bought today; None where a run failed, or is of an earlier version and has no calendar."""
    if not (run / "plan" / "calendar.parquet").is_file():
        return None
    calendar = read_table(run, "plan/calendar")
    if not says_when(calendar):
        return None
    orders = read_table(run, "plan/orders").select(
        pl.col("item_id").n_unique().alias("items"), pl.col("units").sum(), pl.col("cost").sum()
    )
    items, units, cost = orders.row(0)
    return Today(items, int(units), float(cost), next_order(calendar))


def read_exceptions(run: Path, most: int) -> tuple[pl.DataFrame, int]:
    """The exceptions of a run with the most money at stake, and how many there are in all; none of an earlier version.

    Args:
        run: A run folder.
        most: How many.
    """
    if not (run / "plan" / "exceptions.parquet").is_file() and not (run / "plan" / "exceptions").is_dir():
        return pl.DataFrame(), 0
    found = read_table(run, "plan/exceptions").filter(pl.col("money").is_finite())
    return found.sort("money", descending=True, maintain_order=True).head(most), found.height


def read_overrides(run: Path) -> pl.DataFrame:
    """The overrides of a run, the dearest first and those that do not apply last; empty where there are none."""
    if not (run / "plan" / "overrides.parquet").is_file() and not (run / "plan" / "overrides").is_dir():
        return pl.DataFrame()
    return read_table(run, "plan/overrides").sort("cost_a_week", descending=True, nulls_last=True, maintain_order=True)


def next_order_text(found: NextOrder | None) -> str:
    """When the next order is expected, as a sentence."""
    if found is None or not math.isfinite(found.items + found.units):
        return "No other order is expected within the horizon."
    return (
        f"The next order is expected on {found.date:%a %d %b %Y}: {_about(found.items)} "
        f"{'item' if round(found.items) <= 1 else 'items'}, {_about(found.units)} "
        f"{'unit' if round(found.units) <= 1 else 'units'} on that day."
    )


def _about(value: float) -> str:
    return f"{max(round(value), 1):,}"
