"""Checks of overrides row by row: what a kind needs, sources that can deliver, and rows that do not apply."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from meio_jax.tables.check_frozen import check_frozen
from meio_jax.tables.check_items import accepted_classes
from meio_jax.tables.conflicting_overrides import check_conflicts
from meio_jax.tables.context import Context
from meio_jax.tables.findings import ROW, View
from meio_jax.tables.open_days import open_days
from meio_jax.tables.overrides import BOUNDS, EXPIRED, IN_FORCE, LATER, PAST, with_status
from meio_jax.tables.settings import InstanceSettings

_FOREIGN = {
    "order": BOUNDS,
    "stock": ("vendor_id", "from_node", "units", "period"),
    "exclude": ("units", "period", *BOUNDS),
}


def check_overrides(context: Context) -> None:
    """Run every check of overrides and of frozen periods."""
    check_frozen(context)
    if context.settings is None or not (found := context.get("overrides")):
        return
    (overrides,) = found
    if overrides.frame.is_empty():
        return
    view = replace(overrides, frame=with_status(overrides.frame, context.settings))
    _warn_of_idle_rows(context, view, context.settings)
    _check_cells(context, view)
    _check_sources(context, view)
    _check_lots(context, view)
    _check_days(context, view, context.settings)
    check_conflicts(context, view)


def _warn_of_idle_rows(context: Context, view: View, settings: InstanceSettings) -> None:
    first = settings.date_of(0)
    told = {
        EXPIRED: (
            "overrides that have expired before the first decision are not applied",
            "override {override_id} expired on {expires}",
            "remove the rows, or give a later day in `expires`",
        ),
        PAST: (
            f"fixed orders of days before {first} are not applied: what was ordered is in on_order",
            "override {override_id} orders in period {period}",
            "remove the rows, or give the day on which the order is still to be placed",
        ),
        LATER: (
            f"fixed orders of days after the {settings.periods} periods of the horizon are not applied",
            "override {override_id} orders in period {period}",
            "correct the day, or plan a longer horizon",
        ),
    }
    for status, (what, example, remedy) in told.items():
        rows = view.rows(pl.col("status") == status)
        context.findings.warn_rows(view, rows, f"overrides {status}", what, example, remedy)


def _check_cells(context: Context, view: View) -> None:
    """What the row of a kind must and must not say."""
    findings = context.findings
    kind = pl.col("kind")
    order, given = kind == "order", lambda name: pl.col(name).is_not_null()
    for name, what in (("units", "the units of the order; 0 for no order"), ("period", "a period, or an order_date")):
        findings.add_rows(view, view.rows(order & ~given(name)), name, what, "fill in the cell")
    bare = view.rows(order & ~given("vendor_id") & ~given("from_node"))
    findings.add_rows(view, bare, "vendor_id", "a vendor, or from_node of a transfer", "give one of them")
    both = view.rows(given("vendor_id") & given("from_node"))
    findings.add_rows(view, both, "from_node", "a vendor or a node that ships, not both", "empty one of the two")
    for name, columns in _FOREIGN.items():
        for column in columns:
            rows = view.rows((kind == name) & given(column))
            findings.add_rows(view, rows, column, f"an empty cell in a row of kind {name}", "empty it, or change kind")
    bounds = pl.any_horizontal(given(name) for name in BOUNDS)
    findings.add_rows(
        view,
        view.rows((kind == "stock") & ~bounds),
        "min_units",
        "a least or a most stock (min_units, min_days, max_units, max_days)",
        "fill in one of them",
    )
    for unit in ("units", "days"):
        findings.add_rows(
            view,
            view.rows(pl.col(f"max_{unit}") < pl.col(f"min_{unit}")),
            f"max_{unit}",
            f"at least min_{unit} ({{min_{unit}}})",
            "correct one of the two",
        )
    findings.add_rows(
        view,
        view.rows(order & (pl.col("until") < pl.col("period"))),
        "expires",
        "no day before that of the order (period {period})",
        "give a later day, or none",
    )


def _check_sources(context: Context, view: View) -> None:
    """Vendors without an offer of the item at the node, lanes that are not there, items that a node does not take."""
    findings = context.findings
    rows = view.numbered().filter(pl.col("status") == IN_FORCE)
    if found := context.get("offers"):
        offers = found[0].frame.lazy()
        keys = ["item_id", "vendor_id", "node_id"]
        bad = rows.filter(pl.col("vendor_id").is_not_null()).join(offers.select(keys), on=keys, how="anti")
        there = offers.group_by("item_id", "node_id").agg(pl.col("vendor_id").sort().str.join(", ").alias("__there"))
        bad = bad.join(there, on=["item_id", "node_id"], how="left").with_columns(pl.col("__there").fill_null("none"))
        expected = "a vendor with an offer of {item_id} at {node_id} (there: {__there})"
        findings.add_rows(view, bad.collect(), "vendor_id", expected, "correct the vendor, or add its offer")
    if found := context.get("lanes"):
        lanes = found[0].frame.lazy().select("from_node", pl.col("to_node").alias("node_id"))
        bad = rows.filter(pl.col("from_node").is_not_null()).join(lanes, on=["from_node", "node_id"], how="anti")
        expected = "a node with a lane to {node_id}"
        findings.add_rows(view, bad.collect(), "from_node", expected, "correct the node, or add the lane")
    if found := context.get("items", "nodes"):
        items, nodes = found
        classes = items.frame.lazy().select("item_id", "storage_class").unique("item_id")
        pairs = accepted_classes(nodes.frame)
        every = pairs.filter(pl.col("storage_class").is_null()).get_column("node_id")
        known = pl.col("node_id").is_in(nodes.frame.get_column("node_id").drop_nulls().implode())
        bad = rows.filter((pl.col("kind") != "exclude") & known & ~pl.col("node_id").is_in(every.implode()))
        bad = bad.join(classes, on="item_id").join(pairs.lazy(), on=["node_id", "storage_class"], how="anti")
        expected = "a node that accepts the item's storage class {storage_class}"
        findings.add_rows(view, bad.collect(), "node_id", expected, "correct the node, or add the class to it")


def _check_lots(context: Context, view: View) -> None:
    """Orders that are no whole number of packs, or below the least order."""
    if not (found := context.get("offers")):
        return
    offers = found[0].frame.lazy().select("item_id", "vendor_id", "node_id", "pack_size", "min_order")
    least = pl.max_horizontal((pl.col("min_order") / pl.col("pack_size")).ceil() * pl.col("pack_size"), "pack_size")
    below = (pl.col("units") // pl.col("pack_size")) * pl.col("pack_size")
    bad = (
        view.numbered()
        .filter((pl.col("kind") == "order") & (pl.col("units") > 0) & (pl.col("status") == IN_FORCE))
        .join(offers, on=["item_id", "vendor_id", "node_id"])
        .with_columns(least.cast(pl.Int64).alias("__least"))
        .filter((pl.col("units") % pl.col("pack_size") != 0) | (pl.col("units") < pl.col("__least")))
        .with_columns(pl.max_horizontal("__least", below + pl.col("pack_size")).alias("__above"))
        .with_columns(pl.when(below >= pl.col("__least")).then(below).otherwise(0).alias("__below"))
    )
    expected = "whole packs of {pack_size} units, at least {__least}, or 0"
    remedy = "write {__below} or {__above}, or correct pack_size or min_order of the offer"
    context.findings.add_rows(view, bad.collect(), "units", expected, remedy)


def _check_days(context: Context, view: View, settings: InstanceSettings) -> None:
    """Orders on days on which nobody orders, takes orders or ships, and of items that are phased out."""
    findings = context.findings
    dated = (pl.col("kind") == "order") & (pl.col("status") == IN_FORCE) & pl.col("period").is_not_null()
    orders = view.rows(dated & (pl.col("units") > 0))
    if orders.is_empty():
        return
    if found := context.get("items"):
        out = found[0].frame.lazy().select("item_id", "phase_out").filter(pl.col("phase_out").is_not_null())
        day = pl.Series("__day", [settings.date_of(period) for period in orders["period"]], pl.Date)
        bought = orders.with_columns(day).lazy().filter(pl.col("vendor_id").is_not_null())
        bad = bought.join(out.unique("item_id"), on="item_id").filter(pl.col("__day") >= pl.col("phase_out"))
        expected = "a day before the item's phase_out ({phase_out})"
        findings.add_rows(view, bad.collect(), "period", expected, "order earlier, or correct phase_out")
    if found := context.get("calendar", "nodes"):
        calendar, nodes = found
        shut = _closed(orders, calendar.frame, settings, nodes.frame["node_id"].to_list())
        expected = "a day on which {node_id} orders and its source takes orders (table calendar)"
        findings.add_rows(view, shut, "period", expected, "give a day on which both work, or an `open` row in calendar")


def _closed(orders: pl.DataFrame, calendar: pl.DataFrame, settings: InstanceSettings, nodes: list[str]) -> pl.DataFrame:
    """Orders of days that are closed by the calendar."""
    found = open_days(calendar, settings, nodes, settings.periods, before=1)
    if found is None:
        return orders.clear()
    at = {name: number for number, name in enumerate(nodes)}
    shut = np.zeros(orders.height, bool)
    for number, row in enumerate(orders.iter_rows(named=True)):
        node, period = at.get(row["node_id"]), row["period"] + 1
        if node is None:
            continue
        works = bool(found.orders[period, node])
        if row["vendor_id"] is not None:
            works &= bool(found.taken[period, found.calendars([row["vendor_id"]])[0], node])
        elif row["from_node"] in at:
            works &= bool(found.shipments[period, at[row["from_node"]]])
        shut[number] = not works
    return orders.filter(pl.Series(shut)).with_columns(pl.col(ROW))
