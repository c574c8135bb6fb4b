"""A day of stock that ages: oldest units first, to customers and to other nodes, and what expires."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from meio_kernels.parts import part_of
from meio_kernels.rows import add_rows

from meio_jax.simulation.lives import next_day, taken
from meio_jax.simulation.state import Stock


def least_of(one: Array, other: Array) -> Array:
    """The smaller of both; where they are equal the derivative is that of the first."""
    return jnp.where(other < one, other, one)


def that_outlive(
    stock: Stock, outlive: Int[Array, "nodes batch"]
) -> tuple[Float[Array, "nodes batch"], Float[Array, "lives nodes batch"]]:
    """Units of every node that live long enough to be shipped, and those of them by life.

    Args:
        stock: Of the nodes.
        outlive: What lives no longer than this stays, in periods (0: nothing has to stay).
    """
    assert stock.old is not None
    stays = jnp.zeros_like(stock.on_hand)
    for life in range(stock.old.shape[0]):
        stays = jnp.where(outlive == life + 1, stock.old[life], stays)
    return stock.on_hand - stays, jax.nn.relu(stock.old - stays)


def sent_by_life(
    before: Stock,
    after: Stock,
    outlive: Int[Array, "nodes batch"],
    shipped: Float[Array, "lanes batch"],
    origin: tuple[int, ...],
) -> tuple[Stock, Float[Array, "lives lanes batch"]]:
    """The stock without what was shipped, by life, and that by lane: the oldest units that live long enough.

    Lanes that leave a node on a day carry the same mix of lives.

    Args:
        before: Stock before shipping.
        after: Stock after it, but for the lives.
        outlive: What lives no longer than this stays, in periods.
        shipped: Units by lane.
        origin: Node that each of these lanes leaves.
    """
    assert before.old is not None
    total = add_rows(jnp.zeros_like(before.on_hand), shipped, origin)
    able, by_life = that_outlive(before, outlive)
    sent = by_life - taken(by_life, total, jax.nn.relu(able - total))
    at = jnp.asarray(origin, int)
    part = part_of(shipped, total[at])
    return Stock(after.on_hand, after.on_order, after.backlog, before.old - sent), sent[:, at] * part


def after_sales(
    stock: Stock, on_hand: Float[Array, "nodes batch"], backlog: Float[Array, "speeds regions batch"] | None
) -> Stock:
    """Stock in the evening: customers were given the oldest units.

    Args:
        stock: Before the day's sales.
        on_hand: What is left.
        backlog: Demand that waits now; None in networks without backorders.
    """
    if stock.old is None:
        return Stock(on_hand, stock.on_order, backlog)
    return Stock(on_hand, stock.on_order, backlog, taken(stock.old, stock.on_hand - on_hand, on_hand))


def expired(
    stock: Stock, arrived: Float[Array, "due_lives nodes batch"] | None
) -> tuple[Stock, Float[Array, "nodes batch"] | None]:
    """End of a day's sales: what lives no longer is disposed of; the stock without it, and the units of the day.

    Args:
        stock: After the day's sales.
        arrived: What came in the morning, by life: what had none left was disposed of at once; None: nothing expires.
    """
    if stock.old is None or arrived is None:
        return stock, None
    gone = stock.old[0]
    return Stock(stock.on_hand - gone, stock.on_order, stock.backlog, stock.old - gone), arrived[0] + gone


def tomorrow(stock: Stock) -> Stock:
    """Stock as it is on the next morning: every unit lives a period less."""
    if stock.old is None:
        return stock
    return Stock(stock.on_hand, stock.on_order, stock.backlog, next_day(stock.old))
