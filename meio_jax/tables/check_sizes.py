"""Checks of what a unit takes of the capacities that count it: volume, weight, pallets, hours."""

from __future__ import annotations

import polars as pl

from meio_jax.tables.check_items import accepted_classes
from meio_jax.tables.context import Context
from meio_jax.tables.measures import needed_columns, unit_words

_ADVICE = {
    "units_per_pallet": "fill in how many units a full pallet holds",
    "hours_per_unit": "fill in the hours that one unit takes",
}


def check_sizes(context: Context) -> None:
    """An item of unknown size would take nothing of a capacity that is counted in it."""
    if not (found := context.get("items", "resources")):
        return
    items, resources = found
    for measure, column in needed_columns().items():
        rows = resources.frame.filter(pl.col("measure") == measure)
        if rows.is_empty():
            continue
        counted = _counted(context, rows)
        advice = _ADVICE.get(column, "fill in what a unit takes")
        context.findings.add_rows(
            items,
            items.numbered()
            .filter(pl.col(column).is_null() | (pl.col(column) == 0))
            .join(counted, on="item_id")
            .unique("item_id", keep="first", maintain_order=True)
            .collect(),
            column,
            f"a number > 0, since resource {{__resource}} counts {measure}",
            f"{advice}, or count the resource in units; nothing is needed where no resource counts the item in "
            f"{unit_words(measure)}",
        )


def _counted(context: Context, rows: pl.DataFrame) -> pl.LazyFrame:
    """Items with the first resource that counts them: item_id, __resource."""
    items = context.views["items"].frame.lazy().select("item_id", "storage_class")
    named = rows.lazy().with_row_index("__at").unique("resource_id", keep="first", maintain_order=True)
    found = [_by_class(context, items, named.filter(pl.col("kind") != "vendor"))]
    if offers := context.get("offers"):
        vendors = named.filter(pl.col("kind") == "vendor").select("__at", "resource_id", "vendor_id")
        pairs = offers[0].frame.lazy().select("item_id", "vendor_id").unique()
        found.append(pairs.join(vendors, on="vendor_id").select("item_id", "__at", "resource_id"))
    first = pl.col("resource_id").sort_by("__at").first()
    return pl.concat(found).group_by("item_id", maintain_order=True).agg(first.alias("__resource"))


def _by_class(context: Context, items: pl.LazyFrame, resources: pl.LazyFrame) -> pl.LazyFrame:
    """Items of the storage classes that a resource of nodes counts: its own, of those that all its nodes accept."""
    classes, at = items.select("storage_class").unique(), ["__at", "resource_id"]
    ends = resources.select(*at, pl.concat_list("node_id", "to_node").alias("node_id"), of="storage_class")
    ends = ends.explode("node_id", empty_as_null=True).filter(pl.col("node_id").is_not_null())
    whole = ends.group_by("__at").agg(pl.col("node_id").n_unique().alias("__nodes"))
    own = pl.col("of").is_null() | (pl.col("of") == pl.col("storage_class"))
    pairs = ends.join(classes, how="cross").filter(own)
    if nodes := context.get("nodes"):
        accepted = accepted_classes(nodes[0].frame).lazy().rename({"storage_class": "__accepts"})
        fits = pl.col("__accepts").is_null() | (pl.col("__accepts") == pl.col("storage_class"))
        pairs = pairs.join(accepted, on="node_id").filter(fits)
    here = pairs.group_by(*at, "storage_class").agg(pl.col("node_id").n_unique().alias("__here"))
    taken = here.join(whole, on="__at").filter(pl.col("__here") == pl.col("__nodes"))
    return items.join(taken, on="storage_class").select("item_id", *at)
