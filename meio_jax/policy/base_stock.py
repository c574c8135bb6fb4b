"""Installation base-stock: each node raises its own inventory position to its target."""

from jaxtyping import Array, Float

from meio_jax.model.network import ItemBlock, Network
from meio_jax.policy.base import AbstractReplenishment, StartingPoint, View, shortfall


class BaseStock(AbstractReplenishment):
    """Order up to `target` (units) at each review; sources share the order by the data's shares."""

    target: Float[Array, "*buckets nodes items"]

    @classmethod
    def start(cls, network: Network, block: ItemBlock, at: StartingPoint) -> "BaseStock":
        return cls(at.target)

    @classmethod
    def scales(cls, network: Network, block: ItemBlock, at: StartingPoint) -> "BaseStock":
        return cls(at.scale)

    def below_level(self, view: View) -> Float[Array, "rows batch"]:
        return view.own(self.target) - view.position

    def order(self, view: View) -> Float[Array, "sources batch"]:
        return view.split(shortfall(view.own(self.target), view.position))
