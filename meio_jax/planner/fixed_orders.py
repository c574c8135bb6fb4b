"""Orders that planners have fixed and that take from a capacity which no plan can meet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from meio_jax.tables import Tables
from meio_jax.tables.measures import unit_sizes
from meio_jax.tables.overrides import in_force
from meio_jax.tables.schema import FLOOR_KINDS


def with_fixed_orders(parts: Iterable[Tables], infeasible: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Capacities out of reach, each with the fixed orders that take from it as `fixed_orders`, the largest first.

    Args:
        parts: Tables of all items.
        infeasible: `resource`, `bucket`, `capacity` (of the whole bucket) ...
    """
    if not infeasible:
        return infeasible
    tables = list(parts)
    found = []
    for one in infeasible:
        rows = [row for own in tables for row in fixed_use(own, one["resource"], one["bucket"]).iter_rows(named=True)]
        rows = [{**row, "alone": row["used"] > one["capacity"]} for row in sorted(rows, key=lambda row: -row["used"])]
        found.append({**one, "fixed_orders": rows})
    return found


def fixed_use(tables: Tables, resource: str, bucket: int) -> pl.DataFrame:
    """What fixed orders take of a capacity in a bucket: `override_id, item_id, units, used`, in the capacity's unit.

    Orders and shipments count when they are made, receipts when they are due. Stock counts what an order due in the
    bucket brings, for the periods from then to the bucket's end, as if nothing of it was sold.
    """
    scope = tables.resources.filter(pl.col("resource_id") == resource).row(0, named=True)
    kind, settings = scope["kind"], tables.settings
    orders = in_force(tables.overrides, settings, "order").filter(pl.col("units") > 0)
    rows = _with_sources(orders, tables)
    for column in _scopes(kind):
        wanted = scope[column]
        if wanted is not None:
            rows = rows.filter(pl.col({"node_id": _node_of(kind), "to_node": "node_id"}.get(column, column)) == wanted)
    when = pl.col("period") + (pl.col("lead") if kind in ("inbound", "storage") else 0)
    end = min((bucket + 1) * settings.bucket_periods, settings.periods)
    rows = rows.filter(when.clip(0) // settings.bucket_periods == bucket)
    days = end - when if kind == "storage" else pl.lit(1)
    rows = rows.with_columns((_amount(kind, scope["measure"]) * days).cast(pl.Float64).alias("used"))
    return rows.select("override_id", "item_id", "units", "used").filter(pl.col("used") > 0)


def _scopes(kind: str) -> tuple[str, ...]:
    """Columns of a resource that say which orders it counts; nothing that customers take is fixed."""
    own = {"vendor": ("vendor_id",), "spend": ("node_id", "vendor_id"), "lane": ("node_id", "to_node")}
    return own.get(kind, ("node_id", "storage_class"))


def _node_of(kind: str) -> str:
    return "from_node" if kind == "lane" else "node_id"


def _amount(kind: str, measure: str | None) -> pl.Expr:
    if kind in ("outbound", *FLOOR_KINDS):
        return pl.lit(0.0)
    if kind == "spend":
        return pl.when(pl.col("from_node").is_null()).then(pl.col("units") * pl.col("unit_cost")).otherwise(0.0)
    return pl.lit(1.0) if measure == "lines" else pl.col("units") * unit_sizes()[measure or "units"]


def _with_sources(orders: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """Orders with the sizes of their item, and lead time and cost of their source."""
    sizes = ("item_id", "volume_m3", "weight_kg", "units_per_pallet", "hours_per_unit", "units_per_line")
    offers = tables.offers.select(
        "item_id", "vendor_id", "node_id", "unit_cost", pl.col("lead_time_mean").round().alias("__offer")
    )
    lanes = tables.lanes.select("from_node", pl.col("to_node").alias("node_id"), pl.col("lead_time").alias("__lane"))
    rows = orders.join(tables.items.select(*sizes, "storage_class"), on="item_id")
    rows = rows.join(offers, on=["item_id", "vendor_id", "node_id"], how="left")
    rows = rows.join(lanes, on=["from_node", "node_id"], how="left")
    return rows.with_columns(pl.coalesce("__offer", "__lane").cast(pl.Int64).alias("lead"))
