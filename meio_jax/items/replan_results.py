"""What a replan of some items is told as: their costs, what they change of the use of capacities, and warnings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from meio_jax.instance import Instance
from meio_jax.policy import AbstractPolicy
from meio_jax.solver.refine import Judged


@dataclass(frozen=True)
class ReplanOptions:
    """How long items are searched.

    Attributes:
        steps: Gradient steps, each on the next scenarios of the run's training set.
        scenarios: Holdout scenarios that old and new levels are compared on.
        fresh: Further holdout scenarios that the costs are then told for; 0: those of the comparison, whose choice
            makes the new levels look a little better than they are.
        overrides: Whether the overrides of the items are priced (`plan/overrides`), by further searches.
        material: Change in the use of a capacity, as a share of it, that counts as moving its price.
    """

    steps: int = 20
    scenarios: int = 64
    fresh: int = 0
    overrides: bool = True
    material: float = 0.005


@dataclass(frozen=True)
class Replanned:
    """The new plan of some items.

    Attributes:
        frames: Tables as in a run folder (`plan/targets`, `plan/orders`, `plan/transfers` ...), of these items only.
        items: `item_id`; expected cost with the run's levels and with the new ones, capacity charges included
            (`cost_before`, null for an item that the run does not have, and `cost_after`).
        usage: Change in the use of every capacity: `resource_id`, `kind`, `bucket`, `price`, `use` of the capacity in
            the run, and `change`, both as shares of the capacity.
        warnings: A line if the instance has changed, and one for every price that would move materially.
        seconds: Time that the call took.
    """

    frames: dict[str, pl.DataFrame]
    items: pl.DataFrame
    usage: pl.DataFrame
    warnings: list[str]
    seconds: float


@dataclass(frozen=True)
class BlockLevels:
    """The levels of a block that are kept, in units, and what they and those of the run were judged to be."""

    policy: AbstractPolicy
    before: Judged
    after: Judged
    known: np.ndarray


def whole_order_warnings(instance: Instance) -> list[str]:
    """A line where vendors have rules for whole orders, which some items alone cannot keep to."""
    if not instance.census.rhythms or len(instance.items) == instance.census.items:
        return []
    vendors = sorted({one.vendor for one in instance.census.rhythms})
    named = ", ".join(vendors[:3]) + (f" and {len(vendors) - 3} more" if len(vendors) > 3 else "")
    return [
        f"rules for whole orders (table vendors: {named}) bind all items of a vendor: the orders here are those of "
        "these items alone; solve again for orders that the vendor takes"
    ]


def usage_change(instance: Instance, prices: pl.DataFrame, change: np.ndarray) -> pl.DataFrame:
    """Use of every capacity in the run, and its change.

    Args:
        instance: The items that were planned again.
        prices: Table `prices` of the run.
        change: Change of the use, `[buckets, resources]`, in the unit of each.
    """
    resources, ids = instance.resources, instance.ids
    capacity = np.asarray(resources.capacity, float)
    share = np.where(capacity > 0, change / np.where(capacity > 0, capacity, 1), 0)
    bucket, column = np.nonzero(np.asarray(resources.present) & ~np.asarray(resources.is_service))
    frame = pl.DataFrame(
        {
            "resource_id": np.asarray(ids.resources, dtype=object)[column].tolist(),
            "bucket": bucket,
            "change": share[bucket, column],
        },
        schema_overrides={"resource_id": pl.String},
    )
    use = (pl.col("usage") / pl.col("capacity")).alias("use")
    return frame.join(
        prices.select("resource_id", "bucket", "kind", "price", use),
        on=["resource_id", "bucket"],
        how="left",
        maintain_order="left",
    )


def costs_of(instance: Instance, blocks: list[BlockLevels]) -> pl.DataFrame:
    """Expected cost of every item with its capacity charges, before and after."""
    before, after, rows = [], [], []
    for number, block in enumerate(blocks):
        live = instance.layout.live[number] > 0
        rows += [instance.items[item] for item in instance.layout.item[number][live]]
        was, now = (np.asarray(one.reported, float)[live] for one in (block.before, block.after))
        before += [float(value) if known else None for value, known in zip(was, block.known[live], strict=True)]
        after += now.tolist()
    columns = {"item_id": rows, "cost_before": before, "cost_after": after}
    return pl.DataFrame(columns, schema={"item_id": pl.String, "cost_before": pl.Float64, "cost_after": pl.Float64})


def price_warnings(usage: pl.DataFrame, material: float) -> list[str]:
    """Prices that the change would move: of capacities in full use that are used more, or priced ones used less.

    Args:
        usage: As in `Replanned`.
        material: Least change that counts, as a share of the capacity.
    """
    rises = (pl.col("change") > material) & (pl.col("use") + pl.col("change") > 1)
    falls = (pl.col("change") < -material) & (pl.col("price") > 0)
    return [
        f"{row['resource_id']}, bucket {row['bucket']}: these items use {abs(row['change']):.2%} of the capacity "
        f"{'more' if row['change'] > 0 else 'less'} than in the run, which uses {row['use']:.1%} of it: its price "
        f"({row['price']:.4g}) would {'rise' if row['change'] > 0 else 'fall'}; a warm-started solve finds the new one"
        for row in usage.filter(rises | falls).sort("change", descending=True).iter_rows(named=True)
    ]
