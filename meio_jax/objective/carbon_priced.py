"""Expected cost with a price on carbon."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from meio_jax.objective.base import AbstractObjective, ScenarioCosts


class CarbonPriced(AbstractObjective):
    """Mean cost plus `carbon_price` (money per kg CO2e) on the emissions of transfers and deliveries."""

    carbon_price: float = eqx.field(static=True, default=0.1)

    def __call__(self, costs: ScenarioCosts) -> Float[Array, " items"]:
        return jnp.mean(costs.total + self.carbon_price * costs.carbon, axis=-1)
