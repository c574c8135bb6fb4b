"""Form (a): sample paths from the user's own forecaster."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from meio_jax.demand.base import AbstractDemand, Draws, squared_spread

# First path and stride of training, holdout and validation, by the number of paths (4: or more).
_PARTS = {
    1: ((0, 1), (0, 1), (0, 1)),
    2: ((0, 2), (1, 2), (0, 2)),
    3: ((0, 3), (1, 3), (2, 3)),
    4: ((0, 2), (1, 4), (3, 4)),
}


class PathDemand(AbstractDemand):
    """Scenario s of an item follows one of its sample paths.

    Scenarios walk through the paths in turn, the same for all items: as many scenarios as paths use each
    path once, and what the forecaster says about items moving together is kept. With four or more
    paths, training uses the even ones, and holdout and validation share the odd ones in turn, so that a plan is
    never judged on a path that it was optimised on, or chosen by.
    """

    samples: Float[Array, "*blocks paths periods items"]

    def totals(self, draws: Draws, periods: int, samples: int) -> Float[Array, "periods batch"]:
        parts = jnp.asarray(_PARTS[min(self.samples.shape[0], 4)], jnp.int32)
        first, stride = parts[draws.purpose]
        usable = (self.samples.shape[0] - first + stride - 1) // stride
        path = first + stride * (draws.scenario % usable.astype(jnp.uint32)).astype(jnp.int32)
        own = jnp.arange(draws.scenario.shape[0]) // samples
        return jax.lax.map(lambda units: units[path, own], jnp.moveaxis(self.samples[:, :periods], 1, 0))

    def mean_total(self) -> Float[Array, " items"]:
        return jnp.mean(self.samples, axis=(0, 1))

    def period_means(self, periods: int) -> Float[Array, "periods items"]:
        return jnp.mean(self.samples[:, :periods], axis=0)

    def variance_terms(self) -> Float[Array, "2 items"]:
        return squared_spread(jnp.mean(self.samples, axis=0), jnp.var(self.samples, axis=0))

    def whole(self) -> Bool[Array, " items"]:
        return jnp.all(self.samples == jnp.round(self.samples), axis=(0, 1))
