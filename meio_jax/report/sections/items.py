"""Drill-down into single items: the largest, and those unlike the rest, each with the reason."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from meio_jax.report.charts import sparkline
from meio_jax.report.figures import Figures
from meio_jax.report.html import Markup, tag
from meio_jax.report.numbers import number, share
from meio_jax.report.parts import Column, called, cell, empty, name_cell, section, table, tabs
from meio_jax.report.strange import Strange, largest, strangest
from meio_jax.runs.data import RunData

_LISTED = 20
_PLACES = 12


@dataclass(frozen=True)
class _Detail:
    """Rows of the listed items from the tables of the run and the instance."""

    items: pl.DataFrame
    attributes: pl.DataFrame
    nodes: pl.DataFrame
    shipped: pl.DataFrame
    targets: pl.DataFrame
    today: pl.DataFrame
    orders: pl.DataFrame
    speeds: list[str]
    node_names: dict[str, str]


def _detail(data: RunData, figures: Figures, listed: list[str]) -> _Detail:
    wanted = pl.Series(listed, dtype=pl.String).implode()
    only = lambda name: data.tables[name].filter(pl.col("item_id").is_in(wanted)).collect()
    known = set(data.items["item_id"].to_list())
    return _Detail(
        figures.items.filter(pl.col("item_id").is_in(wanted)),
        data.item_block([item for item in listed if item in known]).items,
        only("plan/expected_nodes"),
        only("plan/expected"),
        only("plan/targets"),
        data.on_hand.filter(pl.col("item_id").is_in(wanted)),
        only("plan/orders"),
        data.network.speeds.sort("promise_days", "deliver_by_hour")["speed_id"].to_list(),
        dict(data.network.nodes.select("node_id", "name").iter_rows()),
    )


def _facts(row: dict, attributes: dict, currency: str) -> Markup:
    demand = row["demand"]
    facts = [
        ("Demand", f"{number(demand)} units"),
        ("Shipped", f"{number(row['shipped'])} units"),
        ("Lost", f"{number(row['lost'])} units ({share(row['lost'] / demand if demand else None)})"),
        ("Expected cost", f"{number(row['total_cost'])} {currency}"),
        ("Outbound", f"{number(row['outbound_cost'])} {currency}"),
        ("Lost sales", f"{number(row['lost_cost'])} {currency}"),
        ("Price, unit cost", f"{number(row['price'])}, {number(row['unit_cost'])} {currency}"),
        ("Volume, weight", f"{number(row['volume_m3'])} m³, {number(row['weight_kg'])} kg"),
        ("Class, unmet demand", f"{attributes.get('storage_class', '')}, {attributes.get('unmet', '')}"),
    ]
    if "wasted" in row:
        facts.append(("Wasted", f"{number(row['wasted'])} units (disposal {number(row['waste_cost'])} {currency})"))
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts], class_="facts")


def _by_node(frame: pl.DataFrame, column: str) -> dict[str, float]:
    return dict(frame.group_by("node_id").agg(pl.col(column).cast(pl.Float64).sum()).iter_rows())


def _places(item: str, detail: _Detail) -> Markup:
    """Where the item is: target by week, stock today and in the plan, shipments by promise."""
    own = lambda frame: frame.filter(item_id=item)
    targets = {
        row["node_id"]: row["target"]
        for row in own(detail.targets).sort("bucket").group_by("node_id").agg(pl.col("target")).iter_rows(named=True)
    }
    today, mean = _by_node(own(detail.today), "units"), _by_node(own(detail.nodes), "on_hand")
    shipped = {(r["node_id"], r["speed_id"]): r["units"] for r in own(detail.shipped).iter_rows(named=True)}
    bought = _by_node(own(detail.orders), "units")
    weight = {node: mean.get(node, 0.0) + today.get(node, 0.0) for node in {*targets, *today, *mean}}
    order = sorted(weight, key=lambda node: (-weight[node], node))
    columns = [
        Column("Site"),
        Column("Target by bucket"),
        Column("Target", True, "mean over buckets"),
        Column("Today", True),
    ]
    columns += [Column("Mean stock", True), *[Column(speed, True, "units shipped") for speed in detail.speeds]]
    columns.append(Column("Buy today", True))
    rows = []
    for node in order[:_PLACES]:
        line = [value or 0.0 for value in targets.get(node, [])]
        level = sum(line) / len(line) if line else None
        sent = [shipped.get((node, speed), 0.0) for speed in detail.speeds]
        words = "target by bucket: " + ", ".join(number(value) for value in line)
        rows.append(
            [
                name_cell(called({"node_id": node, "node_name": detail.node_names.get(node)}, "node_id")),
                cell(sparkline(line, label=words) if line else ""),
                cell(number(level), figure=True, sort=level or 0.0),
                *[cell(number(v), figure=True, sort=v) for v in (today.get(node, 0.0), mean.get(node, 0.0), *sent)],
                cell(number(bought.get(node, 0)), figure=True, sort=float(bought.get(node, 0))),
            ]
        )
    more = empty(f"{len(order) - _PLACES} more sites hold less.") if len(order) > _PLACES else None
    return tag("div", table(columns, rows, label=f"Sites of {item}"), more)


def _list(listed: list[Strange], detail: _Detail, currency: str) -> Markup:
    rows = {row["item_id"]: row for row in detail.items.iter_rows(named=True)}
    attributes = {row["item_id"]: row for row in detail.attributes.iter_rows(named=True)}
    entries = []
    for one in listed:
        name = attributes.get(one.item_id, {}).get("name")
        title = called({"item_id": one.item_id, "item_name": name}, "item_id")
        head = [
            tag("span", title, class_="item-name", title=title),
            tag("span", one.reason, class_="reason"),
        ]
        body = [_facts(rows[one.item_id], attributes.get(one.item_id, {}), currency), _places(one.item_id, detail)]
        entries.append(tag("details", tag("summary", head), body, class_="item"))
    return tag("div", entries)


def items(data: RunData, figures: Figures) -> Markup:
    """The largest and the strangest items."""
    top = largest(figures.items, _LISTED)
    odd = strangest(figures.items, data.days, _LISTED, data.period)
    listed = list(dict.fromkeys([one.item_id for one in (*top, *odd)]))
    detail = _detail(data, figures, listed)
    odd_list = _list(odd, detail, data.currency) if odd else empty("No item stands out from the rest.")
    panels = [(f"Largest ({len(top)})", _list(top, detail, data.currency)), (f"Strangest ({len(odd)})", odd_list)]
    lead = (
        "Strange items lie more than 3.5 robust standard deviations from the median item in what is said of them. For "
        "any other item, and for why it has the stock it has: "
    )
    hint = tag("p", lead, tag("code", "meio explain RUN --item ID"), class_="lead")
    return section("items", "Items", hint, tabs("items", "Which items", panels))
