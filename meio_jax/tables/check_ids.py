"""Ids that are nearly equal, in one table or across tables: probably one thing written in two ways."""

from __future__ import annotations

import polars as pl

from meio_jax.tables.check_items import accepted_classes
from meio_jax.tables.clean_texts import likeness
from meio_jax.tables.context import Context

DOMAINS: dict[str, tuple[tuple[str, str], ...]] = {
    "items": (("items", "item_id"),),
    "nodes": (("nodes", "node_id"),),
    "regions": (("regions", "region_id"),),
    "speeds": (("speeds", "speed_id"),),
    "vendors": tuple((table, "vendor_id") for table in ("offers", "lead_times", "resources", "calendar")),
    "profiles": (("shares", "profile"), ("items", "profile")),
    "storage classes": (("items", "storage_class"), ("nodes", "storage_classes"), ("resources", "storage_class")),
    "item classes": (("items", "item_class"), ("resources", "item_class")),
    "node groups": (("nodes", "node_group"), ("resources", "node_group")),
    "region groups": (("regions", "region_group"), ("resources", "region_group")),
    "resources": (("resources", "resource_id"),),
}
"""Columns that name the things of one kind. References to items, nodes, regions and speeds must match exactly."""


def check_near_ids(context: Context) -> None:
    """Warn of ids that differ in case, blanks, or leading zeros only."""
    for kind, columns in DOMAINS.items():
        frames = [frame for table, column in columns if (frame := _ids(context, table, column)) is not None]
        if not frames:
            continue
        ids = pl.concat(frames).drop_nulls("id").unique("id", maintain_order=True)
        alike = ids.with_columns(likeness("id").alias("like")).group_by("like", maintain_order=True)
        groups = alike.agg(pl.col("id"), pl.col("place")).filter(pl.col("id").list.len() > 1)
        if groups.height:
            names, places = groups.row(0)[1:]
            shown = " and ".join(f"{name!r} ({place})" for name, place in zip(names[:3], places[:3], strict=True))
            context.findings.warn(
                "near-equal ids",
                groups.height,
                f"{kind} whose ids are nearly equal count as different ones",
                shown,
                "write the id in one way if one thing is meant",
            )


def _ids(context: Context, table: str, column: str) -> pl.DataFrame | None:
    if not (found := context.get(table)):
        return None
    (view,) = found
    frame = accepted_classes(view.frame) if column == "storage_classes" else view.frame
    name = "storage_class" if column == "storage_classes" else column
    return frame.select(pl.col(name).alias("id")).unique(maintain_order=True).with_columns(place=pl.lit(table))
