"""From the tables of an instance to a judged plan, through the planner's public calls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from meio_jax.certify.certificate import cost_interval
from meio_jax.certify.holdout import evaluate_holdout
from meio_jax.config import Config
from meio_jax.planner import Model, Plan, certify, prepare, search
from meio_jax.plans.decisions import joined
from meio_jax.solver.solve import Solution, State, initial_state
from meio_jax.tables import Tables

_Z95 = 1.959964


@dataclass(frozen=True)
class Steps:
    """Step sizes of a search: of the levels (first and last), of the prices, and over how many steps it averages."""

    first_rate: float
    last_rate: float
    step_size: float
    penalty: float
    averaging: int


# The first search finds the place, the second one settles there: it starts from the mean of the first one's last
# iterates, in which what still swings has been averaged out.
FIRST = Steps(first_rate=0.05, last_rate=0.002, step_size=0.5, penalty=5.0, averaging=150)
SECOND = Steps(first_rate=0.001, last_rate=0.0003, step_size=0.3, penalty=3.0, averaging=100)
VIOLATION = 1e-5


@dataclass(frozen=True)
class Effort:
    """How long a family searches and how well its plans are judged; the same for all of its rows."""

    train: int
    per_step: int
    holdout: int
    first_steps: int
    second_steps: int
    block_items: int = 16

    def quick(self) -> Effort:
        """A tenth of the scenarios and half of the steps: shows that everything runs, not how well."""
        return replace(
            self,
            train=max(self.per_step, self.train // 8),
            holdout=max(self.per_step, self.holdout // 16),
            first_steps=self.first_steps // 2,
            second_steps=self.second_steps // 2,
        )


def configuration(
    policy: str, effort: Effort, *, second: bool, stationary: bool = True, correction: Path | None = None
) -> Config:
    """All settings of a search, written out so that no default of the planner can change a result."""
    count, steps = (effort.second_steps, SECOND) if second else (effort.first_steps, FIRST)
    return Config.model_validate(
        {
            "instance": {"path": "in-memory"},
            "run": "in-memory",
            "seed": 1,
            "precision": "float32",
            "scenarios": {
                "train": effort.train,
                "per_step": effort.per_step,
                "holdout": effort.holdout,
                "clairvoyant": 0,
                "store_gib": 4.0,
            },
            "policy": {"name": policy, "protection": False, "stationary": stationary, "correction": correction},
            "objective": {"name": "expected_cost"},
            "dual": {"name": "augmented", "options": {"step_size": steps.step_size, "penalty": steps.penalty}},
            "fulfilment": {"rounds": 1, "weight_bands": 1, "form": "auto", "dither": 0.0, "damping": 0.0},
            "solve": {
                "max_steps": count,
                "min_steps": count,
                "decay_steps": count,
                "check_every": 10,
                "learning_rate": steps.first_rate,
                "final_learning_rate": steps.last_rate,
                "violation": VIOLATION,
                # As much is kept back as may be exceeded, so that the plan keeps the capacity as given.
                "capacity_margin": VIOLATION,
                "gap": 4e-4,
                "change": 1e-6,
                "averaging": steps.averaging,
                "block_items": effort.block_items,
                "feasibility_steps": 0,
                # Told beside the plan, which it does not change; the truth is what plans are compared with here.
                "slack_items": 0,
            },
        }
    )


def continued(model: Model, solution: Solution) -> State:
    """Where a further search of the same instance starts: at the mean iterate and prices that a search ended with."""
    last = solution.state.shared.mean
    items = model.problem.begin(solution.state.items.mean)
    return initial_state(model.store, model.method, last.prices, last.list_prices, items)


def find_plan(
    tables: Tables, policy: str, effort: Effort, *, stationary: bool = True, correction: Path | None = None
) -> Plan:
    """Plan an instance from the newsvendor start, and judge the plan on holdout scenarios.

    A family without second steps has one search. `correction` is the file of a network, for the policy `neural`.
    """
    first = prepare(tables, configuration(policy, effort, second=False, stationary=stationary, correction=correction))
    if not effort.second_steps:
        return certify(first, search(first))
    model = prepare(tables, configuration(policy, effort, second=True, stationary=stationary, correction=correction))
    return certify(model, search(model, continued(model, search(first))))


def judged_on(tables: Tables, plan: Plan, scenarios: int) -> tuple[float, tuple[float, float]]:
    """Cost of a plan on an instance with other demand than it was made for, and its 95 % interval."""
    config = plan.model.config
    problem = prepare(tables, config).problem
    found = evaluate_holdout(
        problem, plan.policy, plan.solution.list_prices, scenarios, chunk=config.scenarios.per_step
    )
    return cost_interval(found)


def cost_rates(plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Cost of every item per charged period, and half of its 95 % interval, in the order of the items table."""
    instance, items = plan.model.instance, plan.holdout.items
    settings = instance.tables.settings
    periods = settings.periods - settings.warmup_periods
    mean = joined(instance, items.terms.total)
    half = _Z95 * np.sqrt(joined(instance, items.cost_variance) / plan.holdout.scenarios)
    return mean / periods, half / periods
