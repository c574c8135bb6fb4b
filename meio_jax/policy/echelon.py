"""Echelon base-stock (Clark and Scarf 1960): targets on a node and everything below it."""

from jaxtyping import Array, Float

from meio_jax.model.network import ItemBlock, Network
from meio_jax.policy.base import AbstractReplenishment, StartingPoint, View, shortfall


class EchelonBaseStock(AbstractReplenishment):
    """Order up to an echelon `target` (units): own position plus the positions of the nodes supplied from here."""

    target: Float[Array, "*buckets nodes items"]

    @classmethod
    def start(cls, network: Network, block: ItemBlock, at: StartingPoint) -> "EchelonBaseStock":
        return cls(at.echelon_target)

    @classmethod
    def scales(cls, network: Network, block: ItemBlock, at: StartingPoint) -> "EchelonBaseStock":
        return cls(at.scale)

    def below_level(self, view: View) -> Float[Array, "rows batch"]:
        return view.own(self.target) - view.echelon_position

    def order(self, view: View) -> Float[Array, "sources batch"]:
        return view.split(shortfall(view.own(self.target), view.echelon_position))
