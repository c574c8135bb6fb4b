"""Augmented prices: proportional-integral control of the capacities (Hestenes 1969; Powell 1969)."""

import math

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from meio_kernels.projection import nonnegative

from meio_jax.dual.base import AbstractDualMethod, Observation

_LONG_AGO = 2**30


class AugmentedState(eqx.Module):
    """Multiplier (the integral), the price to evaluate at, the number of steps, and of the last steps that each
    capacity was exceeded by more than what counts as near."""

    multiplier: Float[Array, "buckets resources"]
    priced: Float[Array, "buckets resources"]
    steps: Int[Array, ""]
    beyond: Int[Array, "buckets resources"]


class AugmentedPrices(AbstractDualMethod[AugmentedState]):
    """Evaluate at max(0, multiplier + penalty x scale x relative excess); integrate the excess into the multiplier.

    The proportional term is the gradient of an augmented Lagrangian; it damps the sloshing that stalls the plain
    subgradient (design page, section 5), and it carries what is far from capacity. The integral counts no excess beyond
    `near`: stock follows a price with a delay of ten steps or so, and an integral of large excesses would have run up
    by then to several times the price that is needed, and take most of a search to come down. What is exceeded for
    longer than `patience` steps is no matter of delay: more and more of it is counted. Near capacity it can be
    quick in exchange. Its gain falls with the steps (Robbins and Monro 1951), for two reasons: where a capacity is
    idle, scenarios' noise holds the integral above zero in proportion to its gain; and stock moves by ever smaller
    steps, so that an integral as quick as before would swing. The proportional term stays: it is what damps.

    `step_size` is the gain of the integral at first and `penalty` that of the proportional term, both in units of the
    price scale per share of the capacity; after `settling` steps the former is half of what it was.

    The defaults count everything, with gains that stay; in large catalogs, whose stock answers with a delay,
    configs/quickstart.yaml has gains that settle sooner (docs/results.md). Where usage answers a price at once,
    `penalty` times the answer (relative excess per price scale) must stay below one. Steps that adapt to the sign of
    the excess, resource by resource, were tried and dropped: with few scenarios a step the signs are mostly noise, and
    the steps shrink until prices stand still. So were gains that fall with the swing of a resource, and a mean of two
    excesses in the proportional term: both wait while vendors' orders run away.
    """

    step_size: float = eqx.field(static=True, default=0.3)
    penalty: float = eqx.field(static=True, default=1.0)
    near: float = eqx.field(static=True, default=math.inf)
    settling: float = eqx.field(static=True, default=math.inf)
    patience: float = eqx.field(static=True, default=12.0)

    def init(self, prices: Float[Array, "buckets resources"]) -> AugmentedState:
        start = nonnegative(prices)
        # Prices that are known already have settled: they go on by small steps.
        steps = jnp.where(jnp.any(start > 0), int(min(2 * self.settling, _LONG_AGO)), 0).astype(jnp.int32)
        return AugmentedState(start, start, steps, jnp.zeros(start.shape, jnp.int32))

    def prices(self, state: AugmentedState) -> Float[Array, "buckets resources"]:
        return state.priced

    def multipliers(self, state: AugmentedState) -> Float[Array, "buckets resources"]:
        return state.multiplier

    def step(self, seen: Observation, state: AugmentedState) -> AugmentedState:
        beyond = jnp.where(seen.relative > self.near, state.beyond + 1, 0)
        most = self.near * jnp.maximum(beyond.astype(seen.excess.dtype) / self.patience, 1)
        counted = jnp.clip(seen.drive, -self.near, most)
        gain = self.step_size / (1 + state.steps.astype(counted.dtype) / self.settling)
        multiplier = seen.allowed(state.multiplier + gain * seen.price_scale * counted)
        priced = seen.allowed(multiplier + self.penalty * seen.price_scale * seen.drive)
        return AugmentedState(multiplier, priced, state.steps + 1, beyond)
