"""Classes that have most to lose ask first, where lists have turns; the units that lists move stay the same."""

import dataclasses

import jax.numpy as jnp
import numpy as np
from helpers import Case

from meio_jax.simulation.preferences import preference_lists


def lists_of(case: Case, tiers: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes `[waves, speeds, rounds, regions]` and their unit costs."""
    network = case.network
    block = case.block
    none = jnp.zeros(network.eligible.shape, block.group_weight.dtype)
    price = jnp.zeros(network.nodes, block.group_weight.dtype)
    found = preference_lists(network, block.group_weight, block.group_stockable, price, none, network.nodes, tiers)
    return np.asarray(found.node), np.asarray(found.cost_unit)


def test_turns_keep_the_order_of_every_class(x64: None, mixed: Case) -> None:
    together, cost = lists_of(mixed, 1)
    nodes = mixed.network.nodes
    for tiers in (2, 3):
        node, own = lists_of(mixed, tiers)
        assert node.shape[-2] == tiers * together.shape[-2]
        for place in np.ndindex(*together.shape[:2], together.shape[-1]):
            wave, speed, region = place
            asked = node[wave, speed, :, region] < nodes
            np.testing.assert_array_equal(
                node[wave, speed, asked, region],
                together[wave, speed, together[wave, speed, :, region] < nodes, region],
            )
            np.testing.assert_array_equal(
                own[wave, speed, asked, region], cost[wave, speed, together[wave, speed, :, region] < nodes, region]
            )
            # One turn of its own: all asks of a class lie whole rounds apart.
            assert np.unique(np.flatnonzero(asked) % tiers).size <= 1


def test_the_class_with_more_regret_asks_first(x64: None, mixed: Case) -> None:
    network = mixed.network
    nodes, regions = network.nodes, network.outbound_unit.shape[1]
    # Everybody may be served from everywhere; the last region loses most by its second choice, the first least.
    cost = np.ones((1, regions, nodes))
    cost[0, :, 1:] += (1 + np.arange(regions))[:, None]
    cost = np.broadcast_to(cost, network.outbound_unit.shape)
    open_network = dataclasses.replace(
        network,
        eligible=jnp.ones_like(network.eligible),
        outbound_unit=jnp.asarray(cost),
        outbound_kg=jnp.zeros_like(network.outbound_kg),
        handling_cost=jnp.zeros_like(network.handling_cost),
    )
    block = mixed.block
    none = jnp.zeros(network.eligible.shape, block.group_weight.dtype)
    price = jnp.zeros(nodes, block.group_weight.dtype)
    every = jnp.ones_like(block.group_stockable)
    node = np.asarray(preference_lists(open_network, block.group_weight, every, price, none, 1 + 1, regions).node)
    first = np.argmax(node[0, 0] < nodes, axis=0)
    np.testing.assert_array_equal(first, np.arange(regions)[::-1])
