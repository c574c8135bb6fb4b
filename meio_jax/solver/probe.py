"""Probing of levels: where a gradient is zero or small, multiples of an item's levels and other levels are tried.

A level that no scenario reaches has no slope, packs make cost a staircase, and an item that is better not stocked at
all has its best levels at a corner. Such items are found by simulation, at the prices of the search, in whole orders.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from meio_jax.distributed.kept_programs import kept_jit
from meio_jax.distributed.sharding import over_items
from meio_jax.model.catalog import draw
from meio_jax.model.network import ItemBlock
from meio_jax.model.resources import item_charge, tail_charge
from meio_jax.objective import AbstractObjective, ScenarioCosts
from meio_jax.policy import AbstractPolicy
from meio_jax.scenarios.sampling import VALIDATION, Scenarios
from meio_jax.simulation.rollout import rollout
from meio_jax.solver.subproblem import InventorySubproblem, block_lists, planned_costs

FACTORS = (1.0, 0.0, 0.6, 0.8, 0.9, 1.1, 1.25, 1.6, 2.5)
"""Multiples of an item's levels that are tried; the first is the levels themselves."""

# A gain counts where it is this many standard errors of the paired difference: several multiples are tried.
_CLEAR = 3.0
_GROUP = 8


class Probed(eqx.Module):
    """Levels after probing, in units of their scale, which items moved, and what they gain in expected priced cost."""

    raw: AbstractPolicy
    moved: Bool[Array, "*blocks items"]
    gain: Float[Array, "*blocks items"]


@kept_jit
def probe(
    problem: InventorySubproblem,
    raw: AbstractPolicy,
    prices: Float[Array, "buckets resources"],
    list_prices: Float[Array, "buckets resources"],
    ids: Int[Array, " scenarios"],
    others: tuple[AbstractPolicy, ...] = (),
) -> Probed:
    """Try other levels of every item on validation scenarios, and keep those that clearly cost less.

    Args:
        problem: The item problems.
        raw: Levels, in units of their scale.
        prices: Prices of the capacities.
        list_prices: Prices that rank fulfilment options.
        ids: Numbers of the scenarios, in whole groups of eight.
        others: Levels that are tried besides the multiples, in units of the same scale.
    """
    settings = problem.settings

    def local(shared: tuple, at: tuple) -> tuple[tuple, Probed]:
        network, resources, profiles, prices, ranking, ids = shared

        def one_block(_: None, at: tuple) -> tuple[None, Probed]:
            leaves, raw, scale, further = at
            block: ItemBlock = leaves[0]
            scenarios: Scenarios = draw(settings.scenarios, profiles, leaves, ids, VALIDATION)
            lists = block_lists(network, resources, settings, block, ranking)

            multiples = [jax.tree.map(lambda level, f=factor: f * level, raw) for factor in FACTORS]
            tried = jax.tree.map(lambda *levels: jnp.stack(levels), *multiples, *further)

            def priced(levels: AbstractPolicy) -> Float[Array, "items groups"]:
                policy = jax.tree.map(jnp.multiply, levels, scale)
                outcome = rollout(network, policy, block, scenarios, lists, form=settings.form, whole=True)
                charge = item_charge(resources, outcome.flows, block, prices)
                if network.tail_buckets:
                    charge = charge + jnp.sum(tail_charge(resources, outcome.tail_flows, block, prices), axis=0)
                return _in_groups(settings.objective, planned_costs(block, outcome)) + charge[:, None]

            chosen, gain = clearest(jax.lax.map(priced, tried))
            moved = (chosen > 0) & (block.live > 0)
            chosen = jnp.where(moved, chosen, 0)
            pick = lambda levels: jnp.take_along_axis(levels, chosen[None, None, None], axis=0)[0]
            return None, Probed(jax.tree.map(pick, tried), moved, jnp.where(moved, gain, 0))

        return (), jax.lax.scan(one_block, None, at)[1]

    catalog = eqx.tree_at(lambda c: c.scenarios, problem.catalog, None, is_leaf=lambda leaf: leaf is None)
    shared = (problem.network, problem.resources, catalog.profiles, prices, list_prices, ids)
    return over_items(local, problem.mesh)(shared, (catalog.per_block(), raw, problem.scale, others))[1]


def _in_groups(objective: AbstractObjective, costs: ScenarioCosts) -> Float[Array, "items groups"]:
    """The objective of every item in groups of scenarios, so that differences have an error whatever it is."""
    cut = lambda leaf: jnp.moveaxis(leaf.reshape(leaf.shape[0], -1, _GROUP), 1, 0)
    return jax.vmap(objective)(jax.tree.map(cut, costs)).T


def clearest(
    costs: Float[Array, "factors items groups"],
) -> tuple[Int[Array, " items"], Float[Array, " items"]]:
    """The cheapest alternative of every item that is clearly cheaper than the first, in the same groups of
    scenarios.

    Returns:
        Number of the alternative (0: none), and its gain.
    """
    saved = costs[:1] - costs
    mean = jnp.mean(saved, axis=-1)
    error = jnp.std(saved, axis=-1) / jnp.sqrt(jnp.asarray(max(costs.shape[-1] - 1, 1), costs.dtype))
    rounding = 16 * jnp.finfo(costs.dtype).eps * jnp.mean(jnp.abs(costs[0]), axis=-1)
    clear = mean > _CLEAR * error + rounding
    score = jnp.where(clear, mean, 0)
    chosen = jnp.argmax(score, axis=0)
    return chosen, jnp.max(score, axis=0)
