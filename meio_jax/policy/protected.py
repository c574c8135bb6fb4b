"""Protection levels around any replenishment policy."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from meio_jax.model.network import ItemBlock, Network
from meio_jax.policy.base import AbstractPolicy, AbstractReplenishment, StartingPoint, View
from meio_jax.policy.neural import NeuralFamily


class Protected(AbstractPolicy):
    """Adds protection levels: stock of a node that a slower speed may not touch.

    Row (s - 1) x nodes + n of `protection` is what speed s (s >= 1; speeds run fast to slow) must leave at node n.
    """

    replenishment: AbstractReplenishment
    protection: Float[Array, "*buckets levels items"]
    nodes: int = eqx.field(static=True)

    def row_axes(self) -> dict[str, str]:
        """As of any policy; the rows of `protection` are `levels`."""
        inner = {f"replenishment.{name}": axis for name, axis in self.replenishment.row_axes().items()}
        return {**inner, "protection": "levels"}

    def order(self, view: View) -> Float[Array, "sources batch"]:
        return self.replenishment.order(view)

    def below_level(self, view: View) -> Float[Array, "rows batch"]:
        return self.replenishment.below_level(view)

    @property
    def looks_ahead(self) -> bool:
        return self.replenishment.looks_ahead

    @property
    def sees_ages(self) -> bool:
        return self.replenishment.sees_ages

    def reserved(self, speed: int) -> Float[Array, "nodes batch"] | None:
        if speed == 0:
            return None
        return self.protection[(speed - 1) * self.nodes : speed * self.nodes]


class ProtectedFamily(eqx.Module):
    """Builds `Protected` policies around one replenishment policy; it stands where a policy class stands."""

    inner: type[AbstractReplenishment] | NeuralFamily = eqx.field(static=True)

    def start(self, network: Network, block: ItemBlock, at: StartingPoint) -> Protected:
        """Start with a small reserve, a tenth of a day's demand, so that its gradient is not zero."""
        reserve = 0.1 * jnp.tile(at.demand_rate, (1, network.speeds - 1, 1))
        return Protected(self.inner.start(network, block, at), reserve, network.nodes)

    def scales(self, network: Network, block: ItemBlock, at: StartingPoint) -> Protected:
        scale = jnp.tile(jnp.minimum(at.scale, 1e-3 * at.scale + at.demand_rate), (1, network.speeds - 1, 1))
        return Protected(self.inner.scales(network, block, at), scale, network.nodes)
