"""Docks that queue: what asks for more than the capacity of a day waits, the longest waiting first.

Items are simulated one by one, and none of them sees the queue: it sees which share of what waits, and of what is due,
passes on a day. These shares follow from what all items together bring to the dock (a fluid queue, Newell 1982).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from meio_jax.model.network import ItemBlock
from meio_jax.model.queues import Docks, Shares
from meio_jax.model.resources import unit_table


class DockDays(eqx.Module):
    """What queues live through: shares of every day, and what waits in its evening, in the measure of each load."""

    shares: Shares
    waiting: Float[Array, "periods loads samples"]


def item_loads(docks: Docks, block: ItemBlock) -> Float[Array, "loads items"]:
    """What a unit of each item adds to every load: 1, volume, weight, ...; of loads that count lines 1 a line."""
    table = unit_table(block.volume, block.weight, block.sizes)
    each = jnp.stack([jnp.ones_like(block.volume) if docks.lines[at] else table[docks.measure[at]] for at in docks.all])
    return each * block.live


def queue_up(docks: Docks, due: Float[Array, "periods loads samples"]) -> DockDays:
    """Shares that pass, day after day, if so much is due: what waits goes first, then what is due on the day.

    Goods that several capacities count wait for the one with least room.

    Args:
        docks: The queues, and what their capacities can take on a day.
        due: What all items bring to the docks on every day, in the measure of each load.
    """
    loads, rows = len(docks.load_queue), docks.capacity.shape[1]
    in_row = jnp.asarray([[float(row == at) for row in docks.load_row] for at in range(rows)], due.dtype)
    in_row = in_row.reshape(rows, loads)
    held = jnp.asarray([[row == at for row in range(rows)] for at in docks.load_row], bool).reshape(loads, rows)
    own = jnp.asarray(docks.load_queue, int)

    def least(shares: Array) -> Float[Array, "queues samples"]:
        each = jnp.min(jnp.where(held[..., None], shares, 1), axis=1, initial=1)
        return jnp.ones((docks.queues, shares.shape[-1]), shares.dtype).at[own].min(each)

    def day(waiting: Array, at: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array, Array]]:
        due, capacity = at
        before, fresh = in_row @ waiting, in_row @ due
        first = least(_part(capacity[:, None], before))
        later = least(_part(jnp.maximum(capacity[:, None] - before, 0), fresh))
        waiting = waiting * (1 - first[own]) + due * (1 - later[own])
        return waiting, (first, later, waiting)

    nothing = jnp.zeros_like(due[0])
    _, (first, later, waiting) = jax.lax.scan(day, nothing, (due, docks.capacity))
    return DockDays(Shares(first, later), waiting)


def _part(room: Array, wanted: Array) -> Array:
    """Share of what is wanted for which there is room; of nothing all."""
    return jnp.where(wanted > room, room / jnp.where(wanted > room, wanted, 1), 1)


def mean_shares(docks: Docks, due: Float[Array, "periods loads samples"], days: DockDays) -> Shares:
    """Shares of every day over all samples, each weighted by the units that it holds for."""
    units = jnp.asarray(docks.unit_loads, int)
    coming = due[:, units]
    kept = days.waiting[:, units]
    before = jnp.concatenate([jnp.zeros_like(kept[:1]), kept[:-1]])

    def mean(share: Array, weight: Array) -> Float[Array, "periods queues 1"]:
        total = jnp.sum(weight, axis=-1, keepdims=True)
        passed = jnp.sum(share * weight, axis=-1, keepdims=True)
        return jnp.where(total > 0, passed / jnp.where(total > 0, total, 1), jnp.mean(share, axis=-1, keepdims=True))

    return Shares(mean(days.shares.waiting, before), mean(days.shares.due, coming))
