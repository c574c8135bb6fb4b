"""What a run says of today: what is to be bought, when the next order is expected, and what to look at first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from meio_jax.plans.planned import NextOrder, next_order, says_when
from meio_jax.plans.whole_order import FILLED, PLACED, POSTPONED, TOO_SMALL
from meio_jax.runs.data import read_table

_TOLD = (PLACED, FILLED, POSTPONED, TOO_SMALL)


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


def read_vendor_orders(run: Path) -> pl.DataFrame | None:
    """What became of the orders of vendors with rules for whole orders; None where no vendor has any."""
    if not (run / "plan" / "vendor_orders.parquet").is_file():
        return None
    return read_table(run, "plan/vendor_orders")


def vendor_orders_text(orders: pl.DataFrame | None) -> str:
    """How many orders at vendors with rules are placed, filled up, put off or too small, and which a vendor refuses."""
    if orders is None:
        return ""
    counts = dict(orders.group_by("status").len().iter_rows())
    told = [f"{counts[status]:,} {status}" for status in _TOLD if counts.get(status)]
    if not told:
        return "Orders at vendors with rules for whole orders: nothing to order."
    text = f"Orders at vendors with rules for whole orders: {', '.join(told)}."
    # What planners have fixed is ordered whatever the rules.
    below = orders.filter((pl.col("status") == TOO_SMALL) & (pl.col("units") > 0))
    if below.is_empty():
        return text
    named = ", ".join(f"{row['vendor_id']} at {row['node_id']}" for row in below.head(3).iter_rows(named=True))
    more = f" and {below.height - 3} more" if below.height > 3 else ""
    return (
        f"{text} Fixed or frozen orders, and too small to be taken: {named}{more} (plan/vendor_orders); fix more "
        "units, or talk to the vendor."
    )


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
