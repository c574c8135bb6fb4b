"""Names of items, nodes and vendors beside their ids, in the tables of a plan that people read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import polars as pl

from meio_jax.instance import Instance

NAMED_TABLES = (
    "plan/orders",
    "plan/order_lines",
    "plan/transfers",
    "plan/planned_orders",
    "plan/planned_transfers",
    "plan/planned_days",
    "plan/exceptions",
    "plan/overrides",
)
_COLUMNS = {
    "item_id": "item_name",
    "node_id": "node_name",
    "vendor_id": "vendor_name",
    "from_node": "from_name",
    "to_node": "to_name",
}


def called(row: Mapping[str, object], column: str) -> str:
    """An id, with the name that people use before it where the row of a table has one (`item_id`, `item_name`)."""
    found, name = str(row[column] or ""), str(row.get(f"{column.removesuffix('_id')}_name") or "")
    return f"{name} ({found})" if name else found


def with_names(instance: Instance, frames: Iterable[tuple[str, pl.DataFrame]]) -> Iterator[tuple[str, pl.DataFrame]]:
    """Tables with their paths, with names added at the end; as they are where the catalog gives no names."""
    if not instance.census.named:
        yield from frames
        return
    known = _names(instance)
    for path, frame in frames:
        yield path, named(frame, known) if path in NAMED_TABLES else frame


def named(frame: pl.DataFrame, known: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """A table with names added at the end.

    Args:
        frame: The table.
        known: Tables of `id` and `name` by the column of ids that they are for.
    """
    for column, name in _COLUMNS.items():
        if column in frame.columns and column in known:
            names = known[column].select(pl.col("id").alias(column), pl.col("name").alias(name))
            frame = frame.join(names, on=column, how="left", maintain_order="left")
            frame = frame.with_columns(pl.col(name).fill_null(""))
    return frame


def _names(instance: Instance) -> dict[str, pl.DataFrame]:
    """Tables of `id` and `name` by the column of ids."""
    tables = instance.tables
    items = tables.items.select(pl.col("item_id").alias("id"), "name")
    nodes = tables.nodes.select(pl.col("node_id").alias("id"), "name")
    given = tables.offers.filter(pl.col("vendor_name") != "")
    vendors = given.select(pl.col("vendor_id").alias("id"), pl.col("vendor_name").alias("name"))
    vendors = vendors.unique("id", keep="first", maintain_order=True)
    return {"item_id": items, "vendor_id": vendors, **dict.fromkeys(("node_id", "from_node", "to_node"), nodes)}
