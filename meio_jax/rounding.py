"""Whole targets: neighbouring integers of the fluid optimum, chosen item by item at the final prices.

Targets are optimised as real numbers, but nobody can hold 0.4 units at a site. Nearest integers lose what many small
sites hold together. Here every node in turn tries the whole number below and above for all items at once, on the same
scenarios, and each item keeps what costs it least, with what it takes of the capacities at their prices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from meio_jax.catalog import draw
from meio_jax.network import ItemBlock, Network
from meio_jax.policy import AbstractPolicy
from meio_jax.resources import Resources, item_charge
from meio_jax.rollout import rollout
from meio_jax.scenarios import TRAINING, Scenarios
from meio_jax.sharding import over_items
from meio_jax.subproblem import InventorySubproblem, Settings, block_lists, scenario_costs

WITHIN = 1e-4
"""A target this close to a whole number is that number."""

GAIN = 1e-6
"""Least gain, as a share of an item's cost, for which a target leaves its nearest integer."""


def _targets(policy: AbstractPolicy) -> Callable[[Any], Array] | None:
    """How to reach the targets of a policy; None where it has none."""
    if hasattr(policy, "target"):
        return lambda one: one.target
    inner = getattr(policy, "replenishment", None)
    if hasattr(inner, "target"):
        return lambda one: one.replenishment.target
    return None


def item_costs(
    shared: tuple[Network, Resources, Settings],
    policy: AbstractPolicy,
    block: ItemBlock,
    scenarios: Scenarios,
    prices: tuple[Array, Array],
) -> Float[Array, " items"]:
    """Objective of each item of a block and its charge for capacities.

    Args:
        shared: Network, resources and settings.
        policy: Parameters of the block, in units.
        block: The items.
        scenarios: What they meet.
        prices: Prices of the capacities, and those that rank the fulfilment options.
    """
    network, resources, settings = shared
    lists = block_lists(network, resources, settings, block, prices[1])
    outcome = rollout(network, policy, block, scenarios, lists, form=settings.form)
    charge = item_charge(resources, outcome.flows, block, prices[0])
    return settings.objective(scenario_costs(block, outcome)) + charge


def whole_targets(
    problem: InventorySubproblem, policy: AbstractPolicy, prices: Array, list_prices: Array, scenarios: int
) -> AbstractPolicy:
    """The policy with whole targets.

    Args:
        problem: The item problems, with their training scenarios.
        policy: Optimised parameters in units; leaves have a leading block axis.
        prices: Final prices `[buckets, resources]`.
        list_prices: Prices that rank the fulfilment options, likewise.
        scenarios: Training scenarios that are compared on, rounded up to whole steps.

    Returns:
        The same policy, its `target` in whole units (still floating-point); one without targets as it is.
    """
    where = _targets(policy)
    if where is None:
        return policy
    chunks = min(max(1, -(-scenarios // problem.settings.scenarios_per_step)), problem.chunks)
    whole = _search(problem, policy, prices, list_prices, chunks)
    return eqx.tree_at(where, policy, whole)


@eqx.filter_jit
def _search(
    problem: InventorySubproblem, policy: AbstractPolicy, prices: Array, list_prices: Array, chunks: int
) -> Float[Array, "blocks buckets nodes items"]:
    settings = problem.settings
    where = _targets(policy)
    assert where is not None

    def local(shared: tuple, at: tuple) -> tuple[tuple, Array]:
        network, resources, profiles, prices, list_prices = shared

        def one_block(_: None, at: tuple) -> tuple[None, Array]:
            leaves, block_policy = at

            def cost(target: Array) -> Array:
                trial = eqx.tree_at(where, block_policy, target)

                def one_chunk(total: Array, chunk: Array) -> tuple[Array, None]:
                    size = settings.scenarios_per_step
                    ids = chunk * size + jnp.arange(size, dtype=jnp.int32)
                    sample = draw(settings.scenarios, profiles, leaves, ids, TRAINING, chunk)
                    one = (network, resources, settings)
                    return total + item_costs(one, trial, leaves[0], sample, (prices, list_prices)), None

                nothing = jnp.zeros((target.shape[-1],), target.dtype)
                return jax.lax.scan(one_chunk, nothing, jnp.arange(chunks, dtype=jnp.int32))[0] / chunks

            return None, best_neighbours(where(block_policy), cost)

        return (), jax.lax.scan(one_block, None, at)[1]

    shared = (problem.network, problem.resources, problem.catalog.profiles, prices, list_prices)
    return over_items(local, problem.mesh)(shared, (problem.catalog.per_block(), policy))[1]


def best_neighbours(
    fluid: Float[Array, "buckets nodes items"], cost: Callable[[Array], Float[Array, " items"]]
) -> Float[Array, "buckets nodes items"]:
    """Whole targets from real ones: start at the nearest, then each node in turn tries all-down and all-up.

    Args:
        fluid: Real targets, >= 0.
        cost: Cost of every item at some targets; items do not influence each other.
    """
    exact = jnp.where(jnp.abs(fluid - jnp.round(fluid)) < WITHIN, jnp.round(fluid), fluid)
    options = (jnp.floor(exact), jnp.ceil(exact))

    def one_node(carry: tuple, node: Array) -> tuple[tuple, None]:
        target, least = carry
        for option in options:
            trial = target.at[:, node].set(option[:, node])
            found = cost(trial)
            better = found < least - GAIN * jnp.abs(least)
            target, least = jnp.where(better, trial, target), jnp.where(better, found, least)
        return (target, least), None

    start = jnp.floor(exact + 0.5)
    (target, _), _ = jax.lax.scan(one_node, (start, cost(start)), jnp.arange(fluid.shape[1]))
    return target
