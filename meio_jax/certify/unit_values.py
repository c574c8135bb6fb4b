"""What the next and the last unit in stock today are worth, by item and node, for a whole catalog in two sweeps.

The simulated cost, capacity charges and tail included, is differentiated by the stock at the start (pathwise
derivative, Glasserman 1991), a little above it for the unit that would be added and a little below it for the last one
there is: where stock meets whole units of demand exactly the two differ, and both are those of one unit.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from meio_jax.distributed.kept_programs import kept_jit
from meio_jax.distributed.sharding import over_items, own_part
from meio_jax.model.catalog import draw
from meio_jax.policy import AbstractPolicy
from meio_jax.scenarios.sampling import HOLDOUT
from meio_jax.solver.subproblem import InventorySubproblem, block_lists, evaluate_block

SIDE = 0.01
"""Units above or below the stock of today at which the next and the last unit are looked at."""


class UnitValues(eqx.Module):
    """Money that a unit in stock today saves, by block, node and item: one more, and the last one there is.

    Where there is no stock `last` is that of nothing, and means nothing.
    """

    following: Float[np.ndarray, "blocks nodes items"]
    last: Float[np.ndarray, "blocks nodes items"]


@kept_jit
def _slopes(
    problem: InventorySubproblem, policy: AbstractPolicy, prices: tuple[Array, Array], ids: Array, side: Array
) -> Float[Array, "blocks nodes items"]:
    """Derivative of the cost of every item by its stock, `side` units away from that of today."""
    settings = problem.settings

    def local(shared: tuple, at: tuple) -> tuple[tuple, Array]:
        network, resources, profiles, prices, ids, side = shared

        def one_block(_: None, at: tuple) -> tuple[None, Array]:
            leaves, levels = at
            scenarios = draw(settings.scenarios, profiles, leaves, ids, HOLDOUT)
            block = leaves[0]
            lists = block_lists(network, resources, settings, block, prices[1])

            def cost(on_hand: Array) -> Array:
                moved = eqx.tree_at(lambda b: b.on_hand, block, on_hand)
                return evaluate_block(network, resources, settings, levels, moved, scenarios, prices[0], lists)[0]

            return None, block.live * jax.grad(cost)(jnp.maximum(block.on_hand + side, 0))

        return (), jax.lax.scan(one_block, None, at)[1]

    shared = (problem.network, problem.resources, problem.catalog.profiles, prices, ids, side)
    return over_items(local, problem.mesh)(shared, (problem.catalog.per_block(), policy))[1]


def unit_values(
    problem: InventorySubproblem,
    policy: AbstractPolicy,
    prices: tuple[Float[Array, "buckets resources"], Float[Array, "buckets resources"]],
    scenarios: int,
    *,
    chunk: int,
    check: Callable[[], None] = lambda: None,
) -> UnitValues:
    """Value of a unit more and of the last unit in stock, at every node of every item.

    Args:
        problem: The item problems; stored training scenarios are ignored.
        policy: Parameters in units, with a leading block axis.
        prices: What capacity is charged, and the prices that rank the fulfilment options.
        scenarios: Holdout scenarios, rounded up to whole chunks. Objectives that are no mean over scenarios are taken
            of each chunk.
        chunk: Scenarios simulated together.
        check: Called before each sweep; it may raise to end the work.
    """
    bare = eqx.tree_at(lambda p: p.catalog.scenarios, problem, None, is_leaf=lambda leaf: leaf is None)
    chunks = -(-scenarios // chunk)
    found = []
    for side in (SIDE, -SIDE):
        total = np.zeros(())
        for number in range(chunks):
            check()
            ids = jnp.arange(number * chunk, (number + 1) * chunk, dtype=jnp.int32)
            slopes = _slopes(bare, policy, prices, ids, jnp.asarray(side, problem.item_scale.dtype))
            total = total - np.asarray(own_part(slopes), np.float64) / chunks
        found.append(total)
    return UnitValues(*found)
