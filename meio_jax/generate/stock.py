"""Stock of a sensible plan: what each node needs on average, and a starting stock and pipeline near it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from meio_jax.generate.supply import Network

SAFETY = np.array([2.0, 2.0, 1.8])  # standard deviations of protection, by tier
START_LEVEL = 0.8  # share of the safety stock that is there at the start


@dataclass(frozen=True)
class StockPlan:
    """Per item and node `[I, N]`: flow in units per day, average on-hand units, lead time in days (whole)."""

    rate: np.ndarray
    on_hand: np.ndarray
    start: np.ndarray
    lead: np.ndarray


def node_lead_times(network: Network) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the lead time over a node's lanes `[N]`; zero at source nodes."""
    nodes = len(network.tier)
    total = np.bincount(network.lane_to, network.lane_share, minlength=nodes)
    weight = network.lane_share / total[network.lane_to] if len(network.lane_to) else network.lane_share
    mean = np.bincount(network.lane_to, weight * network.lane_days, minlength=nodes)
    spread = np.bincount(network.lane_to, weight * network.lane_sd, minlength=nodes)
    return mean, spread


def plan_stock(
    network: Network, rate: np.ndarray, dispersion: np.ndarray, vendor_mean: np.ndarray, vendor_sd: np.ndarray
) -> StockPlan:
    """Base-stock arithmetic per item and node.

    Args:
        network: the network.
        rate: flow through each node, units per day `[I, N]`.
        dispersion: of daily demand `[I]`; vendor_mean, vendor_sd: lead time of the main offer, days `[I]`.
    """
    lane_mean, lane_sd = node_lead_times(network)
    lead = np.where(network.sources, vendor_mean[:, None], lane_mean)
    spread = np.where(network.sources, vendor_sd[:, None], lane_sd)
    cover = lead + network.review
    variance = rate * cover + dispersion[:, None] * rate**2 * cover + (rate * spread) ** 2
    safety = SAFETY[network.tier] * np.sqrt(variance)
    cycle = rate * network.review / 2
    whole = np.maximum(np.round(lead), 1).astype(int)
    return StockPlan(rate, cycle + safety, cycle + START_LEVEL * safety, whole)


def starting_stock(plan: StockPlan, u: np.ndarray) -> np.ndarray:
    """Whole units on hand `[I, N]`: the plan's level rounded up or down at random (`u` uniform, `[I, N]`)."""
    return np.floor(plan.start + u).astype(np.int64)


def starting_pipeline(network: Network, plan: StockPlan, u: np.ndarray, periods: int):
    """Orders still under way: indices (item, node), due period and units, of those with units.

    An order was placed at each past review day and is due a lead time later; cumulative rounding with one
    uniform number per item and node keeps whole units and the right total. Orders due after the horizon are
    left out.
    """
    found = []
    size = plan.rate * network.review
    for k in range(int(np.max(np.ceil(plan.lead / network.review)))):
        # the k-th most recent review day before the start, as days before period 0
        age = (-network.review_offset) % network.review
        age = np.where(age == 0, network.review, age) + k * network.review
        due = plan.lead - age
        units = np.floor(size * (k + 1) + u) - np.floor(size * k + u)
        item, node = np.nonzero((due >= 0) & (due < periods) & (units > 0))
        found.append((item, node, due[item, node], units[item, node].astype(np.int64)))
    item, node, due, units = (np.concatenate([f[j] for f in found]) for j in range(4))
    order = np.lexsort((due, node, item))
    return item[order], node[order], due[order], units[order]


def due_by_bucket(network: Network, plan: StockPlan, u: np.ndarray, periods: int, bucket_periods: int) -> np.ndarray:
    """Units of the starting pipeline that arrive at each node in each bucket, `[N, B]`."""
    _, node, due, units = starting_pipeline(network, plan, u, periods)
    total = np.zeros((len(network.node_id), -(-periods // bucket_periods)))
    np.add.at(total, (node, due // bucket_periods), units)
    return total


def stock_tables(
    network: Network, plan: StockPlan, on_hand: np.ndarray, u: np.ndarray, ids: np.ndarray, periods: int
) -> dict[str, pl.DataFrame]:
    """The tables `on_hand` and `on_order` of items `ids`; `u` as for `starting_pipeline`."""
    item, node = np.nonzero(on_hand)
    due_item, due_node, due, units = starting_pipeline(network, plan, u, periods)
    key = {"item_id": pl.String, "node_id": pl.String}
    return {
        "on_hand": pl.DataFrame(
            {
                "item_id": ids[item],
                "node_id": network.node_id[node],
                "units": on_hand[item, node].astype(float),
            },
            schema={**key, "units": pl.Float64},
        ),
        "on_order": pl.DataFrame(
            {
                "item_id": ids[due_item],
                "node_id": network.node_id[due_node],
                "period_due": due.astype(np.int64),
                "units": units.astype(float),
            },
            schema={**key, "period_due": pl.Int64, "units": pl.Float64},
        ),
    }
