"""The judgement of a plan: holdout, bounds, slack, overrides, and the certificate."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl

from meio_jax.certify.clairvoyant import capacity_rent, clairvoyant_bound, free_of_held
from meio_jax.certify.docks import QueuedDocks, queued_docks, with_mean
from meio_jax.certify.feasibility import OutOfReach, out_of_reach
from meio_jax.certify.holdout import Holdout, evaluate_holdout
from meio_jax.certify.slack import Effort, Slack, estimate_slack
from meio_jax.certify.unit_values import UnitValues, unit_values
from meio_jax.certify.verdict import Verdict, doubts_feasibility, feasibility_steps, judge_plan, make_certificate
from meio_jax.certify.waits import dock_figures
from meio_jax.certify.worlds import at_share
from meio_jax.config.settings import Config
from meio_jax.distributed.sharding import own_part, sum_over_processes
from meio_jax.instance import Instance
from meio_jax.model.network import Network
from meio_jax.model.resources import Resources
from meio_jax.planner.finished import PartPlan, Plan
from meio_jax.planner.fixed_orders import with_fixed_orders
from meio_jax.planner.model import Model, newsvendor_at, per_step
from meio_jax.planner.override_costs import Pricing
from meio_jax.plans.docks import waits_in
from meio_jax.policy import AbstractPolicy
from meio_jax.progress import AbstractProgress, Silent
from meio_jax.results import Result
from meio_jax.solver.first_levels import in_units
from meio_jax.solver.refine import Surroundings
from meio_jax.solver.solve import Solution
from meio_jax.solver.store import AbstractInventoryStore
from meio_jax.solver.subproblem import InventorySubproblem


def clairvoyance_holds(network: Network) -> bool:
    """Whether the clairvoyant bound holds: it begins in the morning of period 0, an evening later than evening orders.

    Where a warm-up is longer than any lead time that evening makes no difference to what is charged.
    """
    longest = max(network.vendor_limit, network.lane_limit)
    return not network.evening or not bool(np.asarray(network.charged)[: longest + 1].any())


def _slack_of(model: Model, solution: Solution, progress: AbstractProgress) -> Slack | None:
    """What items could still save at the final prices; None where that is not asked, or makes no sense any more."""
    config = model.config
    wanted = solution.result in (Result.CONVERGED, Result.MAX_STEPS) and jax.process_count() == 1
    if model.store.memory is not None:
        # What an item could save depends on what all others use, and cost, in the same scenarios.
        return None
    if not config.solve.slack_items or not wanted:
        return None
    progress.stage("slack of the items")
    effort = Effort(items=config.solve.slack_items)
    return estimate_slack(
        model.given,
        solution,
        lambda problem: newsvendor_at(model, problem, solution.list_prices),
        effort,
        stationary=model.stationary,
        seed=config.seed,
        check=progress.check,
    )


class _Sums:
    """What parts add up to: holdout results, and their clairvoyant bounds."""

    def __init__(self) -> None:
        self.holdout: Holdout | None = None
        self.bounds: list[float] = []

    def add(self, holdout: Holdout) -> None:
        total = self.holdout
        shared = lambda h: (h.sums, h.usage, h.regional, h.grouped)
        summed = holdout if total is None else jax.tree.map(np.add, shared(total), shared(holdout))
        self.holdout = holdout if total is None else eqx.tree_at(shared, total, summed)

    def over_all(self, store: AbstractInventoryStore) -> Holdout:
        """Holdout results of all processes together, but for those of items."""
        if self.holdout is None:
            raise ValueError("a catalog has at least one part")
        shared = lambda h: (h.sums, h.usage, h.regional, h.grouped)
        sums, *others = shared(self.holdout)
        everything = (sum_over_processes(sums), *store.summed(tuple(others)))
        whole = eqx.tree_at(shared, self.holdout, everything)
        return dataclasses.replace(whole, usage=at_share(store.resources, whole.usage))

    def bound(self, resources: Resources, prices: jax.Array) -> float | None:
        """The clairvoyant bound of all items, less the rent of all capacities; None where there is none."""
        total = float(sum_over_processes(np.asarray(sum(self.bounds))))
        return total - capacity_rent(resources, prices) if self.bounds and np.isfinite(total) else None


def certify(
    model: Model,
    solution: Solution,
    *,
    progress: AbstractProgress | None = None,
    receive: Callable[[PartPlan], None] | None = None,
) -> Plan:
    """Judge the best plan of a solve on holdout scenarios and write down what can be said about it.

    Args:
        model: What was solved.
        solution: The search.
        progress: Where to report.
        receive: Takes the plan of every part as it is judged; None: they are kept.

    Returns:
        The plan, with its certificate.

    Example:
        >>> from meio_jax.planner import search
        >>> plan = certify(model, search(model))
        >>> low, high = plan.certificate.holdout_cost_ci95
        >>> low <= plan.certificate.holdout_cost <= high
        True
    """
    progress = Silent() if progress is None else progress
    started = time.perf_counter()
    config, sums = model.config, _Sums()
    kept: list[PartPlan] = []
    bounded = config.scenarios.clairvoyant and clairvoyance_holds(model.instance.network)
    model, docks = _at_docks(model, solution, progress)
    progress.stage("holdout and clairvoyant bound" if bounded else "holdout")
    charged = free_of_held(model.instance.resources, solution.prices)
    plans = model.given.plans(solution.state.items, solution.improved)
    parts = zip(model.store.numbers, plans, model.instances(), strict=True)
    for number, (problem, policy), instance in parts:
        holdout = evaluate_holdout(
            problem,
            policy,
            solution.list_prices,
            config.scenarios.holdout,
            chunk=per_step(config),
            check=progress.check,
            times=True,
            shares=None if docks is None else docks.days.shares,
        )
        values = values_of_units(problem, policy, solution, config, progress)
        if bounded:
            sums.bounds.append(_bound_of(problem, charged, config, progress))
        sums.add(holdout)
        own = jax.tree.map(lambda leaf: jnp.asarray(own_part(leaf)), policy)
        if docks is not None:
            # What is decided today knows what passes the docks this morning.
            network = eqx.tree_at(lambda n: n.docks.shares, instance.network, docks.mean())
            instance = dataclasses.replace(instance, network=network)
        overridden = _overrides_of(model, solution, instance, own, progress)
        (kept.append if receive is None else receive)(PartPlan(number, instance, own, holdout, values, overridden))
    total = sums.over_all(model.store)
    slack = _slack_of(model, solution, progress)
    verdict = judge_plan(model.instance, solution, total, config, slack)
    infeasible = _infeasible(model, solution, verdict, total, progress)
    certificate = make_certificate(
        model.instance,
        config,
        solution,
        total,
        verdict,
        infeasible=with_fixed_orders((own.tables for own in model.instances()), [one.as_dict() for one in infeasible]),
        bound=sums.bound(model.instance.resources, charged),
        seconds=solution.seconds + time.perf_counter() - started,
        docks=None if docks is None else dock_figures(docks, waits_in(model.instance, docks), model.instance.ids.nodes),
    )
    return Plan(model, solution, total, certificate, tuple(kept), docks=docks)


def _at_docks(model: Model, solution: Solution, progress: AbstractProgress) -> tuple[Model, QueuedDocks | None]:
    """The model at the queues that its plan causes on holdout scenarios, and these; as it is where nothing queues."""
    shares = solution.state.shared.docks
    if shares is None:
        return model, None
    progress.stage("queues at docks")
    model = dataclasses.replace(model, store=model.store.at_docks(shares))
    docks = queued_docks(
        model.given,
        solution.state.items,
        solution.improved,
        solution.list_prices,
        model.config.scenarios.holdout,
        per_step(model.config),
        progress.check,
    )
    if docks is None:
        return model, None
    if not docks.settled:
        progress.stage(f"queues at docks still move by {docks.change:.3f} periods after {docks.sweeps} sweeps")
    return dataclasses.replace(model, store=with_mean(docks, model.store)), docks


def _infeasible(
    model: Model, solution: Solution, verdict: Verdict, holdout: Holdout, progress: AbstractProgress
) -> list[OutOfReach]:
    """Capacities that no plan can meet, where the plan misses some by so much that this is looked for."""
    config = model.config
    if not doubts_feasibility(verdict, config):
        return []
    progress.stage("feasibility")
    return out_of_reach(
        model.given,
        solution,
        verdict.relative,
        holdout.usage,
        model.instance.ids.resources,
        tolerance=config.solve.violation,
        steps=feasibility_steps(solution, config),
        check=progress.check,
    )


def _bound_of(problem: InventorySubproblem, prices: jax.Array, config: Config, progress: AbstractProgress) -> float:
    """Clairvoyant bound of the items of a part that this process has, before any rent is taken off."""
    count, chunk = config.scenarios.clairvoyant, per_step(config)
    found = clairvoyant_bound(problem, prices, count, chunk=chunk, check=progress.check)
    return float(found.per_item.sum())


def _overrides_of(
    model: Model, solution: Solution, instance: Instance, policy: AbstractPolicy, progress: AbstractProgress
) -> pl.DataFrame | None:
    """Overrides of a part with what they cost; None where the catalog has none."""
    if not instance.census.overridden:
        return None
    around = Surroundings(
        network=instance.network,
        resources=instance.resources,
        profiles=instance.catalog.profiles,
        prices=jnp.asarray(np.asarray(solution.prices)),
        list_prices=jnp.asarray(np.asarray(solution.list_prices)),
        settings=model.problem.settings,
        stationary=model.stationary,
    )
    pricing = Pricing(model.config, instance, policy, model.values.policy.family, around, progress)
    return pricing.frame(failed=solution.result is Result.NUMERICAL_FAILURE)


def values_of_units(
    problem: InventorySubproblem,
    policy: AbstractPolicy,
    solution: Solution,
    config: Config,
    progress: AbstractProgress,
) -> UnitValues | None:
    """What units in stock are worth at the prices of a solve; None where the configuration asks for no scenarios."""
    count = min(config.scenarios.unit_values, config.scenarios.holdout)
    if not count:
        return None
    prices = (solution.prices, solution.list_prices)
    return unit_values(problem, in_units(policy, problem.scale), prices, count, check=progress.check)
