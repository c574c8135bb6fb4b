"""Use and price of every capacity by week."""

from __future__ import annotations

import polars as pl

from meio_jax.report.figures import Figures
from meio_jax.report.html import Markup, tag
from meio_jax.report.numbers import number, share
from meio_jax.report.parts import Column, cell, empty, heat, name_cell, section, table, tabs
from meio_jax.runs.data import RunData
from meio_jax.tables.measures import unit_words
from meio_jax.tables.schema import FLOOR_KINDS

_ROWS = 60

_PRICE = {
    "storage": "per unit of capacity (as in column Unit: m³, pallet ...) and period",
    "spend": "per unit of money",
    "service": "per unit of demand",
    "in_stock": "per item, node and day in stock",
}


def _unit(kind: str, measure: str | None) -> str:
    if kind in (*FLOOR_KINDS, "spend"):
        return "money" if kind == "spend" else "share"
    return unit_words(measure)


def _cells(row: dict, buckets: list[int]) -> list[Markup]:
    by_bucket = dict(
        zip(row["bucket"], zip(row["load"], row["price"], row["usage"], row["capacity"], strict=True), strict=True)
    )
    cells = []
    for bucket in buckets:
        if bucket not in by_bucket:
            cells.append(cell("", class_="heat-0"))
            continue
        load, price, used, capacity = by_bucket[bucket]
        priced = tag("span", number(price) if price > 0 else "", class_="price")
        words = f"use {number(used)} of {number(capacity)}"
        cells.append(cell([share(load, 0), priced], figure=True, class_=f"load {heat(load)}", sort=load, hint=words))
    return cells


def _panel(frame: pl.DataFrame, data: RunData) -> Markup:
    kind = frame["kind"][0]
    rows = (
        frame.sort("bucket")
        .group_by("resource_id", maintain_order=True)
        .agg(
            pl.col("bucket", "load", "price", "usage", "capacity"),
            pl.col("measure").first(),
            (pl.col("price") * pl.col("capacity")).max().alias("worth"),
            pl.col("load").max().alias("worst"),
        )
        .sort("worth", "worst", "resource_id", descending=[True, True, False])
    )
    shown = rows.head(_ROWS)
    buckets = sorted(frame["bucket"].unique().to_list())
    columns = [Column("Resource"), Column("Unit")]
    for bucket in buckets:
        start = data.buckets[bucket][0]
        columns.append(
            Column(f"{start.day} {start:%b}", True, f"{data.bucket_word} {bucket + 1}, from {start:%d %B %Y}")
        )
    body = [
        [name_cell(row["resource_id"]), cell(_unit(kind, row["measure"])), *_cells(row, buckets)]
        for row in shown.iter_rows(named=True)
    ]
    parts = [tag("p", _explained(kind, data.currency), class_="quiet"), table(columns, body, label=f"Capacity: {kind}")]
    if rows.height > _ROWS:
        left = rows.height - _ROWS
        fullest = share(rows[_ROWS:]["worst"].max())  # type: ignore[arg-type]
        parts.append(
            empty(f"{left} more with lower prices, none above {fullest} of its capacity, are in prices.parquet.")
        )
    return tag("div", parts)


def _explained(kind: str, currency: str) -> str:
    if kind in FLOOR_KINDS:
        reached = "served as promised" if kind == "service" else "in stock at the end of the day"
        return (
            f"Large figure: how much of the floor is reached, as floor ÷ share {reached}; above 100 % it is missed. "
            f"Small figure: price, {currency} {_PRICE[kind]}."
        )
    what = _PRICE.get(kind, "per unit of capacity (as in column Unit: m³, pallet, hour, order line ...)")
    return f"Large figure: use as a share of capacity. Small figure: price, {currency} {what}; none where it is zero."


def capacity(data: RunData, figures: Figures) -> Markup:
    """A table of weeks for every kind of resource."""
    lead = (
        "What one more unit of capacity would save is its price: where it is zero, capacity is to spare. Capacities "
        "are ordered by what they are worth. What more or less of one would do to the cost: "
    )
    hint = tag("p", lead, tag("code", "meio whatif RUN --resource ID --capacity +10%"), class_="lead")
    held = _held(data.certificate.get("held") or [], data)
    kinds = figures.capacity["kind"].unique(maintain_order=True).to_list()
    waits = data.optional("plan/docks")
    if not kinds:
        return section("capacity", "Capacity", empty("The instance has no shared capacities."))
    panels = []
    for kind in kinds:
        frame = figures.capacity.filter(kind=kind)
        panels.append((f"{kind} ({frame['resource_id'].n_unique()})", _panel(frame, data)))
    if waits is not None:
        panels.append(("waits at docks", _waits(waits, data)))
    return section("capacity", "Capacity", hint, *held, tabs("capacity", "Kind of capacity", panels))


def _waits(waits: pl.DataFrame, data: RunData) -> Markup:
    """What waits at docks that queue, the longest waits first."""
    shown = waits.sort("longest_wait", "mean_wait", "node_id", descending=[True, True, False]).head(_ROWS)
    period = f"{data.period}s"
    columns = [
        Column("Dock"),
        Column("Direction"),
        Column(data.bucket_word.capitalize(), True),
        Column("Units", True, "brought to the dock"),
        Column("Not on the day", True, "share of them that waits"),
        Column("Mean wait", True, period),
        Column("Longest wait", True, period),
        Column("Largest queue", True, "units that wait in an evening at most"),
    ]
    body = [
        [
            name_cell(row["node_id"]),
            cell(row["direction"]),
            cell(str(row["bucket"] + 1), figure=True, sort=row["bucket"]),
            cell(number(row["units"]), figure=True, sort=row["units"]),
            cell(share(row["waited_units"] / row["units"]), figure=True, sort=row["waited_units"] / row["units"]),
            *(
                cell(number(row[name]), figure=True, sort=row[name])
                for name in ("mean_wait", "longest_wait", "largest_queue")
            ),
        ]
        for row in shown.iter_rows(named=True)
    ]
    lead = "What exceeds the capacity of a day waits, the longest waiting first. Means over holdout scenarios."
    parts = [tag("p", lead, class_="quiet"), table(columns, body, label="Waits at docks")]
    if waits.height > shown.height:
        parts.append(empty(f"{waits.height - shown.height} more with shorter waits are in plan/docks.parquet."))
    return tag("div", parts)


def _held(rows: list[dict], data: RunData) -> list[Markup]:
    """In what share of the scenarios capacities are kept that are to be kept in a share of them."""
    if not rows:
        return []
    lead = tag(
        "p",
        "These are to be kept in a share of the scenarios and not on average. Use at that share is what the use "
        f"exceeds in the rest of them only. Shown is the {data.bucket_word} in which each is kept least.",
        class_="lead",
    )
    columns = [Column("Resource"), Column(data.bucket_word.capitalize()), Column("Kept", True)]
    columns += [Column("Use at that share", True), Column("Mean use", True)]
    body = [
        [
            name_cell(row["resource"]),
            cell(f"{data.buckets[row['bucket']][0]:%d %b}"),
            cell(f"in {share(row['kept'])} of scenarios (asked: {share(row['asked'])})", figure=True),
            *(cell(share(row[name] / max(row["capacity"], 1e-12)), figure=True) for name in ("use", "mean_use")),
        ]
        for row in rows
    ]
    return [lead, table(columns, body, label="Capacities held in a share of the scenarios")]
