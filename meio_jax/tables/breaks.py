"""Prices by quantity (table `price_breaks`) of every offer."""

from __future__ import annotations

import polars as pl

_OFFER = ["item_id", "vendor_id", "node_id"]


def offer_breaks(price_breaks: pl.DataFrame, offers: pl.DataFrame) -> pl.DataFrame:
    """A row for every offer and price by quantity: `item_id, vendor_id, node_id, from_units, unit_cost, rank`.

    Rows of the table that name a node count in place of those that do not; `rank` counts from 0, from the smallest
    quantity up.
    """
    known = offers.select(_OFFER).unique()
    rows = price_breaks.select(*_OFFER, "from_units", "unit_cost")
    named = rows.filter(pl.col("node_id").is_not_null()).join(known, on=_OFFER, how="semi")
    everywhere = rows.filter(pl.col("node_id").is_null()).drop("node_id").join(known, on=_OFFER[:2], how="inner")
    rest = everywhere.select(rows.columns).join(named, on=_OFFER, how="anti")
    whole = pl.concat([named, rest]).sort(*_OFFER, "from_units")
    return whole.with_columns((pl.int_range(pl.len()).over(_OFFER)).alias("rank"))
