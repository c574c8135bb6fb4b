"""Overrides that contradict each other, or the table `assortment`."""

from __future__ import annotations

import polars as pl

from meio_jax.tables.context import Context
from meio_jax.tables.findings import ROW, View
from meio_jax.tables.overrides import IN_FORCE

_PAIR = ["item_id", "node_id"]
_SOURCE = [*_PAIR, "vendor_id", "from_node"]


def check_conflicts(context: Context, view: View) -> None:
    """Tell rows in force of which only one can hold.

    Args:
        context: Where `assortment` is, and where problems go.
        view: Overrides with `until` and `status`.
    """
    rows = view.numbered().filter(pl.col("status") == IN_FORCE)
    own = {kind: rows.filter(pl.col("kind") == kind) for kind in ("order", "stock", "exclude")}
    for kind, keys in (("order", [*_SOURCE, "period"]), ("stock", _PAIR), ("exclude", _SOURCE)):
        _check_single(context, view, own[kind], kind, keys)
    _check_excluded(context, view, own)
    _check_room(context, view, own)
    _check_assortment(context, view, own)


def _check_single(context: Context, view: View, rows: pl.LazyFrame, kind: str, keys: list[str]) -> None:
    first = pl.col("override_id").sort_by(ROW).first().over(keys)
    twice = rows.with_columns(first.alias("__first")).filter(pl.col("override_id") != pl.col("__first"))
    what = " and ".join({"order": ("source", "day"), "stock": ("item", "node"), "exclude": ("source",)}[kind])
    context.findings.add_rows(
        view,
        twice.collect(),
        "override_id",
        f"one row of kind {kind} in force for the same {what}; {{__first}} is another",
        "remove one of the two, or let it expire",
    )


def _check_excluded(context: Context, view: View, own: dict[str, pl.LazyFrame]) -> None:
    """Orders and least stock of what is excluded at that time."""
    shut = own["exclude"].select(
        *_PAIR,
        pl.col("vendor_id").alias("__vendor"),
        pl.col("from_node").alias("__from"),
        pl.col("until").alias("__until"),
        pl.col("override_id").alias("__other"),
    )
    same = lambda column, other: pl.col(other).is_null() | pl.col(column).eq(pl.col(other)).fill_null(value=False)
    orders = own["order"].filter(pl.col("units") > 0).join(shut, on=_PAIR)
    orders = orders.filter(same("vendor_id", "__vendor") & same("from_node", "__from"))
    orders = orders.filter(pl.col("period") <= pl.col("__until")).unique(ROW, maintain_order=True)
    context.findings.add_rows(
        view,
        orders.collect(),
        "period",
        "an order of what is not excluded on its day; {__other} excludes it",
        "remove one of the two, or let {__other} expire before",
    )
    held = own["stock"].filter(pl.any_horizontal(pl.col("min_units") > 0, pl.col("min_days") > 0))
    held = held.join(shut.filter(pl.col("__vendor").is_null() & pl.col("__from").is_null()), on=_PAIR)
    context.findings.add_rows(
        view,
        held.unique(ROW, maintain_order=True).collect(),
        "min_units",
        "no least stock of an item that the node may not order; {__other} excludes it",
        "remove one of the two",
    )


def _check_room(context: Context, view: View, own: dict[str, pl.LazyFrame]) -> None:
    """Orders that are larger than the most stock that applies on their day."""
    most = own["stock"].filter(pl.col("max_units").is_not_null())
    most = most.select(
        *_PAIR,
        pl.col("max_units").alias("__most"),
        pl.col("until").alias("__until"),
        pl.col("override_id").alias("__other"),
    )
    large = own["order"].join(most, on=_PAIR)
    large = large.filter((pl.col("units") > pl.col("__most")) & (pl.col("period") <= pl.col("__until")))
    context.findings.add_rows(
        view,
        large.collect(),
        "units",
        "at most max_units of {__other} ({__most})",
        "order less, or raise max_units there",
    )


def _check_assortment(context: Context, view: View, own: dict[str, pl.LazyFrame]) -> None:
    """What the table `assortment` says of the same pair."""
    if not (found := context.get("assortment")):
        return
    table = found[0].frame.lazy().unique(_PAIR, keep="first")
    table = table.select(*_PAIR, "stocked", *(pl.col(f"{end}_units").alias(f"__{end}") for end in ("min", "max")))
    ordered = own["order"].filter(pl.col("units") > 0).join(table, on=_PAIR).filter(~pl.col("stocked"))
    stocked = own["stock"].join(table, on=_PAIR)
    for rows in (ordered, stocked.filter(~pl.col("stocked"))):
        context.findings.add_rows(
            view,
            rows.collect(),
            "node_id",
            "a node that may order the item: stocked is false in table assortment",
            "correct the node, or set stocked to true there",
        )
    # Where a row gives one end, the other is that of `assortment`.
    for here, there, sign in (("min", "max", "most"), ("max", "min", "least")):
        missing = pl.col(f"{there}_units").is_null()
        crossed = pl.col("min_units") > pl.col("__max") if here == "min" else pl.col("max_units") < pl.col("__min")
        context.findings.add_rows(
            view,
            stocked.filter(missing & crossed).collect(),
            f"{here}_units",
            f"at {sign} {there}_units of table assortment ({{__{there}}})",
            f"correct it, or give {there}_units in the row as well",
        )
