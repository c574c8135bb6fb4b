"""Queues at the docks of nodes, as arrays that every item shares."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class Shares(eqx.Module):
    """Which share of a queue passes on a day: of what `waiting` has since earlier days, and of what is `due`."""

    waiting: Float[Array, "*lead queues samples"]
    due: Float[Array, "*lead queues samples"]


class Docks(eqx.Module):
    """Queues at docks, inbound and outbound.

    All goods at the dock of a node stand in one *queue*, inbound or outbound. A *load* is what they bring to a
    capacity, in the measure of that capacity; the first load of a queue is its units, and counts against none.

    Attributes:
        node: Node of each queue.
        outbound: Whether it leaves the node (else it arrives).
        load_queue: Queue of each load.
        load_row: Capacity that it counts against, of the rows of `capacity`; -1: none.
        measure: Number of its measure, in `MEASURES`.
        lines: Whether it counts receipts and not units.
        capacity: What each capacity takes on a day, 0 on days on which the dock is closed; inf: no limit.
        shares: What passes, as the items see it: by period of the horizon and queue, in every scenario alike (one
            sample) or by scenario.
    """

    node: tuple[int, ...] = eqx.field(static=True)
    outbound: tuple[bool, ...] = eqx.field(static=True)
    load_queue: tuple[int, ...] = eqx.field(static=True)
    load_row: tuple[int, ...] = eqx.field(static=True)
    measure: tuple[int, ...] = eqx.field(static=True)
    lines: tuple[bool, ...] = eqx.field(static=True)
    capacity: Float[Array, "periods rows"]
    shares: Shares

    @property
    def queues(self) -> int:
        return len(self.node)

    @property
    def all(self) -> range:
        """Numbers of the loads."""
        return range(len(self.load_queue))

    @property
    def unit_loads(self) -> tuple[int, ...]:
        """The load of every queue that counts its units."""
        return tuple(self.load_queue.index(queue) for queue in range(self.queues))

    def free(self) -> Shares:
        """Shares of docks at which nothing waits."""
        one = jnp.ones((self.capacity.shape[0], self.queues, 1), self.capacity.dtype)
        return Shares(one, one)
