"""Items at one or two nodes lived through day by day with levels that are given, no search."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from one_node import demand, instance, item, offer

from meio_jax.config import make_config
from meio_jax.instance import Instance, build_instance
from meio_jax.planner.model import settings_of
from meio_jax.plans.decisions import decide
from meio_jax.policy.base_stock import BaseStock
from meio_jax.scenarios.sampling import Scenarios
from meio_jax.simulation.outcome import Outcome, Record
from meio_jax.simulation.rollout import rollout
from meio_jax.solver.subproblem import block_lists

DAYS = 21
LANES = [{"from_node": "site", "to_node": "week", "lead_time": 1}]


def built(items: list[str], assortment: list[dict[str, Any]], *, mean: float = 10.0, **more: Any) -> Instance:
    """Items of ten a day, bought at `site` two days ahead; `week` is fed by the lane where there is one."""
    profile = more.pop("profile", "site")
    tables = instance(
        [item(name, node=profile) for name in items],
        more.pop("offers", [offer(name, 2) for name in items]),
        [row for name in items for row in demand(name, mean, days=DAYS)],
        days=DAYS,
        settings={"terminal": "liquidate", **more.pop("settings", {})},
        assortment=assortment,
        **more,
    )
    return build_instance(tables, block_items=16, dtype=np.float32)


def policy_of(made: Instance, level: float, **others: float) -> BaseStock:
    """A level everywhere, and others for the items named."""
    by_item = np.asarray([others.get(name, level) for name in made.items])
    levels = np.broadcast_to(by_item, (1, made.network.nodes, len(by_item)))
    return BaseStock(jnp.asarray(made.layout.cut(levels), jnp.float32))


def bought(made: Instance, policy: BaseStock) -> dict[str, int]:
    """Units of today's purchase orders by item."""
    return dict(zip(made.items, decide(made, policy).bought.sum(0).tolist(), strict=True))


def lived(made: Instance, policy: BaseStock, *, whole: bool = True) -> tuple[np.ndarray, Outcome]:
    """Stock at the end of every day `[days, nodes, items]`, and the outcome, of one scenario of fixed demand."""
    network = made.network
    block = jax.tree.map(lambda leaf: leaf[0], made.catalog.block)
    settings = settings_of(make_config(), made)
    lists = block_lists(network, made.resources, settings, block, jnp.zeros_like(made.resources.capacity))
    profiles = made.catalog.profiles[made.catalog.profile[0]]
    wanted = block.mean_demand[:, None, None, None, :] * jnp.moveaxis(profiles, 0, -1)[None]
    lead = jnp.round(jnp.broadcast_to(block.offer_lead, (network.horizon, *block.offer_lead.shape))).astype(jnp.int32)
    lanes = jnp.broadcast_to(network.lane_lead[None, :, None], (network.horizon, network.lanes, block.items))
    scenarios = Scenarios(wanted, lead, lanes.astype(jnp.int32))
    levels = jax.tree.map(lambda leaf: leaf[0], policy)
    found = eqx.filter_jit(rollout)(
        network, levels, block, scenarios, lists, record=Record(stock=True, orders=1), whole=whole
    )
    return np.asarray(found.stock).reshape(-1, network.nodes, block.items)[:DAYS], found
