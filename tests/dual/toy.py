"""A problem with a closed form: newsvendors with exponential demand that share one capacity."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from meio_jax.model.costs import CostTerms
from meio_jax.solver.subproblem import AbstractSubproblem, Evaluation


class Levels(eqx.Module):
    """The search state: levels at the last prices."""

    level: Array


class SharedNewsvendors(AbstractSubproblem):
    """min sum_i h (x_i - m_i) + (h + p) m_i exp(-x_i / m_i)  subject to  sum_i x_i <= capacity.

    At price v the best level is m_i log((h + p) / (h + v)), so the optimal price of a binding capacity is
    (h + p) exp(-capacity / sum m) - h.
    """

    mean: Array
    capacity: Array
    holding: float = eqx.field(static=True, default=1.0)
    penalty: float = eqx.field(static=True, default=9.0)
    spoiled: bool = eqx.field(static=True, default=False)

    def init(self) -> Levels:
        return Levels(self.response(jnp.zeros(())))

    def zero_prices(self) -> Array:
        return jnp.zeros((1, 1))

    def response(self, price: Array) -> Array:
        """Best levels at a price."""
        return self.mean * jnp.maximum(jnp.log((self.holding + self.penalty) / (self.holding + price)), 0)

    def cost(self, level: Array) -> Array:
        """Cost of levels."""
        short = (self.holding + self.penalty) * self.mean * jnp.exp(-level / self.mean)
        return jnp.sum(self.holding * (level - self.mean) + short)

    def optimal_price(self) -> float:
        """Closed form of the capacity's price (0 where it does not bind)."""
        total = self.holding + self.penalty
        return float(np.maximum(total * np.exp(-self.capacity / self.mean.sum()) - self.holding, 0))

    def optimal_cost(self) -> float:
        """Cost at the optimal price."""
        return float(self.cost(self.response(jnp.asarray(self.optimal_price()))))

    def evaluate(self, prices: Array, warm: eqx.Module) -> tuple[Evaluation, Levels]:
        del warm
        level = self.response(prices[0, 0])
        value = self.cost(level) * (jnp.nan if self.spoiled else 1.0)
        nothing = jnp.zeros(())
        evaluation = Evaluation(
            value=value,
            excess=(jnp.sum(level) - self.capacity).reshape(1, 1),
            bound=jnp.asarray(self.capacity).reshape(1, 1),
            slack=nothing,
            terms=CostTerms(*[nothing] * 4, value, *[nothing] * 5),
        )
        return evaluation, Levels(level)


def newsvendors(capacity: float = 10.0, *, spoiled: bool = False) -> SharedNewsvendors:
    """Four newsvendors; a capacity above about 17 does not bind."""
    return SharedNewsvendors(jnp.asarray([1.0, 1.5, 2.0, 3.0]), jnp.asarray(capacity), spoiled=spoiled)
