"""Checks of where items may be kept: bounds that agree, and items that some node may order."""

from __future__ import annotations

import polars as pl

from meio_jax.tables.context import Context
from meio_jax.tables.overrides import excluded_offers, excluded_pairs


def check_assortment(context: Context) -> None:
    """Run every check of this module."""
    if not (found := context.get("assortment")):
        return
    (assortment,) = found
    if assortment.frame.is_empty():
        return
    for unit in ("units", "days"):
        context.findings.add_rows(
            assortment,
            assortment.rows(pl.col(f"max_{unit}") < pl.col(f"min_{unit}")),
            f"max_{unit}",
            f"at least min_{unit} ({{min_{unit}}})",
            "correct one of the two",
        )
    bound = pl.any_horizontal(
        pl.col("min_units") > 0,
        pl.col("min_days") > 0,
        pl.col("max_units").is_not_null(),
        pl.col("max_days").is_not_null(),
    )
    context.findings.add_rows(
        assortment,
        assortment.rows(~pl.col("stocked") & bound),
        "stocked",
        "true where there is a bound on stock",
        "leave the bounds empty where the item is not to be stocked",
    )


def refused_pairs(context: Context) -> pl.DataFrame:
    """Pairs of item and node that may not be ordered, by `assortment` or by an override: `item_id, node_id`."""
    none = pl.DataFrame(schema={"item_id": pl.String, "node_id": pl.String})
    refused = [none]
    if found := context.get("assortment"):
        refused.append(found[0].frame.filter(~pl.col("stocked")).select("item_id", "node_id"))
    if context.settings is not None and (found := context.get("overrides")):
        refused.append(excluded_pairs(found[0].frame, context.settings))
    return pl.concat(refused).unique(maintain_order=True)


def refused_offers(context: Context) -> pl.DataFrame:
    """Offers that an override excludes throughout: `item_id, vendor_id, node_id`."""
    if context.settings is None or not (found := context.get("overrides")):
        return pl.DataFrame(schema=dict.fromkeys(("item_id", "vendor_id", "node_id"), pl.String))
    return excluded_offers(found[0].frame, context.settings)
