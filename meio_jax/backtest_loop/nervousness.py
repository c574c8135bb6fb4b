"""How much a new plan changes of what the plan before it had planned.

Of orders of the same item, node and due date that both plans plan: quantities, sum of |planned now - planned before|
divided by the sum of what is planned now; and orders that appear or vanish, divided by the orders of either plan (setup
and quantity oriented instability, Inderfurth 1994). Days near today weigh more, since those plans are acted on soon.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from meio_jax.tables import read_settings
from meio_jax.tables.own_files import own_table
from meio_jax.tables.settings import InstanceSettings

NEAR_DAYS = 7.0
"""The weight of a day falls by half every so many days."""

_AN_ORDER = 0.5
"""From so many expected units on there is an order."""


@dataclass(frozen=True)
class Change:
    """Weighted sums over item, node and due date: of `planned` units those that `moved`, and of the orders that either
    plan has (`pairs`) those that the other has not (`flips`)."""

    moved: float
    planned: float
    flips: float
    pairs: float

    @property
    def quantities(self) -> float:
        """Units of change per unit planned."""
        return self.moved / self.planned if self.planned > 0 else 0.0

    @property
    def orders(self) -> float:
        """Share of the orders of either plan that the other has not."""
        return self.flips / self.pairs if self.pairs > 0 else 0.0

    def as_dict(self) -> dict[str, float]:
        """Plain data for JSON."""
        return asdict(self)


def changes(before: Path, now: Path) -> Change:
    """What a plan changes of an earlier one.

    Args:
        before: Run folder of the earlier plan; both have the table `plan/planned_days`.
        now: Run folder of the new one.
    """
    old, new = (own_table(run, "plan/planned_days") for run in (before, now))
    return change_of(old, new, *(read_settings(run.parent.parent / "mornings" / run.name) for run in (before, now)))


def change_of(old: pl.DataFrame, new: pl.DataFrame, then: InstanceSettings, today: InstanceSettings) -> Change:
    """What new planned orders change of earlier ones, on the days that both plans have.

    Args:
        old: `plan/planned_days` of the earlier plan.
        new: That of the new plan.
        then: Settings of the earlier plan's instance.
        today: Settings of the new plan's instance.
    """
    keys = ["item_id", "node_id", "due_date"]
    first, last = today.start_date, min(today.end_date, then.end_date)
    # What was ordered before today is under way and planned no more.
    both = pl.col("order_date").is_between(first, last, closed="left")
    sides = [
        table.filter(both).group_by(keys).agg(pl.col("units").sum(), pl.col("order_date").min()) for table in (old, new)
    ]
    joined = sides[0].join(sides[1], on=keys, how="full", coalesce=True, suffix="_now")
    day = (pl.min_horizontal("order_date", "order_date_now") - first).dt.total_days()
    weight = pl.lit(0.5).pow(day / NEAR_DAYS)
    was, now = pl.col("units").fill_null(0.0), pl.col("units_now").fill_null(0.0)
    ordered, ordered_now = was >= _AN_ORDER, now >= _AN_ORDER
    sums = joined.select(
        moved=((now - was).abs() * weight).sum(),
        planned=(now * weight).sum(),
        flips=((ordered != ordered_now).cast(pl.Float64) * weight).sum(),
        pairs=((ordered | ordered_now).cast(pl.Float64) * weight).sum(),
    ).row(0)
    return Change(*map(float, sums))
