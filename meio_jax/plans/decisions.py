"""From an optimised policy to decisions: integer targets, purchase orders in packs, transfers in units."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Array

from meio_jax.distributed.kept_programs import kept_jit
from meio_jax.distributed.sharding import own_part
from meio_jax.instance import Instance
from meio_jax.model.network import ItemBlock, Network
from meio_jax.policy import AbstractPolicy
from meio_jax.simulation.first_orders import first_orders
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
def _first_orders(network: Network, blocks: ItemBlock, policy: AbstractPolicy) -> Ordered:
    def one(_: None, at: tuple[ItemBlock, AbstractPolicy]) -> tuple[None, Ordered]:
        block, levels = at
        return None, first_orders(network, jax.tree.map(lambda leaf: leaf[0], levels), block)

    return jax.lax.scan(one, None, (blocks, policy))[1]


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


def decide(instance: Instance, policy: AbstractPolicy) -> Decisions:
    """Today's purchase orders and transfers: the first decision that the policy makes in every simulated scenario.

    Args:
        instance: The instance that was planned.
        policy: Parameters in units; leaves have a leading block axis.

    Raises:
        FloatingPointError: If a level is not a number: no order follows from it.
    """
    check_numbers(instance, policy)
    ordered = _first_orders(instance.network, instance.catalog.block, policy)
    whole = lambda leaf: np.rint(joined(instance, leaf)).astype(np.int64)
    return Decisions(whole(ordered.offer), whole(ordered.lane))
