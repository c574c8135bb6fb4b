"""Runs that are killed, preempted or damaged: what is left of them, and that they end as if nothing had happened."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from small_runs import SOLVE, Command, Finished, config_content, usual_promotion, write_config
from tiny import ITEMS

from meio_jax.config import load_config
from meio_jax.dual import DUAL_METHODS, BestSoFar
from meio_jax.errors import InputError
from meio_jax.instance.blocks import Layout, lay_out
from meio_jax.planner import prepare
from meio_jax.policy.base_stock import BaseStock
from meio_jax.progress import Silent
from meio_jax.results import Result
from meio_jax.runs.checkpoint import Part, newest, read_items
from meio_jax.runs.portable import from_named, to_named
from meio_jax.runs.resume import search_saved, write_basis
from meio_jax.solver.optimiser import SearchOptions, optimiser
from meio_jax.solver.solve import Solution, State, initial_state
from meio_jax.solver.subproblem import ItemState
from meio_jax.tables import read_instance

_UNFINISHED = "*orbax-checkpoint-tmp*"
STEPS = 40


def tables_of(run: Path) -> dict[str, pl.DataFrame]:
    paths = [*run.glob("plan/*.parquet"), run / "prices.parquet", run / "metrics.parquet"]
    return {path.name: pl.read_parquet(path).drop("seconds", strict=False) for path in paths}


def same(run: Path, other: Path) -> None:
    ours, theirs = tables_of(run), tables_of(other)
    assert set(ours) == set(theirs)
    for name, frame in ours.items():
        assert_frame_equal(frame, theirs[name], check_exact=True)


def restore(folder: Path):
    return newest(folder, lambda at: read_items(folder, at, list(ITEMS)))


def damaged(finished: Finished, tmp_path: Path, damage: Callable[[Path], None]) -> Path:
    """A copy of a finished run without its plan, whose newest checkpoint is damaged."""
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    shutil.rmtree(run / "plan")
    text = (run / "config.yaml").read_text(encoding="utf-8")
    assert str(finished.folder) in text
    steps = sorted(int(path.name) for path in (run / "checkpoints/1-of-1").iterdir() if path.name.isdigit())
    assert steps == [4, 6]
    damage(run / "checkpoints/1-of-1/6")
    return run


def cut_off(step: Path) -> None:
    for path in (step / "state").rglob("*"):
        if path.is_file() and path.parent.name == "d":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def without_meta(step: Path) -> None:
    shutil.rmtree(step / "meta")


def other_numbers(step: Path) -> None:
    """Whole files of another step: only the checksums can tell."""
    shutil.rmtree(step / "state")
    shutil.copytree(step.parent / "4" / "state", step / "state")


@pytest.mark.parametrize("damage", [cut_off, without_meta, other_numbers])
def test_a_damaged_checkpoint_is_passed_over(
    finished: Finished, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    folder = damaged(finished, tmp_path, damage) / "checkpoints"
    found, notes = restore(folder)
    assert found.step == 4
    assert len(found.history) == 4
    assert "checkpoint 6 is damaged" in notes[0]
    without_meta(folder / "1-of-1/4")
    with pytest.raises(InputError, match=r"(?s)checkpoint 6.*checkpoint 4"):
        restore(folder)


def test_a_damaged_checkpoint_is_told_and_the_one_before_used(
    meio: Command, finished: Finished, tmp_path: Path
) -> None:
    run = damaged(finished, tmp_path, other_numbers)
    called = meio("resume", run)
    assert called.status == Result.MAX_STEPS.value, called.err
    assert "checkpoint 6 is damaged" in called.err
    assert "continuing after step 4" in called.err
    same(run, finished.folder)


def test_a_run_is_named_by_its_path_from_here(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.folder.parent)
    _, notes = restore(Path(finished.folder.name) / "checkpoints")
    assert not notes


@pytest.mark.parametrize("name", ["[red]", "a[bold]b", "what?*"])
def test_a_run_is_moved_to_a_folder_whose_name_is_a_pattern(finished: Finished, tmp_path: Path, name: str) -> None:
    run = tmp_path / name
    shutil.copytree(finished.folder, run)
    (found, notes), (known, _) = (restore(folder / "checkpoints") for folder in (run, finished.folder))
    assert notes == []
    assert found.arrays.keys() == known.arrays.keys()
    for key, array in known.arrays.items():
        np.testing.assert_array_equal(found.arrays[key], array)


def test_no_checkpoint_is_no_damage(tmp_path: Path) -> None:
    assert restore(tmp_path) is None


def test_another_instance_is_refused_by_the_name_of_the_table(
    meio: Command, finished: Finished, tiny_folder: Path, tmp_path: Path
) -> None:
    instance, run = tmp_path / "instance", tmp_path / "run"
    shutil.copytree(tiny_folder, instance)
    shutil.copytree(finished.folder, run)
    for kind in ("items", "forecast"):
        assert (instance / f"{kind}.parquet").exists()
    frame = pl.read_parquet(instance / "forecast.parquet")
    frame.with_columns(pl.col("mean") * 1.01).write_parquet(instance / "forecast.parquet")
    text = (run / "config.yaml").read_text(encoding="utf-8")
    (run / "config.yaml").write_text(text.replace(str(tiny_folder), str(instance)), encoding="utf-8")
    called = meio("resume", run)
    assert called.status == 2
    assert "instance file forecast.parquet" in called.err
    problems = called.err[called.err.index("problem in the input") :]
    assert "items.parquet" not in problems


class Outside:
    """Runs in processes of their own, which can be killed; compiled programs are kept between them.

    They begin with a copy of what the tests have compiled so far: a process that is killed may leave a program in part.
    """

    def __init__(self, instance: Path, home: Path) -> None:
        self.instance, self.home = instance, home
        shutil.copytree(os.environ["JAX_COMPILATION_CACHE_DIR"], home / "compiled", dirs_exist_ok=True)
        cache = {"JAX_COMPILATION_CACHE_DIR": str(home / "compiled"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        self.environment = {**os.environ, **cache}

    def solve(self, run: Path) -> tuple[str, str]:
        options = {**SOLVE, "max_steps": STEPS, "min_steps": STEPS}
        content = config_content(self.instance, run, solve=options, checkpoint={"every": 3})
        return "solve", str(write_config(self.home / f"{run.name}.yaml", content))

    def start(self, *words: object) -> subprocess.Popen:
        command = [sys.executable, "-c", "from meio_jax.cli import main; main()", *map(str, words)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=self.environment)

    def ended(self, process: subprocess.Popen) -> tuple[int, str]:
        """Exit status and messages of a process, once it has ended."""
        with process:
            text = process.communicate()[1]
        return process.returncode, text

    def until(self, process: subprocess.Popen, run: Path, pattern: str) -> None:
        """Wait until a checkpoint of that name is there."""
        while process.poll() is None and not any((run / "checkpoints").glob(f"1-of-1/{pattern}")):
            time.sleep(0.001)


def saved(run: Path) -> list[int]:
    return sorted(int(path.name) for path in (run / "checkpoints/1-of-1").iterdir() if path.name.isdigit())


@pytest.mark.slow
def test_a_run_killed_and_preempted_ends_as_if_it_had_not_been(tiny_folder: Path, tmp_path: Path) -> None:
    """Killed before anything is saved, told to end by the scheduler, and killed while a checkpoint is written."""
    outside = Outside(tiny_folder, tmp_path)
    run, whole = tmp_path / "run", tmp_path / "whole"
    status, text = outside.ended(outside.start(*outside.solve(whole)))
    assert status == Result.MAX_STEPS.value, text

    process = outside.start(*outside.solve(run))
    outside.until(process, run, "basis.npz")
    process.kill()
    assert outside.ended(process)[0] == -signal.SIGKILL

    process = outside.start("resume", run)
    outside.until(process, run, "6")
    process.terminate()
    status, text = outside.ended(process)
    assert status == Result.INTERRUPTED.value, text
    assert "from the beginning" in text
    assert "meio resume" in text
    assert not (run / "plan").exists(), "there is no time for a plan"
    last = saved(run)[-1]

    process = outside.start("resume", run)
    outside.until(process, run, f"{last - last % 3 + 6}")
    outside.until(process, run, _UNFINISHED)
    process.kill()
    assert outside.ended(process)[0] == -signal.SIGKILL
    left = saved(run)
    assert last < left[-1] < STEPS

    status, text = outside.ended(outside.start("resume", run))
    assert status == Result.MAX_STEPS.value, text
    assert f"continuing after step {left[-1]}" in text
    same(run, whole)


@pytest.mark.parametrize("keep", [1, 2])
def test_the_plan_that_is_chosen_after_the_last_step_is_the_one_that_is_saved(
    finished: Finished, tmp_path: Path, keep: int
) -> None:
    """A checkpoint of that step is there already: whoever reads the run would find other levels than were issued."""
    config = load_config(finished.config)
    config = config.model_copy(update={"checkpoint": config.checkpoint.model_copy(update={"keep": keep})})
    with usual_promotion():
        model = prepare(read_instance(config.instance.path), config)
        write_basis(tmp_path, Part(), model)

        def doubled(solution: Solution) -> Solution:
            items = solution.state.items
            twice = jax.tree.map(lambda leaf: 2 * leaf, items.plan(solution.improved))
            return solution.with_best(dataclasses.replace(items, best=twice))

        found = search_saved(model, tmp_path, {}, Silent(), settled=doubled)
    assert found.steps % config.checkpoint.every == 0, "else its last step has no checkpoint of its own"
    kept, _ = restore(tmp_path)
    assert kept.step == found.steps
    plan = model.instance.layout.join(np.asarray(found.state.items.best.target), len(ITEMS))
    np.testing.assert_array_equal(kept.arrays["items.best.target"], plan)


def test_a_state_survives_being_cut_into_other_blocks(finished: Finished) -> None:
    """Of two blocks of four, written by name, and read for blocks of three; the best parameters are the last mean."""
    items, store = 7, finished.plan.model.store
    rng = np.random.default_rng(0)
    wide, narrow = (lay_out(np.arange(items) % 2, size) for size in (4, 3))
    adam = optimiser(SearchOptions())

    def state(layout: Layout, tables: dict[str, np.ndarray], improved: bool) -> State[ItemState]:
        trees = {name: BaseStock(jnp.asarray(layout.cut(table))) for name, table in tables.items()}
        with usual_promotion():
            moments = adam.update(trees["raw"], adam.init(trees["raw"]))[1]
        own = ItemState(trees["raw"], moments, trees["mean"], trees["best"])
        shared = initial_state(store, BestSoFar(DUAL_METHODS["augmented"]()), items=own).shared
        return State(own, eqx.tree_at(lambda s: s.dual.improved, shared, jnp.asarray(improved)))

    tables = {name: rng.normal(size=(2, 3, items)).astype(np.float32) for name in ("raw", "mean", "best")}
    kept = to_named(state(wide, tables, True), wide, items)
    np.testing.assert_array_equal(kept["items.raw.target"], tables["raw"])
    np.testing.assert_array_equal(kept["items.best.target"], tables["mean"])
    assert kept["items.momentum.target"].any()
    nothing = {name: np.zeros_like(table) for name, table in tables.items()}
    like = state(narrow, nothing, False)
    moved = from_named(kept, like, narrow, items, None)
    again = to_named(moved, narrow, items)
    assert list(again) == list(kept)
    for name, array in kept.items():
        np.testing.assert_array_equal(array, again[name], err_msg=name)
    assert not bool(moved.shared.dual.improved)
    with pytest.raises(ValueError, match=r"raw.target has shape"):
        from_named({**kept, "items.raw.target": kept["items.raw.target"][..., 1:]}, like, narrow, items, None)
