"""Priced cost of a unit on every arc of the time-expanded network: holding, receiving, shipping, buying, serving."""

from functools import partial

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from meio_jax.model.network import ItemBlock, Network
from meio_jax.model.resources import MEASURES, Resources
from meio_jax.simulation.node_floors import stocked_pairs


class ArcCosts(eqx.Module):
    """Priced cost of one unit on every arc, by bucket; `serve_unit` is infinite where a node may not serve."""

    hold: Float[Array, "buckets nodes batch"]
    inbound: Float[Array, "buckets nodes batch"]
    outbound: Float[Array, "buckets nodes batch"]
    lane: Float[Array, "buckets lanes batch"]
    offer: Float[Array, "buckets offers batch"]
    reward: Float[Array, "buckets speeds regions batch"]
    floor: Float[Array, "buckets speeds regions #batch"]
    eligible: Bool[Array, "nodes waves speeds regions"]
    serve_unit: Float[Array, "nodes speeds regions"]
    serve_kg: Float[Array, "nodes speeds regions"]


def arc_costs(network: Network, resources: Resources, block: ItemBlock, prices: Array, samples: int) -> ArcCosts:
    weight = resources.item_weight(block)
    prices = jnp.where(resources.present, prices, 0)
    at_node = partial(_node_prices, prices=prices, weight=weight)

    def spread(leaf: Array) -> Array:
        return jnp.repeat(leaf, samples, axis=-1)

    reward, floor = _floor_prices(network, resources, prices, weight)
    lane_cost = network.lane_cost_unit[:, None] + network.lane_cost_kg[:, None] * block.weight
    return ArcCosts(
        hold=spread(network.holding_factor[:, None] * block.holding_cost + at_node(resources.stock)),
        inbound=spread(network.inbound_cost[:, None] + at_node(resources.inbound)),
        outbound=spread(network.handling_cost[:, None] + at_node(resources.outbound)),
        lane=spread(lane_cost + at_node(resources.lane)),
        offer=spread(block.lowest_cost + block.offer_freight + _offer_prices(resources, block, prices, weight)),
        reward=spread(reward),
        floor=spread(floor),
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
    value = scope * jnp.where(money, block.lowest_cost, jnp.ones_like(block.offer_cost))
    return jnp.einsum("bv,vi,voi->boi", prices[:, rows], weight[rows], value)


def _floor_prices(
    network: Network, resources: Resources, prices: Array, weight: Array
) -> tuple[Float[Array, "buckets speeds regions items"], Float[Array, "buckets speeds regions items"]]:
    """What a unit served as promised earns at the prices of fill rates, and what a unit of demand costs there.

    Whoever knows everything may serve from anywhere: a unit earns the price of floors of some nodes from all nodes,
    which can only lower the bound.
    """
    shape = (prices.shape[0], network.speeds, network.regions, weight.shape[1])
    reward, floor = jnp.zeros(shape, prices.dtype), jnp.zeros(shape, prices.dtype)
    share = jnp.where(resources.is_service & resources.present, prices * resources.capacity, 0)
    if network.region_groups:
        in_group = resources.service[:, :, network.region_group]
        by_region = lambda price: jnp.einsum("br,ri,rsg->bsgi", price, weight, in_group)
        reward, floor = reward + by_region(prices), floor + by_region(share)
    if network.floors is not None and network.floors.fills:
        rows, scope = np.asarray(resources.floor_index[: network.floors.fills], int), network.floors.fill_scope
        at_nodes = lambda price: jnp.einsum("bf,fi,fsr->bsri", price[:, rows], weight[rows], scope)
        reward, floor = reward + at_nodes(prices), floor + at_nodes(share)
    return reward, floor


def stock_floor_constant(
    network: Network, resources: Resources, block: ItemBlock, prices: Array
) -> Float[Array, " items"]:
    """What floors of stock cost each item at least at the prices: what they cost if all stock is always there.

    Money, 0 or less: no policy earns more than the whole of the share beyond the floor.
    """
    floors = network.floors
    if floors is None or not floors.stocks:
        return jnp.zeros_like(block.volume)
    rows = np.asarray(resources.floor_index[floors.fills :], int)
    pairs = (floors.stock_nodes @ stocked_pairs(network, block)) * resources.item_weight(block)[rows]
    charged = network.charged_per_bucket[:, None]
    beyond = jnp.where(resources.present, prices * (resources.capacity - 1), 0)[:, rows] * charged
    return jnp.einsum("bf,fi->i", beyond, pairs)
