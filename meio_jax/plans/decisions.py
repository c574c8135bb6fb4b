"""From an optimised policy to decisions: integer targets, purchase orders in packs, transfers in units."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from meio_jax.distributed.kept_programs import kept_jit
from meio_jax.distributed.sharding import own_part
from meio_jax.instance import Instance
from meio_jax.model.network import ItemBlock, Network
from meio_jax.model.resources import Resources
from meio_jax.policy import AbstractPolicy
from meio_jax.simulation.first_orders import first_orders
from meio_jax.simulation.spare_numbers import SpareNumbers, spare_numbers
from meio_jax.simulation.supply import Ordered


@dataclass(frozen=True)
class Decisions:
    """What to do today, in whole units: `bought [offers, items]` in packs, `moved [lanes, items]`."""

    bought: np.ndarray
    moved: np.ndarray


def joined(instance: Instance, leaf: Array | np.ndarray) -> np.ndarray:
    """A leaf in blocks as one array over all items, in the order of the items table."""
    return instance.layout.join(own_part(leaf), len(instance.items))


@kept_jit
def _first_orders(network: Network, blocks: ItemBlock, policy: AbstractPolicy, spare: SpareNumbers | None) -> Ordered:
    def one(_: None, at: tuple[ItemBlock, AbstractPolicy, SpareNumbers | None]) -> tuple[None, Ordered]:
        block, *leaves = at
        levels, numbers = jax.tree.map(lambda leaf: leaf[0], leaves)
        return None, first_orders(network, levels, block, numbers)

    return jax.lax.scan(one, None, (blocks, policy, spare))[1]


@kept_jit
def _spare(
    network: Network, resources: Resources, blocks: ItemBlock, prices: Float[Array, "buckets resources"]
) -> SpareNumbers | None:
    return jax.lax.map(lambda block: spare_numbers(network, resources, block, prices), blocks)


def spare_of(instance: Instance, prices: np.ndarray | None) -> SpareNumbers | None:
    """The rule of transshipment of all items, in blocks; None in networks without it.

    Args:
        instance: The instance that was planned, or a part of it.
        prices: That rank the fulfilment options, `[buckets, resources]`; None: capacities cost nothing.
    """
    if not instance.network.transship:
        return None
    if prices is None:
        prices = np.zeros(instance.resources.capacity.shape)
    dtype = instance.catalog.block.volume.dtype
    return _spare(instance.network, instance.resources, instance.catalog.block, jnp.asarray(prices, dtype))


def check_numbers(instance: Instance, policy: AbstractPolicy) -> None:
    """Check that every parameter is a number, before anything is ordered by it.

    Raises:
        FloatingPointError: If one is not, with the items.
    """
    for leaf in jax.tree.leaves(policy):
        table = joined(instance, leaf)
        lost = np.isnan(table).reshape(-1, table.shape[-1]).any(0)
        if lost.any():
            named = ", ".join(np.asarray(instance.items, object)[lost][:5].tolist())
            raise FloatingPointError(f"levels of {lost.sum()} items are not numbers: {named}. This is a fault of meio")


def decide(instance: Instance, policy: AbstractPolicy, spare: SpareNumbers | None = None) -> Decisions:
    """Today's purchase orders and transfers: the first decision that the policy makes in every simulated scenario.

    Args:
        instance: The instance that was planned.
        policy: Parameters in units; leaves have a leading block axis.
        spare: The rule of transshipment (`spare_of`), in networks that have it.

    Raises:
        FloatingPointError: If a level is not a number: no order follows from it.
    """
    check_numbers(instance, policy)
    ordered = _first_orders(instance.network, instance.catalog.block, policy, spare)
    whole = lambda leaf: np.rint(joined(instance, leaf)).astype(np.int64)
    return Decisions(whole(ordered.offer), whole(ordered.lane))
