"""Where items may be kept, and bounds on their stock, from the table `assortment`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from meio_jax.instance.ids import Ids, positions
from meio_jax.instance.overrides import not_excluded
from meio_jax.model.network import Network
from meio_jax.tables import Tables


def kept_nodes(tables: Tables, ids: Ids) -> np.ndarray:
    """Whether a node may order an item `[nodes, items]`, by `assortment` and by the overrides."""
    items, table = tables.items["item_id"].to_list(), tables.assortment.filter(~pl.col("stocked"))
    kept: np.ndarray = np.ones((len(ids.nodes), len(items)), bool)
    kept[positions(table["node_id"], ids.nodes), positions(table["item_id"], items)] = False
    return kept & not_excluded(tables, ids)


def bucket_means(network: Network, mean: np.ndarray) -> np.ndarray:
    """Mean demand of a period in each simulated bucket `[simulated_buckets, items]`, from that of each period."""
    length, missing = network.bucket_periods, network.buckets * network.bucket_periods - network.periods
    starts = [bucket * length for bucket in range(network.buckets)]
    starts += [network.periods + bucket * length for bucket in range(network.tail_buckets)]
    ends = [start + length for start in starts]
    ends[network.buckets - 1] -= missing
    return np.stack([mean[start:end].mean(0) for start, end in zip(starts, ends, strict=True)])


def stock_bounds(
    found: Mapping[str, np.ndarray],
    network: Network,
    mean: np.ndarray,
    flow: np.ndarray,
    lead: np.ndarray,
    gap: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Least and most stock of every item, as positions that orders keep `[simulated_buckets, nodes, items]`, units.

    What is ordered at a review must last until the order of the next one arrives: a least stock is left then if the
    position is raised to it and the mean demand of lead time + review gap - 1 periods, since positions are counted as
    they stand after the day's sales.

    Args:
        found: Bounds as they are given, by column `[nodes, items]` (`stock_cells`).
        network: The network.
        mean: Mean demand of every period `[horizon, items]`.
        flow: As of `flow_shares`.
        lead: As of `source_leads`.
        gap: Mean periods between the orders of each node `[nodes, items]`.
    """
    rate = flow * bucket_means(network, mean)[:, None, :]
    bound = (found["min_units"] > 0) | (found["min_days"] > 0)
    with np.errstate(invalid="ignore"):
        days = np.where(np.isfinite(found["max_days"]), found["max_days"], 0) * rate
    most = np.minimum(found["max_units"], np.where(np.isfinite(found["max_days"]), days, np.inf))
    least = np.maximum(found["min_units"], found["min_days"] * rate) + np.maximum(lead + gap - 1, 0) * rate
    return np.where(bound, least, 0.0), most
