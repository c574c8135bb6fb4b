"""Sharing of an upstream node's scarce stock among the lanes that ask for it."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from meio_kernels.assignment import assign_round


def allocate(
    asked: Float[Array, "lanes batch"],
    on_hand: Float[Array, "nodes batch"],
    source: Int[Array, " lanes"],
    urgency: Int[Array, " lanes"],
    ranks: int,
) -> tuple[Float[Array, "lanes batch"], Float[Array, "nodes batch"]]:
    """Ship what the lanes ask, in order of urgency; lanes of one urgency share scarce stock in proportion.

    Proportional allocation is the case of a single urgency (`ranks == 1`); echelon priority gives the lanes to
    the lower echelon the smaller number.

    Returns:
        Units shipped by lane, and the stock left at every node.
    """
    shipped = jnp.zeros_like(asked)
    nodes = on_hand.shape[0]
    for rank in range(ranks):
        choice = jnp.where(urgency == rank, source, nodes)
        share, on_hand, _ = assign_round(asked, on_hand, choice)
        shipped = shipped + asked * share
    return shipped, on_hand
