"""Lab 1: how much to hold of an item is ours, where to hold it is the old system's."""

from __future__ import annotations

import numpy as np
import polars as pl

from meio_jax.backtest import PlanTable

KEY = ["item_id", "bucket"]


def our_levels_old_placement(ours: PlanTable, old: PlanTable, first_nodes: set[str]) -> PlanTable:
    """The old plan scaled, item by item and bucket by bucket, to our stock in the whole network.

    Ours: the sum of the targets of all nodes. Old: echelon targets of the nodes that draw on no other node count
    all stock. An item that the old system does not hold stays out.

    Args:
        ours: A plan with a target per node.
        old: A plan with echelon targets.
        first_nodes: Nodes that no lane leads to.
    """
    name = "target" if "target" in ours.targets.columns else "target_units"
    total = ours.targets.group_by(KEY).agg(pl.col(name).sum().alias("total"))
    first = old.targets.filter(pl.col("node_id").is_in(sorted(first_nodes)))
    held = first.group_by(KEY).agg(pl.col("target_units").sum().alias("held"))
    scaled = old.targets.join(total, on=KEY, how="left").join(held, on=KEY, how="left")
    factor = pl.when(pl.col("held") > 0).then(pl.col("total") / pl.col("held")).otherwise(0.0).fill_null(0.0)
    scaled = scaled.with_columns((pl.col("target_units") * factor).alias("ideal"))
    scaled = scaled.sort(*KEY, "node_id")
    tiers = scaled.with_columns(pl.col("node_id").is_in(sorted(first_nodes)).alias("tier"))
    units = tiers.with_columns(
        pl.col("ideal").cum_sum().over(*KEY, "tier").alias("upto"),
    ).with_columns((pl.col("upto") + 0.5).floor().alias("whole"))
    units = units.with_columns(
        (pl.col("whole") - pl.col("whole").shift(1, fill_value=0.0).over(*KEY, "tier"))
        .clip(lower_bound=0)
        .cast(pl.Int64)
        .alias("target_units")
    )
    # Sites below round among themselves, so that small items keep their sum and not their nearest integer.
    return PlanTable(
        units.select("item_id", "node_id", "bucket", "target_units"), echelon=old.echelon, name="our_levels"
    )


def nodes_without_lanes(lanes: pl.DataFrame, nodes: list[str]) -> set[str]:
    """Nodes that buy and draw on no other node."""
    fed = set(lanes["to_node"].to_list()) if lanes.height else set()
    return set(np.setdiff1d(np.asarray(nodes), sorted(fed)).tolist()) if fed else set(nodes)
