"""The optimiser of the policies' parameters."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int


class SearchOptions(eqx.Module):
    """How policies are searched: Adam with a step that falls from a first to a last length (cosine).

    These are values of a program, not part of it: searches of other lengths run the same compiled step.
    """

    first_rate: Float[Array, ""]
    last_rate: Float[Array, ""]
    steps: Float[Array, ""]

    def __init__(self, first_rate: float = 0.1, last_rate: float = 0.003, steps: int = 150) -> None:
        self.first_rate, self.last_rate = jnp.asarray(first_rate, jnp.float32), jnp.asarray(last_rate, jnp.float32)
        self.steps = jnp.asarray(steps, jnp.float32)

    def rate(self, step: Int[Array, "*steps"] | int) -> Float[Array, "*steps"]:
        """Length of a step, by its number (Loshchilov and Hutter 2017, without restarts)."""
        done = jnp.minimum(jnp.asarray(step).astype(self.steps.dtype) / jnp.maximum(self.steps, 1), 1)
        return self.last_rate + (self.first_rate - self.last_rate) * 0.5 * (1 + jnp.cos(jnp.pi * done))


def optimiser(options: SearchOptions) -> optax.GradientTransformation:
    """Adam on parameters in units of their scale; eps is small because gradients are scaled by item cost.

    Momentum is short: it delays the answer of stock to prices, and a delay in that loop makes stock slosh.
    """
    return optax.adam(options.rate, b1=0.5, b2=0.95, eps=1e-9)


def adam_of(optimiser: Any) -> optax.ScaleByAdamState:
    """Running means of gradients and of their squares, and the number of steps they are means of."""
    is_adam = lambda node: isinstance(node, optax.ScaleByAdamState)
    return next(node for node in jax.tree.leaves(optimiser, is_leaf=is_adam) if is_adam(node))


def with_moments(optimiser: Any, adam: optax.ScaleByAdamState) -> Any:
    """The state of an optimiser with other running means; the schedule of its step sizes stays where it is."""
    is_adam = lambda node: isinstance(node, optax.ScaleByAdamState)
    return jax.tree.map(lambda node: adam if is_adam(node) else node, optimiser, is_leaf=is_adam)
