"""What is expected to be ordered and moved in later buckets."""

from __future__ import annotations

import polars as pl

from meio_jax.report.charts import Bar, bar_chart
from meio_jax.report.html import Markup
from meio_jax.report.numbers import number, whole
from meio_jax.report.parts import Column, card, cards, cell, name_cell, table
from meio_jax.runs.data import RunData

_VENDORS, _BUCKETS = 12, 13


def expected_orders(data: RunData) -> Markup | None:
    """Expected purchases and transfers of every bucket, and purchases by vendor; None where the run has none."""
    if "plan/planned_orders" not in data.tables:
        return None
    orders, moves = data.tables["plan/planned_orders"], data.tables["plan/planned_transfers"]
    by_bucket = orders.group_by("bucket").agg(pl.col("units", "cost").sum()).collect()
    if not by_bucket.height:
        return None
    moved = moves.group_by("bucket").agg(pl.col("units").sum()).collect()
    money, bought = f"Expected purchases, {data.currency}", "Units expected to be bought"
    shown = [card(money, _bars(data, by_bucket, "cost", money)), card(bought, _bars(data, by_bucket, "units", bought))]
    if moved.height:
        carried = "Units expected to be moved"
        shown.append(card(carried, _bars(data, moved, "units", carried)))
    return cards(*shown, _by_vendor(data, orders))


def _name(data: RunData, bucket: int) -> str:
    return f"{data.buckets[bucket][0]:%d %b}"


def _bars(data: RunData, sums: pl.DataFrame, column: str, label: str) -> Markup:
    found = dict(sums.select("bucket", column).iter_rows())
    bars = [Bar(_name(data, at), found.get(at, 0.0)) for at in range(min(len(data.buckets), _BUCKETS))]
    return bar_chart(bars, label=f"{label}, by {data.bucket_word}", show=whole if column == "units" else number)


def _by_vendor(data: RunData, orders: pl.LazyFrame) -> Markup:
    """Money by vendor and bucket, the vendors that get most first."""
    sums = orders.group_by("vendor_id", "bucket").agg(pl.col("cost").sum()).collect()
    total = sums.group_by("vendor_id").agg(pl.col("cost").sum()).sort("cost", "vendor_id", descending=[True, False])
    shown = range(min(len(data.buckets), _BUCKETS))
    found = {(vendor, bucket): cost for vendor, bucket, cost in sums.iter_rows()}
    rows = []
    for vendor, cost in total.head(_VENDORS).iter_rows():
        figures = [found.get((vendor, at), 0.0) for at in shown] + [cost]
        rows.append([name_cell(vendor), *(cell(number(value), figure=True, sort=value) for value in figures)])
    columns = [Column("Vendor"), *(Column(_name(data, at), True) for at in shown), Column("In all", True)]
    label = f"Expected purchases by vendor and {data.bucket_word}, {data.currency}"
    return card(label, table(columns, rows, label=label), wide=True)
