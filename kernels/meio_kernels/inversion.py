"""Random variables by inversion of uniforms."""

import jax
import jax.numpy as jnp
from jax.scipy.special import gammainc, gammaln, ndtri
from jaxtyping import Array, Float

_EXACT_BELOW = 30.0
_LARGEST_COUNT = 1000
_EASY_VARIANCE = 0.12
_CORRECTIONS = 4


def negative_binomial(
    uniform: Float[Array, "*shape"], mean: Float[Array, "*shape"], dispersion: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """Counts (as floats) with variance mean + dispersion x mean^2; dispersion 0 is Poisson.

    Means below 30: exact inversion, by summing the probabilities p(k+1) = p(k) (mean + k dispersion mean)
    / ((k + 1) (1 + dispersion mean)) until every entry is found. Above: the gamma law of the same mean and
    variance, rounded.
    """
    small = mean < _EXACT_BELOW
    rate = jnp.where(small, mean, 0)
    inflation = 1 + dispersion * rate
    spread = dispersion > 0
    safe = jnp.where(spread, dispersion, 1)
    term = jnp.where(spread, jnp.exp(-jnp.log(inflation) / safe), jnp.exp(-rate))

    def searching(carry: tuple) -> Array:
        count, _, term, cumulative = carry
        # In float32 the sum may stop just short of a uniform close to 1: vanished terms end the search.
        return (count < _LARGEST_COUNT) & jnp.any((uniform > cumulative) & (term > 0))

    def advance(carry: tuple) -> tuple:
        count, found, term, cumulative = carry
        found = found + jnp.where((uniform > cumulative) & (term > 0), 1, 0).astype(found.dtype)
        k = count.astype(rate.dtype)
        term = term * (rate + k * dispersion * rate) / ((k + 1) * inflation)
        return count + 1, found, term, cumulative + term

    start = (jnp.zeros((), jnp.int32), jnp.zeros_like(uniform), term, term)
    exact = jax.lax.while_loop(searching, advance, start)[1]
    variance = dispersion + 1 / jnp.where(small, 1, mean)
    wide = jax.lax.cond(
        jnp.all(small), lambda u: 0 * u, lambda u: jnp.floor(mean * unit_gamma(u, variance) + 0.5), uniform
    )
    return jnp.where(small, exact, wide)


def poisson(uniform: Float[Array, "*shape"], mean: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Poisson counts (as floats)."""
    return negative_binomial(uniform, mean, jnp.zeros_like(mean))


def rough_gamma(uniform: Float[Array, "*shape"], variance: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Gamma of mean 1 by the cube of a normal (Wilson and Hilferty 1931): within 1 % for variance up to about 0.3."""
    third = variance / 9
    return jnp.maximum(1 - third + ndtri(uniform) * jnp.sqrt(third), 1e-4) ** 3


def unit_gamma(uniform: Float[Array, "*shape"], variance: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Gamma variables of mean 1 and the given variance by inversion; exactly 1 where the variance is 0.

    The cube approximation is corrected by Halley steps on the distribution function where any variance is large.
    """
    spread = variance > 0
    safe = jnp.where(spread, variance, 0.1)
    start = rough_gamma(uniform, safe)
    value = jax.lax.cond(
        jnp.any(safe > _EASY_VARIANCE),
        lambda g: _corrected(uniform, 1 / safe, g / safe) * safe,
        lambda g: g,
        start,
    )
    return jnp.where(spread, value, 1)


def _corrected(uniform: Array, shape: Array, start: Array) -> Array:
    """Halley's method for gammainc(shape, x) = uniform; small shapes start from the power law near zero."""
    near_zero = jnp.exp((jnp.log(uniform) + gammaln(shape + 1)) / shape)
    value = jnp.where((shape < 1) & (near_zero < 0.3 * (shape + 1)), near_zero, jnp.maximum(start, 1e-6))
    tiny = jnp.finfo(value.dtype).tiny * 1e6
    for _ in range(_CORRECTIONS):
        value = jnp.maximum(value, tiny)
        density = jnp.exp((shape - 1) * jnp.log(value) - value - gammaln(shape))
        error = (gammainc(shape, value) - uniform) / jnp.maximum(density, tiny)
        curvature = (shape - 1) / value - 1
        moved = value - error / jnp.maximum(1 - 0.5 * error * curvature, 0.5)
        value = jnp.clip(moved, value / 4, value * 4)
    return value
