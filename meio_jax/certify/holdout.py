"""Evaluation of a finished plan on scenarios that it was never optimised on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from meio_jax.certify.order_times import KEPT, OrderTimes, OrderTimesSum
from meio_jax.distributed.sharding import over_items, own_part, sum_over_processes
from meio_jax.model.catalog import draw
from meio_jax.model.costs import CostTerms, UnitTerms
from meio_jax.model.network import Network
from meio_jax.model.resources import Resources, Usage, usage
from meio_jax.policy import AbstractPolicy
from meio_jax.scenarios.sampling import HOLDOUT, VALIDATION, Scenarios
from meio_jax.simulation.outcome import Record
from meio_jax.simulation.rollout import rollout
from meio_jax.simulation.serve import Regional
from meio_jax.simulation.timing import Timing
from meio_jax.solver.store import AbstractInventoryStore, Items
from meio_jax.solver.subproblem import InventorySubproblem, Settings, block_lists, reported_costs


class ItemResults(eqx.Module):
    """Holdout results of every item: means over scenarios, horizon totals.

    `objective` and `cost_variance` (of the scenario cost) are per item; `stock` is mean units on hand per charged
    period by node, the other node tables are units over the horizon; `speed_*` have rows speed x nodes + node.
    `by_bucket` are units ordered and shipped, by offer slot and lane.
    """

    objective: Float[Array, "*blocks items"]
    cost_variance: Float[Array, "*blocks items"]
    terms: CostTerms
    units: UnitTerms
    stock: Float[Array, "*blocks nodes items"]
    received: Float[Array, "*blocks nodes items"]
    shipped: Float[Array, "*blocks nodes items"]
    lane: Float[Array, "*blocks lanes items"]
    ordered: Float[Array, "*blocks offers items"]
    speed_units: Float[Array, "*blocks speed_nodes items"]
    speed_cost: Float[Array, "*blocks speed_nodes items"]
    by_bucket: Float[Array, "*blocks buckets sources items"]


class ItemSums(eqx.Module):
    """Sums over items."""

    objective: Float[np.ndarray, ""]
    cost_variance: Float[np.ndarray, ""]
    terms: CostTerms


class Holdout(eqx.Module):
    """Results of the items of this process and what they add up to; usage and flows by region of all its devices.

    `times` says when the items of this process are ordered; None where that was not asked for.
    """

    items: ItemResults
    sums: ItemSums
    usage: Usage
    regional: Regional
    scenarios: int = eqx.field(static=True)
    times: OrderTimes | None = None


def _block_results(
    network: Network, resources: Resources, settings: Settings, scenarios: Scenarios, at: tuple, prices: Array
) -> tuple[tuple[ItemResults, Timing], tuple[Usage, Regional]]:
    block, policy = at
    lists = block_lists(network, resources, settings, block, prices)
    samples = scenarios.demand.shape[-1] // block.items
    record = Record(by_speed=True, orders=min(KEPT, samples))
    outcome = rollout(network, policy, block, scenarios, lists, form=settings.form, record=record, whole=True)
    costs = reported_costs(block, outcome)
    days = jnp.maximum(jnp.sum(network.charged), 1)

    def per_item(leaf: Array) -> Array:
        return block.live * jnp.mean(leaf.reshape(block.items, -1), axis=-1)

    flows = jax.tree.map(lambda leaf: block.live * jnp.sum(leaf, axis=0), outcome.flows)
    results = ItemResults(
        objective=block.live * settings.objective(costs),
        cost_variance=block.live * jnp.var(costs.total, axis=-1),
        terms=jax.tree.map(per_item, outcome.costs),
        units=jax.tree.map(per_item, outcome.units),
        stock=flows.stock / days,
        received=flows.inbound,
        shipped=flows.outbound,
        lane=flows.lane,
        ordered=flows.offer,
        speed_units=block.live * jnp.sum(outcome.speed_units, axis=0),
        speed_cost=block.live * jnp.sum(outcome.speed_cost, axis=0),
        by_bucket=block.live * jnp.concatenate([outcome.flows.offer, outcome.flows.lane], axis=1),
    )
    timing = outcome.timing
    assert timing is not None  # it was asked for
    live = lambda leaf: block.live * leaf
    timing = Timing(live(timing.daily), live(timing.lines), block.live[:, None] * timing.kept)
    return (results, timing), (usage(resources, outcome.flows, block), outcome.regional)


@eqx.filter_jit
def _sweep(problem: InventorySubproblem, policy: AbstractPolicy, prices: Array, ids: Array, purpose: Array) -> tuple:
    settings = problem.settings
    dtype = problem.item_scale.dtype
    table = jnp.zeros(problem.resources.capacity.shape, dtype)
    nothing = Regional.zeros(problem.network, dtype, record=True)
    buckets = problem.network.buckets
    regional = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (buckets, *leaf.shape)), nothing)

    def local(shared: tuple, at: tuple) -> tuple[tuple[Usage, Regional], tuple[ItemResults, Timing]]:
        network, resources, profiles, zeros, prices, ids, purpose = shared

        def one_block(total: tuple, at: tuple) -> tuple[tuple[Usage, Regional], tuple[ItemResults, Timing]]:
            leaves, block_policy = at
            scenarios = draw(settings.scenarios, profiles, leaves, ids, purpose=purpose)
            one = (leaves[0], block_policy)
            results, used = _block_results(network, resources, settings, scenarios, one, prices)
            return jax.tree.map(jnp.add, total, used), results

        return jax.lax.scan(one_block, zeros, at)

    zeros = (Usage(table, table), regional)
    shared = (problem.network, problem.resources, problem.catalog.profiles, zeros, prices, ids, purpose)
    used, (results, timing) = over_items(local, problem.mesh)(shared, (problem.catalog.per_block(), policy))
    return (results, used), timing


def _unstored(problem: InventorySubproblem) -> InventorySubproblem:
    """The problem without its stored training scenarios, which are not those of a judgement."""
    return eqx.tree_at(lambda p: p.catalog.scenarios, problem, None, is_leaf=lambda leaf: leaf is None)


def _next(first: int, count: int) -> Array:
    """Numbers of the next scenarios."""
    return jnp.arange(first, first + count, dtype=jnp.int32)


def _array(purpose: int) -> Array:
    """What scenarios are for, as an argument: plans are compared and certified by one compiled program."""
    return jnp.asarray(purpose, jnp.uint32)


Plans = Callable[[], Iterable[tuple[InventorySubproblem, AbstractPolicy]]]
"""Problem and policy of every part of a catalog, as often as they are asked for."""


class Sample:
    """What the plan of a whole catalog uses and costs on validation scenarios, a few of them at a time.

    Args:
        plans: The parts of the catalog with their policies, in units of stock.
        prices: Prices that rank the fulfilment options, `[buckets, resources]`.
        chunk: Scenarios simulated together.
        summed: Adds up what the parts of all processes use, where each has parts of its own.
    """

    def __init__(
        self, plans: Plans, prices: Array, chunk: int, summed: Callable[[Usage], Usage] = lambda usage: usage
    ) -> None:
        self._plans, self._prices, self._chunk, self._summed = plans, prices, chunk, summed
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
        ids, group = _next(self.scenarios, self._chunk), None
        for problem, policy in self._plans():
            (results, (used, _)), _ = _sweep(_unstored(problem), policy, self._prices, ids, _array(VALIDATION))
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


def sample_of(store: AbstractInventoryStore[Items], items: Items, improved: bool, prices: Array, chunk: int) -> Sample:
    """A sample of the plan that a state of the items holds (`ItemState.plan`)."""
    return Sample(lambda: store.plans(items, improved), prices, chunk, store.summed)


class Tally:
    """Holdout results of one plan, summed up a few scenarios at a time, so that memory stays that of a step.

    Args:
        problem: The item problems; stored training scenarios are ignored.
        policy: Parameters in units, with a leading block axis.
        prices: Prices that rank the fulfilment options, `[buckets, resources]`.
        chunk: Scenarios simulated together.
        check: Called before each of them; it may raise to end the work.
        times: Whether the results say when items are ordered.
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
    ) -> None:
        self.check = check
        self._problem = _unstored(problem)
        self._policy, self._prices, self._chunk = policy, prices, chunk
        self._total: Any = None
        self._groups = 0
        self._times = OrderTimesSum() if times else None

    @property
    def scenarios(self) -> int:
        """Scenarios simulated so far."""
        return self._groups * self._chunk

    def advance(self) -> None:
        """Simulate the next scenarios."""
        self.check()
        ids = _next(self.scenarios, self._chunk)
        swept, timing = _sweep(self._problem, self._policy, self._prices, ids, _array(HOLDOUT))
        if self._times is not None:
            self._times.add(jax.tree.map(own_part, timing))
        part = jax.tree.map(lambda leaf: np.asarray(own_part(leaf), np.float64), swept)
        mean_square = part[0].terms.total ** 2 + part[0].cost_variance
        part = eqx.tree_at(lambda pair: pair[0].cost_variance, part, mean_square)
        self._total = part if self._total is None else jax.tree.map(np.add, self._total, part)
        self._groups += 1

    def upto(self, scenarios: int) -> Holdout:
        """Simulate on to this many scenarios in all (rounded up to whole chunks), and give the results."""
        while not self._groups or self.scenarios < scenarios:
            self.advance()
        return self._results()

    def _results(self) -> Holdout:
        results, (used, regional) = jax.tree.map(lambda leaf: leaf / self._groups, self._total)
        variance = np.maximum(results.cost_variance - results.terms.total**2, 0)
        variance = variance * self.scenarios / max(self.scenarios - 1, 1)
        items = eqx.tree_at(lambda r: r.cost_variance, results, variance)
        own = (items.objective, items.cost_variance, items.terms)
        sums = ItemSums(*jax.tree.map(lambda leaf: np.asarray(leaf.sum()), own))
        times = None if self._times is None else self._times.result()
        return Holdout(items, sums, used, regional, self.scenarios, times)


def evaluate_holdout(
    problem: InventorySubproblem,
    policy: AbstractPolicy,
    prices: Float[Array, "buckets resources"],
    scenarios: int,
    *,
    chunk: int = 16,
    check: Callable[[], None] = lambda: None,
    times: bool = False,
) -> Holdout:
    """Simulate a plan on holdout scenarios: a `Tally` in one call."""
    return Tally(problem, policy, prices, chunk, check, times=times).upto(scenarios)
