"""Shares of a whole that may be next to nothing."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

NOTHING = 1e-12
"""Units up to which a whole counts as nothing: what rounding leaves of demand and stock after many rounds.

The derivative of a share divides by the square of the whole, which single precision can hold from some 1e-19 on; below
that it is infinite, and infinity times nought is not a number.
"""


def something(whole: Float[Array, "*shape"]) -> Bool[Array, "*shape"]:
    """Whether a whole is more than next to nothing."""
    return whole > NOTHING


def part_of(
    part: Float[Array, "*#shape"], whole: Float[Array, "*#shape"], otherwise: Float[Array, "*#shape"] | float = 0.0
) -> Float[Array, "*shape"]:
    """Share of a part in a whole; `otherwise` where the whole is next to nothing."""
    there = something(whole)
    # Guarded inside the selected branch as well, so that the derivative is finite where nothing is there.
    return jnp.where(there, part / jnp.where(there, whole, 1), otherwise)
