"""Days lived by the tables of plans: of the command every morning, or of one run's levels in many worlds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from meio_jax.backtest import Execution, Options, Outcome, read_run
from meio_jax.config.settings import Config, make_config
from meio_jax.items.fixed_levels import FixedLevels
from meio_jax.progress import Silent
from meio_jax.runs.run import config_of_run, run_solve
from meio_jax.tables import Tables, write_instance

FREE = Options.unlimited(detail=True)
TERMS = ("purchase", "inbound", "transfer", "handling", "holding", "outbound", "downgrade", "lost_sale", "backorder")


@dataclass(frozen=True)
class Certified:
    """What a run promised: mean cost of the horizon, half of its 95 % interval, and the terms."""

    cost: float
    half: float
    terms: dict[str, float]


def config_for(folder: Path, run: Path, policy: str, *, steps: int = 150, scenarios: int = 256) -> Config:
    """Settings of the solves; the plan alone is wanted, so that neither a bound nor what its levels could still save is
    computed."""
    return make_config(
        instance={"path": folder},
        run=run,
        policy={"name": policy},
        scenarios={"train": scenarios, "holdout": 4 * scenarios, "clairvoyant": 0},
        solve={"max_steps": steps, "feasibility_steps": 0, "slack_items": 0},
        checkpoint={"every": 0},
    )


def solve_first(tables: Tables, work: Path, policy: str, **settings: int) -> Path:
    """`meio solve` of the first morning; returns the run folder."""
    folder, run = work / "instance", work / "run"
    write_instance(tables, folder)
    run_solve(config_for(folder, run, policy, **settings), Silent())
    return run


def certified(run: Path) -> Certified:
    """What the certificate of a run says."""
    found = json.loads((run / "certificate.json").read_text(encoding="utf-8"))
    low, high = found["holdout_cost_ci95"]
    return Certified(found["holdout_cost"], (high - low) / 2, found["cost_terms"])


def by_warm_plans(tables: Tables, first: Path, days: int, seed: int) -> Outcome:
    """A plan every morning, warm from the one of the day before, as `meio solve --warm-start` makes it."""
    execution, run = Execution(tables, days, seed=seed, options=FREE), first
    config = config_of_run(first)
    for day in range(days):
        if day:
            folder = first.parent / f"morning-{day:02d}"
            write_instance(execution.morning(), folder)
            later = first.parent / f"run-{day:02d}"
            changes = {"instance": config.instance.model_copy(update={"path": folder}), "run": later}
            run_solve(config.model_copy(update=changes), Silent(), warm_start=run)
            run = later
        orders, transfers = (pl.read_parquet(run / "plan" / f"{name}.parquet") for name in ("orders", "transfers"))
        execution.execute(orders, transfers, read_run(run))
        execution.finish()
    return execution.outcome()


def at_fixed_levels(tables: Tables, run: Path, days: int, worlds: int, seed: int) -> list[Outcome]:
    """The run's levels every morning, in many worlds: what the certificate says of them, lived by the tables."""
    levels, outcomes = FixedLevels(run, tables.settings), []
    for world in range(worlds):
        execution = Execution(tables, days, seed=seed, replication=world, options=FREE)
        for _ in range(days):
            morning = execution.morning()
            plan = levels.decide(morning)
            execution.execute(plan["plan/orders"], plan["plan/transfers"])
            execution.finish()
        outcomes.append(execution.outcome())
    return outcomes


def term_means(outcomes: list[Outcome]) -> dict[str, float]:
    """Mean of every cost term over worlds."""
    return {name: float(np.mean([one.items[name].sum() for one in outcomes])) for name in (*TERMS, "terminal")}


def mean_and_half(outcomes: list[Outcome], demand: float) -> tuple[float, float]:
    """Mean cost of a world, and half of its 95 % interval; equal items are so many samples.

    Most of the noise of a cost is that of the units asked for, whose mean is known: it is taken out by regression.

    Args:
        outcomes: Worlds.
        demand: Mean demand of an item over the days lived.
    """
    cost = np.concatenate([one.item_costs for one in outcomes])  # worlds x items
    asked = np.concatenate([one.item_demand for one in outcomes]).astype(float)
    slope = np.cov(cost.ravel(), asked.ravel())[0, 1] / max(asked.var(ddof=1), 1e-12)
    adjusted = cost - slope * (asked - demand)
    half = 1.96 * adjusted.std(ddof=2) / np.sqrt(cost.size) * cost.shape[1]
    return float(adjusted.sum(1).mean()), float(half)
