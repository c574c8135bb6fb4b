"""Priced preference lists: which node a demand class asks first, second, third ... at given prices."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from meio_jax.network import Network


class PreferenceLists(eqx.Module):
    """Ordered nodes of every demand class, and what a unit shipped that way costs.

    `node == network.nodes` marks the end of a list: nobody is asked.
    """

    node: Int[Array, "*lead waves speeds rounds regions"]
    cost_unit: Float[Array, "*lead waves speeds rounds regions"]
    cost_kg: Float[Array, "*lead waves speeds rounds regions"]
    carbon: Float[Array, "*lead waves speeds rounds regions"]


def preference_lists(
    network: Network,
    weight: Float[Array, ""],
    stockable: Bool[Array, " nodes"],
    outbound_price: Float[Array, " nodes"],
    dither: Float[Array, "waves speeds regions nodes"],
    rounds: int,
) -> PreferenceLists:
    """Rank the eligible nodes of each class by priced cost, cheapest first.

    The priced cost of a unit is outbound cost (distance zone and weight), handling, and the opportunity cost of
    the outbound capacity that the unit uses, so the simulated fulfilment reacts to prices.

    Args:
        network: The shared network.
        weight: Weight, in kg, that stands for the group of items.
        stockable: Nodes where the group may be stocked.
        outbound_price: Money per unit shipped, by node.
        dither: Small amounts of money added to the ranking only. Without them whole groups of classes that cost
            the same change sides together when a price crosses a threshold, and no price splits them.
        rounds: Length of the lists.

    Returns:
        Lists with axes `waves speeds rounds regions`; ties go to the node with the lower index.
    """
    priced = network.outbound_unit + network.outbound_kg * weight + network.handling_cost + outbound_price
    allowed = network.eligible & stockable
    ranked = jnp.where(allowed, priced[None] + dither, jnp.inf)
    order = jnp.argsort(ranked, axis=-1, stable=True)[..., :rounds]
    found = jnp.take_along_axis(ranked, order, axis=-1) < jnp.inf

    def read(table: Float[Array, "speeds regions nodes"]) -> Float[Array, "waves speeds rounds regions"]:
        values = jnp.take_along_axis(jnp.broadcast_to(table, allowed.shape), order, axis=-1)
        return jnp.moveaxis(jnp.where(found, values, 0), -1, -2)

    carbon = jnp.broadcast_to(network.outbound_carbon, network.outbound_unit.shape)
    return PreferenceLists(
        node=jnp.moveaxis(jnp.where(found, order, network.nodes), -1, -2),
        cost_unit=read(network.outbound_unit),
        cost_kg=read(network.outbound_kg),
        carbon=read(carbon),
    )


def group_dither(network: Network, group: Int[Array, ""], size: float) -> Float[Array, "waves speeds regions nodes"]:
    """Fixed pseudo-random amounts in +-`size` x (mean eligible outbound cost per unit), different in every group."""
    cost = jnp.where(jnp.any(network.eligible, axis=0), network.outbound_unit, 0)
    count = jnp.maximum(jnp.sum(jnp.any(network.eligible, axis=0)), 1).astype(cost.dtype)
    key = jax.random.fold_in(jax.random.key(0), group)
    spread = jax.random.uniform(key, network.eligible.shape, cost.dtype, -1, 1)
    return size * jnp.sum(cost) / count * spread
