"""Form (b): quantile forecasts, joined into paths by a Gaussian copula."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr
from jaxtyping import Array, Bool, Float

from meio_jax.demand.base import TOTAL, AbstractDemand, Draws, by_scenario
from meio_kernels.random import normals

_WHOLE_BELOW = 4.0


class QuantileDemand(AbstractDemand):
    """Quantiles per item and period, linear between levels; days are tied by an AR(1) Gaussian copula.

    Beyond the outer levels the nearest segment is continued to levels 0 and 1 (never below zero). Items with a mean
    below four a day are rounded to whole units at random, so that the mean is kept.
    """

    quantiles: Float[Array, "levels periods items"]
    levels: Float[Array, " levels"]
    autocorrelation: float = eqx.field(static=True, default=0.0)

    def totals(self, draws: Draws, periods: int, samples: int) -> Float[Array, "periods batch"]:
        whole = by_scenario(self.whole(), samples)
        keep = self.autocorrelation
        fresh = (1 - keep**2) ** 0.5

        def day(previous: Array, at: tuple) -> tuple[Array, Array]:
            number, table, factor = at
            shock, rounding = draws.uniform(TOTAL, 2, number)
            noise = normals(shock)
            state = jnp.where(number == 0, noise, keep * previous + fresh * noise)
            value = interpolate(self.levels, table, ndtr(state), samples) * factor
            return state, jnp.where(whole, jnp.floor(value + rounding), value)

        start = jnp.zeros_like(draws.factor[0])
        at = (jnp.arange(periods), jnp.moveaxis(self.quantiles, 0, 1), draws.factor)
        return jax.lax.scan(day, start, at)[1]

    def mean_total(self) -> Float[Array, " items"]:
        edges = jnp.concatenate([jnp.zeros(1), (self.levels[1:] + self.levels[:-1]) / 2, jnp.ones(1)])
        weight = jnp.diff(edges).astype(self.quantiles.dtype)
        return jnp.mean(jnp.tensordot(weight, self.quantiles, axes=1), axis=0)

    def whole(self) -> Bool[Array, " items"]:
        return self.mean_total() < _WHOLE_BELOW


def interpolate(
    levels: Float[Array, " levels"],
    table: Float[Array, "levels items"],
    uniform: Float[Array, " batch"],
    samples: int,
) -> Float[Array, " batch"]:
    """Value at each uniform of the piecewise linear quantile function of its item, continued at both ends."""
    count = levels.shape[0]
    if count == 1:
        return by_scenario(table[0], samples)
    segment = jnp.clip(jnp.searchsorted(levels, uniform) - 1, 0, count - 2)
    item = jnp.arange(uniform.shape[0]) // samples
    low, high = table[segment, item], table[segment + 1, item]
    width = levels[segment + 1] - levels[segment]
    return jnp.maximum(low + (uniform - levels[segment]) / width * (high - low), 0)
