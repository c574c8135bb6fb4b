"""Expected profit, as a cost to minimise."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from meio_jax.objective.base import AbstractObjective, ScenarioCosts


class ExpectedProfit(AbstractObjective):
    """Minus the expected profit: revenue less every cost that is paid; goodwill counts, forgone revenue does not.

    Revenue forgone is already missing from the revenue, so counting it again would weigh a lost sale twice.
    """

    def __call__(self, costs: ScenarioCosts) -> Float[Array, " items"]:
        return jnp.mean(costs.total - costs.lost_revenue - costs.revenue, axis=-1)
