"""The table `overrides`: which rows apply, and until when. Every user of the table reads it here."""

from __future__ import annotations

import numpy as np
import polars as pl

from meio_jax.tables.settings import InstanceSettings

IN_FORCE, EXPIRED = "in force", "expired"
PAST, LATER = "before the start", "after the horizon"

ALWAYS = 1_000_000
"""Period until which a row applies that does not expire."""

BOUNDS = ("min_units", "min_days", "max_units", "max_days")


def first_decision(settings: InstanceSettings) -> int:
    """Period of the first decision: -1 is the evening before period 0."""
    return -1 if settings.ordering == "evening" else 0


def with_status(overrides: pl.DataFrame, settings: InstanceSettings) -> pl.DataFrame:
    """The rows with `until`, the last period in which they apply, and `status`, whether they do.

    Args:
        overrides: The table.
        settings: When periods begin and when the first decision is made.
    """
    first, days = first_decision(settings), overrides["expires"]
    until = np.full(overrides.height, ALWAYS, np.int64)
    known = days.is_not_null().to_numpy()
    if known.any():
        until[known] = settings.periods_of(days.drop_nulls().to_numpy().astype("datetime64[D]"))
    order = pl.col("kind") == "order"
    status = (
        pl.when(pl.col("until") < first)
        .then(pl.lit(EXPIRED))
        .when(order & (pl.col("period") < first))
        .then(pl.lit(PAST))
        .when(order & (pl.col("period") >= settings.periods))
        .then(pl.lit(LATER))
        .otherwise(pl.lit(IN_FORCE))
    )
    return overrides.with_columns(pl.Series("until", until, pl.Int64)).with_columns(status.alias("status"))


def in_force(overrides: pl.DataFrame, settings: InstanceSettings, kind: str) -> pl.DataFrame:
    """The rows of a kind that apply, with `until`."""
    rows = with_status(overrides.filter(pl.col("kind") == kind), settings)
    return rows.filter(pl.col("status") == IN_FORCE)


def lasts(settings: InstanceSettings) -> pl.Expr:
    """Whether a row with `until` applies in all periods that are reported: it is as if it did not expire."""
    return pl.col("until") >= settings.periods - 1


def excluded_pairs(overrides: pl.DataFrame, settings: InstanceSettings) -> pl.DataFrame:
    """Pairs of item and node that are excluded throughout: `item_id, node_id`."""
    whole = pl.col("vendor_id").is_null() & pl.col("from_node").is_null()
    rows = in_force(overrides, settings, "exclude").filter(whole & lasts(settings))
    return rows.select("item_id", "node_id").unique()


def excluded_offers(overrides: pl.DataFrame, settings: InstanceSettings) -> pl.DataFrame:
    """Offers that are excluded throughout: `item_id, vendor_id, node_id`."""
    rows = in_force(overrides, settings, "exclude").filter(pl.col("vendor_id").is_not_null() & lasts(settings))
    return rows.select("item_id", "vendor_id", "node_id").unique()
