"""What one more unit does: derivatives and differences of every cost term of one item, on given scenarios.

The simulated cost is differentiated along each path (pathwise or infinitesimal perturbation analysis, Glasserman 1991),
term by term, so the derivatives add up to the derivative of what was minimised: zero at an inner optimum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from meio_jax.distributed.kept_programs import kept_jit
from meio_jax.model.costs import CostTerms
from meio_jax.model.network import ItemBlock, Network
from meio_jax.model.resources import Resources, excess, tail_charge, usage
from meio_jax.objective import ScenarioCosts
from meio_jax.policy import AbstractPolicy
from meio_jax.scenarios.sampling import Scenarios
from meio_jax.simulation.gradients import checkpointed
from meio_jax.simulation.outcome import Outcome
from meio_jax.simulation.preferences import PreferenceLists
from meio_jax.simulation.rollout import rollout
from meio_jax.solver.subproblem import Settings, planned_costs, reported_costs

COST_TERMS = tuple(CostTerms.__annotations__)
"""Names of the cost terms, in the order of `CostTerms`."""


class OneItem(eqx.Module):
    """The problem of one item at given prices: everything but its policy and its stock.

    `kind_rows [kinds, resources]` marks the resources of every kind; `prices` are those at which capacity is charged,
    `lists` the fulfilment lists that were made of them.
    """

    network: Network
    resources: Resources
    settings: Settings
    block: ItemBlock
    prices: Float[Array, "buckets resources"]
    lists: PreferenceLists
    kind_rows: Float[Array, "kinds resources"]


class Weights(eqx.Module):
    """Weight of every scenario in the objective: its derivative by each figure that an objective sees."""

    total: Float[Array, " scenarios"]
    revenue: Float[Array, " scenarios"]
    lost_revenue: Float[Array, " scenarios"]
    carbon: Float[Array, " scenarios"]


class Terms(eqx.Module):
    """Money of one item over the charged horizon, split: cost terms, other parts of the objective, priced usage."""

    cost: Float[Array | np.ndarray, " cost_terms *axes"]
    other: Float[Array | np.ndarray, "*axes"]
    charge: Float[Array | np.ndarray, " kinds *axes"]

    @property
    def total(self) -> Any:
        """Objective plus charges, `[*axes]`: an array, or a scalar where NumPy sums without axes."""
        return self.cost.sum(0) + self.other + self.charge.sum(0)

    def minus(self, before: Terms) -> Terms:
        """What changed."""
        return jax.tree.map(lambda now, then: now - then, self, before)


class Amounts(eqx.Module):
    """What is held, ordered and used, not in money.

    `held` is unit-days of stock by node, `ordered` units that a node orders of vendors and other nodes, `used` the use
    of each resource by bucket.
    """

    held: Float[Array | np.ndarray, " nodes"]
    ordered: Float[Array | np.ndarray, " nodes"]
    used: Float[Array | np.ndarray, "buckets resources"]


def _simulate(
    problem: OneItem, policy: AbstractPolicy, on_hand: Array, scenarios: Scenarios, *, whole: bool = False
) -> Outcome:
    block = eqx.tree_at(lambda b: b.on_hand, problem.block, on_hand)
    settings = problem.settings
    form = settings.form
    return rollout(
        problem.network, policy, block, scenarios, problem.lists, form=form, gradient=checkpointed, whole=whole
    )


@kept_jit
def item_costs(problem: OneItem, policy: AbstractPolicy, on_hand: Array, scenarios: Scenarios) -> ScenarioCosts:
    """Scenario costs of the item."""
    return planned_costs(problem.block, _simulate(problem, policy, on_hand, scenarios))


@kept_jit
def scenario_weights(settings: Settings, costs: ScenarioCosts) -> Weights:
    """Derivative of the objective of the item by the figures of every scenario."""
    slope = jax.grad(lambda seen: jnp.sum(settings.objective(seen)))(costs)
    return Weights(slope.total[0], slope.revenue[0], slope.lost_revenue[0], slope.carbon[0])


def _terms(
    problem: OneItem, weights: Weights, scenarios: Scenarios, policy: AbstractPolicy, on_hand: Array
) -> tuple[Terms, Amounts]:
    """Weighted terms of a batch of scenarios; `weights` are those of these scenarios."""
    outcome = _simulate(problem, policy, on_hand, scenarios)
    cost, other = _weighted(outcome.whole_costs, planned_costs(problem.block, outcome), weights)
    totals = usage(problem.resources, outcome.flows, problem.block)
    charged = jnp.sum(problem.prices * excess(problem.resources, totals), axis=0)
    if problem.network.tail_buckets:
        charged = charged + tail_charge(problem.resources, outcome.tail_flows, problem.block, problem.prices)[:, 0]
    charge = problem.kind_rows @ charged
    return Terms(cost, other, charge), _amounts(problem, outcome, totals.used)


def _weighted(
    terms: CostTerms, costs: ScenarioCosts, weights: Weights
) -> tuple[Float[Array, " cost_terms"], Float[Array, ""]]:
    """Weighted cost terms, and the other parts of the objective, of one item."""
    other = (
        costs.revenue[0] @ weights.revenue
        + costs.lost_revenue[0] @ weights.lost_revenue
        + costs.carbon[0] @ weights.carbon
    )
    nothing = jnp.zeros_like(other)
    found = terms.by_name()
    return jnp.stack([found[n] @ weights.total if n in found else nothing for n in COST_TERMS]), other


def _amounts(problem: OneItem, outcome: Outcome, used: Float[Array, "buckets resources"]) -> Amounts:
    """Amounts of the reported horizon."""
    network, flows = problem.network, outcome.flows
    held = jnp.sum(flows.stock, axis=0)[:, 0]
    ordered = jnp.zeros_like(held)
    for nodes, units in ((network.offer_node, flows.offer), (network.lane_to, flows.lane)):
        if nodes:
            ordered = ordered.at[jnp.asarray(nodes)].add(jnp.sum(units, axis=0)[:, 0])
    return Amounts(held, ordered, used)


@kept_jit
def _slopes(
    problem: OneItem,
    weights: Weights,
    scenarios: Scenarios,
    policy: AbstractPolicy,
    leaf: Callable[[AbstractPolicy], Any],
) -> tuple[Terms, Terms]:
    def money(level: Array, on_hand: Array) -> Array:
        terms, _ = _terms(problem, weights, scenarios, eqx.tree_at(leaf, policy, level), on_hand)
        return jnp.concatenate([terms.cost, terms.other[None], terms.charge])

    tables = jax.jacrev(money, argnums=(0, 1))(leaf(policy), problem.block.on_hand)
    ends = (len(COST_TERMS), len(COST_TERMS) + 1)
    by_level, by_stock = (Terms(t[: ends[0]], t[ends[0]], t[ends[1] :]) for t in (table[..., 0] for table in tables))
    return by_level, by_stock


_value = kept_jit(_terms)


@kept_jit
def _reported(
    problem: OneItem, weights: Weights, scenarios: Scenarios, policy: AbstractPolicy
) -> tuple[Terms, Amounts]:
    """Weighted terms of a batch over the reported horizon, in whole units: the figures of a plan's tables."""
    outcome = _simulate(problem, policy, problem.block.on_hand, scenarios, whole=True)
    cost, other = _weighted(outcome.costs, reported_costs(problem.block, outcome), weights)
    totals = usage(problem.resources, outcome.flows, problem.block)
    charge = problem.kind_rows @ jnp.sum(problem.prices * excess(problem.resources, totals), axis=0)
    return Terms(cost, other, charge), _amounts(problem, outcome, totals.used)


_Sums = TypeVar("_Sums")


class Batches(eqx.Module):
    """Scenarios of the item in batches of equal size, so that memory does not grow with their number."""

    parts: list[Scenarios]

    def costs(self, problem: OneItem, policy: AbstractPolicy) -> ScenarioCosts:
        """Scenario costs of all batches, one after the other."""
        found = [item_costs(problem, policy, problem.block.on_hand, part) for part in self.parts]
        return jax.tree.map(lambda *leaves: jnp.asarray(np.concatenate(leaves, axis=-1)), *found)

    def total(self, each: Callable[[Scenarios, Weights], _Sums], weights: Weights) -> _Sums:
        """Sum over batches of a function of scenarios and their weights."""
        count, total = len(self.parts), None
        for number, part in enumerate(self.parts):
            own = jax.tree.map(lambda leaf, at=number: np.split(np.asarray(leaf), count)[at], weights)
            found = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), each(part, own))
            total = found if total is None else jax.tree.map(np.add, total, found)
        assert total is not None
        return total

    def _averaged(self, terms: Terms) -> Terms:
        """Charges are means over a batch, all else is weighted: bring both to all scenarios."""
        return eqx.tree_at(lambda t: t.charge, terms, terms.charge / len(self.parts))

    def slopes(
        self, problem: OneItem, weights: Weights, policy: AbstractPolicy, leaf: Callable[[AbstractPolicy], Any]
    ) -> tuple[Terms, Terms]:
        """Derivatives of every term.

        Args:
            problem: The item at its prices.
            weights: Weight of every scenario in the objective.
            policy: Parameters in units, without a block axis.
            leaf: Picks the parameter, `[buckets, nodes, 1]`.

        Returns:
            By the parameter, `[terms, buckets, nodes]`, and by the stock at the start, `[terms, nodes]`.
        """
        each = lambda part, own: _slopes(problem, own, part, policy, leaf)
        by_level, by_stock = self.total(each, weights)
        return self._averaged(by_level), self._averaged(by_stock)

    def reported(self, problem: OneItem, weights: Weights, policy: AbstractPolicy) -> tuple[Terms, Amounts]:
        """Every term, and what is held and used, as the tables of a plan report them."""
        terms, amounts = self.total(lambda part, own: _reported(problem, own, part, policy), weights)
        return self._averaged(terms), jax.tree.map(lambda leaf: leaf / len(self.parts), amounts)

    def value(self, problem: OneItem, weights: Weights, policy: AbstractPolicy) -> tuple[Terms, Amounts]:
        """Every term, and what is held and used, at one policy, as the search sees them: with the tail."""
        each = lambda part, own: _value(problem, own, part, policy, problem.block.on_hand)
        terms, amounts = self.total(each, weights)
        return self._averaged(terms), jax.tree.map(lambda leaf: leaf / len(self.parts), amounts)
