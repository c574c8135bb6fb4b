"""Mean plus a multiple of the variance (Markowitz 1952)."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from meio_jax.objective.base import AbstractObjective, ScenarioCosts


class MeanVariance(AbstractObjective):
    """mean + aversion x variance / (the item's mean cost), in money.

    Dividing by the mean cost (held constant in the derivative) keeps the unit money and one setting fits all items.
    """

    aversion: float = eqx.field(static=True, default=0.5)

    def __call__(self, costs: ScenarioCosts) -> Float[Array, " items"]:
        mean = jnp.mean(costs.total, axis=-1)
        size = jax.lax.stop_gradient(jnp.maximum(jnp.abs(mean), 1e-6))
        variance = jnp.mean((costs.total - mean[:, None]) ** 2, axis=-1)
        return mean + self.aversion * variance / size
