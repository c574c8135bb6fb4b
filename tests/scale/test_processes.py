"""Two processes on this machine end where one does; one that dies ends the run, which others can continue."""

import signal
import time
from pathlib import Path

import jax
import numpy as np
import polars as pl
import pytest
from launch import config_in, finish, instance_in, start
from polars.testing import assert_frame_equal

import meio_jax.distributed.processes
from meio_jax.config import load_config
from meio_jax.distributed.processes import own_range, together, watched
from meio_jax.errors import InputError
from meio_jax.progress import ProcessLost, Silent
from meio_jax.results import Result
from meio_jax.runs.checkpoint import saved_steps
from meio_jax.runs.files import read_certificate
from meio_jax.runs.run import run_solve

# Sums over items in another order, 50 steps of float32.
SAME = 1e-5
PATIENCE = 240.0


def solved_here(config: Path, *, resume: bool = False) -> Path:
    """A run in this process, on one device."""
    loaded = load_config(config)
    # As users have it: the optimiser library raises floats to integer powers, which strict promotion forbids.
    with jax.numpy_dtype_promotion("standard"):
        run_solve(loaded, Silent(), resume=resume)
    return loaded.run


def rows_of(run: Path, table: str) -> pl.DataFrame:
    """A table of a run, which of a streamed one may be a folder of parts."""
    parts = sorted((run / table).glob("*.parquet"))
    return pl.concat(map(pl.read_parquet, parts)) if parts else pl.read_parquet(run / f"{table}.parquet")


def same(run: Path, other: Path) -> None:
    for table, columns, keys in (
        ("metrics", ["cost"], ["step"]),
        ("prices", ["price", "usage"], ["resource_id", "bucket"]),
        ("plan/targets", ["target"], ["item_id", "node_id", "bucket"]),
        ("plan/flows", ["units"], ["kind", "from_id", "to_id", "speed_id"]),
        ("plan/service", ["wanted", "promised"], ["region_id", "speed_id", "bucket"]),
        ("plan/expected_items", ["total_cost"], ["item_id"]),
    ):
        ours, theirs = (rows_of(folder, table).sort(keys) for folder in (run, other))
        assert ours.select(keys).equals(theirs.select(keys)), table
        for column in columns:
            mine, truth = ours[column].to_numpy(), theirs[column].to_numpy()
            np.testing.assert_allclose(mine, truth, rtol=SAME, atol=SAME * np.abs(truth).max(), err_msg=table)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    instance_in(folder)
    return folder


@pytest.fixture(scope="module")
def one(home: Path) -> Path:
    return solved_here(config_in(home, "one", 1))


@pytest.mark.slow
def test_two_processes_end_where_one_does(home: Path, one: Path) -> None:
    config = config_in(home, "two", 1)
    ended = finish(start(["solve", config], 2))
    assert [process.status for process in ended] == [Result.MAX_STEPS.value] * 2, ended
    # The first alone says what was found.
    assert "Plan in" in ended[0].text
    assert "Plan in" not in ended[1].text
    same(home / "two", one)


@pytest.mark.slow
def test_a_lost_process_ends_the_run_and_another_number_continues_it(home: Path, one: Path) -> None:
    config = config_in(home, "lost", 1)
    started = start(["solve", config], 2)
    checkpoints, patience = home / "lost/checkpoints", time.monotonic() + PATIENCE
    while not saved_steps(checkpoints):
        assert time.monotonic() < patience
        assert all(process.poll() is None for process in started), finish(started)
        time.sleep(0.02)
    started[1].send_signal(signal.SIGKILL)
    survivor = finish(started)[0]
    assert survivor.status == Result.INTERRUPTED.value, survivor
    assert "lost another one" in survivor.text
    assert "meio resume" in survivor.text
    assert not (home / "lost/certificate.json").exists()
    same(solved_here(config, resume=True), one)


@pytest.mark.slow
def test_two_processes_stream_one_catalog(home: Path, one: Path) -> None:
    """Three parts, of which the second process has two; what they saved is continued by a single one in memory."""
    config = config_in(home, "streamed", 1, stream={"above_items": 10, "part_items": 16})
    ended = finish(start(["solve", config], 2))
    assert [process.status for process in ended] == [Result.MAX_STEPS.value] * 2, ended
    run = home / "streamed"
    for table in ("targets", "orders", "expected_items"):
        assert len(list((run / "plan" / table).glob("part-*.parquet"))) == 3
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["1-of-3", "2-of-3", "3-of-3"]
    assert not list(run.glob("scratch*"))
    same(run, one)
    ours, theirs = (read_certificate(folder) for folder in (run, one))
    for name in ("holdout_cost", "lagrangian", "coupling_gap", "largest_violation"):
        assert ours[name] == pytest.approx(theirs[name], rel=SAME, abs=SAME), name


@pytest.mark.slow
def test_two_processes_put_the_orders_of_a_vendor_together(tmp_path: Path) -> None:
    """In memory and in parts: whole orders are those of one process, which has all items."""
    instance = instance_in(tmp_path)
    offers = pl.concat(map(pl.read_parquet, sorted(instance.glob("offers/*.parquet"))))
    rules = offers.select("vendor_id").unique().sort("vendor_id").with_columns(min_order_value=6.0, order_cost=3.0)
    rules.write_csv(instance / "vendors.csv")
    steps = {"solve": {"max_steps": 2, "min_steps": 2}}
    truth = solved_here(config_in(tmp_path, "one", 1, **steps))
    parts = {"memory": {}, "streamed": {"above_items": 10, "part_items": 16}}
    for name, stream in parts.items():
        ended = finish(start(["solve", config_in(tmp_path, name, 1, stream=stream, **steps)], 2))
        assert [process.status for process in ended] == [Result.MAX_STEPS.value] * 2, ended
        for table in ("plan/orders", "plan/vendor_orders"):
            ours, theirs = (rows_of(run, table).sort(pl.all()) for run in (tmp_path / name, truth))
            # What passes in a period is summed in another order.
            assert_frame_equal(ours, theirs, rel_tol=1e-9)
        assert not (tmp_path / name / "plan" / ".lines").exists()
    assert rows_of(truth, "plan/vendor_orders")["units"].sum() > 0


def test_parts_of_a_catalog_are_enough_for_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "process_count", lambda: 3)
    with pytest.raises(InputError, match="at least as many parts of the catalog as processes"):
        own_range(2, "parts of the catalog", "lower `stream.part_items`, or start fewer processes")


def test_a_problem_that_one_process_finds_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [{"problems": 0}, {"problems": 2}]
    monkeypatch.setattr(meio_jax.distributed.processes, "gather", lambda own: said)
    with pytest.raises(InputError, match="see what the other processes say"):
        together(lambda: "found")


def test_errors_of_a_single_process_are_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(jax.errors.JaxRuntimeError), watched(tmp_path):
        raise jax.errors.JaxRuntimeError("out of memory")
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(ProcessLost, match="Process 0 of 2 lost another one"), watched(tmp_path):
        raise jax.errors.JaxRuntimeError("out of memory")
