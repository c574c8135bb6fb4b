"""Accelerated dual ascent with restart (Nesterov 1983; O'Donoghue and Candes 2015)."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float
from meio_kernels.projection import nonnegative

from meio_jax.dual.base import AbstractDualMethod, Observation


class AcceleratedState(eqx.Module):
    """Prices, the extrapolated point at which usage is observed, and the momentum's counter."""

    price: Float[Array, "buckets resources"]
    ahead: Float[Array, "buckets resources"]
    momentum: Float[Array, ""]


class AcceleratedAscent(AbstractDualMethod[AcceleratedState]):
    """Nesterov's extrapolation on the prices, restarted when the excess points against the last move."""

    step_size: float = eqx.field(static=True, default=0.2)

    def init(self, prices: Float[Array, "buckets resources"]) -> AcceleratedState:
        start = nonnegative(prices)
        return AcceleratedState(start, start, jnp.ones((), start.dtype))

    def prices(self, state: AcceleratedState) -> Float[Array, "buckets resources"]:
        return state.ahead

    def multipliers(self, state: AcceleratedState) -> Float[Array, "buckets resources"]:
        return state.price

    def step(self, seen: Observation, state: AcceleratedState) -> AcceleratedState:
        drive = seen.price_scale * seen.drive
        moved = seen.allowed(state.ahead + self.step_size * drive)
        progress = moved - state.price
        against = jnp.sum(seen.drive * progress * seen.size) < 0
        grown = (1 + jnp.sqrt(1 + 4 * state.momentum**2)) / 2
        pull = jnp.where(against, 0, (state.momentum - 1) / grown)
        momentum = jnp.where(against, jnp.ones_like(grown), grown)
        return AcceleratedState(moved, seen.allowed(moved + pull * progress), momentum)
