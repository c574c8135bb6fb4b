"""The clairvoyant bound: what no policy whatsoever can beat at given prices.

Each item and scenario is a minimum-cost flow in the time-expanded network, with all demand and lead times known. Its
value is bounded from below through its dual: any potentials `pi[period, node]` (what a unit at the node is worth) that
rise by no more than its cost along every arc give

    cost >= sum(demand x value of the demand) - sum(supply x potential where and when it appears) + constants.

Where nothing is on hand or on order the cheapest way from a vendor to each node is the best potential and the bound is
the optimum of the flow problem. Stock at the start has no cost of its own, so its potential is searched for on lines.

What is relaxed: any unit may be downgraded (the simulation moves a share), units are divisible, stock is not shared
among waves by priority, and units of items with a shelf life do not age but may be disposed of on any day. Review days,
cut-offs, eligible nodes and sampled lead times are kept.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from meio_jax.certify.arc_costs import arc_costs, stock_floor_constant
from meio_jax.certify.flow_bound import flow_bound, pays_to_buy
from meio_jax.certify.flow_problem import FlowProblem, flow_items, supplies
from meio_jax.certify.potentials import potentials_of, terminal_values
from meio_jax.distributed.kept_programs import kept_jit
from meio_jax.distributed.sharding import over_items, own_part
from meio_jax.model.catalog import draw
from meio_jax.model.network import ItemBlock, Network
from meio_jax.model.resources import Resources
from meio_jax.scenarios.sampling import HOLDOUT, Scenarios
from meio_jax.simulation.received import received_leads
from meio_jax.solver.subproblem import InventorySubproblem

# Where on its line the potential of starting stock is tried, as shares of the largest value that demand can have.
_SHIFTS = (0.0, *(2.0 ** (-k / 2) for k in range(18, -1, -1)))


class ClairvoyantBound(eqx.Module):
    """Lower bound on the expected cost of every plan that keeps the capacities, on the scenarios it was made with.

    `value` is in money over the charged horizon, -inf if any item is unbounded. `per_item` [blocks, items] is the mean
    over scenarios of each item's bound before the rent of the capacities (sum of price x capacity) is taken off; 0 for
    padding. An item is `unbounded` where buying only for the terminal credit would pay, so that no bound exists.
    """

    value: float = eqx.field(static=True)
    per_item: Float[np.ndarray, "blocks items"]
    unbounded: int = eqx.field(static=True)
    scenarios: int = eqx.field(static=True)


def clairvoyant_bound(
    problem: InventorySubproblem,
    prices: Float[Array, "buckets resources"],
    scenarios: int,
    *,
    chunk: int = 16,
    check: Callable[[], None] = lambda: None,
) -> ClairvoyantBound:
    """Bound the expected cost of every plan from below, on holdout scenarios, at the given prices.

    Args:
        problem: The item problems; stored training scenarios are ignored.
        prices: Any non-negative prices; the closer to optimal, the better the bound.
        scenarios: Number of holdout scenarios, from the first on (rounded up to whole chunks).
        chunk: Scenarios handled together; fewer than `scenarios` bounds the memory.
        check: Called before each of them; it may raise to end the work.

    Returns:
        The bound. It concerns costs: risk measures that weigh bad scenarios more are at least as large.
    """
    problem = eqx.tree_at(lambda p: p.catalog.scenarios, problem, None, is_leaf=lambda leaf: leaf is None)
    chunk = max(1, min(chunk, scenarios))
    chunks = max(1, -(-scenarios // chunk))
    total: np.ndarray = np.zeros(())
    for number in range(chunks):
        check()
        ids = jnp.arange(number * chunk, (number + 1) * chunk, dtype=jnp.int32)
        total = total + np.asarray(own_part(_sweep(problem, prices, ids)), np.float64)
    per_item = total / chunks
    return ClairvoyantBound(
        value=float(per_item.sum()) - capacity_rent(problem.resources, prices),
        per_item=per_item,
        unbounded=int(np.sum(~np.isfinite(per_item))),
        scenarios=chunks * chunk,
    )


def free_of_held(resources: Resources, prices: Float[Array, "buckets resources"]) -> Float[Array, "buckets resources"]:
    """The prices without those of capacities that are held in a share of the scenarios.

    Such a capacity may be exceeded in some, and on average: what is charged for it bounds nothing. Any prices give a
    bound, also none.
    """
    if not resources.held_index:
        return prices
    return prices.at[:, jnp.asarray(resources.held_index, int)].set(0)


def capacity_rent(resources: Resources, prices: Float[Array, "buckets resources"]) -> float:
    """What all capacities together are worth at the prices; floors have no rent."""
    rented = np.asarray(resources.present) & ~np.asarray(resources.is_service)
    price, capacity = np.asarray(prices, np.float64), np.asarray(resources.capacity, np.float64)
    return float(np.sum(np.where(rented & (price > 0), price * capacity, 0)))


@kept_jit
def _sweep(problem: InventorySubproblem, prices: Array, ids: Array) -> Float[Array, "blocks items"]:
    settings = problem.settings

    def local(shared: tuple, at: tuple) -> tuple[tuple, Array]:
        network, resources, profiles, prices, ids = shared

        def one_block(_: None, leaves: tuple) -> tuple[None, Array]:
            block = leaves[0]
            scenarios = draw(settings.scenarios, profiles, leaves, ids, purpose=HOLDOUT)
            bounds = scenario_bounds(network, resources, block, scenarios, prices)
            mean = jnp.mean(bounds.reshape(block.items, -1), axis=-1)
            return None, jnp.where(block.live > 0, mean, 0)

        return (), jax.lax.scan(one_block, None, at)[1]

    shared = (problem.network, problem.resources, problem.catalog.profiles, prices, ids)
    return over_items(local, problem.mesh)(shared, problem.catalog.per_block())[1]


def scenario_bounds(
    network: Network, resources: Resources, block: ItemBlock, scenarios: Scenarios, prices: Array
) -> Float[Array, " batch"]:
    """Least priced cost (cost + price x usage, service floors with their own sign) of each item and scenario.

    Capacities are not taken off. The batch axis is item-major; -inf where buying for the terminal credit would pay.
    """
    samples = scenarios.demand.shape[-1] // block.items
    demand = scenarios.demand
    if block.owed is not None:
        # What is owed at the start is demand of the first wave that cannot be lost.
        demand = demand.at[0, 0].add(jnp.repeat(block.owed, samples, axis=-1))
    scenarios = _reported(network, Scenarios(demand, *received_leads(network, scenarios)))
    program = FlowProblem(
        network,
        arc_costs(network, resources, block, prices, samples),
        flow_items(network, block, samples),
        scenarios,
    )
    items = program.items
    arriving, late = supplies(network, block, samples)
    supply = arriving.at[0].add(jnp.repeat(block.on_hand, samples, axis=-1))
    kept = terminal_values(program)
    # Two shapes of the potential of given stock: its value if never sold, and one level for all nodes and days.
    has = supply > 0
    level = jnp.max(jnp.where(has, kept, -jnp.inf), axis=(0, 1), keepdims=True)
    given = jnp.stack([jnp.where(has, kept, jnp.inf), jnp.where(has, level, jnp.inf)], axis=1)
    potentials = potentials_of(program, given)
    longest = network.periods * items.waiting + items.owed
    most = jnp.where(items.backorder, longest, items.lost_sale)
    least = jnp.min(jnp.where(has, kept, jnp.inf), axis=(0, 1))
    top = jnp.where(jnp.isfinite(least), jnp.maximum(most - least, 0), 0)
    shifts = jnp.asarray(_SHIFTS, top.dtype)[:, None] * top
    best = jnp.max(flow_bound(program, potentials, supply, shifts), axis=(0, 1))
    periods = jnp.arange(network.periods)
    receipts = jax.vmap(lambda t: program.at(program.costs.inbound, t))(periods)
    constants = jnp.sum(receipts * arriving, axis=(0, 1)) - late
    constants = constants + jnp.repeat(stock_floor_constant(network, resources, block, prices), samples)
    return jnp.where(pays_to_buy(program, potentials[:, :, 0], kept), -jnp.inf, best + constants)


def _reported(network: Network, scenarios: Scenarios) -> Scenarios:
    """The scenarios without the tail: what is left at the end of the reported horizon is credited there."""
    leads = scenarios.lane_lead
    cut = lambda leaf: leaf[: network.periods]
    return Scenarios(cut(scenarios.demand), cut(scenarios.vendor_lead), leads if leads.ndim == 1 else cut(leads))
