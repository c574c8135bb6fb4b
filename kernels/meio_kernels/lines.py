"""Order lines: how many orders there are, whatever their units.

Orders are counted whole: an order is one line, none is none. What flows in fractions of units counts as the line of a
single unit that is ordered that often. The count has no slope of its own; its derivative is that of the units at the
lines that a unit has on average (straight through): a unit more makes no line where it joins an order, and one where it
is an order of its own, and over the scenarios of an item that is the share of lines in units.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def order_lines(units: Float[Array, "sources batch"], scenarios: int) -> Float[Array, "sources batch"]:
    """Lines of orders of so many units, 0 to 1 each.

    Args:
        units: Units of every order, not negative; batch = item x scenarios + scenario.
        scenarios: Scenarios of the batch, over which lines and units of an item are averaged for the derivative.
    """
    hard = jax.lax.stop_gradient(units)
    lines = jnp.minimum(hard, 1)
    by_item = lambda leaf: jnp.sum(leaf.reshape(leaf.shape[0], -1, scenarios), axis=-1)
    total = by_item(hard)
    slope = jnp.where(total > 0, by_item(lines) / jnp.where(total > 0, total, 1), 0)
    return lines + jnp.repeat(slope, scenarios, axis=-1) * (units - hard)
