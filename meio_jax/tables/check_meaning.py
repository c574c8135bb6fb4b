"""What is valid but probably not meant: prices that are nothing, units that are off, sales that do not pay."""

from __future__ import annotations

import polars as pl

from meio_jax.tables.context import Context, Scope
from meio_jax.tables.findings import View

HEAVIEST, LIGHTEST = 25_000.0, 1.0
"""kg per m3 of the densest metal, and of air: goods lie between them."""
_FEW = 10
"""Items from which on the middle of a column says something about the others."""
_FAR = 1000.0
_LARGE = {"volume_m3": 5.0, "weight_kg": 500.0, "hours_per_unit": 8.0}
"""What only large goods exceed."""
_IN_ANOTHER = {"hours_per_unit": "divide it by 3600 if it is in seconds"}


def check_meaning(context: Context) -> None:
    """Run every check of this module."""
    if context.scope is Scope.NETWORK or not (found := context.get("items")):
        return
    (items,) = found
    _warn_of_density(context, items)
    if context.scope is Scope.ALL:
        _warn_of_peers(context, items)
        _warn_of_value(context, items)
        _warn_of_nothing(context)
    if context.get("offers"):
        offers = context.views["offers"]
        _warn_of_sales(context, items, offers)
        _warn_of_credit(context, items, offers)
        _warn_of_lead_times(context, offers)


def _warn_of_density(context: Context, items: View) -> None:
    density = pl.col("weight_kg") / pl.col("volume_m3")
    sized = (pl.col("volume_m3") > 0) & (pl.col("weight_kg") > 0)
    for column, where, factor, unit, word in (
        ("weight_kg", density > HEAVIEST, 1000, "grams", "heavier than any metal"),
        ("volume_m3", density < LIGHTEST, 1000, "litres", "lighter than air"),
    ):
        context.findings.warn_rows(
            items,
            items.rows(sized & where).with_columns((pl.col(column) / factor).alias("__right")),
            "units of size",
            f"items that are {word} for their volume: {column} is probably in {unit}",
            f"{column} {{{column}}}; {{__right}} if it is in {unit}",
            f"divide {column} by {factor}, or correct it",
        )


def _warn_of_peers(context: Context, items: View) -> None:
    for column, large in _LARGE.items():
        sizes = items.frame.get_column(column)
        middle = sizes.filter(sizes > 0).median()
        if items.frame.height >= _FEW and isinstance(middle, float):
            context.findings.warn_rows(
                items,
                items.rows((pl.col(column) > _FAR * middle) & (pl.col(column) > large)),
                "units of size",
                f"items whose {column} is more than a thousand times that of the item in the middle ({middle:g})",
                f"{column} {{{column}}}",
                f"correct {column}, or {_IN_ANOTHER.get(column, 'divide it by 1000 if it is in grams or litres')}",
            )


_CHEAP = 300.0
"""How many times less than in the middle of the catalog a kilogram or cubic metre of goods is hardly ever worth."""


def _warn_of_value(context: Context, items: View) -> None:
    """Sizes that make an item worth next to nothing by weight or volume: all else may be in grams and litres alike."""
    for column, unit, word in (("weight_kg", "kg", "grams"), ("volume_m3", "m3", "litres")):
        worth = pl.col("unit_cost") / pl.col(column)
        known = items.rows((pl.col(column) > 0) & (pl.col("unit_cost") > 0)).with_columns(worth.alias("__worth"))
        middle = known.get_column("__worth").median()
        if known.height < _FEW or not isinstance(middle, float):
            continue
        context.findings.warn_rows(
            items,
            known.filter(pl.col("__worth") * _CHEAP < middle).with_columns(pl.col("__worth").round(4)),
            "units of size",
            f"items that cost less than a {_CHEAP:.0f}th by {unit} of the item in the middle ({middle:.4g}): "
            f"{column} is probably in {word}",
            f"{column} {{{column}}}, {{__worth}} per {unit}",
            f"divide {column} by 1000, or correct it",
        )


_MONEY = (
    ("items", "price"),
    ("items", "unit_cost"),
    ("items", "holding_cost"),
    ("offers", "unit_cost"),
    ("transit", "cost_per_unit"),
)


def _warn_of_nothing(context: Context) -> None:
    """Columns of money that are 0 in every row, of tables that were given."""
    empty, assumed = [], context.findings.assumed
    for table, column in _MONEY:
        found = context.get(table)
        if table not in assumed and found and found[0].frame.height and (found[0].frame.get_column(column) == 0).all():
            empty.append(f"{column} of {table}")
    if empty:
        context.findings.warn(
            "all zero",
            len(empty),
            "columns of money that are 0 in every row: what they stand for costs or earns nothing in the plan",
            ", ".join(empty),
            "fill them in unless this is meant",
        )


def _cheapest(offers: View) -> pl.LazyFrame:
    """Least cost of a unit of each item, with its freight."""
    landed = (pl.col("unit_cost") + pl.col("freight_cost")).min().alias("__cheapest")
    return offers.frame.lazy().group_by("item_id").agg(landed)


def _warn_of_sales(context: Context, items: View, offers: View) -> None:
    lost = pl.col("unmet") == "lost"
    context.findings.warn_rows(
        items,
        items.numbered()
        .join(_cheapest(offers), on="item_id")
        .filter(lost & (pl.col("lost_sale_cost") < pl.col("__cheapest")))
        .collect(),
        "sales that do not pay",
        "items whose lost sale costs less than a unit: the cheapest plan buys none of them",
        "lost_sale_cost {lost_sale_cost}, cheapest offer {__cheapest} with freight",
        "give the price that is not earned, and goodwill, not the margin: what is bought is charged by itself",
    )


def _warn_of_credit(context: Context, items: View, offers: View) -> None:
    factor = context.settings.terminal_credit if context.settings else 1.0
    context.findings.warn_rows(
        items,
        items.numbered()
        .join(_cheapest(offers), on="item_id")
        .with_columns((pl.col("unit_cost") * factor).alias("__credit"))
        .filter(pl.col("__credit") > pl.col("__cheapest") * (1 + 1e-9))
        .collect(),
        "credit above price",
        "items whose stock at the end is credited with more than their cheapest offer costs",
        "credit {__credit} (unit_cost x terminal_credit), cheapest offer {__cheapest} with freight",
        "set items.unit_cost to what the item is bought for",
    )


def _warn_of_lead_times(context: Context, offers: View) -> None:
    if context.settings is None:
        return
    periods = context.settings.periods
    context.findings.warn_rows(
        offers,
        offers.rows((pl.col("lead_time_law") != "empirical") & (pl.col("lead_time_mean") >= periods)),
        "long lead times",
        f"offers whose lead time is as long as the horizon ({periods} periods) or longer: what is ordered now arrives "
        "after its end",
        "lead_time_mean {lead_time_mean}",
        "lengthen the horizon beyond the longest lead time",
    )
    part = pl.col("lead_time_mean") != pl.col("lead_time_mean").round(0)
    context.findings.warn_rows(
        offers,
        offers.rows((pl.col("lead_time_law") == "fixed") & part),
        "parts of days",
        "fixed lead times that are no whole number of periods: orders arrive at the start of a period",
        "lead_time_mean {lead_time_mean}",
        "round the lead time up to be safe, or give law gamma with a standard deviation",
    )
