"""Levels of a plan read back from its tables: the policy that they describe, for one bucket."""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
import polars as pl

from meio_jax.errors import InputError, Problem
from meio_jax.instance import Instance
from meio_jax.instance.ids import positions
from meio_jax.model.correction import Correction
from meio_jax.plans.decisions import joined
from meio_jax.policy import POLICIES, AbstractPolicy
from meio_jax.policy.base import SOURCE_PREFIX
from meio_jax.policy.neural import Neural
from meio_jax.registry import choose


def policy_of_tables(
    instance: Instance,
    name: str,
    frames: Mapping[str, pl.DataFrame],
    bucket: int,
    correction: Correction | None = None,
) -> AbstractPolicy:
    """The replenishment policy of a plan in one of its buckets; protection levels, which order nothing, are left out.

    Args:
        instance: The items that are wanted; those that the plan does not name have levels of 0.
        name: Registry name of the policy that the plan was made with.
        frames: `plan/targets` and, where the policy divides orders over sources, `plan/shares`.
        bucket: Which bucket of the plan.
        correction: The network of the policy `neural`.

    Returns:
        The policy, in blocks, with a bucket axis of length 1.

    Raises:
        InputError: If the tables lack a column that the policy needs.
    """
    kind = choose(POLICIES, name, "Policy")
    leaves = {}
    for parameter in kind.parameters():
        if parameter.startswith(SOURCE_PREFIX):
            leaf = _source_leaf(instance, frames["plan/shares"].filter(pl.col("bucket") == bucket))
        else:
            leaf = _node_leaf(instance, frames["plan/targets"].filter(pl.col("bucket") == bucket), parameter)
        leaves[parameter] = _in_blocks(instance, leaf)
    return kind(**leaves) if correction is None else Neural(**leaves, correction=correction)


def _in_blocks(instance: Instance, leaf: np.ndarray) -> jnp.ndarray:
    dtype = instance.catalog.block.on_hand.dtype
    return jnp.asarray(instance.layout.cut(leaf[None]), dtype)


def _known(table: pl.DataFrame, instance: Instance) -> pl.DataFrame:
    return table.filter(pl.col("item_id").is_in(pl.Series(instance.items, dtype=pl.String).implode()))


def _node_leaf(instance: Instance, table: pl.DataFrame, name: str) -> np.ndarray:
    """Column `name` of the targets, `[nodes, items]`."""
    if name not in table.columns or (table.height and table[name].null_count() == table.height):
        remedy = "give the tables of a run of that policy"
        raise InputError([Problem("plan/targets", "", name, None, "a value for every item and node", remedy)])
    table = _known(table, instance)
    leaf = np.zeros((len(instance.ids.nodes), len(instance.items)))
    at = (positions(table["node_id"], instance.ids.nodes), positions(table["item_id"], instance.items))
    leaf[at] = table[name].to_numpy()
    return leaf


def _source_leaf(instance: Instance, table: pl.DataFrame) -> np.ndarray:
    """Shares by source, `[sources, items]`: an offer by the vendor that fills its slot, a lane by its ends."""
    network, ids = instance.network, instance.ids
    vendor = joined(instance, instance.catalog.block.offer_vendor).astype(int)
    active = joined(instance, instance.catalog.block.offer_active) > 0
    slots: dict[tuple[str, str, str], tuple[int, int]] = {}
    for slot, node in enumerate(network.offer_node):
        for item in np.flatnonzero(active[slot]).tolist():
            slots[(instance.items[item], ids.nodes[node], ids.vendors[vendor[slot, item]])] = (slot, item)
    lanes = {lane: network.offers + number for number, lane in enumerate(ids.lanes)}
    place = {item: number for number, item in enumerate(instance.items)}
    leaf = np.zeros((network.offers + network.lanes, len(instance.items)))
    for row in _known(table, instance).iter_rows(named=True):
        item, node, source = row["item_id"], row["node_id"], row["source_id"]
        if row["source"] == "vendor":
            at = slots.get((item, node, source))
        else:
            lane = lanes.get((source, node))
            at = None if lane is None else (lane, place[item])
        if at is not None:
            leaf[at] = row["share"]
    return leaf
