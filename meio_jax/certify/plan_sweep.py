"""One pass over all items of a plan, in whole units, on scenarios that it was never optimised on."""

from __future__ import annotations

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt32

from meio_jax.certify.item_results import ItemResults
from meio_jax.certify.order_times import KEPT
from meio_jax.distributed.kept_programs import kept_jit
from meio_jax.distributed.sharding import over_items
from meio_jax.model.catalog import draw
from meio_jax.model.held import held_of
from meio_jax.model.network import Network
from meio_jax.model.resources import Resources, Usage
from meio_jax.policy import AbstractPolicy
from meio_jax.scenarios.sampling import Scenarios
from meio_jax.simulation.docks import no_loads
from meio_jax.simulation.inputs import reaching
from meio_jax.simulation.outcome import Record
from meio_jax.simulation.rollout import rollout
from meio_jax.simulation.serve import Regional
from meio_jax.simulation.timing import Timing
from meio_jax.solver.subproblem import InventorySubproblem, Settings, Totals, block_lists, reported_costs, usage_of

PlanTotals = tuple[Usage, Regional, Array | None]
"""What all items use, do by region, and bring to docks that queue by period, load and scenario (None: nothing does)."""


def unstored(problem: InventorySubproblem) -> InventorySubproblem:
    """The problem without its stored training scenarios, which are not those of a judgement."""
    return eqx.tree_at(lambda p: p.catalog.scenarios, problem, None, is_leaf=lambda leaf: leaf is None)


def scenario_numbers(first: int, count: int) -> Int[Array, " scenarios"]:
    """Numbers of `count` scenarios from the `first` on."""
    return jnp.arange(first, first + count, dtype=jnp.int32)


def follows_worlds(problem: InventorySubproblem) -> bool:
    """Whether a judgement asks for what all items together do in single scenarios."""
    asked = bool(problem.resources.held_index) or problem.settings.risk is not None
    return asked or problem.settings.scenarios.world_factor_cv > 0


@kept_jit
def sweep_plan(
    problem: InventorySubproblem,
    policy: AbstractPolicy,
    prices: Float[Array, "buckets resources"],
    ids: Int[Array, " scenarios"],
    purpose: UInt32[Array, ""],
) -> tuple[tuple[ItemResults, PlanTotals], Timing]:
    """Simulate a plan on some scenarios.

    Args:
        problem: The item problems, without stored scenarios (`unstored`).
        policy: Parameters in units, with a leading block axis.
        prices: Prices that rank the fulfilment options.
        ids: Numbers of the scenarios.
        purpose: What they are for (`purpose_of`).

    Returns:
        Results of every item; what all items use together, do by region and bring to docks that queue (None: nothing
        does); and when orders are made.
    """
    settings = problem.settings
    dtype = problem.item_scale.dtype
    worlds = follows_worlds(problem)
    nothing = Regional.zeros(problem.network, dtype, record=True)
    buckets = problem.network.buckets
    regional = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (buckets, *leaf.shape)), nothing)

    def local(shared: tuple, at: tuple) -> tuple[PlanTotals, tuple[ItemResults, Timing]]:
        network, resources, profiles, zeros, prices, ids, purpose = shared

        def one_block(total: tuple, at: tuple) -> tuple[PlanTotals, tuple[ItemResults, Timing]]:
            leaves, block_policy = at
            # The tail is not simulated, and to draw its demand would take longer than all else.
            reported = replace(settings.scenarios, periods=network.periods)
            scenarios = reaching(network, draw(reported, profiles, leaves, ids, purpose=purpose))
            one = (leaves[0], block_policy)
            results, used = _block_results(network, resources, settings, scenarios, one, prices, worlds=worlds)
            return jax.tree.map(jnp.add, total, used), results

        return jax.lax.scan(one_block, zeros, at)

    used = Totals.zeros(problem.resources, dtype, scenarios=ids.shape[0] if worlds else 0).usage
    zeros = (used, regional, no_loads(problem.network, ids.shape[0], dtype))
    shared = (problem.network, problem.resources, problem.catalog.profiles, zeros, prices, ids, purpose)
    used, (results, timing) = over_items(local, problem.mesh)(shared, (problem.catalog.per_block(), policy))
    return (results, used), timing


def _block_results(
    network: Network,
    resources: Resources,
    settings: Settings,
    scenarios: Scenarios,
    at: tuple,
    prices: Array,
    *,
    worlds: bool,
) -> tuple[tuple[ItemResults, Timing], PlanTotals]:
    block, policy = at
    lists = block_lists(network, resources, settings, block, prices)
    samples = scenarios.demand.shape[-1] // block.items
    record = Record(by_speed=True, orders=min(KEPT, samples))
    held = held_of(resources, block, samples) if worlds else None
    outcome = rollout(
        network, policy, block, scenarios, lists, form=settings.form, record=record, whole=True, tail=False, held=held
    )
    costs = reported_costs(block, outcome)
    days = jnp.maximum(jnp.sum(network.charged), 1)

    def per_item(leaf: Array) -> Array:
        return block.live * jnp.mean(leaf.reshape(block.items, -1), axis=-1)

    flows = jax.tree.map(lambda leaf: block.live * jnp.sum(leaf, axis=0), outcome.flows)
    results = ItemResults(
        objective=block.live * settings.objective(costs),
        cost_variance=block.live * jnp.var(costs.total, axis=-1),
        terms=jax.tree.map(per_item, outcome.costs),
        units=jax.tree.map(per_item, outcome.units),
        stock=flows.stock / days,
        received=flows.inbound,
        shipped=flows.outbound,
        lane=flows.lane,
        ordered=flows.offer,
        speed_units=block.live * jnp.sum(outcome.speed_units, axis=0),
        speed_cost=block.live * jnp.sum(outcome.speed_cost, axis=0),
        by_bucket=block.live * jnp.concatenate([outcome.flows.offer, outcome.flows.lane], axis=1),
        wasted=flows.wasted,
        paid=flows.paid,
        outside=None if flows.outside is None else flows.outside / days,
        lines=None if block.ordering is None or flows.lines is None else flows.lines[: network.offers],
    )
    timing = outcome.timing
    assert timing is not None  # it was asked for
    live = lambda leaf: block.live * leaf
    timing = Timing(live(timing.daily), live(timing.lines), block.live[:, None] * timing.kept)
    return (results, timing), (usage_of(resources, block, outcome, worlds=worlds), outcome.regional, outcome.loads)
