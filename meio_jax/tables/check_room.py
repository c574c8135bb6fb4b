"""What stock and least orders need against the room that there is, and capacities that are given for some buckets."""

from __future__ import annotations

import polars as pl

from meio_jax.tables.context import Context, Scope
from meio_jax.tables.findings import ROW, View
from meio_jax.tables.measures import unit_sizes

_HELD = ("units", "m3", "pallets")
"""Measures of stock."""


def check_room(context: Context) -> None:
    """Run every check of this module."""
    if not (found := context.get("resources")):
        return
    (resources,) = found
    if context.scope is not Scope.BLOCK:
        _warn_of_buckets(context, resources)
    if context.scope is not Scope.NETWORK and (items := context.get("items")):
        rooms = _rooms(resources)
        if context.scope is Scope.ALL and context.get("on_hand"):
            _warn_of_stock(context, resources, items[0], rooms)
        if context.get("offers"):
            _warn_of_least_orders(context, items[0], rooms)


def _warn_of_buckets(context: Context, resources: View) -> None:
    if context.settings is None:
        return
    buckets = context.settings.buckets
    counts = (
        resources.numbered()
        .filter(pl.col("bucket").is_not_null())
        .with_columns(pl.col("bucket").n_unique().over("resource_id").alias("__given"))
        .filter(pl.col("__given") < buckets)
        .unique("resource_id", keep="first", maintain_order=True)
        .collect()
    )
    context.findings.warn_rows(
        resources,
        counts,
        "buckets without capacity",
        f"resources with a capacity for some of the {buckets} buckets only: in the others they are not limited",
        f"rows for {{__given}} of {buckets} buckets",
        "add a row for each of the other buckets, or one row without a bucket",
    )


def _rooms(resources: View) -> pl.LazyFrame:
    """Storage by node: its id, class (null: all), measure, and the room at the start and at its least."""
    storage = resources.numbered().filter((pl.col("kind") == "storage") & pl.col("node_id").is_not_null())
    now = pl.col("capacity").filter(pl.col("bucket").is_null() | (pl.col("bucket") == 0)).first().alias("__now")
    return storage.group_by("resource_id", "node_id", "storage_class", "measure", maintain_order=True).agg(
        now, pl.col("capacity").min().alias("__least"), pl.col(ROW).first()
    )


def _held(rooms: pl.LazyFrame, rows: pl.LazyFrame) -> pl.LazyFrame:
    """Rows (with node_id and the size of their item) beside every room that their item takes."""
    size = pl.coalesce(pl.when(pl.col("measure") == name).then(pl.col(f"__{name}")) for name in _HELD).alias("__size")
    own = pl.col("storage_class").is_null() | (pl.col("storage_class") == pl.col("__class"))
    return rows.join(rooms, on="node_id").filter(own).with_columns(size)


def _sizes(items: View) -> pl.LazyFrame:
    sizes = [size.alias(f"__{name}") for name, size in unit_sizes().items() if name in _HELD]
    return items.frame.lazy().select("item_id", pl.col("storage_class").alias("__class"), *sizes).unique("item_id")


def _warn_of_stock(context: Context, resources: View, items: View, rooms: pl.LazyFrame) -> None:
    on_hand = context.views["on_hand"].frame.lazy().join(_sizes(items), on="item_id")
    used = (
        _held(rooms, on_hand)
        .group_by("resource_id")
        .agg((pl.col("units") * pl.col("__size")).sum().round(3).alias("__used"), pl.col(ROW).first(), "__now")
        .with_columns(pl.col("__now").list.first())
        .filter(pl.col("__used") > pl.col("__now") * (1 + 1e-9))
        .join(
            resources.frame.lazy().select("resource_id", "node_id", "measure").unique("resource_id"), on="resource_id"
        )
        .collect()
    )
    context.findings.warn_rows(
        resources,
        used,
        "stock above storage",
        "storage that is smaller than the stock it holds at the start: no plan can keep it in the first bucket",
        "{__used} {measure} at {node_id}, room for {__now}",
        "correct the stock or the capacity, or expect this capacity to be exceeded at first",
    )


def _warn_of_least_orders(context: Context, items: View, rooms: pl.LazyFrame) -> None:
    offers = context.views["offers"]
    least = pl.max_horizontal("pack_size", "min_order").alias("__units")
    rows = offers.numbered().rename({ROW: "__offer"}).with_columns(least).join(_sizes(items), on="item_id")
    tight = (
        _held(rooms, rows)
        .with_columns((pl.col("__units") * pl.col("__size")).round(3).alias("__need"))
        .filter((pl.col("__units") > 1) & (pl.col("__need") > pl.col("__least") * (1 + 1e-9)))
        .drop(ROW)
        .rename({"__offer": ROW})
        .unique(ROW, keep="first", maintain_order=True)
        .collect()
    )
    context.findings.warn_rows(
        offers,
        tight,
        "least order above storage",
        "offers whose least order does not fit into the storage of the node, even when it is empty",
        "{__units} units take {__need} {measure}, room for {__least} ({resource_id})",
        "lower min_order or pack_size, deliver to a node with more room, or correct the capacity",
    )
