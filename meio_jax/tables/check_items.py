"""Checks of items: their profile, where they may be stored, and whether anything supplies them."""

from __future__ import annotations

import polars as pl

from meio_jax.tables.check_assortment import refused_offers, refused_pairs
from meio_jax.tables.context import Context
from meio_jax.tables.findings import ROW


def check_items(context: Context) -> None:
    """Run every check of this module."""
    _check_profiles(context)
    _check_storage_class(context)
    _check_supply(context)
    _check_offer_nodes(context)
    _check_offer_lead_times(context)
    _check_offer_shares(context)


def _check_profiles(context: Context) -> None:
    if found := context.get("items", "shares"):
        items, shares = found
        known = shares.frame.get_column("profile").drop_nulls().unique()
        context.findings.add_rows(
            items,
            items.rows(~pl.col("profile").is_in(known.implode())),
            "profile",
            "a profile of table shares",
            "add its rows to shares or correct the value",
        )


def accepted_classes(nodes: pl.DataFrame) -> pl.DataFrame:
    """Storage classes each node accepts, a row per (node_id, storage_class); null stands for every class."""
    listed = pl.col("storage_classes").str.split(";").list.eval(pl.element().str.strip_chars())
    pairs = nodes.select("node_id", listed.alias("storage_class")).explode("storage_class", empty_as_null=True)
    return pairs.with_columns(pl.when(pl.col("storage_class") != "").then(pl.col("storage_class")))


def _check_storage_class(context: Context) -> None:
    if found := context.get("items", "nodes"):
        items, nodes = found
        classes = accepted_classes(nodes.frame).get_column("storage_class")
        if classes.null_count():
            return
        context.findings.add_rows(
            items,
            items.rows(~pl.col("storage_class").is_in(classes.unique().implode())),
            "storage_class",
            "a storage class that some node accepts (nodes.storage_classes)",
            "add the class to a node or correct the value",
        )


def _check_offer_nodes(context: Context) -> None:
    if found := context.get("offers", "items", "nodes"):
        offers, items, nodes = found
        pairs = accepted_classes(nodes.frame)
        if pairs.get_column("storage_class").null_count() == nodes.frame.height:
            return
        every = pairs.filter(pl.col("storage_class").is_null()).get_column("node_id")
        known = pl.col("node_id").is_in(nodes.frame.get_column("node_id").drop_nulls().implode())
        refused = (
            offers.numbered()
            .filter(known & ~pl.col("node_id").is_in(every.implode()))
            .join(items.frame.lazy().select("item_id", "storage_class").unique("item_id"), on="item_id")
            .join(pairs.lazy(), on=["node_id", "storage_class"], how="anti")
            .collect()
        )
        context.findings.add_rows(
            offers,
            refused,
            "node_id",
            "a node that accepts the item's storage class {storage_class}",
            "correct the node, or add the class to its storage_classes",
        )


def _check_supply(context: Context) -> None:
    if found := context.get("items", "offers", "on_hand", "on_order"):
        items, offers, on_hand, on_order = found
        shut = refused_pairs(context).lazy()
        bought = offers.frame.lazy().join(shut, on=["item_id", "node_id"], how="anti")
        bought = bought.join(refused_offers(context).lazy(), on=["item_id", "vendor_id", "node_id"], how="anti")
        sources = [bought.select("item_id")]
        sources += [view.frame.lazy().filter(pl.col("units") > 0).select("item_id") for view in (on_hand, on_order)]
        bare = items.numbered().join(pl.concat(sources).unique(), on="item_id", how="anti").collect()
        context.findings.add_rows(
            items,
            bare,
            "item_id",
            "an item with an offer at a node that may stock it, or with stock in on_hand or on_order",
            "add an offer, add its stock, or remove the item; or the override that excludes it",
        )


def _check_offer_lead_times(context: Context) -> None:
    if not (found := context.get("offers")):
        return
    (offers,) = found
    if context.settings:
        limit = context.settings.lead_time_limit
        context.findings.add_rows(
            offers,
            offers.rows(pl.col("lead_time_mean") > limit),
            "lead_time_mean",
            f"a lead time of at most {limit} days (lead_time_limit in instance.yaml)",
            "correct the lead time or raise lead_time_limit",
        )
    if "lead_times" in context.views:
        known = context.views["lead_times"].frame.get_column("vendor_id").drop_nulls().unique()
        lost = (pl.col("lead_time_law") == "empirical") & ~pl.col("vendor_id").is_in(known.implode())
        context.findings.add_rows(
            offers,
            offers.rows(lost),
            "vendor_id",
            "a vendor with rows in lead_times, which law empirical draws from",
            "add the vendor to lead_times, or use law fixed or gamma",
        )


def _check_offer_shares(context: Context) -> None:
    if found := context.get("offers"):
        (offers,) = found
        if not (offers.frame.get_column("share") == 0).any():
            return
        groups = offers.numbered().group_by("item_id", "node_id").agg(pl.col("share").sum(), pl.col(ROW).min())
        context.findings.add_rows(
            offers,
            groups.filter(pl.col("share") == 0).collect(),
            "share",
            "a share > 0 on at least one offer of the item at the node",
            "give a share to an offer, or remove the offers",
        )
