"""The planner's simulation: demand of a day is served in rounds, in proportion where a node is short."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from fulfilment_parts.hindsight import least_cost
from fulfilment_parts.networks import Shape, parcels, tables_of
from meio_jax.config import make_config
from meio_jax.instance import build_instance
from meio_jax.model.catalog import draw
from meio_jax.planner import settings_of
from meio_jax.policy.base_stock import BaseStock
from meio_jax.scenarios import HOLDOUT
from meio_jax.simulation.rollout import rollout
from meio_jax.solver.subproblem import Settings, block_lists

RULES = {
    "rounds": {},
    "rounds, ties not split": {"dither": 0.0, "rounds": 10},
    "by value": {"by": "value"},
    "by value, all nodes asked": {"by": "value", "rounds": 10},
}


@eqx.filter_jit
def simulate(settings: Settings, made: tuple, ids: jax.Array, one: tuple) -> tuple[jax.Array, jax.Array]:
    """Demand by region, and outbound cost with lost sales, of one item: `[regions, scenarios]` and `[scenarios]`."""
    network, resources, profiles = made
    demand = draw(settings.scenarios, profiles, one, ids, HOLDOUT)
    lists = block_lists(network, resources, settings, one[0], jnp.zeros_like(resources.capacity))
    levels = BaseStock(jnp.zeros((network.buckets, network.nodes, 1), jnp.float32))
    spent = rollout(network, levels, one[0], demand, lists, form=settings.form).costs
    return demand.demand.sum((0, 1, 2)), spent.outbound + spent.lost_sale


def costs(shape: Shape, seed: int, scenarios: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Outbound cost and lost sales of every rule, and the least with hindsight, each `[items, scenarios]`."""
    made = build_instance(tables_of(shape, seed), block_items=1, dtype=np.float32)
    parts = (made.network, made.resources, made.catalog.profiles)
    ids, leaves = jnp.arange(scenarios, dtype=jnp.int32), made.catalog.per_block()
    live = np.flatnonzero(made.layout.live[:, 0])
    found = {}
    for name, part in RULES.items():
        settings = settings_of(make_config(fulfilment=part), made)
        blocks = [simulate(settings, parts, ids, jax.tree.map(lambda leaf, b=b: leaf[b], leaves)) for b in live]
        found[name] = np.stack([np.asarray(spent, float) for _, spent in blocks])
    demand = np.concatenate([np.asarray(asked, float) for asked, _ in blocks], axis=1)
    stock = np.concatenate([np.repeat(np.asarray(leaves[0].on_hand[b], float), scenarios, 1) for b in live], axis=1)
    best = least_cost(stock, demand, *parcels(shape)).reshape(live.size, scenarios)
    return found, best
