"""How long orders take to arrive, and goods to pass through the network, by the tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from meio_jax.instance.calendar import longest_waits
from meio_jax.instance.vendor_rhythm import Rhythm, rhythm_table
from meio_jax.tables import Tables
from meio_jax.tables.lane_use import transships

_LONGEST = pl.col("lead_time_mean") + 4 * pl.col("lead_time_sd")


def longest_leads(tables: Tables) -> pl.DataFrame:
    """Longest lead time of every offer, with a margin for random ones: `item_id, node_id, lead` (periods)."""
    recorded = tables.lead_times.group_by("vendor_id").agg(pl.col("days").max().cast(pl.Float64).alias("recorded"))
    offers = tables.offers.join(recorded, on="vendor_id", how="left")
    lead = (
        pl.when(pl.col("lead_time_law") == "empirical").then(pl.col("recorded").fill_null(_LONGEST)).otherwise(_LONGEST)
    )
    return offers.select("item_id", "node_id", lead.clip(1, tables.settings.lead_time_limit).alias("lead"))


def order_reach(tables: Tables, rhythms: Sequence[Rhythm] = ()) -> pl.DataFrame:
    """Periods in which an order of now, or of the next one, arrives at the latest: `item_id, node_id, reach`.

    A node that has no source for an item has no row.
    """
    lanes = tables.lanes.select(
        pl.col("to_node").alias("node_id"),
        (pl.col("lead_time") + 4 * pl.col("lead_time_sd")).cast(pl.Float64).alias("lead"),
    )
    stocked = tables.on_order.select("item_id", "node_id").unique()
    by_lane = stocked.join(lanes, on="node_id", how="inner").select("item_id", "node_id", "lead")
    longest = pl.concat([longest_leads(tables), by_lane]).group_by("item_id", "node_id").agg(pl.col("lead").max())
    slowest = rhythm_table(rhythms).group_by("node_id").agg(pl.col("every").max())
    every = pl.col("review_period") * pl.col("every").fill_null(1)
    review = tables.nodes.join(slowest, on="node_id", how="left").select("node_id", every.alias("review_period"))
    if not tables.calendar.is_empty():
        waits = pl.col("review_period") + pl.col("order_wait") + pl.col("receipt_wait")
        review = review.join(longest_waits(tables), on="node_id").select("node_id", waits.alias("review_period"))
    reach = (pl.col("lead").ceil() + pl.col("review_period")).cast(pl.Int64).alias("reach")
    return longest.join(review, on="node_id", how="left").select("item_id", "node_id", reach)


def _days_below(tables: Tables) -> dict[str, float]:
    """Periods that goods take from a node to the last node that it supplies, by node id."""
    below = dict.fromkeys(tables.nodes["node_id"].to_list(), 0.0)
    supply = tables.lanes.filter(pl.Series(~transships(tables.lanes, tables.nodes), dtype=pl.Boolean))
    lanes = list(zip(*(supply[name].to_list() for name in ("from_node", "to_node", "lead_time")), strict=True))
    # Lanes of supply form no circle (checked by the reader), so as many passes as nodes are enough.
    for _ in below:
        for origin, target, lead in lanes:
            below[origin] = max(below[origin], below[target] + float(lead))
    return below


def supply_paths(tables: Tables) -> np.ndarray:
    """Periods from an order at a vendor until its goods have reached the last node below, longest of every item."""
    below = _days_below(tables)
    if tables.offers.is_empty():
        return np.full(min(tables.items.height, 1), max(below.values(), default=0.0))
    days = pl.DataFrame({"node_id": list(below), "below": list(below.values())})
    paths = longest_mean_leads(tables).join(days, on="node_id", how="left")
    return paths.group_by("item_id").agg((pl.col("lead") + pl.col("below")).max().alias("path"))["path"].to_numpy()


def longest_mean_leads(tables: Tables) -> pl.DataFrame:
    """Mean lead time plus one standard deviation of every offer: `item_id, node_id, lead` (periods)."""
    recorded = tables.lead_times.group_by("vendor_id").agg(
        ((pl.col("days") * pl.col("weight")).sum() / pl.col("weight").sum()).alias("recorded")
    )
    usual = pl.col("lead_time_mean") + pl.col("lead_time_sd")
    offers = tables.offers.join(recorded, on="vendor_id", how="left")
    lead = pl.when(pl.col("lead_time_law") == "empirical").then(pl.col("recorded").fill_null(usual)).otherwise(usual)
    return offers.select("item_id", "node_id", lead.alias("lead"))


def has_bounds(tables: Tables) -> bool:
    """Whether the stock of any item is bounded at any node."""
    table = tables.assortment
    least = (pl.col("min_units") > 0) | (pl.col("min_days") > 0)
    most = pl.col("max_units").is_not_null() | pl.col("max_days").is_not_null()
    return not table.filter(least | most).is_empty()
