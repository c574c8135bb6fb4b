"""Build the item problems of an instance: scales, starting levels, optimiser, stored scenarios."""

from __future__ import annotations

from dataclasses import dataclass

import equinox as eqx
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from meio_jax.distributed.sharding import own_part, place_blocks, place_copies
from meio_jax.model.catalog import Catalog, store_scenarios
from meio_jax.model.network import Network
from meio_jax.model.resources import Resources
from meio_jax.scenarios.sampling import TRAINING
from meio_jax.solver.bounded_start import bounded_start
from meio_jax.solver.first_levels import FirstLevels, Start, first_levels, in_units
from meio_jax.solver.optimiser import SearchOptions
from meio_jax.solver.start import LARGEST_FRACTILE
from meio_jax.solver.subproblem import InventorySubproblem, Totals


@dataclass(frozen=True)
class Training:
    """Scenarios of an item that a search is made with, rounded up to whole steps of it.

    Attributes:
        scenarios: How many.
        store: Whether they are sampled once and kept, else anew in every step; the numbers are the same.
    """

    scenarios: int
    store: bool = True


@dataclass(frozen=True)
class Built:
    """Item problems at the newsvendor levels of a business without capacities.

    Attributes:
        problem: The item problems.
        start: The policy, and how it is simulated.
        resources: Capacities, of which nothing is kept back.
        totals: What these levels use and cost.
    """

    problem: InventorySubproblem
    start: Start
    resources: Resources
    totals: Totals

    def at_prices(self, prices: Float[Array, "buckets resources"]) -> InventorySubproblem:
        """The problems at the levels that suit these prices.

        Scales do not depend on prices: they are the same for a search that starts anew and one that continues from
        elsewhere.
        """
        return started(self.problem, self._levels(prices, LARGEST_FRACTILE)[1])

    def within_capacities(self, kinds: Int[Array, " resources"]) -> InventorySubproblem:
        """The problems at levels whose fractile is bounded so that they about keep the capacities (`bounded_start`).

        Args:
            kinds: Number of the kind of every resource.
        """
        if not self.resources.count:
            return self.problem
        free = self.problem.zero_prices()
        most = bounded_start(self.resources, kinds, self.totals, lambda most: self._levels(free, most)[0])
        return self.problem if most == LARGEST_FRACTILE else started(self.problem, self._levels(free, most)[1])

    def _levels(self, prices: Array, most: float) -> tuple[Totals, FirstLevels]:
        problem = self.problem
        return first_levels(self.start, self.resources, (problem.network, problem.catalog), problem.mesh, prices, most)


def build_problem(
    network: Network,
    resources: Resources,
    catalog: Catalog,
    start: Start,
    training: Training,
    search: SearchOptions,
    *,
    margin: float = 0.0,
    mesh: Mesh | None = None,
) -> Built:
    """Assemble the item problems at their newsvendor starting point.

    Args:
        network: The shared network.
        resources: Shared capacities.
        catalog: The items in blocks.
        start: Objective, scenario settings and rollout options, and the policy whose parameters are decided.
        training: Scenarios of the search.
        search: Optimiser settings.
        margin: Share of every capacity kept back.
        mesh: Devices that share the items; the number of blocks is a multiple of theirs.
    """
    size = start.settings.scenarios_per_step
    chunks = max(1, -(-training.scenarios // size))
    network, resources, catalog = place_copies(network, mesh), place_copies(resources, mesh), _placed(catalog, mesh)
    if training.store:
        catalog = store_scenarios(start.settings.scenarios, catalog, chunks, size, TRAINING, mesh)
    free = jnp.zeros_like(resources.capacity)
    totals, levels = first_levels(start, resources, (network, catalog), mesh, free)
    problem = InventorySubproblem(
        network=network,
        resources=_tightened(resources, margin),
        catalog=catalog,
        settings=start.settings,
        scale=levels.scale,
        first=in_units(levels.policy, levels.scale),
        item_scale=levels.cost,
        swept=place_blocks(jnp.ones(own_part(levels.cost).shape[0], levels.cost.dtype), mesh),
        chunks=chunks,
        search=place_copies(search, mesh),
        mesh=mesh,
    )
    return Built(problem, start, resources, totals)


def started(problem: InventorySubproblem, levels: FirstLevels) -> InventorySubproblem:
    """The problem with other levels to start from, its scales unchanged."""
    return eqx.tree_at(lambda p: p.first, problem, in_units(levels.policy, problem.scale))


def _tightened(resources: Resources, margin: float) -> Resources:
    """Capacities less the margin that is kept back against sampling error; service floors a little higher."""
    ceiling = resources.capacity * (1 - margin)
    floor = jnp.minimum(resources.capacity * (1 + margin), jnp.maximum(resources.capacity, 1 - 0.1 * margin))
    return eqx.tree_at(lambda r: r.capacity, resources, jnp.where(resources.is_service, floor, ceiling))


def _placed(catalog: Catalog, mesh: Mesh | None) -> Catalog:
    """The catalog with its blocks shared out over the devices of the mesh."""
    blocks = place_blocks(eqx.tree_at(lambda c: c.profiles, catalog, None), mesh)
    profiles = place_copies(catalog.profiles, mesh)
    return eqx.tree_at(lambda c: c.profiles, blocks, profiles, is_leaf=lambda leaf: leaf is None)
