"""Stock by tier: how much, worth what, for how many days, today and on average in the plan."""

from __future__ import annotations

import polars as pl

from meio_jax.report.charts import Bar, bar_chart
from meio_jax.report.figures import TIER_COLOURS, TIER_NAMES, TIERS, Figures
from meio_jax.report.html import Markup
from meio_jax.report.numbers import number, share
from meio_jax.report.parts import Column, card, cards, cell, name_cell, section, table
from meio_jax.runs.data import RunData


def _tiers(figures: Figures) -> pl.DataFrame:
    sums = figures.sites.group_by("kind").agg(
        pl.len().alias("sites"),
        pl.col("mean_units", "mean_m3", "mean_value", "today_units", "today_m3", "today_value", "holding_cost").sum(),
    )
    order = pl.DataFrame({"kind": TIERS, "order": range(len(TIERS))})
    return sums.join(order, on="kind", how="left").sort("order")


def _bars(tiers: pl.DataFrame, column: str, title: str) -> Markup:
    bars = []
    for row in tiers.iter_rows(named=True):
        colour = TIER_COLOURS.get(row["kind"], 4)
        bars.append(Bar(row["kind"].replace("_", "-"), row[f"mean_{column}"], "plan", colour))
        bars.append(Bar("", row[f"today_{column}"], "today", 7))
    return card(title, bar_chart(bars, label=title))


def stock(data: RunData, figures: Figures) -> Markup:
    """Stock by tier as bars and figures."""
    tiers = _tiers(figures)
    demand = figures.demand / data.days or 1.0
    total = float(tiers["mean_value"].sum()) or 1.0
    columns = [
        Column("Tier"),
        Column("Sites", True),
        Column("Mean units", True),
        Column("Units today", True),
        Column("Mean m³", True),
        Column(f"Mean value, {data.currency}", True),
        Column("Of value", True),
        Column(
            f"{data.period.title()}s of demand",
            True,
            f"mean units ÷ units demanded a {data.period} in the whole network",
        ),
        Column(f"Holding cost, {data.currency}", True),
    ]
    rows = []
    for row in tiers.iter_rows(named=True):
        figures_of = [row["sites"], row["mean_units"], row["today_units"], row["mean_m3"], row["mean_value"]]
        rows.append(
            [
                name_cell(TIER_NAMES.get(row["kind"], row["kind"])),
                *[cell(number(value), figure=True, sort=value) for value in figures_of],
                cell(share(row["mean_value"] / total), figure=True, sort=row["mean_value"]),
                cell(number(row["mean_units"] / demand), figure=True, sort=row["mean_units"]),
                cell(number(row["holding_cost"]), figure=True, sort=row["holding_cost"]),
            ]
        )
    return section(
        "stock",
        "Stock",
        cards(
            _bars(tiers, "units", "Units on hand"),
            _bars(tiers, "m3", "Volume, m³"),
            _bars(tiers, "value", f"Value at replacement cost, {data.currency}"),
        ),
        card("Stock by tier", table(columns, rows, label="Stock by tier"), wide=True),
        lead=f"Mean stock at the end of a {data.period} in the plan, beside the stock of today. Goods under way do not "
        "count.",
    )
