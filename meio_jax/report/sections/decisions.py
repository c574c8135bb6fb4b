"""What to do today: purchase orders by vendor and transfers by lane."""

from __future__ import annotations

import polars as pl

from meio_jax.plans.planned import next_order, says_when
from meio_jax.report.html import Markup, tag
from meio_jax.report.numbers import number, whole
from meio_jax.report.parts import Column, called, card, cards, cell, empty, name_cell, section, table
from meio_jax.report.sections.exceptions import exceptions
from meio_jax.report.sections.expected_orders import expected_orders
from meio_jax.report.sections.overrides import overrides
from meio_jax.runs.data import RunData
from meio_jax.runs.today import next_order_text, vendor_orders_text

_ROWS = 12


def _orders(orders: pl.DataFrame, currency: str, coming: str) -> Markup:
    if not orders.height:
        return card("Purchase orders", empty(f"Nothing to buy today. {coming}".strip()))
    keys = ["vendor_id", *(["vendor_name"] if "vendor_name" in orders.columns else [])]
    vendors = orders.group_by(keys).agg(pl.len().alias("lines"), pl.col("units", "cost").sum())
    rows = [
        [
            name_cell(called(row, "vendor_id")),
            cell(whole(row["lines"]), figure=True, sort=row["lines"]),
            cell(whole(row["units"]), figure=True, sort=row["units"]),
            cell(number(row["cost"]), figure=True, sort=row["cost"]),
        ]
        for row in vendors.sort("cost", "vendor_id", descending=[True, False]).head(_ROWS).iter_rows(named=True)
    ]
    columns = [Column("Vendor"), Column("Lines", True), Column("Units", True), Column(currency, True)]
    more = empty(f"{vendors.height - _ROWS} more vendors.") if vendors.height > _ROWS else None
    return card("Purchase orders by vendor", table(columns, rows, label="Purchase orders by vendor"), more)


def _largest(orders: pl.DataFrame, currency: str) -> Markup | None:
    if not orders.height:
        return None
    top = orders.sort("cost", "item_id", descending=[True, False]).head(_ROWS)
    rows = [
        [
            name_cell(called(row, "item_id")),
            cell(f"{called(row, 'vendor_id')} → {called(row, 'node_id')}"),
            cell(whole(row["units"]), figure=True, sort=row["units"]),
            cell(number(row["cost"]), figure=True, sort=row["cost"]),
            cell(f"{row['due_date']:%d %b}"),
        ]
        for row in top.iter_rows(named=True)
    ]
    columns = [Column("Item"), Column("From, to"), Column("Units", True), Column(currency, True), Column("Due")]
    return card("Largest order lines", table(columns, rows, label="Largest order lines"), wide=True)


def _transfers(transfers: pl.DataFrame) -> Markup:
    if not transfers.height:
        return card("Transfers", empty("Nothing to move today."))
    lanes = transfers.group_by("from_node", "to_node").agg(pl.len().alias("lines"), pl.col("units").sum())
    rows = [
        [
            name_cell(f"{row['from_node']} → {row['to_node']}"),
            cell(whole(row["lines"]), figure=True, sort=row["lines"]),
            cell(whole(row["units"]), figure=True, sort=row["units"]),
        ]
        for row in lanes.sort("units", "from_node", "to_node", descending=[True, False, False])
        .head(_ROWS)
        .iter_rows(named=True)
    ]
    columns = [Column("Lane"), Column("Lines", True), Column("Units", True)]
    more = empty(f"{lanes.height - _ROWS} more lanes.") if lanes.height > _ROWS else None
    return card("Transfers by lane", table(columns, rows, label="Transfers by lane"), more)


def decisions(data: RunData) -> Markup:
    """Today's orders and transfers, summed, and what is expected later."""
    orders, transfers = data.table("plan/orders"), data.table("plan/transfers")
    calendar = data.optional("plan/calendar")
    known = calendar is not None and says_when(calendar)
    coming = next_order_text(next_order(calendar)) if calendar is not None and known else ""
    rules = vendor_orders_text(data.optional("plan/vendor_orders"))
    return section(
        "decisions",
        "Decisions of today",
        cards(_orders(orders, data.currency, coming), _transfers(transfers)),
        _largest(orders, data.currency),
        tag("p", coming, class_="lead") if coming and orders.height else None,
        tag("p", rules, class_="lead") if rules else None,
        overrides(data),
        exceptions(data),
        expected_orders(data),
        lead="Every line is in plan/orders.parquet and plan/transfers.parquet.",
    )
