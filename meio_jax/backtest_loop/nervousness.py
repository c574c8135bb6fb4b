"""How much a new plan changes of what the plan before it had planned for the same days.

Sum of |planned now - planned before| over item, node and day, divided by the sum of what is planned; days near today
weigh more, since those plans are acted on soon.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from meio_jax.tables import read_settings
from meio_jax.tables.settings import InstanceSettings

NEAR_DAYS = 7.0
"""The weight of a day falls by half every so many days."""


@dataclass(frozen=True)
class Change:
    """Weighted sums over item, node and day: `moved` units of change of `planned` units (both of the target levels),
    and of `pairs` of item and node those whose order of today was not to be, or was to be and is not (`flips`)."""

    moved: float
    planned: float
    flips: int
    pairs: int

    @property
    def quantities(self) -> float:
        """Share of what is planned that changed."""
        return self.moved / self.planned if self.planned > 0 else 0.0

    @property
    def orders(self) -> float:
        """Share of items and nodes whose order of today appeared or vanished."""
        return self.flips / self.pairs if self.pairs > 0 else 0.0

    def as_dict(self) -> dict[str, float]:
        """Plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class _Plan:
    settings: InstanceSettings
    targets: pl.DataFrame
    orders: pl.DataFrame


def _read(run: Path) -> _Plan:
    instance = run.parent.parent / "mornings" / run.name
    return _Plan(
        read_settings(instance),
        pl.read_parquet(run / "plan" / "targets.parquet"),
        pl.read_parquet(run / "plan" / "orders.parquet"),
    )


def changes(before: Path, now: Path, days: int) -> Change:
    """What a plan changes of the one made `days` days before it.

    Args:
        before: Run folder of the earlier plan.
        now: Run folder of the new one.
        days: Days between them.
    """
    old, new = _read(before), _read(now)
    weight = bucket_weights(new.settings, old.settings, days)
    keys = ["item_id", "node_id"]
    level = new.targets.select(*keys, "bucket", now="target")
    was = old.targets.select(*keys, pl.col("bucket").alias("earlier"), before="target")
    joined = level.join(weight, on="bucket").join(was, on=[*keys, "earlier"], how="left")
    joined = joined.with_columns(pl.col("before").fill_null(0.0))
    sums = joined.select(
        moved=((pl.col("now") - pl.col("before")).abs() * pl.col("weight")).sum(),
        planned=(pl.col("now") * pl.col("weight")).sum(),
    ).row(0)
    ordered = new.orders.select(keys).unique()
    expected = old.orders.select(keys).unique()
    both = ordered.join(expected, on=keys, how="inner").height
    pairs = new.targets.select(keys).unique().height
    return Change(float(sums[0]), float(sums[1]), ordered.height + expected.height - 2 * both, pairs)


def bucket_weights(new: InstanceSettings, old: InstanceSettings, days: int) -> pl.DataFrame:
    """Pairs of a new and an earlier bucket that share days, with the weight of these days."""
    day = np.arange(new.periods)
    rows = pl.DataFrame(
        {
            "bucket": day // new.bucket_periods,
            "earlier": np.minimum((day + days) // old.bucket_periods, old.buckets - 1),
            "weight": 0.5 ** (day / NEAR_DAYS),
        }
    )
    return rows.group_by("bucket", "earlier", maintain_order=True).agg(pl.col("weight").sum())
