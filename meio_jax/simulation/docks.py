"""A day at docks that queue: what arrives and leaves, and what waits."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from meio_kernels.lines import order_lines
from meio_kernels.parts import part_of
from meio_kernels.rows import add_rows

from meio_jax.model.docks import item_loads
from meio_jax.model.network import ItemBlock, Network
from meio_jax.model.queues import Docks, Shares
from meio_jax.simulation.state import Pipelines


class DockItems(eqx.Module):
    """The items of a block at the docks: what a unit adds to each load."""

    load: Float[Array, "loads items"]

    @classmethod
    def of(cls, network: Network, block: ItemBlock) -> "DockItems | None":
        """Those of a block; None where nothing queues."""
        if network.docks is None:
            return None
        return cls(item_loads(network.docks, block))


class Queues(eqx.Module):
    """Units that wait in the evening: outside, by row of the vendor and lane pipelines, and to leave, by node."""

    vendor: Float[Array, "vendor_nodes batch"]
    lane: Float[Array, "lane_nodes batch"]
    leaving: Float[Array, "nodes batch"]

    @classmethod
    def empty(cls, network: Network, batch: int, dtype: jnp.dtype) -> "Queues | None":
        """Nothing waits yet; None where nothing queues."""
        if network.docks is None:
            return None
        rows = (len(network.vendor_nodes), len(network.lane_nodes), network.nodes)
        return cls(*(jnp.zeros((count, batch), dtype) for count in rows))


class EveningDocks(eqx.Module):
    """Units that wait in the evening, by node: outside of it, and to leave for customers."""

    outside: Float[Array, "nodes batch"]
    leaving: Float[Array, "nodes batch"]


class AtDocks(eqx.Module):
    """What a day knows of its docks, by node and in units.

    `due` is what arrives on the day, `outside` what waits on in front of the node. `leaving` waits since earlier days
    to leave for customers; of it the share `leaves` does, and of what customers order today the share `at_once`.
    """

    due: Float[Array, "nodes batch"]
    outside: Float[Array, "nodes batch"]
    leaving: Float[Array, "nodes batch"]
    leaves: Float[Array, "nodes batch"]
    at_once: Float[Array, "nodes batch"]

    def evening(self, ordered: Float[Array, "nodes batch"]) -> EveningDocks:
        """What waits in the evening, if customers were promised so much today."""
        return EveningDocks(self.outside, self.leaving * (1 - self.leaves) + ordered * (1 - self.at_once))


def dock_shares(network: Network) -> Shares | None:
    """Shares of every period that is simulated: days of the tail are as those of the last bucket."""
    docks = network.docks
    if docks is None:
        return None
    last = min(network.bucket_periods, network.periods)
    at = jnp.concatenate(
        [jnp.arange(network.periods), network.periods - last + jnp.arange(network.tail, dtype=int) % last]
    )
    return jax.tree.map(lambda leaf: leaf[at], docks.shares)


def _by_node(
    network: Network, docks: Docks, share: Float[Array, "queues samples"], items: int, samples: int, out: bool
) -> Float[Array, "nodes batch"]:
    """The share that passes by node, of inbound or outbound docks; without a capacity all."""
    own = tuple(at for at in range(docks.queues) if docks.outbound[at] == out)
    all_pass = jnp.ones((network.nodes, items * samples), share.dtype)
    if not own:
        return all_pass
    stay = jnp.broadcast_to(1 - share[jnp.asarray(own, int)], (len(own), samples))
    return add_rows(all_pass, -jnp.tile(stay, (1, items)), tuple(docks.node[queue] for queue in own))


def at_docks(
    network: Network, items: DockItems, pipelines: Pipelines, queues: Queues, shares: Shares
) -> tuple[Pipelines, AtDocks, Queues]:
    """The morning of a day: what does not pass the dock stays under way, and is due tomorrow.

    Args:
        network: The shared network.
        items: The items at the docks.
        pipelines: Slot 0 is at the docks now: what waits there, and what arrives today.
        queues: What waited in the evening before.
        shares: What passes today.

    Returns:
        The pipelines with what is received in slot 0, what the day knows of its docks, and what waits outside now.
    """
    docks, batch = network.docks, queues.leaving.shape[-1]
    assert docks is not None  # nothing queues otherwise
    count = items.load.shape[-1]
    by_node = partial(_by_node, network, docks, items=count, samples=batch // count)
    inward = [by_node(share=one, out=False) for one in (shares.waiting, shares.due)]
    outward = [by_node(share=one, out=True) for one in (shares.waiting, shares.due)]
    due = outside = jnp.zeros((network.nodes, batch), queues.leaving.dtype)
    held, kept = [], []
    rows = (network.vendor_nodes, network.lane_nodes)
    for nodes, pipeline, before in zip(
        rows, (pipelines.vendor, pipelines.lane), (queues.vendor, queues.lane), strict=True
    ):
        if not nodes:
            held.append(pipeline)
            kept.append(before)
            continue
        at = jnp.asarray(nodes, int)
        fresh = pipeline[:, 0] - before
        stays = before * (1 - inward[0][at]) + fresh * (1 - inward[1][at])
        held.append(pipeline.at[:, 0].add(-stays).at[:, 1].add(stays))
        kept.append(stays)
        due, outside = add_rows(due, fresh, nodes), add_rows(outside, stays, nodes)
    old = None if pipelines.old is None else _held_by_life(pipelines.old, pipelines.lane, kept[1])
    day = AtDocks(due, outside, queues.leaving, *outward)
    return Pipelines(held[0], held[1], old), day, Queues(kept[0], kept[1], queues.leaving)


def _held_by_life(old: Array, lane: Array, stays: Array) -> Float[Array, "due_lives lane_nodes lane_due batch"]:
    """The lane pipeline by life, what stays outside in the next slot: of all lives the same part."""
    back = old[:, :, 0] * part_of(stays, lane[:, 0])
    return old.at[:, :, 0].add(-back).at[:, :, 1].add(back)


def no_loads(network: Network, samples: int, dtype: jnp.dtype) -> Float[Array, "periods loads samples"] | None:
    """What no items bring to the docks; None where nothing queues."""
    return None if network.docks is None else jnp.zeros((network.periods, len(network.docks.all), samples), dtype)


def loads_of(
    network: Network, items: DockItems, due: Float[Array, "nodes batch"], ordered: Float[Array, "nodes batch"]
) -> Float[Array, "loads samples"]:
    """What all items of a block bring to the docks on a day.

    Args:
        network: The shared network.
        items: The items at the docks.
        due: Units that arrive.
        ordered: Units that customers are promised.
    """
    docks = network.docks
    assert docks is not None  # nothing queues otherwise
    count = items.load.shape[-1]
    samples = due.shape[-1] // count
    both = jax.lax.stop_gradient(jnp.concatenate([due, ordered]))
    at = [docks.node[queue] + network.nodes * docks.outbound[queue] for queue in docks.load_queue]
    units = both[jnp.asarray(at, int)]
    lines = [load for load in docks.all if docks.lines[load]]
    if lines:
        rows = jnp.asarray(lines, int)
        units = units.at[rows].set(order_lines(units[rows], samples))
    return jnp.einsum("lis,li->ls", units.reshape(len(at), count, samples), items.load)
