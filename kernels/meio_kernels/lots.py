"""Whole orders: what a node wants of its sources, in the packs and least orders that these take.

The derivative is that of the wish itself (straight through): a level that rises lifts the position that orders keep up,
whichever pack it arrives in.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

# A wish below this share of a unit is rounding of a level that is nought, not a wish.
_WISH = 0.1


def reaching_lot(
    units: Float[Array, " batch"], pack: Float[Array, " batch"], smallest: Float[Array, " batch"]
) -> Float[Array, " batch"]:
    """The fewest whole packs that reach the wish to within half a unit; the smallest order or nothing below that.

    A level is thus a reorder point: an order goes out as soon as the position is half a unit below it. For single units
    this is rounding to the nearest.
    """
    packs = jnp.maximum(jnp.ceil((units - 0.5) / pack), 0) * pack
    return jnp.where(packs > 0, jnp.maximum(packs, smallest), 0)


def smallest_lot(
    pack: Float[Array, "sources batch"], least: Float[Array, "sources batch"]
) -> Float[Array, "sources batch"]:
    """Smallest order of every source: whole packs that reach the least order."""
    return jnp.maximum(jnp.ceil(least / pack), 1) * pack


def whole_orders(
    wanted: Float[Array, "sources batch"],
    pack: Float[Array, "sources batch"],
    least: Float[Array, "sources batch"],
    empty: Bool[Array, "rows batch"],
    row: tuple[int, ...],
    *,
    units: bool,
) -> Float[Array, "sources batch"]:
    """Round what each row wants of its sources to lots, jointly: what one source leaves over is asked of the next.

    A row whose position is empty gets a smallest order at least, of the source that it asks most: rounding never leaves
    a node without stock that is meant to have some.

    Args:
        wanted: Units asked of each source, not negative.
        pack: Units per pack, at least 1.
        least: Least order, 0 for none.
        empty: Rows that have nothing and expect nothing.
        row: Row of every source.
        units: Whether orders in packs of one unit without a least order are made whole as well; else they stay as
            asked, and only packs and least orders round.
    """
    hard = jax.lax.stop_gradient(wanted)
    smallest = smallest_lot(pack, least)
    orders: list[Array] = [jnp.zeros_like(hard[0])] * len(row)
    for number in sorted(set(row)):
        own = [k for k, at in enumerate(row) if at == number]
        over = jnp.zeros_like(hard[0])
        for k in own:
            asked = jnp.maximum(hard[k] + over, 0)
            lot = reaching_lot(asked, pack[k], smallest[k])
            if not units:
                lot = jnp.where(smallest[k] > 1, lot, asked)
            orders[k] = jnp.where(hard[k] > 0, lot, 0)
            over = jnp.where(hard[k] > 0, hard[k] + over - orders[k], over)
        _never_empty(orders, hard, smallest, own, empty[number], units=units)
    # Forward the whole orders, backward the wish.
    return wanted + jax.lax.stop_gradient(jnp.stack(orders) - wanted)


def _never_empty(
    orders: list[Array], wanted: Array, smallest: Array, own: list[int], empty: Array, *, units: bool
) -> None:
    """Where rounding left an empty row without an order, order the smallest lot of the source that is asked most."""
    nothing = empty & (sum(orders[k] for k in own) <= 0)
    # The first of the largest, source by source: a reduction over a few rows would be a kernel of its own on a GPU.
    most, first = wanted[own[0]], jnp.zeros(empty.shape, jnp.int32)
    for place, k in enumerate(own[1:], start=1):
        first = jnp.where(wanted[k] > most, place, first)
        most = jnp.maximum(most, wanted[k])
    wish = nothing & (sum(wanted[k] for k in own) > _WISH)
    for place, k in enumerate(own):
        forced = wish & (first == place)
        if not units:
            forced = forced & (smallest[k] > 1)
        orders[k] = jnp.where(forced, smallest[k], orders[k])


def whole_shipments(
    shipped: Float[Array, "lanes batch"], stock: Float[Array, "nodes batch"], source: Int[Array, " lanes"]
) -> Float[Array, "lanes batch"]:
    """Whole units by lane whose sum per source node is the rounded sum, never more than the node's whole stock.

    Args:
        shipped: Units that an allocation gives each lane.
        stock: Units that the source nodes can give away.
        source: Node that each lane leaves.
    """
    hard = jax.lax.stop_gradient(shipped)
    same = (source[:, None] == source[None, :]) & (jnp.arange(source.size)[None, :] <= jnp.arange(source.size)[:, None])
    upto = same.astype(hard.dtype) @ hard
    # Stock is a sum of differences in floating point: a hair below a whole number is that number.
    ceiling = jnp.floor(jax.lax.stop_gradient(stock)[source] + 1e-3)
    rounded = jnp.minimum(jnp.floor(upto + 0.5), ceiling)
    before = jnp.minimum(jnp.floor(upto - hard + 0.5), ceiling)
    whole = jnp.maximum(rounded - before, 0)
    return shipped + jax.lax.stop_gradient(whole - shipped)
