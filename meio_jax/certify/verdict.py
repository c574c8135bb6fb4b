"""The verdict on a plan: how its solve ended, and its certificate, from holdout results however they were summed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meio_jax.certify.certificate import Certificate, cost_interval, excess_on_host, relative_violation, worst_by_kind
from meio_jax.certify.holdout import Holdout
from meio_jax.certify.slack import Slack
from meio_jax.certify.waits import DockFigures
from meio_jax.certify.worlds import held_in, parts_of, risk_of_total
from meio_jax.config.settings import Config
from meio_jax.config.values import total_risk_of
from meio_jax.instance import KINDS, Instance
from meio_jax.model.capacity import charge, gap
from meio_jax.results import Result
from meio_jax.solver.solve import Solution


@dataclass(frozen=True)
class Verdict:
    """Relative violation `[buckets, resources]`, money that prices charge for it, gaps, and the outcome.

    `gap` is the coupling gap and `slack` what items could still save at the prices, both as shares of gross cost.
    """

    relative: np.ndarray
    charge: float
    gap: float
    slack: Slack | None
    result: Result

    @property
    def total_gap(self) -> float:
        """Coupling gap and slack together."""
        return self.gap + (0.0 if self.slack is None else self.slack.share)

    @property
    def largest(self) -> float:
        """Largest relative violation; at least 0."""
        return float(self.relative.max(initial=0))


def judge_plan(
    instance: Instance, solution: Solution, holdout: Holdout, config: Config, slack: Slack | None = None
) -> Verdict:
    """Whether the plan meets the tolerances on scenarios that it never saw: that, not the search, is the verdict."""
    usage, usual = holdout.usage, solution.usual
    relative, _ = relative_violation(instance.resources, usage.used, usage.wanted, usual)
    charged = float(
        charge(np.asarray(solution.prices, float), excess_on_host(instance.resources, usage.used, usage.wanted))
    )
    coupling = float(gap(charged, float(holdout.sums.terms.gross)))
    result = solution.result
    if result in (Result.CONVERGED, Result.MAX_STEPS):
        # A slack that its own error explains is none.
        beyond = 0.0 if slack is None else max(slack.share - 2 * slack.error, 0.0)
        met = float(relative.max(initial=0)) <= config.solve.violation and coupling + beyond <= config.solve.gap
        result = Result.CONVERGED if met else Result.MAX_STEPS
    return Verdict(relative, charged, coupling, slack, result)


def advice(verdict: Verdict, config: Config) -> str:
    """Which tolerances were missed, by how much, and what helps against each."""
    options = config.solve
    missed = []
    if verdict.largest > options.violation:
        missed.append(
            f"A capacity is {verdict.largest:.2%} over (tolerance {options.violation:.2%}): raise it, or search on "
            "with `solve.max_steps` or a warm start."
        )
    if verdict.gap > options.gap:
        missed.append(
            f"The coupling gap is {verdict.gap:.2%} of gross cost (tolerance {options.gap:.2%}): prices and usage do "
            "not agree yet; more `solve.max_steps`, or more `scenarios.per_step` where they swing."
        )
    slack = verdict.slack
    if slack is not None and verdict.gap + max(slack.share - 2 * slack.error, 0) > options.gap >= verdict.gap:
        missed.append(
            f"Items could still save {slack.share:.2%} of gross cost at the prices: a warm start searches their levels "
            "further; so do more `solve.max_steps`."
        )
    return " ".join(missed)


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
    docks: DockFigures | None = None,
) -> Certificate:
    """The certificate; a capacity in `infeasible` makes it one of an instance that has no plan."""
    declared, worlds = instance.tables.settings, holdout.usage.worlds
    law = (declared.world_factor_cv, declared.world_factor_persistence)
    parts = parts_of(*law, config.seed, holdout.scenarios)
    cost, interval = cost_interval(holdout, parts if declared.world_factor_cv > 0 else None)
    names = instance.ids.resources
    kept = held_in(
        instance.resources,
        holdout.usage,
        parts,
        config.solve.violation,
        [KINDS[kind] for kind in instance.kinds],
        names,
    )
    risk = risk_of_total(total_risk_of(config), worlds, parts)
    objective = float(holdout.sums.objective) if risk is None else risk.objective
    worst = worst_by_kind(instance.resources, holdout, verdict.relative, instance.kinds, KINDS, names)
    result = Result.INFEASIBLE if infeasible else verdict.result
    if not np.isfinite(cost):
        # Whatever else is true of it: a plan whose cost is not a number is none.
        result = Result.NUMERICAL_FAILURE
    return Certificate(
        holdout_cost=cost,
        holdout_cost_ci95=interval,
        holdout_objective=objective,
        holdout_scenarios=holdout.scenarios,
        in_sample_cost=float(solution.best_evaluation.value),
        lagrangian=objective + verdict.charge,
        lagrangian_label="estimate",
        coupling_gap=verdict.gap,
        slack=None if verdict.slack is None else verdict.slack.share,
        slack_error=None if verdict.slack is None else verdict.slack.error,
        slack_items=0 if verdict.slack is None else verdict.slack.items,
        total_gap=verdict.total_gap,
        largest_violation=max((violation.relative for violation in worst), default=0.0),
        violations=worst,
        clairvoyant_bound=bound,
        clairvoyant_scenarios=config.scenarios.clairvoyant,
        cost_terms={name: float(value) for name, value in holdout.sums.terms.by_name().items()},
        result=result.name,
        message=result.message if result is not Result.MAX_STEPS else f"{result.message} {advice(verdict, config)}",
        infeasible=infeasible,
        steps=solution.steps,
        seconds=seconds,
        docks=docks,
        held=kept,
        total_risk=risk,
    )
