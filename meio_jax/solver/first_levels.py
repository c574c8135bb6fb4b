"""The levels that a search starts from, evaluated once: at prices, or with their safety stock bounded."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float

from meio_jax.distributed.kept_programs import kept_jit
from meio_jax.distributed.sharding import over_items, place_copies
from meio_jax.model.catalog import Catalog, draw
from meio_jax.model.network import ItemBlock, Network, optional_terms
from meio_jax.model.resources import Resources, rents
from meio_jax.policy import AbstractPolicy
from meio_jax.policy.registry import PolicyFamily
from meio_jax.scenarios.sampling import TRAINING
from meio_jax.simulation.docks import no_loads
from meio_jax.simulation.outcome import Outcome
from meio_jax.simulation.rollout import rollout
from meio_jax.solver.start import LARGEST_FRACTILE, starting_point
from meio_jax.solver.subproblem import Settings, Totals, block_lists, compensated_add, totals_of


class FirstLevels(eqx.Module):
    """Parameters that a search starts from and their scales, both in units of stock, and what each item costs then."""

    policy: AbstractPolicy
    scale: AbstractPolicy
    cost: Float[Array, "*blocks items"]


class Start(eqx.Module):
    """The policy of blocks of items and its starting point: a value, so that equal ones share one compiled program.

    Attributes:
        settings: Objective, scenario settings and rollout options.
        family: The policy (or wrapper) whose parameters are decided.
        stationary: Whether one target holds for all buckets.

    Called with what all items share (network, resources, share profiles, prices, largest fractile) and the leaves of
    blocks, it returns the sums of a first evaluation, and the levels at these prices.
    """

    settings: Settings
    family: PolicyFamily = eqx.field(static=True)
    stationary: bool = eqx.field(static=True, default=False)

    def __call__(self, shared: tuple, at: tuple) -> tuple[Totals, FirstLevels]:
        network, resources, profiles, prices, most = shared
        settings, family = self.settings, self.family
        ids = jnp.arange(settings.scenarios_per_step, dtype=jnp.int32)

        def one_block(carry: tuple, leaves: tuple) -> tuple[tuple, FirstLevels]:
            block: ItemBlock = leaves[0]
            sample = draw(settings.scenarios, profiles, leaves, ids, TRAINING)
            lists = block_lists(network, resources, settings, block, prices)
            start = starting_point(network, block, sample, lists, rents(resources, prices, block), most)
            first, scale = family.start(network, block, start), family.scales(network, block, start)
            if self.stationary:
                first, scale = jax.tree.map(_collapse, (first, scale))
            outcome = rollout(network, first, block, sample, lists, form=settings.form, tail=False)
            totals = totals_of(resources, settings.objective, block, outcome)
            return compensated_add(carry, totals), FirstLevels(first, scale, _item_costs(block, outcome))

        loads = no_loads(network, settings.scenarios_per_step, prices.dtype)
        zeros = Totals.zeros(resources, prices.dtype, loads, **optional_terms(at[0]))
        (totals, _), starts = jax.lax.scan(one_block, (zeros, zeros), at)
        return totals, starts


def first_levels(
    start: Start,
    resources: Resources,
    items: tuple[Network, Catalog],
    mesh: Mesh | None,
    prices: Float[Array, "buckets resources"],
    most: float = LARGEST_FRACTILE,
) -> tuple[Totals, FirstLevels]:
    """The starting levels of items, and what these use and cost.

    Args:
        start: The policy, and how it is simulated.
        resources: The capacities.
        items: The network, and the items in blocks.
        mesh: Devices that share the items.
        prices: Prices of the capacities.
        most: What bounds the fractile of newsvendor levels.
    """
    network, catalog = items
    shared = (network, resources, catalog.profiles, prices, jnp.asarray(most, prices.dtype))
    return _everywhere(start, mesh, place_copies(shared, mesh), catalog.per_block())


@kept_jit
def _everywhere(start: Start, mesh: Mesh | None, shared: tuple, at: tuple) -> tuple[Totals, FirstLevels]:
    """`start` on all devices of a mesh: one program, at whatever prices and fractile."""
    return over_items(start, mesh)(shared, at)


@kept_jit
def in_units(values: AbstractPolicy, scale: AbstractPolicy) -> AbstractPolicy:
    """Values per unit of their scale, 0 where there is none."""
    unit = lambda value, size: jnp.where(size > 0, value / jnp.where(size > 0, size, 1), 0)
    return jax.tree.map(unit, values, scale)


def _collapse(leaf: Array) -> Array:
    """Average the bucket axis of a policy leaf to length 1 (stationary targets)."""
    return jnp.mean(leaf, axis=0, keepdims=True)


def _item_costs(block: ItemBlock, outcome: Outcome) -> Array:
    """Typical cost of each item, used to give all gradients a similar size."""
    costs = jnp.abs(outcome.costs.total - outcome.costs.terminal).reshape(block.items, -1)
    return jnp.maximum(jnp.mean(costs, axis=-1), 1e-6)
