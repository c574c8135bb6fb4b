"""What the plan of a whole catalog uses and costs on scenarios that it was not searched on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from meio_jax.certify.docks import in_scenarios
from meio_jax.certify.plan_sweep import scenario_numbers, sweep_plan, unstored
from meio_jax.distributed.sharding import own_part, sum_over_processes
from meio_jax.model.costs import CostTerms
from meio_jax.model.resources import Usage
from meio_jax.policy import AbstractPolicy
from meio_jax.scenarios.sampling import VALIDATION, purpose_of
from meio_jax.solver.store import AbstractInventoryStore, Items
from meio_jax.solver.subproblem import InventorySubproblem

Plans = Callable[[], Iterable[tuple[InventorySubproblem, AbstractPolicy]]]
"""Problem and policy of every part of a catalog, as often as they are asked for."""


class Sample:
    """What the plan of a whole catalog uses and costs on scenarios of one purpose, a few of them at a time.

    Args:
        plans: The parts of the catalog with their policies, in units of stock.
        prices: Prices that rank the fulfilment options, `[buckets, resources]`.
        chunk: Scenarios simulated together.
        summed: Adds up what the parts of all processes use, where each has parts of its own.
        purpose: What the scenarios are for: validation, or holdout.
    """

    def __init__(
        self,
        plans: Plans,
        prices: Array,
        chunk: int,
        summed: Callable[[Usage], Usage] = lambda usage: usage,
        purpose: int = VALIDATION,
    ) -> None:
        self._plans, self._prices, self._chunk, self._summed = plans, prices, chunk, summed
        self._purpose = purpose_of(purpose)
        self._groups: list[Usage] = []
        self._sums: Any = None

    @property
    def scenarios(self) -> int:
        """Scenarios simulated so far."""
        return len(self._groups) * self._chunk

    @property
    def usage(self) -> tuple[Usage, ...]:
        """Usage of every capacity in each group of scenarios."""
        return tuple(self._groups)

    def advance(self) -> None:
        """Simulate the next scenarios of all parts."""
        ids, group = scenario_numbers(self.scenarios, self._chunk), None
        for problem, policy in self._plans():
            at = in_scenarios(unstored(problem), self._chunk)
            (results, (used, _, _)), _ = sweep_plan(at, policy, self._prices, ids, self._purpose)
            summed = lambda leaf: np.asarray(own_part(leaf), np.float64).sum()
            sums = jax.tree.map(summed, (results.objective, results.terms))
            own = (jax.tree.map(lambda leaf: np.asarray(own_part(leaf), np.float64), used), sums)
            group = own if group is None else jax.tree.map(np.add, group, own)
        if group is None:
            raise ValueError("a catalog has at least one part")
        self._groups.append(self._summed(group[0]))
        self._sums = group[1] if self._sums is None else jax.tree.map(np.add, self._sums, group[1])

    def upto(self, scenarios: int) -> Sample:
        """Simulate on to this many scenarios in all, rounded up to whole groups."""
        while self.scenarios < scenarios:
            self.advance()
        return self

    def mean_usage(self) -> Usage:
        """Usage of every capacity, over the scenarios so far."""
        return jax.tree.map(lambda *groups: np.mean(groups, axis=0), *self._groups)

    def objective(self) -> float:
        """Objective of all items, over the scenarios so far."""
        return float(self._mean()[0])

    def gross(self) -> float:
        """What all items pay, over the scenarios so far."""
        return float(self._mean()[1].gross)

    def _mean(self) -> tuple[np.ndarray, CostTerms]:
        return sum_over_processes(jax.tree.map(lambda leaf: np.asarray(leaf / len(self._groups)), self._sums))


def sample_of(
    store: AbstractInventoryStore[Items],
    items: Items,
    improved: bool,
    prices: Array,
    chunk: int,
    purpose: int = VALIDATION,
) -> Sample:
    """A sample of the plan that a state of the items holds (`ItemState.plan`)."""
    return Sample(lambda: store.plans(items, improved), prices, chunk, store.summed, purpose)
