"""What planners have decided for a day: orders that are fixed, and sources that are not ordered from."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from meio_jax.model.network import Overrides
from meio_jax.policy.base import View


class Decided(eqx.Module):
    """Decisions of one day by source (offer slots, then lanes).

    `units` are ordered where `fixed`; there, and where `closed` or `frozen`, the policy orders nothing.
    """

    units: Float[Array, "sources batch"]
    fixed: Bool[Array, "sources batch"]
    closed: Bool[Array, "sources batch"]
    frozen: Bool[Array, "sources batch"]

    @classmethod
    def on(cls, overrides: Overrides, day: Int[Array, ""], sources: int) -> "Decided":
        """The decisions of a day.

        Args:
            overrides: Those of all days, spread over the batch.
            day: Period of the decision; -1 is the evening before period 0.
            sources: Number of offer slots and lanes.
        """
        batch = overrides.units.shape[-1]
        # Rows of other days are written beyond the last source, and so dropped.
        at = jnp.where((overrides.day == day) & (overrides.source >= 0), overrides.source, sources)
        column = jnp.arange(batch, dtype=at.dtype)[None]
        units = jnp.zeros((sources, batch), overrides.units.dtype).at[at, column].add(overrides.units, mode="drop")
        fixed = jnp.zeros(units.shape, bool).at[at, column].set(True, mode="drop")
        closed, frozen = jnp.zeros(units.shape, bool), jnp.zeros(units.shape, bool)
        if overrides.closed_until is not None:
            closed = overrides.closed_until >= day
        if overrides.frozen_until is not None:
            # Lanes come after the offers, and are never frozen.
            frozen = frozen.at[: overrides.frozen_until.shape[0]].set(overrides.frozen_until >= day)
        return cls(units, fixed, closed, frozen)

    def of(self, view: View) -> "Decided":
        """Those of the sources of a view."""
        at = jnp.asarray(view.source_index, int)
        return Decided(self.units[at], self.fixed[at], self.closed[at], self.frozen[at])

    @property
    def settled(self) -> Bool[Array, "sources batch"]:
        """Where the policy orders nothing."""
        return self.fixed | self.closed | self.frozen

    def without(self, sources: tuple[int, ...]) -> "Decided":
        """The decisions of all other sources."""
        at = jnp.asarray(sources, int)
        units, fixed = self.units.at[at].set(0), self.fixed.at[at].set(values=False)
        return Decided(units, fixed, self.closed, self.frozen)

    def by_node(self, into: tuple[int, ...], nodes: int) -> Float[Array, "nodes batch"]:
        """Units that are fixed by the node that orders; `into` is the node of each source."""
        table = jnp.zeros((nodes, self.units.shape[-1]), self.units.dtype)
        return table.at[jnp.asarray(into, int)].add(self.units)

    def redirected(self, view: View, wanted: Float[Array, "sources batch"]) -> Float[Array, "sources batch"]:
        """What is asked of sources, with the part of those that are closed or fixed asked of the others of the row.

        It is split by their default shares, evenly where these are nothing; without others it is not ordered.

        Args:
            view: What the rows see.
            wanted: Units asked of each source, or shares.
        """
        free = ~(self.closed | self.fixed)
        rows = jnp.asarray(view.source_row, int)

        def by_row(leaf: Array) -> Array:
            return jnp.zeros((len(view.rows), leaf.shape[-1]), leaf.dtype).at[rows].add(leaf)[rows]

        share = jnp.where(free, view.source_share, 0)
        even = jnp.where(by_row(share) > 0, share, free.astype(share.dtype))
        total = by_row(even)
        part = even / jnp.where(total > 0, total, 1)
        return jnp.where(free, wanted + by_row(jnp.where(free, 0, wanted)) * part, 0)
