"""Expected cost by term, by site, and what capacity adds to it."""

from __future__ import annotations

import polars as pl

from meio_jax.report.charts import Bar, bar_chart
from meio_jax.report.figures import TERM_NAMES, Figures
from meio_jax.report.html import Markup
from meio_jax.report.numbers import number, share
from meio_jax.report.parts import Column, card, cards, cell, empty, name_cell, section, table
from meio_jax.runs.data import RunData

_SITES = 40


def _terms(data: RunData, figures: Figures) -> Markup:
    terms = {name: value for name, value in data.certificate["cost_terms"].items() if value is not None}
    bars = [Bar(TERM_NAMES.get(name, name), value, colour=2 if value < 0 else 1) for name, value in terms.items()]
    chart = bar_chart(bars, label="Expected cost by term")
    total, shipped = float(data.certificate["holdout_cost"] or 0.0), figures.shipped or 1.0
    parts = shares_of_terms({**terms, "total": total}, of=list(terms))
    columns = [
        Column("Term"),
        Column(data.currency, True),
        Column("Share", True, "of all terms without sign"),
        Column("Per unit", True, "shipped"),
    ]
    rows = [
        [
            name_cell(TERM_NAMES.get(name, name)),
            cell(number(value), figure=True, sort=value),
            cell(share(parts[name]), figure=True, sort=value),
            cell(number(value / shipped), figure=True, sort=value),
        ]
        for name, value in [*terms.items(), ("total", total)]
    ]
    return cards(
        card(f"Expected cost by term, {data.currency}", chart),
        card("The same in figures", table(columns, rows, label="Expected cost by term")),
        _rents(data, figures),
    )


def shares_of_terms(money: dict[str, float], of: list[str]) -> dict[str, float | None]:
    """Every amount as a share of the amounts `of`, each taken without its sign; None where all of them are 0.

    The net total is no measure: it may be near 0, or negative, where stock left is worth more than was bought.
    """
    whole = sum(abs(money[name]) for name in of)
    return {name: value / whole if whole else None for name, value in money.items()}


def _rents(data: RunData, figures: Figures) -> Markup:
    rents = figures.capacity.group_by("kind", maintain_order=True).agg(pl.col("rent").sum()).filter(pl.col("rent") > 0)
    title = f"What the use of capacity is charged with, {data.currency}"
    if not rents.height:
        failed = data.certificate["result"] in ("INFEASIBLE", "NUMERICAL_FAILURE")
        none = "No plan that keeps all capacities was found, and so no prices."
        return card(title, empty(none if failed else "No capacity has a price."))
    bars = [
        Bar(row["kind"], row["rent"], colour=3) for row in rents.sort("rent", descending=True).iter_rows(named=True)
    ]
    note = empty("Price × use over the horizon. Not paid to anybody, and not part of the cost.")
    return card(title, bar_chart(bars, label="Price times use by kind of capacity"), note)


def _by_site(data: RunData, figures: Figures) -> Markup:
    names = ["purchase_cost", "inbound_cost", "transfer_cost", "holding_cost", "handling_cost", "outbound_cost"]
    total = pl.sum_horizontal([name for name in names if name != "purchase_cost"])
    sites = figures.sites.with_columns(total.alias("total")).sort("total", descending=True)
    columns = [Column("Site"), *[Column(name.removesuffix("_cost"), True) for name in names]]
    columns += [Column("sum without purchase", True), Column("per unit shipped", True, "outbound and handling")]
    rows = []
    for row in sites.head(_SITES).iter_rows(named=True):
        each = (row["outbound_cost"] + row["handling_cost"]) / row["shipped"] if row["shipped"] > 0.5 else None
        rows.append(
            [
                name_cell(row["node_id"]),
                *[cell(number(row[name]), figure=True, sort=row[name]) for name in names],
                cell(number(row["total"]), figure=True, sort=row["total"]),
                cell(number(each), figure=True, sort=each or 0.0),
            ]
        )
    parts = [table(columns, rows, label="Expected cost by site")]
    if sites.height > _SITES:
        parts.append(empty(f"{sites.height - _SITES} smaller sites are not shown."))
    return card(f"Expected cost by site, {data.currency}", *parts, wide=True)


def cost(data: RunData, figures: Figures) -> Markup:
    """Cost by term and by site."""
    lead = (
        "Means over holdout scenarios for the charged periods. Stock left at the end is credited at replacement cost, "
        "otherwise the last periods would run the network dry."
    )
    return section("cost", "Cost", _terms(data, figures), _by_site(data, figures), lead=lead)
