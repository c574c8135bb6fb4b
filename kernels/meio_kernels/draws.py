"""Random variables made from uniforms, elementwise and without branches.

Every function costs the same whatever its parameters are, and an entry never looks at its neighbours, so the
number drawn for an entry is the same in every batch.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

from meio_kernels.random import normals

EXACT_BELOW = 8.0
_TERMS = 31


def poisson(uniform: Float[Array, "*shape"], mean: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Poisson counts (as floats), increasing in `uniform`.

    Means below 8: exact inversion. Above: half a gamma variable of shape 4 x mean, shifted so that mean,
    variance and skewness are those of the counts (the variance less the 1/12 that rounding adds back),
    rounded; mean and variance are within 0.1 %, and one count in a hundred differs from the exact one (by 1)
    at mean 8, fewer beyond.
    """
    small = mean < EXACT_BELOW
    exact = _searched(uniform, jnp.where(small, mean, 0))
    return jnp.where(small, exact, _rounded(uniform, jnp.maximum(mean, 1)))


def _searched(uniform: Array, mean: Array) -> Array:
    """Inversion by adding up probabilities; 31 terms reach the 24 bits of a uniform for any mean below 8."""
    term = jnp.exp(-mean)
    cumulative = term
    found = jnp.zeros(uniform.shape, jnp.int32)
    for count in range(1, _TERMS):
        found = found + (uniform > cumulative).astype(jnp.int32)
        term = term * (mean * (1 / count))
        cumulative = cumulative + term
    # The sum may stop just short of a uniform close to 1; this is what a uniform of 24 bits can reach.
    highest = jnp.floor(mean + 6 * jnp.sqrt(mean) + 4)
    return jnp.minimum(found.astype(uniform.dtype), highest)


def _rounded(uniform: Array, mean: Array) -> Array:
    gamma = 2 * mean * cubed_gamma(uniform, 1 / (4 * mean))
    return jnp.floor(jnp.maximum(mean + (gamma - 2 * mean) * jnp.sqrt(1 - 1 / (12 * mean)) + 0.5, 0))


def cubed_gamma(uniform: Float[Array, "*shape"], variance: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Gamma of mean 1 as the cube of a normal (Wilson and Hilferty 1931), increasing in `uniform`.

    Mean and variance are within 0.1 % for variances up to 0.5, within 1 % up to 1.
    """
    third = variance / 9
    return jnp.maximum(1 - third + normals(uniform) * jnp.sqrt(third), 0) ** 3


def polynomial_gamma(uniform: Float[Array, "*shape"], variance: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Gamma of mean 1 as the cube of a polynomial in a normal (Goldstein 1973), increasing in `uniform`.

    Two orders closer than `cubed_gamma`: for variances up to 0.5 mean and variance are within 0.01 %, and so is
    the expected excess over any level that matters to a newsvendor.
    """
    z = normals(uniform)
    # The reciprocal of the degrees of freedom of the chi-squared law of this shape.
    n = variance / 2
    square = z * z
    even = 1 - n * (2 / 9)
    even = even + n**2 * ((4 * square + 16) * square - 28) / 1215
    even = even + n**3 * (((8 * square + 720) * square + 3216) * square + 2904) / 229635
    odd = 1 / 3 + n * (3 - square) / 162
    odd = odd - n**2 * ((3 * square + 40) * square + 45) / 5832
    odd = odd + n**3 * (((301 * square - 1519) * square - 32769) * square - 79349) / 7873200
    return jnp.maximum(even + z * jnp.sqrt(2 * n) * odd, 0) ** 3


def unit_gamma(
    first: Float[Array, "*shape"],
    second: Float[Array, "*shape"],
    third: Float[Array, "*shape"],
    variance: Float[Array, "*shape"],
) -> Float[Array, "*shape"]:
    """Gamma variables of mean 1 and any variance from three uniforms; exactly 1 where the variance is 0.

    With shape a = 1 / variance, a gamma of shape a is one of shape a + 2 times U^(1/a) V^(1/(a+1)) (Stuart
    1962), and from shape 2 on `polynomial_gamma` is good to 0.01 % in mean and variance. Increasing in each
    uniform.
    """
    spread = variance > 0
    safe = jnp.where(spread, variance, 1)
    raised = 1 + 2 * safe
    power = safe * jnp.log(second) + safe / (1 + safe) * jnp.log(third)
    return jnp.where(spread, raised * polynomial_gamma(first, safe / raised) * jnp.exp(power), 1)


def cumulative_share(share: Float[Array, "classes batch"]) -> Float[Array, "classes batch"]:
    """Running sum of shares in whole parts of (nearly) 2^-24, exact in float32 in whatever order it adds up.

    So it never decreases and stays level at a class of share 0, which a rounded sum does not promise. Serves
    up to 8,000 classes and columns that sum to 1 within 1e-4.
    """
    parts = jnp.round(share * (2.0**24 - 2.0**12))
    # A product, since `cumsum` compiles to slow code; full precision keeps it exact where matrix units round.
    return jnp.matmul(jnp.tril(jnp.ones((share.shape[0],) * 2, share.dtype)), parts, precision="highest")


def spread_units(
    total: Float[Array, " batch"],
    whole: Bool[Array, " batch"],
    cumulative: Float[Array, "classes batch"],
    uniform: Float[Array, "draws batch"],
) -> Float[Array, "classes batch"]:
    """Split a total over classes at random and keep its sum; the last row of `uniform` places a remainder.

    With U = draws - 1, a total n up to U is placed unit by unit (a fraction of a unit as one): multinomial.
    Beyond U, totals that must stay whole are placed in parcels of ceil(n / U) units and a remainder, so that
    every class gets a whole number. The others place U parcels of sqrt(n / U) units each and divide the other
    n - sqrt(n U) by share: means, variances and covariances are exactly those of n units placed one by one.

    Args:
        total: Non-negative units; whole where `whole` is.
        whole: Where every class must get a whole number.
        cumulative: `cumulative_share` of the classes' shares; a class of share 0 gets nothing.
        uniform: Uniforms in (0, 1).
    """
    units = uniform.shape[0] - 1
    over = ~whole & (total > units)
    parcel = jnp.maximum(jnp.where(whole, jnp.ceil(total / units), jnp.sqrt(total / units)), 1)
    count = jnp.where(over, units, jnp.floor(total / parcel))
    even = jnp.where(over, total - units * parcel, 0)
    rest = jnp.where(over, 0, total - count * parcel)
    row = jnp.arange(units + 1, dtype=total.dtype)[:, None]
    place = jnp.where((row < count[None]) | (row == units), uniform * cumulative[-1:], jnp.inf)
    # Without the barrier a compiler might draw every uniform again for each class.
    step = _steps(_places(jax.lax.optimization_barrier(place), cumulative))
    parcels, remainders = (step >> 1).astype(total.dtype), (step & 1).astype(total.dtype)
    share = _steps(cumulative) * (even / jnp.maximum(cumulative[-1], 1))[None]
    return parcels * parcel[None] + remainders * rest[None] + share


def _places(
    place: Float[Array, "draws batch"], cumulative: Float[Array, "classes batch"]
) -> Int[Array, "classes batch"]:
    """Twice the number of places (all rows but the last) up to each class, plus 1 if the last row is one."""
    below = jnp.zeros(cumulative.shape, jnp.int32)
    for row in place[:-1]:
        below = below + (row[None] <= cumulative).astype(jnp.int32)
    return 2 * below + (place[-1:] <= cumulative).astype(jnp.int32)


def _steps(running: Shaped[Array, "classes batch"]) -> Shaped[Array, "classes batch"]:
    return running - jnp.concatenate([jnp.zeros_like(running[:1]), running[:-1]])
