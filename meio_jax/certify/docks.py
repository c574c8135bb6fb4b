"""Queues at docks on scenarios that a plan was never optimised on: what all items bring to them, until that agrees.

What items bring to a dock depends on its queue, and the queue on what they bring. The plan is simulated with the shares
that pass, these are found anew from what came of it, and so on until no delay changes any more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from meio_jax.certify.plan_sweep import scenario_numbers, sweep_plan, unstored
from meio_jax.distributed.kept_programs import kept_jit
from meio_jax.distributed.sharding import own_part
from meio_jax.model.docks import DockDays, mean_shares, queue_up
from meio_jax.model.queues import Docks, Shares
from meio_jax.scenarios.sampling import HOLDOUT, purpose_of
from meio_jax.solver.store import AbstractInventoryStore, Items
from meio_jax.solver.subproblem import InventorySubproblem

# Sweeps of the same scenarios at most, and the change of the mean wait (periods) that counts as none.
SWEEPS, SETTLED = 8, 0.005


@dataclass(frozen=True)
class QueuedDocks:
    """What holdout scenarios live through at docks that queue.

    Attributes:
        docks: The queues.
        due: What all items bring to them, in the measure of each load.
        days: What passes and what waits.
        change: By how much the mean wait changed in the last sweep, the largest of all groups of scenarios, periods.
        sweeps: Most sweeps of a group of scenarios.
    """

    docks: Docks
    due: Float[np.ndarray, "periods loads scenarios"]
    days: DockDays
    change: float
    sweeps: int

    @property
    def settled(self) -> bool:
        """Whether the queues are those that the plan causes."""
        return self.change <= SETTLED

    def mean(self) -> Shares:
        """What passes on every day in the mean of the scenarios."""
        found = mean_shares(self.docks, jnp.asarray(self.due), jax.tree.map(jnp.asarray, self.days))
        return jax.tree.map(lambda leaf: leaf.astype(self.docks.capacity.dtype), found)


def in_scenarios(problem: InventorySubproblem, count: int) -> InventorySubproblem:
    """The problem with the shares of its docks for each of so many scenarios, as sweeps of a plan take them."""
    docks = problem.network.docks
    if docks is None:
        return problem
    wide = lambda leaf: jnp.broadcast_to(leaf, (*leaf.shape[:-1], count))
    return problem.at_docks(jax.tree.map(wide, docks.shares))


@kept_jit
def _queued(docks: Docks, due: Array) -> DockDays:
    return queue_up(docks, due)


def queued_docks(
    store: AbstractInventoryStore[Items],
    items: Items,
    improved: bool,
    prices: Float[Array, "buckets resources"],
    scenarios: int,
    chunk: int,
    check: Callable[[], None] = lambda: None,
) -> QueuedDocks | None:
    """Simulate the plan that a state of the items holds until its queues are those that it causes.

    Args:
        store: The items.
        items: Their state (`ItemState.plan`).
        improved: Whether the last step found the mean to be the best so far.
        prices: Prices that rank the fulfilment options.
        scenarios: Holdout scenarios, rounded up to whole chunks.
        chunk: Scenarios simulated together.
        check: Called before each sweep; it may raise to end the work.

    Returns:
        What was found; None where nothing queues.
    """
    docks = store.docks
    if docks is None:
        return None
    docks = jax.tree.map(lambda leaf: jnp.asarray(own_part(leaf)), docks)
    parts, change, most = [], 0.0, 0
    for first in range(0, scenarios, chunk):
        ids = scenario_numbers(first, chunk)
        shares = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (*leaf.shape[:-1], chunk)), docks.shares)
        before, moved, sweeps = None, np.inf, 0
        while sweeps < SWEEPS and moved > SETTLED:
            check()
            due = _brought(store.at_docks(shares), items, improved, prices, ids)
            days = _queued(docks, due)
            moved = np.inf if before is None else _change(docks, due, before, days)
            shares, before, sweeps = days.shares, days, sweeps + 1
        parts.append((np.asarray(due), jax.tree.map(np.asarray, days)))
        change, most = max(change, moved), max(most, sweeps)
    due, days = jax.tree.map(lambda *leaves: np.concatenate(leaves, axis=-1), *parts)
    return QueuedDocks(docks, due, days, float(change), most)


def _brought(
    store: AbstractInventoryStore[Items], items: Items, improved: bool, prices: Array, ids: Array
) -> Float[Array, "periods loads samples"]:
    """What all items bring to the docks in some scenarios."""
    total = None
    for problem, policy in store.plans(items, improved):
        (_, (_, _, loads)), _ = sweep_plan(unstored(problem), policy, prices, ids, purpose_of(HOLDOUT))
        own = np.asarray(own_part(loads), np.float64)
        total = own if total is None else total + own
    return jnp.asarray(store.summed(total), prices.dtype)


def _change(docks: Docks, due: Array, before: DockDays, after: DockDays) -> float:
    """By how much the mean wait of a unit changed, of the queue where it changed most; periods."""
    units = np.asarray(docks.unit_loads, int)
    moved = np.abs(np.asarray(after.waiting, float)[:, units] - np.asarray(before.waiting, float)[:, units])
    brought = np.asarray(due, float)[:, units].sum(axis=(0, 2))
    return float((moved.sum(axis=(0, 2)) / np.maximum(brought, 1e-9)).max(initial=0))


def of_scenarios(shares: Shares, first: int, count: int) -> Shares:
    """Shares of some scenarios."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[..., first : first + count]), shares)


def with_mean(docks: QueuedDocks | None, store: AbstractInventoryStore[Items]) -> AbstractInventoryStore[Items]:
    """The items at the mean shares of a judged plan; as they are where nothing queues."""
    return store if docks is None else store.at_docks(docks.mean())
