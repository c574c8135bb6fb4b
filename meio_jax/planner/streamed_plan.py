"""The plan of a catalog in parts: judged on holdout scenarios, written part by part, certified as a whole."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl

from meio_jax.certify.certificate import Certificate
from meio_jax.certify.holdout import Holdout, evaluate_holdout
from meio_jax.certify.verdict import doubts_feasibility, judge_plan, make_certificate
from meio_jax.distributed.sharding import own_part
from meio_jax.planner.planning import per_step, values_of_units
from meio_jax.planner.streamed_proof import out_of_reach
from meio_jax.planner.streaming import StreamedModel, best_policies, read_ahead
from meio_jax.plans.flows import ORDER, merged_flows
from meio_jax.plans.order_system import fulfilment_frame
from meio_jax.plans.tables import SHARED_TABLES, metrics_frame, plan_frames, prices_frame
from meio_jax.policy import AbstractPolicy
from meio_jax.progress import AbstractProgress, Silent
from meio_jax.results import Result
from meio_jax.solver.solve import Solution
from meio_jax.solver.subproblem import InventorySubproblem
from meio_jax.tables import Tables, write_table


@dataclass(frozen=True)
class StreamedPlan:
    """A finished plan whose tables are in its run folder."""

    model: StreamedModel
    solution: Solution
    certificate: Certificate

    @property
    def result(self) -> Result:
        """How the solve ended."""
        return Result[self.certificate.result]


class _Sums:
    """What parts add up to: holdout results, flows, and the clairvoyant bound."""

    def __init__(self) -> None:
        self.holdout: Holdout | None = None
        self.flows: dict[str, pl.DataFrame] = {}
        self.bound = 0.0

    def add(self, holdout: Holdout) -> None:
        total = self.holdout
        if total is None:
            self.holdout = holdout
            return
        shared = lambda h: (h.sums, h.usage, h.regional)
        self.holdout = eqx.tree_at(shared, total, jax.tree.map(np.add, shared(total), shared(holdout)))

    def add_flows(self, name: str, frame: pl.DataFrame) -> None:
        before = [self.flows[name]] if name in self.flows else []
        self.flows[name] = merged_flows([*before, frame], name)


def write_streamed_plan(
    model: StreamedModel, solution: Solution, folder: Path, *, progress: AbstractProgress | None = None
) -> StreamedPlan:
    """Judge the best plan on holdout scenarios and write its tables.

    A table with a row per item becomes a folder of one Parquet file per part; the others are files as ever.

    Returns:
        The plan with its certificate, which is not written.
    """
    progress = Silent() if progress is None else progress
    started = time.perf_counter()
    config, instance = model.config, model.first.instance
    unfinished = folder / "plan" / ".parts"
    shutil.rmtree(unfinished, ignore_errors=True)
    sums = _Sums()
    progress.stage("holdout" + (" and clairvoyant bound" if config.scenarios.clairvoyant else ""))
    parts = zip(best_policies(model, solution), read_ahead(model.source, model.stream.files), strict=True)
    for (part, problem, policy), tables in parts:
        _write_part(model, solution, (part, problem, policy), tables, unfinished, sums, progress)
    if sums.holdout is None:
        raise ValueError("a source has at least one part")
    for table in sorted(unfinished.iterdir()):
        table.replace(folder / "plan" / table.name)
    unfinished.rmdir()
    for name, frame in sums.flows.items():
        write_table(frame, folder / f"{name}.parquet")
    prices = prices_frame(instance, np.asarray(solution.prices), sums.holdout, np.asarray(solution.state.usual))
    write_table(prices, folder / "prices.parquet")
    ranked = fulfilment_frame(instance, np.asarray(solution.prices), model.first.problem.settings.rounds)
    write_table(ranked, folder / "plan" / "fulfilment.parquet")
    write_table(metrics_frame(solution), folder / "metrics.parquet")
    verdict, infeasible = judge_plan(instance, solution, sums.holdout, config), []
    if doubts_feasibility(verdict, config):
        progress.stage("feasibility")
        infeasible = out_of_reach(model, solution, verdict.relative, progress.check)
    certificate = make_certificate(
        instance,
        config,
        solution,
        sums.holdout,
        verdict,
        infeasible=[one.as_dict() for one in infeasible],
        bound=_bound(model, solution, sums),
        seconds=solution.seconds + time.perf_counter() - started,
    )
    return StreamedPlan(model, solution, certificate)


def _write_part(
    model: StreamedModel,
    solution: Solution,
    at: tuple[int, InventorySubproblem, AbstractPolicy],
    tables: Tables,
    folder: Path,
    sums: _Sums,
    progress: AbstractProgress,
) -> None:
    part, problem, policy = at
    config, check = model.config, progress.check
    holdout = evaluate_holdout(
        problem,
        policy,
        solution.best.list_prices,
        config.scenarios.holdout,
        chunk=per_step(config),
        check=check,
        times=True,
    )
    own = jax.tree.map(lambda leaf: jnp.asarray(own_part(leaf)), policy)
    values = values_of_units(problem, policy, solution, config, progress)
    frames = plan_frames(
        model.counted.instance(tables),
        own,
        solution,
        holdout,
        rounds=problem.settings.rounds,
        values=values,
        daily=config.output.daily_orders,
        exceptions=config.exceptions,
        first=part == 0,
    )
    for name, frame in frames:
        if name in ORDER:
            sums.add_flows(name, frame)
        elif name not in SHARED_TABLES:
            table = folder / Path(name).name
            table.mkdir(parents=True, exist_ok=True)
            write_table(frame, table / f"part-{part:05d}.parquet")
    if config.scenarios.clairvoyant:
        from meio_jax.certify.clairvoyant import clairvoyant_bound

        found = clairvoyant_bound(
            problem, solution.prices, config.scenarios.clairvoyant, chunk=per_step(config), check=check
        )
        sums.bound += float(np.sum(found.per_item))
    sums.add(holdout)


def _bound(model: StreamedModel, solution: Solution, sums: _Sums) -> float | None:
    if not model.config.scenarios.clairvoyant or not np.isfinite(sums.bound):
        return None
    from meio_jax.certify.clairvoyant import capacity_rent

    return sums.bound - capacity_rent(model.first.instance.resources, solution.prices)
