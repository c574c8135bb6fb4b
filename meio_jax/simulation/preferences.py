"""Priced preference lists: which node a demand class asks first, second, third ... at given prices."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
from meio_kernels.random import threefry, unit_interval

from meio_jax.model.network import ItemBlock, Network
from meio_jax.simulation.node_values import NodeValues, node_values
from meio_jax.simulation.spare_numbers import SpareNumbers


class PreferenceLists(eqx.Module):
    """Ordered nodes of every demand class, and what a unit shipped that way costs.

    `node == network.nodes` marks the end of a list: nobody is asked. Where orders are assigned by the value of what is
    given up, `rank` is the priced cost of every entry, without dither, and `values` are those of the items; else both
    are None. `spare` is the rule of transshipment at the same prices; None in networks without it.
    """

    node: Int[Array, "*lead waves speeds rounds regions"]
    cost_unit: Float[Array, "*lead waves speeds rounds regions"]
    cost_kg: Float[Array, "*lead waves speeds rounds regions"]
    carbon: Float[Array, "*lead waves speeds rounds regions"]
    rank: Float[Array, "*lead waves speeds rounds regions"] | None = None
    values: NodeValues | None = None
    spare: SpareNumbers | None = None


def preference_lists(
    network: Network,
    weight: Float[Array, ""],
    stockable: Bool[Array, " nodes"],
    outbound_price: Float[Array, " nodes"],
    dither: Float[Array, "waves speeds regions nodes"],
    rounds: int,
    tiers: int = 1,
    *,
    valued: ItemBlock | None = None,
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
        rounds: Nodes that a class asks.
        tiers: With more than one, classes do not all ask at once: those to which their second choice costs most
            beyond their first ask first (the regret rule of Vogel for transportation problems), since stock that is
            scarce is worth most to them.
        valued: Items whose orders are assigned by the value of the unit given up as well; None: by cost alone.

    Returns:
        Lists with axes `waves speeds rounds regions` (rounds x tiers); ties go to the node with the lower index.
    """
    priced = network.outbound_unit + network.outbound_kg * weight + network.handling_cost + outbound_price
    allowed = network.eligible & stockable
    ranked = jnp.where(allowed, priced[None] + dither, jnp.inf)
    order, cost = _cheapest(ranked, rounds)
    found = cost < jnp.inf
    turn = _turns(cost, tiers)

    def placed(values: Array, idle: int) -> Array:
        """The lists with the turns of every class: nobody is asked in those of others."""
        own = jnp.where(turn[..., None, :], jnp.where(found, values, idle)[..., None], idle)
        return jnp.moveaxis(own.reshape(*own.shape[:-2], -1), -1, -2)

    def read(table: Float[Array, "speeds regions nodes"]) -> Float[Array, "waves speeds rounds regions"]:
        return placed(jnp.take_along_axis(jnp.broadcast_to(table, allowed.shape), order, axis=-1), 0)

    carbon = jnp.broadcast_to(network.outbound_carbon, network.outbound_unit.shape)
    lists = PreferenceLists(
        node=placed(order, network.nodes),
        cost_unit=read(network.outbound_unit),
        cost_kg=read(network.outbound_kg),
        carbon=read(carbon),
    )
    if valued is None:
        return lists
    # Values split ties by themselves, and move with what is left.
    plain = jnp.where(allowed, priced, jnp.inf)
    rank = placed(jnp.take_along_axis(jnp.broadcast_to(priced, allowed.shape), order, axis=-1), 0)
    values = node_values(network, valued, *_cheapest(plain, 2))
    return PreferenceLists(lists.node, lists.cost_unit, lists.cost_kg, lists.carbon, rank, values)


def _cheapest(
    ranked: Float[Array, "waves speeds regions nodes"], rounds: int
) -> tuple[Int[Array, "waves speeds regions rounds"], Float[Array, "waves speeds regions rounds"]]:
    """Numbers and amounts of the smallest entries in order, of equal ones the first; only infinite ones may repeat.

    A minimum per round takes a compiler a tenth of the time of a sort, and fewer operations: lists are short.
    """
    order, cost = [], []
    nodes = jnp.arange(ranked.shape[-1])
    for _ in range(min(rounds, ranked.shape[-1])):
        first = jnp.argmin(ranked, axis=-1)
        order.append(first)
        cost.append(jnp.min(ranked, axis=-1))
        ranked = jnp.where(nodes == first[..., None], jnp.inf, ranked)
    return jnp.stack(order, axis=-1), jnp.stack(cost, axis=-1)


def _ranks(values: Float[Array, "*lead entries"]) -> Int[Array, "*lead entries"]:
    """How many entries come before each in ascending order; of equal ones the first comes first."""
    number = jnp.arange(values.shape[-1])
    smaller = values[..., None, :] < values[..., None]
    tied = (values[..., None, :] == values[..., None]) & (number < number[:, None])
    return jnp.sum(smaller | tied, axis=-1, dtype=jnp.int32)


def _turns(cost: Float[Array, "waves speeds regions rounds"], tiers: int) -> Bool[Array, "waves speeds regions tiers"]:
    """Which of the tiers is a class's own: an equal share of the regions in each, most regret first."""
    regions = cost.shape[-2]
    if tiers == 1 or cost.shape[-1] == 1:
        own = jnp.zeros(cost.shape[:-1], jnp.int32)
    else:
        # Without a second choice everything is lost where the first one is empty.
        first, second = cost[..., 0], cost[..., 1]
        regret = jnp.where(second < jnp.inf, second - jnp.where(first < jnp.inf, first, 0), jnp.inf)
        # Classes that nobody serves are last.
        regret = jnp.where(first < jnp.inf, regret, -jnp.inf)
        own = _ranks(-regret) * tiers // regions
    return own[..., None] == jnp.arange(tiers, dtype=own.dtype)


def group_dither(network: Network, group: Int[Array, ""], size: float) -> Float[Array, "waves speeds regions nodes"]:
    """Fixed pseudo-random amounts in +-`size` x (mean eligible outbound cost per unit), different in every group."""
    cost = jnp.where(jnp.any(network.eligible, axis=0), network.outbound_unit, 0)
    count = jnp.maximum(jnp.sum(jnp.any(network.eligible, axis=0)), 1).astype(cost.dtype)
    classes = jnp.arange(network.waves * network.speeds * network.regions, dtype=jnp.uint32)[:, None]
    # A key of its own for every node: a node that is added moves no amount of the others.
    key = (group.astype(jnp.uint32)[None, None], jnp.arange(network.nodes, dtype=jnp.uint32)[None])
    word, _ = threefry(key, (classes, jnp.zeros_like(classes)))
    shape = (network.waves, network.speeds, network.regions, network.nodes)
    spread = (2 * unit_interval(word, cost.dtype) - 1).reshape(shape)
    return size * jnp.sum(cost) / count * spread
