"""Evaluation of a finished plan on scenarios that it was never optimised on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from meio_jax.certify.docks import in_scenarios, of_scenarios
from meio_jax.certify.item_results import ItemResults
from meio_jax.certify.order_times import OrderTimes, OrderTimesSum
from meio_jax.certify.plan_sweep import scenario_numbers, sweep_plan, unstored
from meio_jax.certify.worlds import beside
from meio_jax.distributed.sharding import own_part
from meio_jax.model.costs import CostTerms
from meio_jax.model.queues import Shares
from meio_jax.model.resources import Usage
from meio_jax.policy import AbstractPolicy
from meio_jax.scenarios.sampling import HOLDOUT, purpose_of
from meio_jax.simulation.serve import Regional
from meio_jax.solver.subproblem import InventorySubproblem


class ItemSums(eqx.Module):
    """Sums over items."""

    objective: Float[np.ndarray, ""]
    cost_variance: Float[np.ndarray, ""]
    terms: CostTerms


class Holdout(eqx.Module):
    """Results of the items of this process and what they add up to; usage and flows by region of all its devices.

    `grouped` is the usage of each group of scenarios, from which its standard error follows. Usage is a mean, also of
    capacities that are held in a share of the scenarios, until that of all parts is there (`at_share`). `times` says
    when the items of this process are ordered; None where that was not asked for.
    """

    items: ItemResults
    sums: ItemSums
    usage: Usage
    regional: Regional
    grouped: Usage
    scenarios: int = eqx.field(static=True)
    times: OrderTimes | None = None


class HoldoutEvaluation:
    """Holdout results of one plan, summed up a few scenarios at a time, so that memory stays that of a step.

    Args:
        problem: The item problems; stored training scenarios are ignored.
        policy: Parameters in units, with a leading block axis.
        prices: Prices that rank the fulfilment options, `[buckets, resources]`.
        chunk: Scenarios simulated together.
        check: Called before each of them; it may raise to end the work.
        times: Whether the results say when items are ordered.
        shares: What passes docks that queue, by scenario; None: as the problem has it.
    """

    def __init__(
        self,
        problem: InventorySubproblem,
        policy: AbstractPolicy,
        prices: Array,
        chunk: int = 16,
        check: Callable[[], None] = lambda: None,
        *,
        times: bool = False,
        shares: Shares | None = None,
    ) -> None:
        self.check, self._shares = check, shares
        self._problem = unstored(problem)
        self._policy, self._prices, self._chunk = policy, prices, chunk
        self._total: Any = None
        self._grouped: list[Usage] = []
        self._groups = 0
        self._times = OrderTimesSum() if times else None

    @property
    def scenarios(self) -> int:
        """Scenarios simulated so far."""
        return self._groups * self._chunk

    def advance(self) -> None:
        """Simulate the next scenarios."""
        self.check()
        ids = scenario_numbers(self.scenarios, self._chunk)
        problem = in_scenarios(self._problem, self._chunk)
        if self._shares is not None:
            problem = problem.at_docks(of_scenarios(self._shares, self.scenarios, self._chunk))
        (results, (usage, regional, _)), timing = sweep_plan(
            problem, self._policy, self._prices, ids, purpose_of(HOLDOUT)
        )
        if self._times is not None:
            self._times.add(jax.tree.map(own_part, timing))
        part = jax.tree.map(lambda leaf: np.asarray(own_part(leaf), np.float64), (results, (usage, regional)))
        mean_square = part[0].terms.total ** 2 + part[0].cost_variance
        part = eqx.tree_at(lambda pair: pair[0].cost_variance, part, mean_square)
        self._total = part if self._total is None else jax.tree.map(np.add, self._total, part)
        self._groups += 1
        self._grouped.append(part[1][0])

    def upto(self, scenarios: int) -> Holdout:
        """Simulate on to this many scenarios in all (rounded up to whole chunks), and give the results."""
        while not self._groups or self.scenarios < scenarios:
            self.advance()
        return self._results()

    def _results(self) -> Holdout:
        results, (used, regional) = jax.tree.map(lambda leaf: leaf / self._groups, self._total)
        used = beside(used, self._grouped)
        variance = np.maximum(results.cost_variance - results.terms.total**2, 0)
        variance = variance * self.scenarios / max(self.scenarios - 1, 1)
        items = eqx.tree_at(lambda r: r.cost_variance, results, variance)
        own = (items.objective, items.cost_variance, items.terms)
        sums = ItemSums(*jax.tree.map(lambda leaf: np.asarray(leaf.sum()), own))
        times = None if self._times is None else self._times.result()
        grouped = jax.tree.map(lambda *groups: np.stack(groups), *self._grouped)
        return Holdout(items, sums, used, regional, grouped, self.scenarios, times)


def evaluate_holdout(
    problem: InventorySubproblem,
    policy: AbstractPolicy,
    prices: Float[Array, "buckets resources"],
    scenarios: int,
    *,
    chunk: int = 16,
    check: Callable[[], None] = lambda: None,
    times: bool = False,
    shares: Shares | None = None,
) -> Holdout:
    """Simulate a plan on holdout scenarios: a `HoldoutEvaluation` in one call."""
    return HoldoutEvaluation(problem, policy, prices, chunk, check, times=times, shares=shares).upto(scenarios)
