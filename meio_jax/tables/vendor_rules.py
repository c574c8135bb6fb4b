"""What holds for whole orders (table `vendors`) of every vendor and node that it delivers to."""

from __future__ import annotations

import polars as pl

MINIMA = {"value": "min_order_value", "volume": "min_order_volume", "weight": "min_order_weight"}
"""Columns of the least order, by what they measure."""
TRUCKS = {"volume": "truck_volume", "weight": "truck_weight"}
"""Columns of the size of a truck, by what they measure."""

_PAIR = ["vendor_id", "node_id"]


def vendor_rules(vendors: pl.DataFrame, offers: pl.DataFrame) -> pl.DataFrame:
    """A row for every vendor and node with rules, in the columns of `vendors`; sorted by vendor and node.

    Rows that name a node count in place of those that do not.

    Args:
        vendors: The table `vendors`.
        offers: Who delivers to which node: rows of `vendor_id, node_id`.
    """
    known = offers.select(_PAIR).unique()
    named = vendors.filter(pl.col("node_id").is_not_null()).join(known, on=_PAIR, how="semi")
    everywhere = vendors.filter(pl.col("node_id").is_null()).drop("node_id").join(known, on="vendor_id", how="inner")
    rest = everywhere.select(vendors.columns).join(named, on=_PAIR, how="anti")
    return pl.concat([named, rest]).sort(_PAIR)
