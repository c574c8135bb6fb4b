"""Checks of shelf lives: stock whose last day is given, disposal that pays, and lives too short to be supplied."""

from __future__ import annotations

import polars as pl

from meio_jax.tables.context import Context
from meio_jax.tables.findings import View


def check_shelf_life(context: Context) -> None:
    """Run every check of this module."""
    if not (found := context.get("items")):
        return
    (items,) = found
    _warn_of_idle_costs(context, items)
    if context.get("expiries"):
        _check_expiries(context, items, context.views["expiries"])
    if context.get("offers"):
        _check_disposal(context, items, context.views["offers"])
    if context.get("nodes"):
        _warn_of_reviews(context, items, context.views["nodes"])
    if context.get("lanes"):
        _warn_of_lanes(context, items, context.views["lanes"])


def _perishable(items: View) -> pl.LazyFrame:
    return items.numbered().filter(pl.col("shelf_life").is_not_null())


def _check_expiries(context: Context, items: View, expiries: View) -> None:
    keeping = items.frame.filter(pl.col("shelf_life").is_null()).get_column("item_id").drop_nulls()
    context.findings.add_rows(
        expiries,
        expiries.rows(pl.col("item_id").is_in(keeping.implode())),
        "item_id",
        "an item with a shelf_life (table items): this one keeps",
        "give the item a shelf_life, or leave the row out",
    )
    lives = items.frame.lazy().select("item_id", "shelf_life")
    context.findings.add_rows(
        expiries,
        expiries.numbered().join(lives, on="item_id").filter(pl.col("last_period") >= pl.col("shelf_life")).collect(),
        "last_period",
        "a period before the item's shelf_life of {shelf_life}: stock is no fresher than what is received today",
        "correct the day, or the shelf_life (table items)",
    )
    context.findings.add_rows(
        expiries,
        expiries.rows((pl.col("last_period") < 0) & (pl.col("units") > 0)),
        "last_period",
        "a period of 0 or more: what cannot be sold any more is no stock",
        "take these units off on_hand and leave the row out",
    )
    if context.get("on_hand"):
        _check_units(context, expiries, context.views["on_hand"])


def _check_units(context: Context, expiries: View, on_hand: View) -> None:
    """No more units may have a last day than there are."""
    keys = ["item_id", "node_id"]
    stock = on_hand.frame.lazy().group_by(keys).agg(pl.col("units").sum().alias("__stock"))
    told = pl.col("units").sum().over(keys)
    more = (
        expiries.numbered()
        .with_columns(told.alias("__told"))
        .join(stock, on=keys, how="left")
        .with_columns(pl.col("__stock").fill_null(0.0))
        .filter(pl.col("__told") > pl.col("__stock") + 1e-6)
        .unique(keys, keep="first", maintain_order=True)
        .collect()
    )
    context.findings.add_rows(
        expiries,
        more,
        "units",
        "at most the {__stock} units that on_hand has of the item at the node, over all its rows",
        "correct the units here or in on_hand",
        value="__told",
    )


def _check_disposal(context: Context, items: View, offers: View) -> None:
    landed = (pl.col("unit_cost") + pl.col("freight_cost")).min().alias("__cheapest")
    cheapest = offers.frame.lazy().group_by("item_id").agg(landed)
    pays = (pl.col("waste_cost") < 0) & (-pl.col("waste_cost") >= pl.col("__cheapest"))
    context.findings.add_rows(
        items,
        _perishable(items).join(cheapest, on="item_id").filter(pays).collect(),
        "waste_cost",
        "an expired unit that earns less than its cheapest offer costs ({__cheapest} with freight): else buying in "
        "order to dispose of it would pay",
        "give what disposal costs, or minus what an expired unit earns",
    )


def _warn_of_idle_costs(context: Context, items: View) -> None:
    context.findings.warn_rows(
        items,
        items.rows(pl.col("shelf_life").is_null() & (pl.col("waste_cost") != 0)),
        "disposal without a shelf life",
        "items with a waste_cost and no shelf_life: nothing of them expires",
        "waste_cost {waste_cost}",
        "give their shelf_life",
    )


def _warn_of_reviews(context: Context, items: View, nodes: View) -> None:
    longest = nodes.frame.get_column("review_period").max()
    if not isinstance(longest, int):
        return
    context.findings.warn_rows(
        items,
        _perishable(items).filter(pl.col("shelf_life") < longest).collect(),
        "short shelf lives",
        f"items that expire before some nodes can order again (longest review period: {longest})",
        "shelf_life {shelf_life}",
        "review these nodes more often, or keep the item elsewhere (table assortment)",
    )


def _warn_of_lanes(context: Context, items: View, lanes: View) -> None:
    longest = lanes.frame.get_column("lead_time").max()
    if not isinstance(longest, int):
        return
    context.findings.warn_rows(
        items,
        _perishable(items).filter(pl.col("shelf_life") <= longest).collect(),
        "lanes too slow for a shelf life",
        f"items that would expire on some lanes (longest lead time: {longest}): they are not sent over them",
        "shelf_life {shelf_life}",
        "supply the nodes below by faster lanes or by offers of their own",
    )
