"""Conditional value at risk of an item's scenario costs (Rockafellar and Uryasev 2000)."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from meio_jax.objective.base import AbstractObjective, ScenarioCosts


class CVaR(AbstractObjective):
    """Mean of the worst `1 - level` share of scenarios, blended with the mean of all.

    The value is `(1 - weight) x mean + weight x CVaR`. A tail that is not a whole number of scenarios takes the
    boundary scenario in part, so the value is continuous in `level`.
    """

    level: float = eqx.field(static=True, default=0.8)
    weight: float = eqx.field(static=True, default=1.0)

    def __check_init__(self) -> None:
        if not 0 <= self.level < 1:
            raise ValueError(f"Argument `level` must be in [0, 1), but is {self.level}.")

    def __call__(self, costs: ScenarioCosts) -> Float[Array, " items"]:
        scenarios = costs.total.shape[-1]
        worst_first = jnp.flip(jnp.sort(costs.total, axis=-1), axis=-1)
        tail = (1 - self.level) * scenarios
        share = jnp.clip(tail - jnp.arange(scenarios, dtype=worst_first.dtype), 0, 1) / tail
        tail_mean = jnp.sum(worst_first * share, axis=-1)
        return (1 - self.weight) * jnp.mean(costs.total, axis=-1) + self.weight * tail_mean
