"""Projections onto simple convex sets."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def nonnegative(values: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Nearest point with no negative entry."""
    return jnp.maximum(values, 0)


def simplex(values: Float[Array, "entries *batch"]) -> Float[Array, "entries *batch"]:
    """Nearest point (Euclidean) of the unit simplex along the first axis.

    Sort-based algorithm of Held, Wolfe and Crowder (1974): subtract the one threshold that makes the positive
    parts sum to one.
    """
    descending = jnp.flip(jnp.sort(values, axis=0), axis=0)
    excess = jnp.cumsum(descending, axis=0) - 1
    rank = jnp.arange(1, values.shape[0] + 1, dtype=values.dtype)
    rank = rank.reshape((-1,) + (1,) * (values.ndim - 1))
    support = jnp.sum(descending * rank > excess, axis=0, keepdims=True)
    threshold = jnp.take_along_axis(excess, support - 1, axis=0) / support.astype(values.dtype)
    return jnp.maximum(values - threshold, 0)
