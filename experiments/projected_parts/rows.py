"""Rows of a result: what a plan costs per period, item by item, beside a reference."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from truth_families.plan import Effort, cost_rates, find_plan

from meio_jax.certify.holdout import evaluate_holdout
from meio_jax.planner import Plan, prepare
from meio_jax.tables import Tables

Report = Callable[[list[dict]], None]

# Units by which a level is moved to see how it does with whole orders, and the scenarios that decide: of a seed of
# their own, so that they neither train nor judge.
_SHIFTS = (-0.75, -0.6, -0.45, -0.3, -0.15, 0.0, 0.15, 0.3, 0.45, 0.6, 0.75)
_DECIDING, _FIRST_LOOK, _SEED = 2**12, 2**8, 2


def in_whole_units(plan: Plan, tables: Tables, effort: Effort) -> Plan:
    """The plan with every item's one level moved by what suits whole orders best, judged anew on the holdout.

    Levels are searched with orders in fractions of units, and what is ordered is whole.
    """
    prices, config = plan.solution.list_prices, plan.model.config
    deciding = prepare(tables, config.model_copy(update={"seed": _SEED})).problem
    moved = lambda shift: eqx.tree_at(lambda p: p.target, plan.policy, jnp.maximum(plan.policy.target + shift, 0))
    costs = [
        evaluate_holdout(deciding, moved(shift), prices, _DECIDING, chunk=effort.per_step).items.terms.total
        for shift in _SHIFTS
    ]
    best = np.asarray(_SHIFTS, np.float32)[np.argmin(np.stack(costs), axis=0)]
    policy = moved(jnp.asarray(best)[:, None, None, :])
    holdout = evaluate_holdout(plan.model.problem, policy, prices, effort.holdout, chunk=effort.per_step)
    return replace(plan, holdout=holdout)


def planned_rows(
    tables: Tables,
    policy: str,
    effort: Effort,
    labels: Sequence[str],
    reference: np.ndarray | None,
    *,
    stationary: bool,
    correction: Path | None = None,
) -> list[dict]:
    """Plan the items of an instance with a policy, and hold each against its reference (None: its own cost)."""
    started = time.perf_counter()
    if stationary:
        found = find_plan(tables, policy, replace(effort, holdout=_FIRST_LOOK), stationary=True, correction=correction)
        plan = in_whole_units(found, tables, effort)
    else:
        plan = find_plan(tables, policy, effort, stationary=False)
    mean, half = cost_rates(plan)
    against = mean if reference is None else reference
    seconds = round((time.perf_counter() - started) / len(labels), 2)
    return [
        {
            "system": label,
            "policy": policy,
            "reference": float(known),
            "cost": float(cost),
            "half_width": float(width),
            "gap_pct": 100 * float(cost / known - 1),
            "seconds": seconds,
        }
        for label, known, cost, width in zip(labels, against, mean, half, strict=True)
    ]
