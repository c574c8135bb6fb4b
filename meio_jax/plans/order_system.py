"""What a system that assigns orders needs of a plan: the value of a unit, and the priced ranking of nodes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl

from meio_jax.certify.unit_values import UnitValues
from meio_jax.instance import Instance
from meio_jax.model.resources import SIZES, outbound_price
from meio_jax.plans.decisions import joined
from meio_jax.solver.subproblem import Settings, block_lists


def unit_value_frame(instance: Instance, values: UnitValues) -> pl.DataFrame:
    """Value of the next and of the last unit at every node where an item may be stocked, the most valuable next first.

    Args:
        instance: The instance that was planned.
        values: Of its items.
    """
    node, item = np.nonzero(joined(instance, instance.catalog.block.stockable))
    on_hand = joined(instance, instance.catalog.block.on_hand)[node, item].astype(float)
    last = joined(instance, values.last)[node, item].astype(float)
    frame = pl.DataFrame(
        {
            "item_id": np.asarray(instance.items)[item],
            "node_id": np.asarray(instance.ids.nodes)[node],
            "on_hand": on_hand,
            "next_value": joined(instance, values.following)[node, item].astype(float),
            "last_value": pl.Series(np.where(on_hand > 0, last, np.nan)).fill_nan(None),
        }
    )
    return frame.sort("next_value", "item_id", "node_id", descending=[True, False, False])


def node_value_frame(instance: Instance, settings: Settings, prices: np.ndarray) -> pl.DataFrame | None:
    """What a unit given up at a node is worth, by item, node and bucket: what a simulator assigns orders by.

    Args:
        instance: The instance that was planned, or a part of it.
        settings: Static choices of the item problems.
        prices: That rank the fulfilment options, `[buckets, resources]`.

    Returns:
        None where orders are assigned by cost alone.
    """
    if not settings.by_value:
        return None
    block = instance.catalog.block
    listed = lambda own: block_lists(instance.network, instance.resources, settings, own, jnp.asarray(prices)).values
    found = jax.vmap(listed)(block)
    assert found is not None  # lists have values where orders are assigned by these
    node, item = np.nonzero(joined(instance, block.stockable))
    buckets = instance.network.buckets
    over = lambda leaf: joined(instance, leaf)[:, node, item].astype(float).ravel()
    columns = {
        "base_value": found.base,
        "scarce_value": found.scarce,
        "dearer_value": found.dearer,
        "first_share": found.share,
        "daily_mean": found.mean,
        "daily_variance": found.variance,
        "cover_days": found.cover,
    }
    return pl.DataFrame(
        {
            "item_id": np.tile(np.asarray(instance.items)[item], buckets),
            "node_id": np.tile(np.asarray(instance.ids.nodes)[node], buckets),
            "bucket": np.repeat(np.arange(buckets), item.size),
            **{name: over(leaf) for name, leaf in columns.items()},
        }
    ).sort("item_id", "node_id", "bucket")


def fulfilment_frame(instance: Instance, prices: np.ndarray, rounds: int) -> pl.DataFrame:
    """Nodes that serve a region at a speed, cheapest at the prices first, by wave, storage class and weight band.

    Args:
        instance: The instance that was planned, or a part of it: all groups of its catalog are ranked.
        prices: `[buckets, resources]`.
        rounds: Nodes that are named of each class of demand.
    """
    parts = [_group(instance, number, prices, rounds) for number in sorted(instance.census.groups)]
    order = ["storage_class", "weight_band", "bucket", "wave", "speed_id", "region_id", "rank"]
    return pl.concat(parts).sort(order)


def _group(instance: Instance, number: int, prices: np.ndarray, rounds: int) -> pl.DataFrame:
    network, ids, census = instance.network, instance.ids, instance.census
    group = census.groups[number]
    weight, volume = group.weight / group.items, group.volume / group.items
    dtype = instance.catalog.block.volume.dtype
    price = outbound_price(
        instance.resources,
        jnp.asarray(prices, dtype),
        jnp.asarray(volume, dtype),
        jnp.asarray(weight, dtype),
        None if instance.catalog.block.sizes is None else jnp.asarray(group.mean_sizes(len(SIZES)), dtype),
    )
    charge = np.asarray(price, float)[:, None, None, None]
    shipping = np.asarray(network.outbound_unit, float) + np.asarray(network.outbound_kg, float) * weight
    handling = np.asarray(network.handling_cost, float)
    allowed = np.asarray(network.eligible) & np.asarray(group.stockable)
    # Axes: buckets waves speeds regions nodes.
    priced = np.where(allowed, shipping + handling + charge, np.inf)
    order = np.argsort(priced, axis=-1, kind="stable")[..., :rounds]
    cost = np.take_along_axis(priced, order, axis=-1)
    at = bucket, wave, speed, region, rank = np.nonzero(cost < np.inf)
    node = order[at]
    band = number % census.bands
    return pl.DataFrame(
        {
            "storage_class": [census.classes[number // census.bands]] * node.size,
            "weight_band": [band] * node.size,
            "up_to_kg": [census.edges[band] if band < len(census.edges) else None] * node.size,
            "bucket": bucket,
            "wave": wave,
            "speed_id": np.asarray(ids.speeds, dtype=object)[speed].tolist(),
            "region_id": np.asarray(ids.regions, dtype=object)[region].tolist(),
            "rank": rank + 1,
            "node_id": np.asarray(ids.nodes, dtype=object)[node].tolist(),
            "outbound_cost": shipping[speed, region, node],
            "handling_cost": handling[node],
            "price": np.asarray(price, float)[bucket, node],
            "priced_cost": cost[at],
        },
        schema_overrides=_TYPES,
    )


_TYPES = {
    "storage_class": pl.String,
    "weight_band": pl.Int64,
    "up_to_kg": pl.Float64,
    "speed_id": pl.String,
    "region_id": pl.String,
    "node_id": pl.String,
}
