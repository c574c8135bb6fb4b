"""From an optimised policy to decisions: integer targets, purchase orders in packs, transfers in units."""

from __future__ import annotations

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from meio_jax.distributed.sharding import own_part
from meio_jax.instance import Instance
from meio_jax.model.network import ItemBlock, Network
from meio_jax.policy import AbstractPolicy
from meio_jax.simulation.replenish import Ordered, Supply, arriving_soon, expedited_leads, replenish
from meio_jax.simulation.rollout import arrivals, initial_state, receive


@dataclass(frozen=True)
class Decisions:
    """What to do today, in whole units: `bought [offers, items]` in packs, `moved [lanes, items]`."""

    bought: np.ndarray
    moved: np.ndarray


def joined(instance: Instance, leaf: Array | np.ndarray) -> np.ndarray:
    """A leaf in blocks as one array over all items, in the order of the items table."""
    return instance.layout.join(own_part(leaf), len(instance.items))


def orders_now(instance: Instance, policy: AbstractPolicy) -> tuple[np.ndarray, np.ndarray]:
    """Units that the policy orders and ships today, before rounding: the first review, from the stock at hand.

    Arrivals due today count as received; today's demand is not known yet and does not count.
    """

    offer, lane = _first_orders(instance.network, instance.catalog.block, policy)
    return joined(instance, offer), joined(instance, lane)


@eqx.filter_jit
def _first_orders(network: Network, blocks: ItemBlock, policy: AbstractPolicy) -> tuple[Array, Array]:
    def one(_: None, at: tuple[ItemBlock, AbstractPolicy]) -> tuple[None, tuple[Array, Array]]:
        ordered = _order_block(network, *at)
        return None, (ordered.offer, ordered.lane)

    return jax.lax.scan(one, None, (blocks, policy))[1]


def _order_block(network: Network, block: ItemBlock, policy: AbstractPolicy) -> Ordered:
    stock, pipelines = initial_state(network, block, 1)
    stock = receive(stock, arrivals(network, pipelines))
    soon = arriving_soon(pipelines, expedited_leads(network, block.offer_lead))
    supply = Supply(block.source_share, block.offer_active, soon)
    now = jax.tree.map(lambda leaf: leaf[0], policy)
    waiting = jnp.zeros_like(stock.on_hand) if network.backorders else None
    return replenish(network, now, stock, supply, network.echelon_matrix(), waiting, network.review[0])[1]


def in_packs(units: np.ndarray, pack: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Nearest order that vendors accept: whole packs, and the minimum order or nothing.

    A wish below half of the smallest order becomes no order; it will be larger at the next review.
    """
    smallest = np.maximum(np.ceil(np.maximum(least, 1) / pack), 1) * pack
    packs = np.floor(units / pack + 0.5) * pack
    rounded = np.where(units < smallest, np.where(units >= 0.5 * smallest, smallest, 0), packs)
    return np.where(units <= 0, 0, rounded).astype(np.int64)


def whole_transfers(units: np.ndarray, source: np.ndarray, on_hand: np.ndarray) -> np.ndarray:
    """Whole units by lane whose sum per source node is the rounded sum, never more than the node's whole stock.

    Args:
        units: `[lanes, items]`.
        source: Node that each lane leaves, `[lanes]`.
        on_hand: `[nodes, items]`.
    """
    whole = np.zeros(units.shape, np.int64)
    for node in np.unique(source):
        lanes = np.flatnonzero(source == node)
        total = np.cumsum(units[lanes], axis=0)
        ceiling = np.floor(on_hand[node] + 1e-4)
        rounded = np.minimum(np.floor(total + 0.5), ceiling)
        whole[lanes] = np.diff(rounded, axis=0, prepend=0).astype(np.int64)
    return whole


def decide(instance: Instance, policy: AbstractPolicy, pack: np.ndarray, least: np.ndarray) -> Decisions:
    """Today's purchase orders and transfers; `pack` and `least` are the offers' terms, `[offers, items]`."""
    bought, moved = orders_now(instance, policy)
    on_hand = joined(instance, instance.catalog.block.on_hand)
    due = np.zeros_like(on_hand)
    if instance.network.vendor_nodes:
        due[list(instance.network.vendor_nodes)] += joined(instance, instance.catalog.block.vendor_pipeline[:, :, 0])
    if instance.network.lane_nodes:
        due[list(instance.network.lane_nodes)] += joined(instance, instance.catalog.block.lane_pipeline[:, :, 0])
    source = np.asarray(instance.network.lane_from, int)
    return Decisions(in_packs(bought, pack, least), whole_transfers(moved, source, on_hand + due))
