"""Units by the life that is left of them, counted up: row k holds what lives for at most so many periods."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def fresh_units(
    units: Float[Array, "rows batch"], life: Int[Array, " batch"], rows: int
) -> Float[Array, "due_lives rows batch"]:
    """Units of full life that live for at most 0, 1, ... `rows` - 1 periods.

    Args:
        units: What vendors deliver.
        life: Of a unit on the day on which it is received, in periods.
        rows: How many rows there are.
    """
    at_most = jnp.arange(rows, dtype=life.dtype)[:, None]
    return jnp.where(at_most >= life, 1.0, 0.0).astype(units.dtype)[:, None] * units


def taken(
    old: Float[Array, "lives nodes batch"], units: Float[Array, "nodes batch"], left: Float[Array, "nodes batch"]
) -> Float[Array, "lives nodes batch"]:
    """What is left of old units once the oldest of all have been taken.

    Of what lives for at most so long, taking `units` leaves (old - units)+, whatever lives shorter.

    Args:
        old: Units that live for at most 1, 2, ... periods.
        units: How many are taken.
        left: All that is left: in floating point the old part may come out a hair larger than the whole.
    """
    rest = jax.nn.relu(old - units)
    return jnp.where(rest > left, left, rest)


def next_day(old: Float[Array, "rows *axes"]) -> Float[Array, "rows *axes"]:
    """Every unit lives a period less; beyond the last row there is nothing that is counted."""
    return jnp.concatenate([old[1:], old[-1:]])


def day_before(old: Float[Array, "rows *axes"]) -> Float[Array, "rows *axes"]:
    """Every unit lives a period more."""
    return jnp.concatenate([jnp.zeros_like(old[:1]), old[:-1]])


def with_row(sent: Float[Array, "lives *axes"]) -> Float[Array, "due_lives *axes"]:
    """What is shipped today, as it will be tomorrow: with a period less, and a row for what lives no more."""
    return jnp.concatenate([sent, sent[-1:]])
