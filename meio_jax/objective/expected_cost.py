"""Expected cost: the default objective."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from meio_jax.objective.base import AbstractObjective, ScenarioCosts


class ExpectedCost(AbstractObjective):
    """Mean cost over scenarios."""

    def __call__(self, costs: ScenarioCosts) -> Float[Array, " items"]:
        return jnp.mean(costs.total, axis=-1)
