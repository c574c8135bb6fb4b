"""Augmented prices: proportional-integral control of the capacities (Hestenes 1969; Powell 1969)."""

import equinox as eqx
from jaxtyping import Array, Float
from meio_kernels.projection import nonnegative

from meio_jax.dual.base import AbstractDualMethod, Observation


class AugmentedState(eqx.Module):
    """Multiplier (the integral) and the price to evaluate at."""

    multiplier: Float[Array, "buckets resources"]
    priced: Float[Array, "buckets resources"]


class AugmentedPrices(AbstractDualMethod[AugmentedState]):
    """Evaluate at max(0, multiplier + penalty x scale x relative excess); integrate the excess into the multiplier.

    The proportional term is the gradient of an augmented Lagrangian; it damps the sloshing that stalls the plain
    subgradient (design page, section 5). Steps that adapt to the sign of the excess, resource by resource, were tried
    and dropped: with few scenarios a step the signs are mostly noise, and the steps shrink until prices stand still.
    """

    step_size: float = eqx.field(static=True, default=0.3)
    penalty: float = eqx.field(static=True, default=1.0)

    def init(self, prices: Float[Array, "buckets resources"]) -> AugmentedState:
        start = nonnegative(prices)
        return AugmentedState(start, start)

    def prices(self, state: AugmentedState) -> Float[Array, "buckets resources"]:
        return state.priced

    def multipliers(self, state: AugmentedState) -> Float[Array, "buckets resources"]:
        return state.multiplier

    def step(self, seen: Observation, state: AugmentedState) -> AugmentedState:
        drive = seen.price_scale * seen.drive
        multiplier = nonnegative(state.multiplier + self.step_size * drive)
        return AugmentedState(multiplier, nonnegative(multiplier + self.penalty * drive))
