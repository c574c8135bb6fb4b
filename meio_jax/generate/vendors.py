"""Vendors and their lead times, and the offers table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from meio_jax.generate.items import Items
from meio_jax.generate.supply import Network

LAWS = np.array(["fixed", "gamma", "empirical"])
EXPRESS_FROM_DAYS = 8.0  # express is offered where the usual lead time is at least this
EXPRESS = "X"  # suffix of the id under which a vendor sells by express


@dataclass(frozen=True)
class Vendors:
    """Vendors `[V]`: mean and standard deviation of the lead time in days, law, and samples `[V, K]`."""

    vendor_id: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    law: np.ndarray
    days: np.ndarray
    weight: np.ndarray

    @property
    def express_days(self) -> np.ndarray:
        """Lead time of the express offer, days `[V]`."""
        return np.maximum(2, np.round(0.35 * self.mean)).astype(int)


def make_vendors(shape: str, count: int, rng: np.random.Generator) -> Vendors:
    """Vendors near (a week or so) and overseas (weeks; longer when the shape is global)."""
    overseas = rng.random(count) < (0.6 if shape == "global" else 0.3)
    far = 28.0 if shape == "global" else 18.0
    base = np.where(overseas, rng.uniform(0.75, 1.25, count) * far, rng.uniform(3.0, 10.0, count))
    law = LAWS[np.arange(count) % 3]
    variation = np.where(overseas, 0.25, 0.35) * rng.uniform(0.6, 1.4, count)
    # an empirical law has a main mode and a late tail, five support points
    factor = np.array([0.8, 0.95, 1.05, 1.3, 1.9])
    weight = np.array([0.20, 0.35, 0.25, 0.15, 0.05])
    days = np.maximum(1, np.round(base[:, None] * factor)).astype(int)
    seen_mean = days @ weight
    seen_sd = np.sqrt((days - seen_mean[:, None]) ** 2 @ weight)
    whole = np.maximum(1, np.round(base))
    mean = np.where(law == "empirical", seen_mean, whole)
    sd = np.where(law == "empirical", seen_sd, np.where(law == "gamma", variation * whole, 0.0))
    pad = max(4, len(str(count)))
    ids = np.array([f"V{k:0{pad}d}" for k in range(1, count + 1)])
    return Vendors(ids, np.round(mean, 4), np.round(sd, 4), law, days, np.tile(weight, (count, 1)))


def lead_times_table(vendors: Vendors) -> pl.DataFrame:
    """The table `lead_times`, of vendors with an empirical law."""
    rows = np.flatnonzero(vendors.law == "empirical")
    kept = vendors.days.shape[1]
    return (
        pl.DataFrame(
            {
                "vendor_id": np.repeat(vendors.vendor_id[rows], kept),
                "days": vendors.days[rows].ravel(),
                "weight": vendors.weight[rows].ravel(),
            }
        )
        .group_by("vendor_id", "days", maintain_order=True)
        .agg(pl.col("weight").sum())
        .sort("vendor_id", "days")
    )


def offers_table(network: Network, vendors: Vendors, items: Items, ids: np.ndarray) -> pl.DataFrame:
    """Offers of some items: at every source node; by express for some; direct to every FC for some."""
    kinds = ("main", "express", "direct")
    parts = [_offers(network, vendors, items, ids, kind) for kind in kinds]
    return pl.concat(part for part in parts if part.height).sort("item_id", "node_id", "vendor_id")


def _offers(network: Network, vendors: Vendors, items: Items, ids: np.ndarray, kind: str) -> pl.DataFrame:
    """Offers of one kind, of the items that have it at all nodes that it reaches."""
    express = items.fast & (vendors.mean[items.vendor] >= EXPRESS_FROM_DAYS)
    chosen = {"main": np.ones(len(ids), bool), "express": express, "direct": items.direct}[kind]
    reached = (network.tier == 1) & ~network.sources if kind == "direct" else network.sources
    rows, nodes = np.flatnonzero(chosen), np.flatnonzero(reached)
    share = {
        "main": np.where(express, 0.8, 1.0),
        "express": np.full(len(ids), 0.2),
        "direct": np.ones(len(ids)),
    }[kind]
    item = np.repeat(rows, len(nodes))
    node = np.tile(nodes, len(rows))
    vendor = items.vendor[item]
    cost, freight, pack = items.unit_cost[item], items.freight[item], items.pack[item]
    mean, sd, law = vendors.mean[vendor], vendors.sd[vendor], vendors.law[vendor]
    name = vendors.vendor_id[vendor]
    if kind == "express":
        cost, freight = cost * (1.0 + items.fast_premium[item]), freight * 3.0 + 0.25
        mean, sd, law = (
            vendors.express_days[vendor].astype(float),
            np.zeros(len(item)),
            np.full(len(item), "fixed"),
        )
        name, pack = np.char.add(name, EXPRESS), np.ones(len(item), int)
    elif kind == "direct":
        # small consignments: dearer, and no inner packs
        cost, freight, pack = cost * 1.01, freight * 1.5 + 0.05, np.ones(len(item), int)
    return pl.DataFrame(
        {
            "item_id": ids[item], "vendor_id": name, "node_id": network.node_id[node],
            "unit_cost": np.round(cost, 4), "freight_cost": np.round(freight, 4),
            "lead_time_mean": mean, "lead_time_sd": sd, "lead_time_law": law,
            "pack_size": pack, "min_order": np.where(pack > 1, pack, 0), "share": share[item],
        },
        schema_overrides={"item_id": pl.String, "vendor_id": pl.String, "node_id": pl.String,
                          "lead_time_law": pl.String, "pack_size": pl.Int64, "min_order": pl.Int64},
    )  # fmt: skip
