"""Whole runs: interrupted and resumed, in double precision, infeasible; and what the command says about them."""

import json
import shutil
from pathlib import Path

import jax
import polars as pl
import pytest
from helpers import close
from polars.testing import assert_frame_equal
from small_runs import SOLVE, Command, Finished, config_content, usual_promotion, write_config
from tiny import tiny_frames, tiny_settings

from meio_jax.config import load_config
from meio_jax.planner import Plan
from meio_jax.progress import AbstractProgress, Silent, Step
from meio_jax.results import Result
from meio_jax.runs.run import run_solve
from meio_jax.tables import Tables, write_instance


class StopAfter(AbstractProgress):
    """Asks to stop after some steps, as Ctrl-C does."""

    def __init__(self, steps: int) -> None:
        self.steps, self.seen = steps, 0

    def update(self, step: Step) -> None:
        self.seen = step.step

    def should_stop(self) -> bool:
        return self.seen >= self.steps


def tables_of(run: Path) -> dict[str, pl.DataFrame]:
    paths = [*run.glob("plan/*.parquet"), run / "prices.parquet", run / "metrics.parquet"]
    return {str(path.relative_to(run)): pl.read_parquet(path) for path in paths}


def solved(content: dict, home: Path, progress: AbstractProgress) -> Plan:
    with usual_promotion():
        return run_solve(load_config(write_config(home / "config.yaml", content)), progress)


def test_a_resumed_run_is_the_run_that_never_stopped(
    meio: Command, finished: Finished, tiny_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    plan = solved(config_content(tiny_folder, run), tmp_path, StopAfter(3))
    assert plan.result is Result.INTERRUPTED
    assert set(tables_of(run)) == set(tables_of(finished.folder)), "an interrupted run writes its best plan"
    assert pl.read_parquet(run / "metrics.parquet").height == 3
    called = meio("resume", run)
    assert called.status == Result.MAX_STEPS.value, called.err
    assert "max_steps" in called.err
    assert_same_tables(run, finished.folder)


def assert_same_tables(run: Path, other: Path) -> None:
    """The tables of two runs are the same to the last bit, but for the clock."""
    found = tables_of(other)
    for name, frame in tables_of(run).items():
        same = [column for column in frame.columns if column != "seconds"]
        assert_frame_equal(frame.select(same), found[name].select(same), check_exact=True)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_plan(finished: Finished, tiny_folder: Path, tmp_path: Path) -> None:
    content = config_content(tiny_folder, tmp_path / "run")
    solved(content, tmp_path, Silent())
    ours, theirs = tables_of(tmp_path / "run"), tables_of(finished.folder)
    assert set(ours) == set(theirs)
    for name, frame in ours.items():
        same = [column for column in frame.columns if column != "seconds"]
        assert_frame_equal(frame.select(same), theirs[name].select(same), check_exact=True)


def test_resuming_under_another_configuration_is_refused(meio: Command, finished: Finished, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    text = (run / "config.yaml").read_text(encoding="utf-8")
    (run / "config.yaml").write_text(text.replace("seed: 0", "seed: 1"), encoding="utf-8")
    called = meio("resume", run)
    assert called.status == 2
    assert "checkpoint" in called.err
    assert "seed" in called.err


@pytest.mark.slow
def test_double_precision_agrees(finished: Finished, tiny_folder: Path, tmp_path: Path) -> None:
    content = config_content(tiny_folder, tmp_path / "run", precision="float64", checkpoint={"every": 0})
    content["solve"] = {**SOLVE, "slack_items": 0}
    try:
        plan = solved(content, tmp_path, StopAfter(100))
    finally:
        jax.config.update("jax_enable_x64", False)
    ours, theirs = finished.plan, plan
    # One evaluation: sums of float32 over three items and two weeks.
    close(ours.solution.history[0].cost, theirs.solution.history[0].cost, tolerance=2e-5)
    # Six Adam steps amplify rounding where a gradient is close to zero; a percent of the cost would be a bug.
    close(ours.certificate.holdout_cost, theirs.certificate.holdout_cost, tolerance=2e-3)


@pytest.mark.slow
def test_an_impossible_capacity_is_named(meio: Command, tmp_path: Path) -> None:
    frames = tiny_frames()
    kind = pl.col("kind")
    wide = pl.when(kind == "service").then(1e-6).otherwise(1e6)
    frames["resources"] = frames["resources"].with_columns(
        capacity=pl.when(kind == "storage").then(1e-4).otherwise(wide)
    )
    instance = write_instance(Tables.from_frames(tiny_settings(), **frames), tmp_path / "instance")
    options = {**SOLVE, "max_steps": 3, "feasibility_steps": 4, "violation": 0.01}
    content = config_content(instance, tmp_path / "run", solve=options, checkpoint={"every": 0})
    called = meio("solve", write_config(tmp_path / "config.yaml", content))
    assert called.status == Result.INFEASIBLE.value, called
    assert "storage" in called.out
    assert "cannot be met" in called.out
    certificate = json.loads((tmp_path / "run" / "certificate.json").read_text(encoding="utf-8"))
    assert certificate["result"] == "INFEASIBLE"
    assert {row["resource"] for row in certificate["infeasible"]} == {"storage"}
    assert (tmp_path / "run" / "plan" / "targets.parquet").exists()
    # What is said to be named is named, quiet or not.
    quiet = meio("solve", tmp_path / "config.yaml", "-q", "--overwrite")
    assert quiet.status == Result.INFEASIBLE.value
    assert quiet.out == ""
    assert "storage in bucket 0 cannot be met by any plan found" in quiet.err


@pytest.mark.parametrize("command", ["solve", "resume", "show", "export", "validate", "generate"])
def test_every_command_explains_itself(meio: Command, command: str) -> None:
    called = meio(command, "--help")
    assert called.status == 0
    assert command in called.out


def test_generated_instances_are_valid(meio: Command, tmp_path: Path) -> None:
    options = ("--items", 5, "--nodes", "1,2,0", "--regions", 3, "--speeds", 2, "--periods", 14)
    assert meio("generate", tmp_path / "made", *options).status == 0
    assert meio("validate", tmp_path / "made").status == 0


@pytest.mark.slow
def test_a_search_from_nothing_begins_with_few_scenarios(meio: Command, tiny_folder: Path, tmp_path: Path) -> None:
    """And one that starts from its prices does not."""
    scenarios = {"train": 6, "per_step": 3, "early": 1, "holdout": 6, "clairvoyant": 0}
    # Without a search for slack and probing, whose programs are of no interest here.
    solve = {**SOLVE, "slack_items": 0, "probe": False}
    content = config_content(tiny_folder, tmp_path / "run", scenarios=scenarios, solve=solve)
    assert meio("solve", write_config(tmp_path / "cold.yaml", content), "-q").status in (0, 3)
    steps = pl.read_parquet(tmp_path / "run" / "metrics.parquet")["scenarios"].to_list()
    assert len(steps) == SOLVE["max_steps"]
    assert steps[:2] == [1, 1]
    assert steps[4:] == [3, 3]
    assert steps == sorted(steps)
    # Stopped among the first and continued, it is the same search.
    solved({**content, "run": str(tmp_path / "stopped")}, tmp_path, StopAfter(1))
    assert meio("resume", tmp_path / "stopped", "-q").status in (0, 3)
    assert_same_tables(tmp_path / "stopped", tmp_path / "run")
    warm = {**content, "run": str(tmp_path / "warm"), "warm": {"max_steps": 2, "min_steps": 2}}
    path = write_config(tmp_path / "warm.yaml", warm)
    assert meio("solve", path, "--warm-start", tmp_path / "run", "-q").status in (0, 3)
    assert pl.read_parquet(tmp_path / "warm" / "metrics.parquet")["scenarios"].to_list() == [3, 3]
