"""Dual-index policy (Veeraraghavan and Scheller-Wolf 2008) for nodes with a slow and a fast offer."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from meio_jax.model.network import ItemBlock, Network
from meio_jax.policy.base import AbstractReplenishment, StartingPoint, View, shortfall


class DualIndex(AbstractReplenishment):
    """The fast offer raises what arrives within its lead time to `fast_target`; the slow one tops up to `target`.

    A node without a second offer follows plain base-stock. At most two offers per item and node take part: the
    cheapest landed one and the fastest of the others.
    """

    target: Float[Array, "*buckets nodes items"]
    fast_target: Float[Array, "*buckets nodes items"]

    @classmethod
    def start(cls, network: Network, block: ItemBlock, at: StartingPoint) -> "DualIndex":
        return cls(at.target, at.expedited_target)

    @classmethod
    def scales(cls, network: Network, block: ItemBlock, at: StartingPoint) -> "DualIndex":
        return cls(at.scale, at.scale)

    def below_level(self, view: View) -> Float[Array, "rows batch"]:
        """Of the full position: what the faster offer is for is no reason to transship."""
        return view.own(self.target) - view.position

    def order(self, view: View) -> Float[Array, "sources batch"]:
        rows = jnp.asarray(view.source_row, int)
        fast = view.source_expedited[:, None] & view.has_expedited[rows]
        expedited = jnp.where(view.has_expedited, shortfall(view.own(self.fast_target), view.expedited_position()), 0)
        regular = shortfall(view.own(self.target), view.position + expedited)
        return jnp.where(fast, expedited[rows], regular[rows] * regular_share(view, fast))


def regular_share(view: View, fast: Array) -> Float[Array, "sources batch"]:
    """Default shares renormalised over the sources that are not the fast offer."""
    rows = jnp.asarray(view.source_row, int)
    slow = jnp.where(fast, 0, view.source_share)
    total = jnp.zeros_like(view.position).at[rows].add(slow)[rows]
    return slow / jnp.where(total > 0, total, 1)
