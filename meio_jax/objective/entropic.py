"""Entropic risk: certainty equivalent under exponential utility."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from meio_jax.objective.base import AbstractObjective, ScenarioCosts


class EntropicRisk(AbstractObjective):
    """log(mean(exp(aversion x cost))) / aversion, where the aversion is per unit of an item's mean cost.

    Scaling by the item's own mean cost (held constant in the derivative) makes one setting fit cheap and dear items.
    """

    aversion: float = eqx.field(static=True, default=1.0)

    def __check_init__(self) -> None:
        if self.aversion <= 0:
            raise ValueError(f"Argument `aversion` must be positive, but is {self.aversion}.")

    def __call__(self, costs: ScenarioCosts) -> Float[Array, " items"]:
        mean = jnp.mean(costs.total, axis=-1)
        size = jax.lax.stop_gradient(jnp.maximum(jnp.abs(mean), 1e-6))
        rate = self.aversion / size
        centred = rate[:, None] * (costs.total - mean[:, None])
        tilt = jax.nn.logsumexp(centred, axis=-1) - jnp.log(jnp.asarray(costs.total.shape[-1], mean.dtype))
        return mean + tilt / rate
