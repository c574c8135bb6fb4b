"""Frozen periods: orders at vendors that stand as an earlier run planned them."""

from __future__ import annotations

import polars as pl

from meio_jax.tables.overrides import first_decision, in_force
from meio_jax.tables.settings import InstanceSettings

_OFFER = ["item_id", "vendor_id", "node_id"]


def frozen_offers(offers: pl.DataFrame, settings: InstanceSettings) -> pl.DataFrame:
    """Offers that are frozen, with `frozen_until`, the last period in which nothing new is ordered through them.

    Args:
        offers: The table.
        settings: Frozen periods of offers that say nothing, and the period of the first decision.
    """
    length = pl.col("frozen_periods").fill_null(settings.frozen_periods)
    until = (length + (first_decision(settings) - 1)).cast(pl.Int64).alias("frozen_until")
    return offers.filter(length > 0).with_columns(until)


def standing_orders(
    planned: pl.DataFrame, offers: pl.DataFrame, overrides: pl.DataFrame, settings: InstanceSettings
) -> pl.DataFrame:
    """Orders that an earlier run planned and that stand: `item_id, node_id, vendor_id, from_node, period, units`.

    Units are whole packs, the nearest number; less than half of the least order is none. What a planner has fixed on
    the same day, or excluded, does not stand.

    Args:
        planned: The table `planned_orders`.
        offers: Whose frozen periods, packs and least orders count.
        overrides: Decisions of planners, which count before.
        settings: When periods begin and are frozen.
    """
    frozen = frozen_offers(offers, settings).select(*_OFFER, "frozen_until", "pack_size", "min_order")
    daily = planned.group_by(*_OFFER, "period", maintain_order=True).agg(pl.col("units").sum())
    found = daily.join(frozen, on=_OFFER, maintain_order="left")
    found = found.filter(pl.col("period").is_between(first_decision(settings), pl.col("frozen_until")))
    fixed = in_force(overrides, settings, "order").filter(pl.col("vendor_id").is_not_null())
    found = found.join(fixed.select(*_OFFER, "period"), on=[*_OFFER, "period"], how="anti", maintain_order="left")
    shut = in_force(overrides, settings, "exclude").filter(pl.col("from_node").is_null())
    for keys, rows in (
        (_OFFER, shut.filter(pl.col("vendor_id").is_not_null())),
        (["item_id", "node_id"], shut.filter(pl.col("vendor_id").is_null())),
    ):
        last = rows.group_by(keys).agg(pl.col("until").max())
        found = found.join(last, on=keys, how="left", maintain_order="left")
        found = found.filter(pl.col("until").is_null() | (pl.col("until") < pl.col("period"))).drop("until")
    pack = pl.col("pack_size")
    least = pl.max_horizontal((pl.col("min_order") / pack).ceil() * pack, pack)
    nearest = (pl.col("units") / pack).round() * pack
    units = pl.when(nearest >= least).then(nearest).when(pl.col("units") >= least / 2).then(least).otherwise(0)
    empty = pl.lit(None, dtype=pl.String).alias("from_node")
    return found.select("item_id", "node_id", "vendor_id", empty, "period", units.cast(pl.Int64).alias("units"))
