"""Augmented prices: proportional-integral control of the capacities (Hestenes 1969; Powell 1969)."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float
from meio_kernels.projection import nonnegative

from meio_jax.dual.base import AbstractDualMethod, Observation


class AugmentedState(eqx.Module):
    """Multiplier (the integral), the price to evaluate at, and what sets the step of each resource.

    `gain` is the resource's own step, `relative` its last relative excess.
    """

    multiplier: Float[Array, "buckets resources"]
    priced: Float[Array, "buckets resources"]
    gain: Float[Array, "buckets resources"]
    relative: Float[Array, "buckets resources"]


class AugmentedPrices(AbstractDualMethod):
    """Evaluate at max(0, multiplier + penalty x scale x relative excess); integrate the excess into the multiplier.

    The proportional term is the gradient of an augmented Lagrangian; it damps the sloshing that stalls the plain
    subgradient (design page, section 5). Each resource has its own gain, which grows while its excess keeps its
    sign and shrinks when the sign turns (Riedmiller and Braun 1993), because how strongly usage answers to a price
    differs by orders of magnitude between resources.
    """

    step_size: float = eqx.field(static=True, default=0.1)
    penalty: float = eqx.field(static=True, default=1.0)
    grow: float = eqx.field(static=True, default=1.08)
    shrink: float = eqx.field(static=True, default=0.6)
    gain_limit: float = eqx.field(static=True, default=8.0)

    def init(self, prices: Float[Array, "buckets resources"]) -> AugmentedState:
        start = nonnegative(prices)
        return AugmentedState(start, start, jnp.ones_like(start), jnp.zeros_like(start))

    def prices(self, state: AugmentedState) -> Float[Array, "buckets resources"]:
        return state.priced

    def multipliers(self, state: AugmentedState) -> Float[Array, "buckets resources"]:
        return state.multiplier

    def step(self, seen: Observation, state: AugmentedState) -> AugmentedState:
        same = jnp.sign(seen.relative) * jnp.sign(state.relative)
        change = jnp.where(same > 0, self.grow, jnp.where(same < 0, self.shrink, 1))
        gain = jnp.clip(state.gain * change, 1 / self.gain_limit, self.gain_limit)
        drive = seen.price_scale * seen.relative
        multiplier = nonnegative(state.multiplier + self.step_size * gain * drive)
        return AugmentedState(multiplier, nonnegative(multiplier + self.penalty * drive), gain, seen.relative)
