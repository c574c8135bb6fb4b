"""The tolerances on scenarios that a search never saw, asked before it stops."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
from jaxtyping import Array

from meio_jax.certificate import relative_violation
from meio_jax.config import Config
from meio_jax.holdout import Holdout, evaluate_holdout
from meio_jax.progress import Step
from meio_jax.solve import State
from meio_jax.subproblem import InventorySubproblem, Search

# A part of the holdout scenarios is asked first; a plan that misses the tolerance by this factor is asked no further.
_FIRST_PART, _FAR = 4, 1.5


def confirmation(problem: InventorySubproblem, config: Config, chunk: int) -> Callable[[State, Step], Holdout | None]:
    """What a solve asks when its tolerances are checked: the holdout results of a plan that meets them, else None.

    The results are those that the certificate is made of, so that a plan that meets them is not simulated again.

    Args:
        problem: The item problems, with the capacities as the user gave them.
        config: Tolerances and number of holdout scenarios.
        chunk: Scenarios simulated together.
    """
    options = config.solve
    # Recent means see few scenarios, and the capacities less a margin; a simulation takes as long as many steps.
    worth = options.violation + options.capacity_margin / 2

    def asked(state: State, count: int) -> tuple[Holdout, float, float]:
        plan = cast(Search, state.mean.iterate)
        holdout = evaluate_holdout(problem, problem.policy(plan), plan.list_prices, count, chunk=chunk)
        return holdout, *figures(problem, holdout, state.mean.prices)

    def confirm(state: State, report: Step) -> Holdout | None:
        if report.violation > worth:
            return None
        count = config.scenarios.holdout
        part = count // _FIRST_PART
        if part >= chunk and asked(state, part)[1] > _FAR * options.violation:
            return None
        holdout, violation, gap = asked(state, count)
        return holdout if violation <= options.violation and gap <= options.gap else None

    return confirm


def figures(problem: InventorySubproblem, holdout: Holdout, prices: Array) -> tuple[float, float]:
    """Largest relative violation and coupling gap of holdout results at some prices."""
    resources = problem.resources
    relative, capacity = relative_violation(resources, holdout.usage.used, holdout.usage.wanted)
    size = np.where(np.asarray(resources.present), capacity, 0)
    charge = float(np.sum(np.asarray(prices, float) * relative * size))
    return float(relative.max(initial=0)), abs(charge) / max(abs(float(holdout.sums.objective)), 1e-12)
