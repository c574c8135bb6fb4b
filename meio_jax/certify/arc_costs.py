"""Priced cost of a unit on every arc of the time-expanded network: holding, receiving, shipping, buying, serving."""

from functools import partial

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from meio_jax.model.network import ItemBlock, Network
from meio_jax.model.resources import MEASURES, Resources


class ArcCosts(eqx.Module):
    """Priced cost of one unit on every arc, by bucket; `serve_unit` is infinite where a node may not serve."""

    hold: Float[Array, "buckets nodes batch"]
    inbound: Float[Array, "buckets nodes batch"]
    outbound: Float[Array, "buckets nodes batch"]
    lane: Float[Array, "buckets lanes batch"]
    offer: Float[Array, "buckets offers batch"]
    reward: Float[Array, "buckets speeds regions batch"]
    floor: Float[Array, "buckets speeds regions"]
    eligible: Bool[Array, "nodes waves speeds regions"]
    serve_unit: Float[Array, "nodes speeds regions"]
    serve_kg: Float[Array, "nodes speeds regions"]


def arc_costs(network: Network, resources: Resources, block: ItemBlock, prices: Array, samples: int) -> ArcCosts:
    weight = resources.item_weight(block)
    prices = jnp.where(resources.present, prices, 0)
    at_node = partial(_node_prices, prices=prices, weight=weight)

    def spread(leaf: Array) -> Array:
        return jnp.repeat(leaf, samples, axis=-1)

    if network.region_groups:
        reward = jnp.einsum("br,ri,rsg->bsgi", prices, weight, resources.service)[:, :, network.region_group]
        share = jnp.where(resources.is_service & resources.present, prices * resources.capacity, 0)
        floor = jnp.einsum("br,rsg->bsg", share, resources.service)[:, :, network.region_group]
    else:
        floor = jnp.zeros((network.buckets, network.speeds, network.regions), prices.dtype)
        reward = jnp.zeros((*floor.shape, block.items), prices.dtype)
    lane_cost = network.lane_cost_unit[:, None] + network.lane_cost_kg[:, None] * block.weight
    return ArcCosts(
        hold=spread(network.holding_factor[:, None] * block.holding_cost + at_node(resources.stock)),
        inbound=spread(network.inbound_cost[:, None] + at_node(resources.inbound)),
        outbound=spread(network.handling_cost[:, None] + at_node(resources.outbound)),
        lane=spread(lane_cost + at_node(resources.lane)),
        offer=spread(block.offer_cost + block.offer_freight + _offer_prices(resources, block, prices, weight)),
        reward=spread(reward),
        floor=floor,
        eligible=jnp.moveaxis(network.eligible & block.group_stockable, -1, 0),
        serve_unit=jnp.moveaxis(network.outbound_unit, -1, 0),
        serve_kg=jnp.moveaxis(network.outbound_kg, -1, 0),
    )


def _node_prices(table: Array, prices: Array, weight: Array) -> Float[Array, "buckets nodes items"]:
    return jnp.einsum("br,ri,rn->bni", prices, weight, table)


def _offer_prices(resources: Resources, block: ItemBlock, prices: Array, weight: Array) -> Array:
    """Vendor and spend prices of a unit bought through each offer: `[buckets, offers, items]`."""
    rows = np.asarray(resources.order_index, int)
    if not rows.size:
        return jnp.zeros((prices.shape[0], *block.offer_cost.shape), prices.dtype)
    vendor = resources.order_vendor[:, None, None]
    scope = resources.offer[:, :, None] * jnp.where((vendor < 0) | (vendor == block.offer_vendor), 1.0, 0.0)
    money = (resources.measure[rows] == MEASURES.index("money"))[:, None, None]
    value = scope * jnp.where(money, block.offer_cost, jnp.ones_like(block.offer_cost))
    return jnp.einsum("bv,vi,voi->boi", prices[:, rows], weight[rows], value)
