"""Capped base-stock (Xin 2021): order up to a target, never more than a cap at a time."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from meio_jax.model.leads import order_gaps
from meio_jax.model.network import ItemBlock, Network
from meio_jax.policy.base import AbstractReplenishment, StartingPoint, View, shortfall


class CappedBaseStock(AbstractReplenishment):
    """Base-stock with a largest order per review; near-optimal for lost sales with long lead times."""

    target: Float[Array, "*buckets nodes items"]
    order_cap: Float[Array, "*buckets nodes items"]

    @classmethod
    def start(cls, network: Network, block: ItemBlock, at: StartingPoint) -> "CappedBaseStock":
        return cls(at.target, 1.5 * at.demand_rate * order_gaps(network, block.offer_active, block.offer_vendor))

    @classmethod
    def scales(cls, network: Network, block: ItemBlock, at: StartingPoint) -> "CappedBaseStock":
        per_review = at.demand_rate * order_gaps(network, block.offer_active, block.offer_vendor)
        return cls(at.scale, jnp.minimum(jnp.maximum(per_review, 1e-3 * at.scale), at.scale))

    def below_level(self, view: View) -> Float[Array, "rows batch"]:
        return view.own(self.target) - view.position

    def order(self, view: View) -> Float[Array, "sources batch"]:
        wanted = shortfall(view.own(self.target), view.position)
        return view.split(jnp.minimum(wanted, view.own(self.order_cap)))
