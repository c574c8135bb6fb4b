"""Expected cost of given policy parameters and its gradient, as the planner simulates them, with standard errors."""

from __future__ import annotations

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from meio_jax.config import Config
from meio_jax.model.catalog import draw
from meio_jax.model.network import ItemBlock
from meio_jax.planner import prepare
from meio_jax.policy.base_stock import BaseStock
from meio_jax.policy.echelon import EchelonBaseStock
from meio_jax.scenarios import HOLDOUT
from meio_jax.simulation.rollout import rollout
from meio_jax.solver.subproblem import InventorySubproblem, block_lists, reported_costs
from meio_jax.tables import Tables

POLICIES = {"base_stock": BaseStock, "echelon": EchelonBaseStock}
SCENARIOS, CHUNKS = 256, 32


@dataclass(frozen=True)
class Measured:
    """Means over chunks of scenarios and their standard errors: cost `[items]`, slope in each target `[nodes, items]`.

    Both are per charged period.
    """

    cost: np.ndarray
    cost_error: np.ndarray
    slope: np.ndarray
    slope_error: np.ndarray


def measure(tables: Tables, levels: np.ndarray, policy: str = "base_stock") -> Measured:
    """Simulate the items of an instance at levels `[nodes, items]` (in the order of its tables)."""
    config = {"instance": {"path": "in-memory"}, "run": "in-memory", "precision": "float64"}
    rules = {
        "scenarios": {"train": 2, "per_step": 2, "store_gib": 0.0},
        "policy": {"name": policy, "protection": False},
        "fulfilment": {"rounds": len(tables.nodes), "dither": 0.0},
        "solve": {"devices": 1, "block_items": len(tables.items)},
    }
    problem = prepare(tables, Config.model_validate({**config, **rules})).problem
    given = POLICIES[policy](jnp.asarray(levels)[None])
    charged = tables.settings.periods - tables.settings.warmup_periods
    cost, slope = (np.asarray(one) / charged for one in _chunks(problem, given))
    error = lambda values: values.std(axis=0, ddof=1) / np.sqrt(CHUNKS)
    return Measured(cost.mean(0), error(cost), slope.mean(0), error(slope))


@eqx.filter_jit
def _chunks(problem: InventorySubproblem, policy: BaseStock | EchelonBaseStock) -> tuple[jax.Array, jax.Array]:
    """Cost `[chunks, items]` and slope `[chunks, nodes, items]` of every chunk of holdout scenarios."""
    one = jax.tree.map(lambda leaf: leaf[0], problem.catalog.per_block())
    block: ItemBlock = one[0]
    lists = block_lists(problem.network, problem.resources, problem.settings, block, problem.zero_prices())

    def costs(policy: BaseStock, ids: jax.Array) -> tuple[jax.Array, jax.Array]:
        sample = draw(problem.settings.scenarios, problem.catalog.profiles, one, ids, HOLDOUT)
        outcome = rollout(problem.network, policy, block, sample, lists, form=problem.settings.form)
        each = jnp.mean(reported_costs(block, outcome).total, axis=-1)
        # Items do not meet: the gradient of their sum has the slope of each.
        return jnp.sum(each), each

    def chunk(_: None, first: jax.Array) -> tuple[None, tuple[jax.Array, jax.Array]]:
        ids = first + jnp.arange(SCENARIOS, dtype=jnp.int32)
        (_, each), slope = jax.value_and_grad(costs, has_aux=True)(policy, ids)
        return None, (each, slope.target[0])

    return jax.lax.scan(chunk, None, jnp.arange(CHUNKS, dtype=jnp.int32) * SCENARIOS)[1]


def agrees(found: np.ndarray, error: np.ndarray, truth: np.ndarray, of: np.ndarray | float) -> None:
    """Within four standard errors (and what rounding leaves of `of`), where the error itself is small beside `of`."""
    assert (error <= 0.03 * of).all(), error
    np.testing.assert_array_less(np.abs(found - truth), 4 * error + 1e-9 * np.asarray(of))
