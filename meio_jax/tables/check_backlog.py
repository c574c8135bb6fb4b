"""Checks of units owed at the start: only demand that waits can be owed."""

from __future__ import annotations

import polars as pl

from meio_jax.tables.context import Context


def check_backlog(context: Context) -> None:
    """Tell rows of items whose unmet demand is lost."""
    if not (found := context.get("backlog", "items")):
        return
    backlog, items = found
    if backlog.frame.is_empty():
        return
    lost = items.frame.filter(pl.col("unmet") == "lost").get_column("item_id").drop_nulls().unique()
    context.findings.add_rows(
        backlog,
        backlog.rows(pl.col("item_id").is_in(lost.implode()) & (pl.col("units") > 0)),
        "item_id",
        "an item whose unmet demand waits (unmet backorder in table items): of this one it is lost",
        "set unmet to backorder, or leave the row out",
    )
