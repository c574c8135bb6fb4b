"""Proportional assignment of open demand to the nodes it asks (one preference round).

Two forms of the same linear algebra behind one signature. The sparse form moves one row of the batch per demand
class (a scatter-add and a gather of rows), so its work grows with the number of classes; the dense form is two
matrix products with a one-hot matrix, so its work grows with nodes x classes but suits matrix units. Which is
faster is a matter of size and device: see `experiments/bench_kernel.py`. The third form, fused, is the sparse one, but
for all rounds of a speed, which are one kernel where a program is compiled for a GPU (`fused_rounds`).
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from meio_kernels.parts import NOTHING

AskRows = Callable[[Array, Array, int], Array]


def _add_rows(open_demand: Array, choice: Array, nodes: int) -> Array:
    total = jnp.zeros((nodes, open_demand.shape[1]), open_demand.dtype)
    return total.at[choice].add(open_demand, mode="drop")


def _read_rows(ratio: Array, choice: Array) -> Array:
    # The barrier keeps whatever made `ratio` out of the gather, where a compiler would repeat it once per class.
    return jax.lax.optimization_barrier(ratio).at[choice].get(mode="fill", fill_value=0)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def asked_sparse(
    open_demand: Float[Array, "classes batch"], choice: Int[Array, " classes"], nodes: int
) -> Float[Array, "nodes batch"]:
    """Sum of open demand by the node it asks; `choice == nodes` means that a class asks nobody."""
    return _add_rows(open_demand, choice, nodes)


asked_sparse.defvjp(
    lambda open_demand, choice, nodes: (_add_rows(open_demand, choice, nodes), choice),
    lambda nodes, choice, asked_bar: (_read_rows(asked_bar, choice), None),
)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def spread_sparse(
    ratio: Float[Array, "nodes batch"], choice: Int[Array, " classes"], nodes: int
) -> Float[Array, "classes batch"]:
    """Each class reads the value of the node it asks; 0 for a class that asks nobody."""
    del nodes
    return _read_rows(ratio, choice)


spread_sparse.defvjp(
    lambda ratio, choice, nodes: (_read_rows(ratio, choice), choice),
    lambda nodes, choice, spread_bar: (_add_rows(spread_bar, choice, nodes), None),
)


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
    "fused": (asked_sparse, spread_sparse),
}


def is_scarce(asked: Array, available: Array) -> Array:
    """Whether more is asked than is there; what is left of an order after many rounds (1e-12 units) is nobody's want.

    Without that floor the division would meet numbers that are flushed to zero.
    """
    return asked > jnp.maximum(available, NOTHING)


def fill_ratio(asked: Float[Array, "*shape"], available: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Share of what is asked that can be given: min(1, available / asked), and 1 where nothing is asked.

    The division is guarded inside the selected branch so that its derivative stays finite when nothing is asked.
    """
    scarce = is_scarce(asked, available)
    return jnp.where(scarce, available / jnp.where(scarce, asked, 1), 1)


def assign_round(
    open_demand: Float[Array, "classes batch"],
    available: Float[Array, "nodes batch"],
    choice: Int[Array, " classes"],
    form: str = "sparse",
) -> tuple[Float[Array, "classes batch"], Float[Array, "nodes batch"], Float[Array, "nodes batch"]]:
    """One round: every class asks one node; a node short of stock fills all its askers in the same proportion.

    This is the fluid limit of first come, first served (design page, section 3, step 2).

    Returns:
        Share of its open demand that each class gets (0 to 1), the stock left at every node (never negative), and
        what each node was asked for.
    """
    ask, spread = FORMS[form]
    nodes = available.shape[0]
    asked = ask(open_demand, choice, nodes)
    share = spread(fill_ratio(asked, available), choice, nodes)
    return share, jax.nn.relu(available - asked), asked


def unit_costs(cost_unit: Array, cost_kg: Array, weight: Array) -> Float[Array, "classes batch"]:
    """Outbound cost of one unit to each class, by the weight of the batch's items."""
    return cost_unit[:, None] + cost_kg[:, None] * weight


def _all_rounds(open_demand, available, choice, cost_unit, cost_kg, carbon, weight, form):
    saved = []
    cost = emitted = jnp.zeros_like(weight)
    for p in range(choice.shape[0]):
        share, left, asked = assign_round(open_demand, available, choice[p], form)
        saved.append((open_demand, available, asked, share))
        shipped = open_demand * share
        cost = cost + jnp.sum(unit_costs(cost_unit[p], cost_kg[p], weight) * shipped, axis=0)
        emitted = emitted + jnp.sum(carbon[p][:, None] * shipped, axis=0)
        open_demand, available = open_demand - shipped, left
    return (open_demand, available, cost, emitted), saved


@partial(jax.custom_vjp, nondiff_argnums=(7,))
def serve_rounds(
    open_demand: Float[Array, "classes batch"],
    available: Float[Array, "nodes batch"],
    choice: Int[Array, "rounds classes"],
    cost_unit: Float[Array, "rounds classes"],
    cost_kg: Float[Array, "rounds classes"],
    carbon: Float[Array, "rounds classes"],
    weight: Float[Array, " batch"],
    form: str = "sparse",
) -> tuple[Float[Array, "classes batch"], Float[Array, "nodes batch"], Float[Array, " batch"], Float[Array, " batch"]]:
    """All preference rounds of one speed: in round p each class asks its p-th node for what is still open.

    Fewest operations per batch entry: four per class and three per node in each round. The reverse derivative is
    written by hand: going back, a round is again one sum over askers and one read by askers. Where a node is asked
    for exactly what it has, the derivative of having more is taken. Only demand and stock have derivatives.

    Args:
        open_demand: Units wanted.
        available: Units that this speed may use.
        choice: The node asked in each round (`nodes`: nobody).
        cost_unit: Outbound cost per unit of each choice.
        cost_kg: Outbound cost per kg of each choice.
        carbon: Emissions per unit of each choice, kg.
        weight: Weight of a unit, kg.
        form: `sparse`, `dense` or `fused`.

    Returns:
        Demand still open, stock left, outbound cost and carbon.
    """
    return _serve((open_demand, available, choice, cost_unit, cost_kg, carbon, weight), form)


def _fuses(form: str, open_demand: Array) -> bool:
    """Whether the rounds are one kernel where there is one: the kernel has single precision."""
    return form == "fused" and open_demand.dtype == jnp.float32


def _plain_forward(form, open_demand, available, choice, cost_unit, cost_kg, carbon, weight):
    return _all_rounds(open_demand, available, choice, cost_unit, cost_kg, carbon, weight, form)[0]


def _serve(given: tuple, form: str) -> tuple:
    plain = partial(_plain_forward, form)
    if not _fuses(form, given[0]):
        return plain(*given)
    # Pallas takes a second to import, and a CPU never needs it.
    from meio_kernels.fused_rounds import fused_forward

    return jax.lax.platform_dependent(*given, cuda=fused_forward, default=plain)


def _serve_forward(open_demand, available, choice, cost_unit, cost_kg, carbon, weight, form):
    given = (open_demand, available, choice, cost_unit, cost_kg, carbon, weight)
    return _serve(given, form), given


def _serve_backward(form: str, kept: tuple, bars: tuple) -> tuple:
    plain = partial(_plain_backward, form)
    if not _fuses(form, kept[0]):
        by_demand, by_stock = plain(kept, bars)
    else:
        from meio_kernels.fused_rounds import fused_backward

        by_demand, by_stock = jax.lax.platform_dependent(kept, bars, cuda=fused_backward, default=plain)
    return by_demand, by_stock, None, None, None, None, None


def _plain_backward(form: str, kept: tuple, bars: tuple) -> tuple[Array, Array]:
    # The rounds are run again: what they leave fits the cache now, and would not if all waves and speeds kept theirs.
    # Barriers keep the compiler from finding the first run's results instead.
    open_demand, available, choice, cost_unit, cost_kg, carbon, weight = jax.lax.optimization_barrier(kept)
    _, saved = _all_rounds(open_demand, available, choice, cost_unit, cost_kg, carbon, weight, form)
    saved = jax.lax.optimization_barrier(saved)
    open_bar, left_bar, cost_bar, carbon_bar = bars
    ask, spread = FORMS[form]
    for p in reversed(range(choice.shape[0])):
        open_demand, available, asked, share = saved[p]
        nodes = available.shape[0]
        worth = unit_costs(cost_unit[p], cost_kg[p], weight) * cost_bar + carbon[p][:, None] * carbon_bar
        shipped_bar = worth - open_bar
        ratio_bar = ask(open_demand * shipped_bar, choice[p], nodes)
        scarce = is_scarce(asked, available)
        slope = jnp.where(scarce, ratio_bar / jnp.where(scarce, asked, 1), left_bar)
        asked_bar = -jnp.where(scarce, slope * fill_ratio(asked, available), left_bar)
        open_bar = open_bar + share * shipped_bar + spread(asked_bar, choice[p], nodes)
        # The barrier keeps the rounds apart: fused into one expression, the chain would be repeated for every use.
        open_bar, left_bar = jax.lax.optimization_barrier((open_bar, slope))
    return open_bar, left_bar


serve_rounds.defvjp(_serve_forward, _serve_backward)
