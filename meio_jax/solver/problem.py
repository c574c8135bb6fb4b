"""Build the item problems of an instance: scales, starting levels, optimiser, stored scenarios."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array

from meio_jax.distributed.sharding import over_items, place_blocks, place_copies
from meio_jax.model.catalog import Catalog, draw, store_scenarios
from meio_jax.model.network import ItemBlock, Network
from meio_jax.model.resources import Resources, rents
from meio_jax.policy import AbstractPolicy
from meio_jax.policy.registry import PolicyFamily
from meio_jax.scenarios.sampling import TRAINING
from meio_jax.simulation.outcome import Outcome
from meio_jax.simulation.rollout import rollout
from meio_jax.solver.bounded_start import bounded_start
from meio_jax.solver.start import LARGEST_FRACTILE, starting_point
from meio_jax.solver.subproblem import (
    InventorySubproblem,
    Settings,
    Totals,
    block_lists,
    compensated_add,
    totals_of,
)


@dataclass(frozen=True)
class SearchOptions:
    """How policies are searched: Adam with a step that falls from `first_rate` to `last_rate` (cosine)."""

    first_rate: float = 0.1
    last_rate: float = 0.003
    steps: int = 150


@cache
def optimiser(options: SearchOptions) -> optax.GradientTransformation:
    """Adam on parameters in units of their scale; eps is small because gradients are scaled by item cost.

    Equal options give the same object: compiled programs are kept by it, and another one would be compiled anew.
    Momentum is short: it delays the answer of stock to prices, and a delay in that loop makes stock slosh.
    """
    schedule = optax.cosine_decay_schedule(
        options.first_rate, max(options.steps, 1), alpha=options.last_rate / options.first_rate
    )
    return optax.adam(schedule, b1=0.5, b2=0.95, eps=1e-9)


def _tightened(resources: Resources, margin: float) -> Resources:
    """Capacities less the margin that is kept back against sampling error; service floors a little higher."""
    ceiling = resources.capacity * (1 - margin)
    floor = jnp.minimum(resources.capacity * (1 + margin), jnp.maximum(resources.capacity, 1 - 0.1 * margin))
    return eqx.tree_at(lambda r: r.capacity, resources, jnp.where(resources.is_service, floor, ceiling))


def _collapse(leaf: Array) -> Array:
    """Average the bucket axis of a policy leaf to length 1 (stationary targets)."""
    return jnp.mean(leaf, axis=0, keepdims=True)


def build_problem(
    network: Network,
    resources: Resources,
    catalog: Catalog,
    settings: Settings,
    family: PolicyFamily,
    scenarios: int,
    *,
    search: SearchOptions,
    margin: float = 0.0,
    stationary: bool = False,
    store: bool = True,
    mesh: Mesh | None = None,
    prices: Array | None = None,
    kinds: Array | None = None,
) -> InventorySubproblem:
    """Assemble the item problems at their newsvendor starting point.

    Args:
        network: The shared network.
        resources: Shared capacities.
        catalog: The items in blocks.
        settings: Objective, scenario settings and rollout options.
        family: The policy (or wrapper) whose parameters are decided.
        scenarios: Training scenarios per item; rounded up to whole steps of `settings.scenarios_per_step`.
        search: Optimiser settings.
        margin: Share of every capacity kept back.
        stationary: One target for all buckets.
        store: Sample training scenarios once and keep them.
        mesh: Devices that share the items; the number of blocks is a multiple of theirs.
        prices: Prices of the capacities at which the starting levels are set; None: zero. Scales do not depend on
            them: they are the same for a search that starts anew and one that continues from elsewhere.
        kinds: Number of the kind of every resource: the fractile of the starting levels is bounded so that they keep
            the capacities about as well as they can (`bounded_start`). None, or prices given: it is not bounded.
    """
    size = settings.scenarios_per_step
    chunks = max(1, -(-scenarios // size))
    network, resources, catalog = place_copies(network, mesh), place_copies(resources, mesh), _placed(catalog, mesh)
    if store:
        catalog = store_scenarios(settings.scenarios, catalog, chunks, size, TRAINING, mesh)

    start = Start(settings, family, stationary=stationary)

    def at(prices: Array, most: float) -> tuple[Totals, tuple[AbstractPolicy, AbstractPolicy, Array]]:
        shared = (network, resources, catalog.profiles, place_copies(prices, mesh), jnp.asarray(most, prices.dtype))
        return start_everywhere(start, mesh, shared, catalog.per_block())

    free = jnp.zeros_like(resources.capacity)
    unbounded, (first, scale, cost) = at(free, LARGEST_FRACTILE)
    # The same program again: it need not be compiled for a search that starts at prices, or within capacities.
    if prices is not None:
        first = at(prices, LARGEST_FRACTILE)[1][0]
    elif kinds is not None and resources.count:
        most = bounded_start(resources, kinds, unbounded, lambda most: at(free, most)[0])
        first = first if most == LARGEST_FRACTILE else at(free, most)[1][0]
    raw = in_units(first, scale)
    return InventorySubproblem(
        network=network,
        resources=_tightened(resources, margin),
        catalog=catalog,
        settings=settings,
        scale=scale,
        first=raw,
        item_scale=cost,
        chunks=chunks,
        optimiser=optimiser(search),
        mesh=mesh,
    )


class Start(eqx.Module):
    """The starting point of blocks of items: a value, so that all parts of a catalog share one compiled program.

    Called with what all items share (network, resources, share profiles, prices, largest fractile) and the leaves of
    blocks, it returns the sums of a first evaluation; and parameters at these prices, their scales, both in units, and
    item costs.
    """

    settings: Settings
    family: PolicyFamily = eqx.field(static=True)
    stationary: bool = eqx.field(static=True)

    def __call__(self, shared: tuple, at: tuple) -> tuple[Totals, tuple[AbstractPolicy, AbstractPolicy, Array]]:
        network, resources, profiles, prices, most = shared
        settings, family = self.settings, self.family
        ids = jnp.arange(settings.scenarios_per_step, dtype=jnp.int32)

        def one(carry: tuple, leaves: tuple) -> tuple[tuple, tuple[AbstractPolicy, AbstractPolicy, Array]]:
            block: ItemBlock = leaves[0]
            sample = draw(settings.scenarios, profiles, leaves, ids, TRAINING)

            lists = block_lists(network, resources, settings, block, prices)
            start = starting_point(network, block, sample, lists, rents(resources, prices, block), most)
            first, scale = family.start(network, block, start), family.scales(network, block, start)
            if self.stationary:
                first, scale = jax.tree.map(_collapse, (first, scale))
            outcome = rollout(network, first, block, sample, lists, form=settings.form)
            totals = totals_of(resources, settings.objective, block, outcome)
            return compensated_add(carry, totals), (first, scale, _item_costs(block, outcome))

        zeros = Totals.zeros(resources, prices.dtype)
        (totals, _), starts = jax.lax.scan(one, (zeros, zeros), at)
        return totals, starts


@eqx.filter_jit
def start_everywhere(
    start: Start, mesh: Mesh | None, shared: tuple, at: tuple
) -> tuple[Totals, tuple[AbstractPolicy, AbstractPolicy, Array]]:
    """`start` on all devices of a mesh."""
    return over_items(start, mesh)(shared, at)


@jax.jit
def in_units(values: AbstractPolicy, scale: AbstractPolicy) -> AbstractPolicy:
    """Values per unit of their scale, 0 where there is none."""
    unit = lambda value, size: jnp.where(size > 0, value / jnp.where(size > 0, size, 1), 0)
    return jax.tree.map(unit, values, scale)


def _placed(catalog: Catalog, mesh: Mesh | None) -> Catalog:
    """The catalog with its blocks shared out over the devices of the mesh."""
    blocks = place_blocks(eqx.tree_at(lambda c: c.profiles, catalog, None), mesh)
    profiles = place_copies(catalog.profiles, mesh)
    return eqx.tree_at(lambda c: c.profiles, blocks, profiles, is_leaf=lambda leaf: leaf is None)


def _item_costs(block: ItemBlock, outcome: Outcome) -> Array:
    """Typical cost of each item, used to give all gradients a similar size."""
    costs = jnp.abs(outcome.costs.total - outcome.costs.terminal).reshape(block.items, -1)
    return jnp.maximum(jnp.mean(costs, axis=-1), 1e-6)
