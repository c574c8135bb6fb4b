"""Proportional assignment of open demand to the nodes it asks (one preference round).

Two forms of the same linear algebra behind one signature. The sparse form moves one row of the batch per demand
class (a scatter-add and a gather of rows), so its work grows with the number of classes; the dense form is two
matrix products with a one-hot matrix, so its work grows with nodes x classes but suits matrix units. Which is
faster is a matter of size and device: see `experiments/bench_kernel.py`.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

AskRows = Callable[[Array, Array, int], Array]


def asked_sparse(
    open_demand: Float[Array, "classes batch"], choice: Int[Array, " classes"], nodes: int
) -> Float[Array, "nodes batch"]:
    """Sum of open demand by the node it asks; `choice == nodes` means that a class asks nobody."""
    total = jnp.zeros((nodes, open_demand.shape[1]), open_demand.dtype)
    return total.at[choice].add(open_demand, mode="drop")


def spread_sparse(
    ratio: Float[Array, "nodes batch"], choice: Int[Array, " classes"], nodes: int
) -> Float[Array, "classes batch"]:
    """Each class reads the value of the node it asks; 0 for a class that asks nobody."""
    del nodes
    return ratio.at[choice].get(mode="fill", fill_value=0)


def asked_dense(
    open_demand: Float[Array, "classes batch"], choice: Int[Array, " classes"], nodes: int
) -> Float[Array, "nodes batch"]:
    """`asked_sparse` as a product with a one-hot matrix."""
    return jax.nn.one_hot(choice, nodes, dtype=open_demand.dtype, axis=0) @ open_demand


def spread_dense(
    ratio: Float[Array, "nodes batch"], choice: Int[Array, " classes"], nodes: int
) -> Float[Array, "classes batch"]:
    """`spread_sparse` as a product with a one-hot matrix."""
    return jax.nn.one_hot(choice, nodes, dtype=ratio.dtype) @ ratio


FORMS: dict[str, tuple[AskRows, AskRows]] = {
    "sparse": (asked_sparse, spread_sparse),
    "dense": (asked_dense, spread_dense),
}


def fill_ratio(asked: Float[Array, "*shape"], available: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Share of what is asked that can be given: min(1, available / asked), and 1 where nothing is asked.

    The division is guarded inside the selected branch so that its derivative stays finite when nothing is asked.
    """
    scarce = asked > available
    return jnp.where(scarce, available / jnp.where(scarce, asked, 1), 1)


def _round(open_demand: Array, available: Array, choice: Array, form: str) -> tuple[Array, Array, Array]:
    """Share got by each class, stock left at each node, and what each node was asked for."""
    ask, spread = FORMS[form]
    nodes = available.shape[0]
    asked = ask(open_demand, choice, nodes)
    # The barrier keeps the division out of the gather, where a compiler would repeat it once per class.
    ratio = jax.lax.optimization_barrier(fill_ratio(asked, available))
    return spread(ratio, choice, nodes), jax.nn.relu(available - asked), asked


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def assign_round(
    open_demand: Float[Array, "classes batch"],
    available: Float[Array, "nodes batch"],
    choice: Int[Array, " classes"],
    form: str = "sparse",
) -> tuple[Float[Array, "classes batch"], Float[Array, "nodes batch"]]:
    """One round: every class asks one node; a node short of stock fills all its askers in the same proportion.

    This is the fluid limit of first come, first served (design page, section 3, step 2). The reverse derivative
    is written by hand: it is again one sum over askers and one read by askers. Where a node is asked for exactly
    what it has, the derivative of having more is taken.

    Returns:
        Share of its open demand that each class gets (0 to 1), and the stock left at every node (never negative).
    """
    share, left, _ = _round(open_demand, available, choice, form)
    return share, left


def _forward(open_demand: Array, available: Array, choice: Array, form: str) -> tuple:
    share, left, asked = _round(open_demand, available, choice, form)
    return (share, left), (asked, available, choice)


def _backward(form: str, saved: tuple, cotangents: tuple) -> tuple[Array, Array, None]:
    asked, available, choice = saved
    share_bar, left_bar = cotangents
    ask, spread = FORMS[form]
    nodes = available.shape[0]
    scarce = asked > available
    inverse = 1 / jnp.where(scarce, asked, 1)
    ratio_bar = ask(share_bar, choice, nodes) * inverse
    available_bar = jnp.where(scarce, ratio_bar, left_bar)
    asked_bar = jnp.where(scarce, -ratio_bar * available * inverse, -left_bar)
    asked_bar, available_bar = jax.lax.optimization_barrier((asked_bar, available_bar))
    return spread(asked_bar, choice, nodes), available_bar, None


assign_round.defvjp(_forward, _backward)
