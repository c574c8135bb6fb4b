"""What the next and the last unit in stock today are worth, by item and node, for a whole catalog in two sweeps.

The simulated cost, capacity charges and tail included, is differentiated by the stock at the start (pathwise
derivative, Glasserman 1991), a little above it for the unit that would be added and a little below it for the last one
there is: where stock meets whole units of demand exactly the two differ, and both are those of one unit.
"""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from meio_jax.certify.plan_sweep import unstored
from meio_jax.distributed.sharding import own_part
from meio_jax.policy import AbstractPolicy
from meio_jax.scenarios.sampling import HOLDOUT, purpose_of
from meio_jax.solver.store import part_sweep
from meio_jax.solver.subproblem import InventorySubproblem, SweepInputs

SIDE = 0.01
"""Units above or below the stock of today at which the next and the last unit are looked at."""


class UnitValues(eqx.Module):
    """Money that a unit in stock today saves, by block, node and item: one more, and the last one there is.

    Where there is no stock `last` is that of nothing, and means nothing.
    """

    following: Float[np.ndarray, "blocks nodes items"]
    last: Float[np.ndarray, "blocks nodes items"]


def unit_values(
    problem: InventorySubproblem,
    raw: AbstractPolicy,
    prices: tuple[Float[Array, "buckets resources"], Float[Array, "buckets resources"]],
    scenarios: int,
    *,
    check: Callable[[], None] = lambda: None,
) -> UnitValues:
    """Value of a unit more and of the last unit in stock, at every node of every item.

    The compiled sweep of the search gives the derivative: it is asked for other scenarios and another stock.

    Args:
        problem: The item problems; stored training scenarios are ignored.
        raw: Parameters in units of their scale, with a leading block axis.
        prices: What capacity is charged, and the prices that rank the fulfilment options.
        scenarios: Holdout scenarios, rounded up to whole steps. Objectives that are no mean over scenarios are taken
            of those of each step.
        check: Called before each sweep; it may raise to end the work.
    """
    bare, size, found = unstored(problem), problem.settings.scenarios_per_step, []
    number = lambda value: jnp.asarray(value, problem.item_scale.dtype)
    charged, ranking = map(jnp.asarray, prices)
    sweeps = -(-scenarios // size)
    for side in (SIDE, -SIDE):
        total = np.zeros(())
        for turn in range(sweeps):
            check()
            first = jnp.asarray(turn * size, jnp.int32)
            inputs = SweepInputs(charged, ranking, first, purpose_of(HOLDOUT), number(side))
            _, slopes = part_sweep(bare, problem.everywhere(inputs), raw)
            total = total - np.asarray(own_part(slopes.stock), np.float64) / sweeps
        found.append(total)
    return UnitValues(*found)
