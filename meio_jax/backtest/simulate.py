"""The order-by-order simulator: integer units, a real clock, capacities that bind.

It shares no code with the planner's rollout, so that agreement between the two means something.
"""

from typing import Any

from meio_jax.backtest.compiled import missing_numba, numba
from meio_jax.backtest.lookup import bad
from meio_jax.backtest.network import World, read_world
from meio_jax.backtest.options import Options
from meio_jax.backtest.orders import order_source, read_demand, state_of
from meio_jax.backtest.outcome import Outcome, summarise
from meio_jax.backtest.plan import PlanSource
from meio_jax.backtest.simulation import Simulation


def simulate(
    tables: Any,
    plan: PlanSource,
    *,
    seed: int = 0,
    replications: int = 1,
    options: Options = Options(),
    world: World | None = None,
) -> Outcome:
    """Run a plan order by order.

    Args:
        tables: The instance (`meio_jax.tables.Tables`).
        plan: A `PlanTable`, or a function of a `Snapshot` that may return a new one before each review day.
        seed: Master seed. Demand and lead times depend on (seed, replication, ids) and not on the plan: plans
            that are run with equal seeds meet the same customers and the same vendors.
        replications: Independent repetitions.
        options: What to enforce, what to keep, recorded data.
        world: `read_world(tables)` if it is at hand already; saves reading it again.

    Returns:
        Costs by term, item and day; capacity use; service; transfers (see `Outcome`).

    Raises:
        InputError: If the plan or recorded data name something that the instance lacks, or numba is missing.

    Example:
        >>> from meio_jax.backtest import PlanTable, simulate
        >>> lived = simulate(tables, PlanTable(frames["plan/targets"]), replications=2)
        >>> lived.replications.height
        2
    """
    if numba is None:
        raise missing_numba()
    if replications < 1:
        raise bad("simulate", "", "replications", "at least 1", replications, "ask for one or more replications")
    world = read_world(tables) if world is None else world
    demand = read_demand(world, tables, options)
    runs = []
    for replication in range(replications):
        state = state_of(seed, replication)
        source = order_source(world, demand, state, options.units_per_order)
        runs.append(Simulation(world, plan, options, state).run(source))
    return summarise(world, runs, options)
