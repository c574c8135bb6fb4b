"""Checks of resources: the scope and the measure of each kind, buckets, and what a scope names."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from meio_jax.tables.check_items import accepted_classes
from meio_jax.tables.context import Context, Scope
from meio_jax.tables.findings import View
from meio_jax.tables.schema import FLOOR_KINDS

SCOPES = (
    *("node_id", "to_node", "vendor_id", "storage_class", "item_class", "node_group", "region_group", "speed_id"),
)


@dataclass(frozen=True)
class KindRule:
    """What a kind of resource needs, may have besides, and may count; `default` fills an empty measure."""

    needs: tuple[str, ...]
    may: tuple[str, ...]
    measures: tuple[str, ...]
    default: str | None = None


_FLOW = ("units", "m3", "kg", "pallets", "hours", "lines")
KIND_RULES = {
    "storage": KindRule(("node_id",), ("storage_class",), ("units", "m3", "pallets")),
    "inbound": KindRule(("node_id",), (), _FLOW),
    "outbound": KindRule(("node_id",), (), _FLOW),
    "lane": KindRule(("node_id", "to_node"), (), _FLOW),
    "vendor": KindRule(("vendor_id",), (), _FLOW),
    "spend": KindRule((), ("node_id", "vendor_id"), ("money",), "money"),
    "service": KindRule((), ("item_class", "node_group", "region_group", "speed_id"), ("units",), "units"),
    "in_stock": KindRule((), ("item_class", "node_group"), ("units",), "units"),
}


def fill_measures(resources: pl.DataFrame) -> pl.DataFrame:
    """Fill the measure where the kind leaves only one (spend, service, in_stock)."""
    defaults = {kind: rule.default for kind, rule in KIND_RULES.items() if rule.default}
    implied = pl.col("kind").replace_strict(defaults, default=None, return_dtype=pl.String)
    return resources.with_columns(pl.col("measure").fill_null(implied))


def check_resources(context: Context) -> None:
    """Run every check of this module."""
    if not (found := context.get("resources")):
        return
    (resources,) = found
    for kind, rule in KIND_RULES.items():
        _check_kind(context, resources, kind, rule)
    context.findings.add_rows(
        resources,
        resources.rows(pl.col("kind").is_in(FLOOR_KINDS) & (pl.col("capacity") > 1)),
        "capacity",
        "a share in [0, 1] for kind {kind}",
        "write 0.95 for 95 %",
    )
    _check_held(context, resources)
    _check_buckets(context, resources)
    _check_same_scope(context, resources)
    _check_named(context, resources)


def _check_kind(context: Context, resources: View, kind: str, rule: KindRule) -> None:
    own = pl.col("kind") == kind
    for column in SCOPES:
        if column in rule.needs:
            context.findings.add_rows(
                resources,
                resources.rows(own & pl.col(column).is_null()),
                column,
                f"a value: kind {kind} needs {' and '.join(rule.needs)}",
                "fill in the value",
            )
        elif column not in rule.may:
            allowed = ", ".join(rule.needs + rule.may)
            context.findings.add_rows(
                resources,
                resources.rows(own & pl.col(column).is_not_null()),
                column,
                f"an empty cell: kind {kind} knows {allowed} only",
                "empty the cell or correct the kind",
            )
    unfit = ~pl.col("measure").is_in(list(rule.measures)) | pl.col("measure").is_null()
    context.findings.add_rows(
        resources,
        resources.rows(own & unfit),
        "measure",
        f"{_either(rule.measures)} for kind {kind}",
        "correct the measure or the kind",
    )


def _check_held(context: Context, resources: View) -> None:
    """Capacities that are held in a share of the scenarios."""
    given, floor = pl.col("held_in").is_not_null(), pl.col("kind").is_in(FLOOR_KINDS)
    context.findings.add_rows(
        resources,
        resources.rows(given & floor),
        "held_in",
        "an empty cell: floors (kind {kind}) are met on average over the scenarios",
        "empty the cell, or ask for a higher floor",
    )
    inside = (pl.col("held_in") > 0.5) & (pl.col("held_in") < 1)
    context.findings.add_rows(
        resources,
        resources.rows(given & ~floor & ~inside),
        "held_in",
        "a share above 0.5 and below 1",
        "write 0.9 for nine scenarios of ten; empty the cell for a capacity that is kept on average",
    )
    if context.settings and context.settings.ordering == "evening":
        context.findings.add_rows(
            resources,
            resources.rows(given & ~floor),
            "held_in",
            "an empty cell: with `ordering: evening` capacities are kept on average",
            "empty the cell, or let nodes order in the morning (`ordering` in instance.yaml)",
        )


def _either(words: tuple[str, ...]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _check_buckets(context: Context, resources: View) -> None:
    if context.settings:
        buckets = context.settings.buckets
        context.findings.add_rows(
            resources,
            resources.rows(pl.col("bucket") >= buckets),
            "bucket",
            f"a number of a bucket from 0 to {buckets - 1} (periods and bucket_periods in instance.yaml)",
            "remove the row or lengthen the horizon",
        )
    mixed = pl.col("bucket").is_null() & pl.col("bucket").is_not_null().any().over("resource_id")
    context.findings.add_rows(
        resources,
        resources.rows(mixed),
        "bucket",
        "either one row for every bucket (empty) or rows by bucket, not both",
        "remove this row or fill in its bucket",
    )


def _check_same_scope(context: Context, resources: View) -> None:
    for column in ("kind", *SCOPES, "measure", "held_in"):
        first = pl.col(column).first().over("resource_id")
        other = resources.rows(~pl.col(column).eq_missing(first))
        context.findings.add_rows(
            resources,
            other,
            column,
            "the same value in all rows of a resource",
            "give resources of different scope different ids",
        )


def _check_named(context: Context, resources: View) -> None:
    """Lanes, vendors, groups and classes that a resource names exist."""
    if found := context.get("lanes"):
        lane = resources.numbered().filter(pl.col("kind") == "lane").drop_nulls(["node_id", "to_node"])
        ends = found[0].frame.lazy().select("from_node", "to_node")
        lost = lane.join(ends, left_on=["node_id", "to_node"], right_on=["from_node", "to_node"], how="anti")
        context.findings.add_rows(
            resources,
            lost.collect(),
            "to_node",
            "a lane from {node_id} to {to_node} in table lanes",
            "add the lane",
        )
    if found := context.get("regions"):
        _check_known(context, resources, "region_group", found[0].frame.get_column("region_group"), "regions")
    if found := context.get("nodes"):
        _check_known(context, resources, "node_group", found[0].frame.get_column("node_group"), "nodes")
    if context.scope is not Scope.ALL:
        return
    if found := context.get("offers"):
        _check_known(context, resources, "vendor_id", found[0].frame.get_column("vendor_id"), "offers")
    if found := context.get("items"):
        _check_known(context, resources, "item_class", found[0].frame.get_column("item_class"), "items")
    if found := context.get("items", "nodes"):
        items, nodes = found
        classes = pl.concat(
            [frame.get_column("storage_class") for frame in (items.frame, accepted_classes(nodes.frame))]
        )
        _check_known(context, resources, "storage_class", classes, "items or nodes")


def _check_known(context: Context, resources: View, column: str, known: pl.Series, table: str) -> None:
    context.findings.add_rows(
        resources,
        resources.rows(~pl.col(column).is_in(known.drop_nulls().unique().implode())),
        column,
        f"a {column} that occurs in table {table}",
        "correct the value or remove the resource",
    )
