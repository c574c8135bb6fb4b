"""Projected subgradient ascent (Held, Wolfe and Crowder 1974; Fisher 1981)."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float
from meio_kernels.projection import nonnegative

from meio_jax.dual.base import AbstractDualMethod, Observation


class SubgradientState(eqx.Module):
    """Prices and the number of steps taken."""

    price: Float[Array, "buckets resources"]
    count: Float[Array, ""]


class ProjectedSubgradient(AbstractDualMethod[SubgradientState]):
    """price <- max(0, price + step x scale x relative excess), with steps that fall like 1 / sqrt(1 + k / delay).

    The plainest method: kept as the baseline that the others must beat. Stock sloshes between near-equivalent nodes.
    """

    step_size: float = eqx.field(static=True, default=0.5)
    delay: float = eqx.field(static=True, default=20.0)

    def init(self, prices: Float[Array, "buckets resources"]) -> SubgradientState:
        return SubgradientState(nonnegative(prices), jnp.zeros((), prices.dtype))

    def prices(self, state: SubgradientState) -> Float[Array, "buckets resources"]:
        return state.price

    def multipliers(self, state: SubgradientState) -> Float[Array, "buckets resources"]:
        return state.price

    def step(self, seen: Observation, state: SubgradientState) -> SubgradientState:
        size = self.step_size / jnp.sqrt(1 + state.count / self.delay)
        moved = seen.allowed(state.price + size * seen.price_scale * seen.drive)
        return SubgradientState(moved, state.count + 1)
