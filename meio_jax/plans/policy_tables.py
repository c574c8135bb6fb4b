"""What a policy decided, as tables: targets by node, protection by speed, shares by source.

Every parameter of a policy is in one of them. A leaf with a row per node is a column of `plan/targets` under its own
name; `source_weight` becomes the shares of `plan/shares`; protection levels are `plan/protection`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from meio_jax.instance import Instance
from meio_jax.plans.decisions import joined
from meio_jax.policy import AbstractPolicy
from meio_jax.policy.base import SOURCE_PREFIX
from meio_jax.policy.echelon import EchelonBaseStock
from meio_jax.policy.protected import Protected

KEPT_ABOVE = 1e-6
"""Units below this are rounding, not decisions."""

TARGET_COLUMNS = ("target", "fast_target", "order_cap")
"""Parameters that `plan/targets` always has a column for, empty where the policy has none."""


def policy_frames(instance: Instance, policy: AbstractPolicy) -> Iterator[tuple[str, pl.DataFrame]]:
    """The tables of a policy's parameters, with their paths in the run folder.

    Args:
        instance: The instance that the policy was optimised for.
        policy: Parameters in units of stock; leaves have a leading block axis.
    """
    around = policy if isinstance(policy, Protected) else None
    leaves = _leaves(instance, policy if around is None else around.replenishment)
    by_node = {name: leaf for name, leaf in leaves.items() if not name.startswith(SOURCE_PREFIX)}
    inner = policy if around is None else around.replenishment
    if "target" in by_node and not isinstance(inner, EchelonBaseStock):
        by_node["target"] = _within_bounds(instance, by_node["target"])
    yield "plan/targets", _targets(instance, by_node)
    if around is not None:
        yield "plan/protection", _protection(instance, _over_items(instance, around.protection))
    if "source_weight" in leaves:
        yield "plan/shares", _shares(instance, leaves["source_weight"])
    if instance.catalog.block.ordering is not None:
        yield "plan/order_sizes", _order_sizes(instance)


def _order_sizes(instance: Instance) -> pl.DataFrame:
    """Units that an order line has at least where its fixed cost or its price by quantity makes that worth while."""
    ids, block = instance.ids, instance.catalog.block
    assert block.ordering is not None  # else the table is not asked for
    slot, item = np.nonzero(joined(instance, block.ordering.usual))
    vendor = joined(instance, block.offer_vendor).astype(int)[slot, item]
    pack, usual = (joined(instance, leaf)[slot, item] for leaf in (block.pack, block.ordering.usual))
    return pl.DataFrame(
        {
            "item_id": np.asarray(instance.items)[item],
            "vendor_id": pl.Series([ids.vendors[number] for number in vendor], dtype=pl.String),
            "node_id": np.asarray(ids.nodes)[np.asarray(instance.network.offer_node, int)[slot]],
            "units": np.rint(np.ceil(usual / pack - 1e-6) * pack).astype(np.int64),
        }
    ).sort("item_id", "vendor_id", "node_id")


def _within_bounds(instance: Instance, target: np.ndarray) -> np.ndarray:
    """Levels as they are ordered up to: within the bounds of least and most stock, of which the most counts first."""
    bounds = instance.catalog.block.bounds
    if bounds is None:
        return target
    least, most = (joined(instance, leaf)[: instance.network.buckets] for leaf in (bounds.least, bounds.most))
    return np.minimum(np.maximum(target, least), most)


def _leaves(instance: Instance, policy: AbstractPolicy) -> dict[str, np.ndarray]:
    """Parameters by field name, `[buckets, rows, items]`."""
    return {name: _over_items(instance, getattr(policy, name)) for name in policy.parameters()}


def _over_items(instance: Instance, leaf: object) -> np.ndarray:
    """A leaf in blocks over all items, and one row per bucket where one serves all of them."""
    table = joined(instance, np.asarray(leaf))
    return np.broadcast_to(table, (instance.network.buckets, *table.shape[1:]))


def _targets(instance: Instance, leaves: dict[str, np.ndarray]) -> pl.DataFrame:
    """Parameters by item, node and bucket, for every node where the item may be stocked."""
    stockable = joined(instance, instance.catalog.block.stockable).astype(bool)
    bucket, node, item = np.nonzero(np.broadcast_to(stockable, (instance.network.buckets, *stockable.shape)))
    values = {name: leaf[bucket, node, item].astype(float) for name, leaf in leaves.items()}
    columns: dict[str, object] = {
        "item_id": np.asarray(instance.items)[item],
        "node_id": np.asarray(instance.ids.nodes)[node],
        "bucket": bucket,
    }
    for name in dict.fromkeys((*TARGET_COLUMNS, *values)):
        columns[name] = values.get(name, pl.Series([None] * bucket.size, dtype=pl.Float64))
        if name == "target":
            columns["target_units"] = np.rint(values[name]).astype(np.int64) if name in values else columns[name]
    return pl.DataFrame(columns).sort("item_id", "node_id", "bucket")


def _protection(instance: Instance, levels: np.ndarray) -> pl.DataFrame:
    """Stock of a node that each speed but the fastest must leave."""
    speeds, nodes = len(instance.ids.speeds), len(instance.ids.nodes)
    table = levels.reshape(levels.shape[0], speeds - 1, nodes, -1)
    bucket, speed, node, item = np.nonzero(table > KEPT_ABOVE)
    return pl.DataFrame(
        {
            "item_id": np.asarray(instance.items)[item],
            "node_id": np.asarray(instance.ids.nodes)[node],
            "speed_id": np.asarray(instance.ids.speeds)[speed + 1],
            "bucket": bucket,
            "units": table[bucket, speed, node, item].astype(float),
        }
    ).sort("item_id", "node_id", "speed_id", "bucket")


def _shares(instance: Instance, weight: np.ndarray) -> pl.DataFrame:
    """Share of a node's orders that each of its sources gets, for the sources that an item may use.

    Weights are normalised by node as the policy does it: a node without any weight splits by the shares of the data.
    """
    network, ids, block = instance.network, instance.ids, instance.catalog.block
    default = joined(instance, block.source_share)
    usable = np.concatenate([joined(instance, block.offer_active) > 0, default[network.offers :] > 0])
    row = np.asarray((*network.offer_node, *network.lane_to), int)
    total = np.zeros((weight.shape[0], network.nodes, weight.shape[2]))
    for source, node in enumerate(row):
        total[:, node] += weight[:, source]
    whole = total[:, row]
    share = np.where(whole > 0, weight / np.where(whole > 0, whole, 1), default)
    bucket, at, item = np.nonzero(np.broadcast_to(usable, share.shape))
    vendor = joined(instance, block.offer_vendor).astype(int)
    from_vendor = at < network.offers
    names = np.empty(at.size, dtype=object)
    names[from_vendor] = np.asarray(ids.vendors, dtype=object)[vendor[at[from_vendor], item[from_vendor]]]
    lane_from = np.asarray(network.lane_from, int)[at[~from_vendor] - network.offers]
    names[~from_vendor] = np.asarray(ids.nodes, dtype=object)[lane_from]
    return pl.DataFrame(
        {
            "item_id": np.asarray(instance.items)[item],
            "node_id": np.asarray(ids.nodes)[row[at]],
            "source": np.where(from_vendor, "vendor", "node"),
            "source_id": pl.Series(names.tolist(), dtype=pl.String),
            "bucket": bucket,
            "share": share[bucket, at, item].astype(float),
        }
    ).sort("item_id", "node_id", "source", "source_id", "bucket")
