"""The verdict on a plan: how its solve ended, and its certificate, from holdout results however they were summed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Array

from meio_jax.certify.certificate import Certificate, cost_interval, relative_violation, worst_by_kind
from meio_jax.certify.holdout import Holdout
from meio_jax.config.settings import Config
from meio_jax.instance import KINDS, Instance
from meio_jax.results import Result
from meio_jax.solver.solve import Solution


@dataclass(frozen=True)
class Verdict:
    """Relative violation `[buckets, resources]`, money that prices charge for it, coupling gap, and the outcome."""

    relative: np.ndarray
    charge: float
    gap: float
    result: Result

    @property
    def largest(self) -> float:
        """Largest relative violation; at least 0."""
        return float(self.relative.max(initial=0))


def judge_plan(instance: Instance, solution: Solution, holdout: Holdout, config: Config) -> Verdict:
    """Whether the plan meets the tolerances on scenarios that it never saw: that, not the search, is the verdict."""
    relative, _ = relative_violation(instance.resources, holdout.usage.used, holdout.usage.wanted)
    charge = _charge(instance, solution.prices, holdout)
    gap = abs(charge) / max(abs(float(holdout.sums.objective)), 1e-12)
    result = solution.result
    if result in (Result.CONVERGED, Result.MAX_STEPS):
        met = float(relative.max(initial=0)) <= config.solve.violation and gap <= config.solve.gap
        result = Result.CONVERGED if met else Result.MAX_STEPS
    return Verdict(relative, charge, gap, result)


def doubts_feasibility(verdict: Verdict, config: Config) -> bool:
    """Whether capacities are missed by so much that a proof should be tried that no plan can meet them."""
    far = verdict.largest > 4 * config.solve.violation
    return verdict.result is Result.MAX_STEPS and bool(config.solve.feasibility_steps) and far


def feasibility_steps(solution: Solution, config: Config) -> int:
    """Steps of the proof per capacity. Five capacities are tried: it may take as long as the search, no longer."""
    return min(config.solve.feasibility_steps, max(solution.steps // 5, 2))


def make_certificate(
    instance: Instance,
    config: Config,
    solution: Solution,
    holdout: Holdout,
    verdict: Verdict,
    *,
    infeasible: list[dict],
    bound: float | None,
    seconds: float,
) -> Certificate:
    """The certificate; a capacity in `infeasible` makes it one of an instance that has no plan."""
    cost, interval = cost_interval(holdout)
    worst = worst_by_kind(instance.resources, holdout, instance.kinds, KINDS, instance.ids.resources)
    result = Result.INFEASIBLE if infeasible else verdict.result
    if not np.isfinite(cost):
        # Whatever else is true of it: a plan whose cost is not a number is none.
        result = Result.NUMERICAL_FAILURE
    return Certificate(
        holdout_cost=cost,
        holdout_cost_ci95=interval,
        holdout_objective=float(holdout.sums.objective),
        holdout_scenarios=holdout.scenarios,
        in_sample_cost=float(solution.best_evaluation.value),
        lagrangian=float(holdout.sums.objective) + verdict.charge,
        lagrangian_label="estimate",
        coupling_gap=verdict.gap,
        largest_violation=max((violation.relative for violation in worst), default=0.0),
        violations=worst,
        clairvoyant_bound=bound,
        clairvoyant_scenarios=config.scenarios.clairvoyant,
        cost_terms={name: float(value) for name, value in vars(holdout.sums.terms).items()},
        result=result.name,
        message=result.message,
        infeasible=infeasible,
        steps=solution.steps,
        seconds=seconds,
    )


def _charge(instance: Instance, prices: Array, holdout: Holdout) -> float:
    """Sum of price times excess on the holdout scenarios."""
    resources = instance.resources
    used, wanted = holdout.usage.used, holdout.usage.wanted
    capacity = np.asarray(resources.capacity, float)
    over = np.where(np.asarray(resources.is_service), capacity * wanted - used, used - capacity)
    return float(np.sum(np.asarray(prices, float) * np.where(np.asarray(resources.present), over, 0)))
