"""Form (a): sample paths from the user's own forecaster."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from meio_jax.demand.base import AbstractDemand, Draws


class PathDemand(AbstractDemand):
    """Scenario s of an item follows one of its sample paths.

    Scenarios walk through the paths in turn, the same for all items: as many scenarios as paths use each
    path once, and what the forecaster says about items moving together is kept. With two or more paths,
    training uses the even and holdout the odd ones, so that a plan is never judged on a path that it was
    optimised on.
    """

    samples: Float[Array, "*blocks paths periods items"]

    def totals(self, draws: Draws, periods: int, samples: int) -> Float[Array, "periods batch"]:
        paths = self.samples.shape[0]
        stride = 2 if paths > 1 else 1
        first = 1 if draws.holdout and paths > 1 else 0
        usable = (paths - first + stride - 1) // stride
        path = first + stride * (draws.scenario % jnp.uint32(usable)).astype(jnp.int32)
        own = jnp.arange(draws.scenario.shape[0]) // samples
        return jax.lax.map(lambda units: units[path, own], jnp.moveaxis(self.samples[:, :periods], 1, 0))

    def mean_total(self) -> Float[Array, " items"]:
        return jnp.mean(self.samples, axis=(0, 1))

    def whole(self) -> Bool[Array, " items"]:
        return jnp.all(self.samples == jnp.round(self.samples), axis=(0, 1))
