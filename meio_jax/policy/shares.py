"""Base-stock whose split over the sources is a decision: a fixed share of each order per source."""

import jax.numpy as jnp
from jaxtyping import Array, Float
from meio_kernels.parts import part_of

from meio_jax.model.network import ItemBlock, Network
from meio_jax.policy.base import AbstractReplenishment, StartingPoint, View, shortfall


class FixedShares(AbstractReplenishment):
    """Order up to `target`; source k of a node gets weight_k / (sum of the node's weights) of each order.

    With one offer and one lane this is the tailored base-surge idea (Allon and Van Mieghem 2010) in share form.
    Sources that the data closes for an item stay closed.
    """

    target: Float[Array, "*buckets nodes items"]
    source_weight: Float[Array, "*buckets sources items"]

    @classmethod
    def start(cls, network: Network, block: ItemBlock, at: StartingPoint) -> "FixedShares":
        open_sources = source_open(block, network)
        weight = jnp.where(open_sources, 0.1 + 0.9 * block.source_share, 0)
        return cls(at.target, jnp.broadcast_to(weight, (at.target.shape[0], *weight.shape)))

    @classmethod
    def scales(cls, network: Network, block: ItemBlock, at: StartingPoint) -> "FixedShares":
        weight = source_open(block, network).astype(at.scale.dtype)
        return cls(at.scale, jnp.broadcast_to(weight, (at.scale.shape[0], *weight.shape)))

    def below_level(self, view: View) -> Float[Array, "rows batch"]:
        return view.own(self.target) - view.position

    def order(self, view: View) -> Float[Array, "sources batch"]:
        rows = jnp.asarray(view.source_row, int)
        weight = self.source_weight[jnp.asarray(view.source_index, int)]
        total = jnp.zeros_like(view.position).at[rows].add(weight)[rows]
        share = part_of(weight, total, view.source_share)
        return shortfall(view.own(self.target), view.position)[rows] * share


def source_open(block: ItemBlock, network: Network) -> Array:
    """Sources that an item may use: its active offers, and lanes that already carry a share."""
    return jnp.concatenate([block.offer_active, block.source_share[network.offers :] > 0], axis=0)
