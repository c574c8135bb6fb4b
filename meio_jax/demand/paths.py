"""Form (a): sample paths from the user's own forecaster."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from meio_jax.demand.base import AbstractDemand, Draws


class PathDemand(AbstractDemand):
    """Scenario s of an item follows one of its sample paths.

    Scenarios walk through the paths in turn, so that as many scenarios as paths use each path once. With two or more paths, training uses the even and holdout the odd ones, so that a plan is never
    judged on a path that it was optimised on.
    """

    samples: Float[Array, "paths periods items"]

    def totals(self, draws: Draws, periods: int, samples: int) -> Float[Array, "periods batch"]:
        paths = self.samples.shape[0]
        usable, offset = (paths // 2 + (0 if draws.holdout else paths % 2), int(draws.holdout)) if paths > 1 else (1, 0)
        stride = 2 if paths > 1 else 1
        own = jnp.arange(draws.scenario.shape[0]) // samples
        path = offset + stride * (draws.scenario % jnp.uint32(usable)).astype(jnp.int32)
        return self.samples[path, :, own].T

    def mean_total(self) -> Float[Array, " items"]:
        return jnp.mean(self.samples, axis=(0, 1))

    def whole(self) -> Bool[Array, " items"]:
        return jnp.all(self.samples == jnp.round(self.samples), axis=(0, 1))
