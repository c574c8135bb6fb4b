"""Rows of a batch added to other rows, at places that are known when a program is compiled."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def add_rows(
    base: Float[Array, "rows batch"], values: Float[Array, "sources batch"], target: tuple[int, ...]
) -> Float[Array, "rows batch"]:
    """`base` with every source added to its target row; several sources may have one target.

    On a CPU this adds to the rows in place. On a GPU that would be a copy and a kernel of its own for each call: there
    every row reads its sources, which the compiler joins with what is around it. Going back, sources read their rows.

    Args:
        base: What is added to.
        values: Units by source.
        target: Row of every source.
    """
    if not target:
        return base
    gathered = partial(_reading, target=target)
    return jax.lax.platform_dependent(base, values, cuda=gathered, default=partial(_adding, target=target))


def _adding(base: Array, values: Array, target: tuple[int, ...]) -> Array:
    return base.at[jnp.asarray(target, int)].add(values)


def _reading(base: Array, values: Array, target: tuple[int, ...]) -> Array:
    sources: list[list[int]] = [[] for _ in range(base.shape[0])]
    for source, row in enumerate(target):
        sources[row].append(source)
    for turn in range(max(map(len, sources))):
        read = jnp.asarray([own[turn] if turn < len(own) else 0 for own in sources])
        has = jnp.asarray([turn < len(own) for own in sources])[:, None]
        base = base + jnp.where(has, values[read], 0)
    return base


def _forward(base: Array, values: Array, target: tuple[int, ...]) -> tuple[Array, None]:
    return add_rows(base, values, target), None


def _backward(target: tuple[int, ...], _: None, bar: Array) -> tuple[Array, Array]:
    return bar, bar[jnp.asarray(target, int)]


add_rows.defvjp(_forward, _backward)
