"""Form (b): quantile forecasts, joined into paths by a Gaussian copula."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr
from jaxtyping import Array, Bool, Float
from meio_kernels.random import normals

from meio_jax.demand.base import TOTAL, AbstractDemand, Draws, by_scenario, squared_spread

# Not a number that means are likely to be, since rounding must not decide.
_WHOLE_BELOW = 3.999


class QuantileDemand(AbstractDemand):
    """Quantiles per item and period, linear between levels; days are tied by an AR(1) Gaussian copula.

    Below the lowest level the first segment is continued, never below zero. Above the highest the tail is
    exponential, as steep as the last two quantiles that differ say: exact for exponential demand, on the
    safe side for normal demand. Items with a mean below four a day are rounded to whole units at random, so
    that the mean is kept. The shared factor does not scale totals here: the quantiles hold all their
    uncertainty.
    """

    quantiles: Float[Array, "*blocks levels periods items"]
    levels: Float[Array, "*blocks levels"]
    autocorrelation: float = eqx.field(static=True, default=0.0)

    def totals(self, draws: Draws, periods: int, samples: int) -> Float[Array, "periods batch"]:
        whole = by_scenario(self.whole(), samples)
        keep = self.autocorrelation
        fresh = (1 - keep**2) ** 0.5

        def day(previous: Array, at: tuple) -> tuple[Array, Array]:
            number, table = at
            shock, rounding = (draws.uniform(TOTAL, 1, number, part)[0] for part in range(2))
            noise = normals(shock)
            state = jnp.where(number == 0, noise, keep * previous + fresh * noise)
            value = interpolate(self.levels, table, state, samples)
            return state, jnp.where(whole, jnp.floor(value + rounding), value)

        start = jnp.zeros_like(draws.factor[0])
        at = (jnp.arange(periods), jnp.moveaxis(self.quantiles[:, :periods], 0, 1))
        return jax.lax.scan(day, start, at)[1]

    def mean_total(self) -> Float[Array, " items"]:
        return jnp.mean(self.period_means(self.quantiles.shape[1]), axis=0)

    def period_means(self, periods: int) -> Float[Array, "periods items"]:
        zero, one = jnp.zeros_like(self.levels[:1]), jnp.ones_like(self.levels[:1])
        edges = jnp.concatenate([zero, (self.levels[1:] + self.levels[:-1]) / 2, one])
        return jnp.sum(jnp.diff(edges)[:, None, None] * self.quantiles[:, :periods], axis=0)

    def variance_terms(self) -> Float[Array, "2 items"]:
        mean = self.period_means(self.quantiles.shape[1])
        # Rounding to whole units at random adds that of a fraction: a sixth on average, a slow item's mean at most.
        rounded = jnp.where(self.whole(), jnp.minimum(mean, 1 / 6), 0)
        return squared_spread(mean, _variance(self.levels, self.quantiles) + rounded)

    def whole(self) -> Bool[Array, " items"]:
        return self.mean_total() < _WHOLE_BELOW


def interpolate(
    levels: Float[Array, " levels"],
    table: Float[Array, "levels items"],
    state: Float[Array, " batch"],
    samples: int,
) -> Float[Array, " batch"]:
    """Demand at a standard normal state: the item's quantile function at the probability of the state."""
    count = levels.shape[0]
    if count == 1:
        return by_scenario(table[0], samples)
    level = ndtr(state)
    segment = jnp.zeros(state.shape, jnp.int32)
    for inner in levels[1:-1]:
        segment = segment + (level > inner).astype(jnp.int32)
    item = jnp.arange(state.shape[0]) // samples
    low, high = table[segment, item], table[segment + 1, item]
    width = levels[segment + 1] - levels[segment]
    inside = low + (level - levels[segment]) / width * (high - low)
    # The upper probability comes from -state, since 1 - level has no digits left far out.
    beyond = jnp.log((1 - levels[-1]) / ndtr(-state))
    tail = by_scenario(table[-1], samples) + by_scenario(_tail_scale(levels, table), samples) * beyond
    return jnp.maximum(jnp.where(level > levels[-1], tail, inside), 0)


def _variance(
    levels: Float[Array, " levels"], table: Float[Array, "levels periods items"]
) -> Float[Array, "periods items"]:
    """Variance of demand that is linear between quantiles, with the tails that `interpolate` draws."""
    if levels.shape[0] == 1:
        return jnp.zeros_like(table[0])
    slope = (table[1] - table[0]) / (levels[1] - levels[0])
    ends = jnp.concatenate([jnp.maximum(table[:1] - slope * levels[0], 0), table])
    width = jnp.diff(jnp.concatenate([jnp.zeros_like(levels[:1]), levels]))[:, None, None]
    low, high = ends[:-1], ends[1:]
    above, last = 1 - levels[-1], table[-1]
    tail = jax.vmap(lambda one: _tail_scale(levels, one), in_axes=1)(table)
    mean = jnp.sum(width * (low + high) / 2, axis=0) + above * (last + tail)
    square = jnp.sum(width * (low * low + low * high + high * high) / 3, axis=0)
    square = square + above * (last * last + 2 * last * tail + 2 * tail * tail)
    return jnp.maximum(square - mean * mean, 0)


def _tail_scale(levels: Float[Array, " levels"], table: Float[Array, "levels items"]) -> Float[Array, " items"]:
    """Mean excess over the highest quantile of an exponential tail through it and the next lower one."""
    below = table < table[-1:]
    spread = jnp.log((1 - levels) / (1 - levels[-1]))[:, None]
    # The highest level whose quantile is lower is the one with the least positive spread.
    nearest = jnp.min(jnp.where(below, spread, jnp.inf), axis=0)
    drop = table[-1] - jnp.max(jnp.where(below, table, 0), axis=0)
    return jnp.where(jnp.isfinite(nearest), drop / jnp.where(jnp.isfinite(nearest), nearest, 1), 0)
