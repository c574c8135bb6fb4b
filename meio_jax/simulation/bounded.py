"""Orders within the bounds of least and most stock: the last step of an order, whatever the policy."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
from meio_kernels.parts import part_of

from meio_jax.policy.base import View

# A hair above a whole number of packs is that number.
_HAIR = 1e-3


def within_bounds(
    view: View,
    wanted: Float[Array, "sources batch"],
    owned: Float[Array, "rows batch"],
    least: Float[Array, "rows batch"],
    most: Float[Array, "rows batch"],
    due: Bool[Array, " sources #batch"],
) -> Float[Array, "sources batch"]:
    """What a policy wants, raised to the least and lowered to the most stock of each row.

    What is added is split by the default shares, what is taken off in proportion to what was wanted.

    Args:
        view: What the rows see.
        wanted: Units asked of each source.
        owned: Stock on hand and on order of each row, all of it.
        least: Position, as the view has it, that orders reach at least.
        most: Stock on hand and on order that no order exceeds.
        due: Sources of rows that order now.
    """
    source_row = jnp.asarray(view.source_row, int)
    total = _by_row(wanted, view)
    room = jax.nn.relu(most - owned)
    lacking = jax.nn.relu(jnp.minimum(jax.nn.relu(least - view.position), room) - total)
    raised = wanted + jnp.where(due, view.split(lacking), 0)
    whole = total + lacking
    # Room without a bound is infinite, and its slope where it does not count would still be infinity times nought.
    over = whole > room
    kept = jnp.where(over, part_of(jnp.where(over, room, 0), whole), 1)
    return raised * kept[source_row]


def packs_within(
    view: View,
    wanted: Float[Array, "sources batch"],
    room: Float[Array, "rows batch"],
    pack: Float[Array, "sources batch"],
    smallest: Float[Array, "sources batch"],
) -> Float[Array, "sources batch"]:
    """Orders in packs with as many packs left out as exceed the most stock; less than a smallest order is none.

    Args:
        view: What the rows see.
        wanted: Orders in packs.
        room: Units by which stock on hand and on order of each row is below the most.
        pack: Units per pack.
        smallest: Smallest order of each source; that of single units is below 1 where they are not rounded.
    """
    hard = jax.lax.stop_gradient(wanted)
    over = jax.nn.relu(_by_row(hard, view) - jax.nn.relu(room))
    orders = []
    for source, row in enumerate(view.source_row):
        off = jnp.minimum(jnp.ceil((over[row] - _HAIR) / pack[source]) * pack[source], hard[source])
        left = hard[source] - jnp.maximum(off, 0)
        left = jnp.where(left + _HAIR < smallest[source], 0, left)
        over = over.at[row].add(left - hard[source])
        orders.append(left)
    return wanted + jax.lax.stop_gradient(jnp.stack(orders) - hard)


def _by_row(units: Float[Array, "sources batch"], view: View) -> Float[Array, "rows batch"]:
    """Sum over the sources of each row."""
    rows = jnp.zeros((len(view.rows), units.shape[-1]), units.dtype)
    return rows.at[jnp.asarray(view.source_row, int)].add(units)
