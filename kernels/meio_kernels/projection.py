"""Projection onto a simple convex set."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def nonnegative(values: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Nearest point with no negative entry."""
    return jnp.maximum(values, 0)
