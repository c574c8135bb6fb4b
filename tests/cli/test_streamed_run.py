"""Runs whose items pass in parts: the run folder as in memory, continued after an interruption, refused clearly."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from small_runs import Command, Finished, config_content, usual_promotion, write_config
from tiny import ITEMS

from meio_jax.config import load_config
from meio_jax.errors import InputError
from meio_jax.progress import AbstractProgress, Preempted, Silent, Step
from meio_jax.results import Result
from meio_jax.runs import memory
from meio_jax.runs.run import run_solve
from meio_jax.runs.stream_checkpoint import StreamCheckpoints
from meio_jax.runs.warm import read_earlier
from meio_jax.solver.solve import State
from meio_jax.solver.stream import PartFiles

# Two orders of the same float32 sums, six steps.
SAME = 1e-5


class TakenAway(AbstractProgress):
    """A machine that is taken away after the third step."""

    def __init__(self) -> None:
        self.steps = 0

    def update(self, step: Step) -> None:
        self.steps = step.step

    def should_stop(self) -> bool:
        return self.steps >= 3

    def preempted(self) -> bool:
        return self.should_stop()


@pytest.fixture(scope="module")
def streamed(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration whose run was interrupted after three steps."""
    home = tmp_path_factory.mktemp("streamed")
    content = config_content(tiny_folder, home / "run", stream={"above_items": 2, "part_items": 2})
    content["scenarios"]["clairvoyant"] = 2
    config = write_config(home / "config.yaml", content)
    with usual_promotion(), pytest.raises(Preempted):
        run_solve(load_config(config), TakenAway())
    assert not (home / "run/plan").exists()
    return config


@pytest.fixture(scope="module")
def run(streamed: Path) -> Path:
    """The same run, continued to its end."""
    config = load_config(streamed)
    with usual_promotion():
        plan = run_solve(config, Silent(), resume=True)
    assert plan.result is Result.MAX_STEPS
    return config.run


def certificate(folder: Path) -> dict:
    return json.loads((folder / "certificate.json").read_text(encoding="utf-8"))


def test_a_continued_streamed_run_ends_as_one_in_memory(run: Path, finished: Finished) -> None:
    ours, theirs = certificate(run), certificate(finished.folder)
    for name in ("holdout_cost", "lagrangian", "coupling_gap", "in_sample_cost", "largest_violation"):
        assert ours[name] == pytest.approx(theirs[name], rel=SAME, abs=SAME), name
    np.testing.assert_allclose(ours["holdout_cost_ci95"], theirs["holdout_cost_ci95"], rtol=SAME)
    assert ours["result"] == theirs["result"]
    assert [row["resource"] for row in ours["violations"]] == [row["resource"] for row in theirs["violations"]]
    # No policy beats the clairvoyant, whose bound was asked for here.
    assert ours["clairvoyant_bound"] < ours["lagrangian"]


def test_every_table_holds_what_it_holds_in_memory(run: Path, finished: Finished) -> None:
    names = {path.stem for path in finished.folder.glob("plan/*.parquet")}
    found = {path.stem for path in run.glob("plan/*")}
    assert found == names
    for name in sorted(names):
        whole = pl.read_parquet(finished.folder / f"plan/{name}.parquet")
        folder = run / "plan" / name
        table = pl.concat(map(pl.read_parquet, sorted(folder.glob("*")))) if folder.is_dir() else None
        if "item_id" in whole.columns:
            assert len(list(folder.glob("part-*.parquet"))) == 2
        else:
            table = pl.read_parquet(f"{folder}.parquet")
        assert table is not None
        assert table.schema == whole.schema, name
        keys = [column for column in whole.columns if not whole.schema[column].is_float()]
        assert table.sort(keys).select(keys).equals(whole.sort(keys).select(keys)), name
        for column in set(whole.columns) - set(keys):
            ours, theirs = (frame.sort(keys)[column].fill_null(0).to_numpy() for frame in (table, whole))
            np.testing.assert_allclose(ours, theirs, rtol=10 * SAME, atol=SAME * max(1.0, np.abs(theirs).max()))
    assert not list(run.glob("scratch*"))


def test_show_and_export_read_it(run: Path, meio: Command, tmp_path: Path) -> None:
    shown = meio("show", run)
    assert shown.status == 0
    assert "clairvoyant" in shown.out
    assert meio("export", run, "--out", tmp_path).status == 0
    parts = [pl.read_csv(path) for path in sorted(tmp_path.glob("plan/expected_items/part-*.csv"))]
    assert pl.concat(parts)["item_id"].to_list() == list(ITEMS)


def test_a_damaged_checkpoint_is_passed_over(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "streamed"
    shutil.copytree(run / "checkpoints/streamed", folder)
    assert sorted(path.name for path in folder.iterdir()) == ["4", "6"]
    for step in ("4", "6"):
        part = folder / step / "state-000001.arrays"
        part.write_bytes(part.read_bytes()[:-1])
    saved = StreamCheckpoints(folder, PartFiles(tmp_path / "scratch"), 2, keep=2, identity={})
    with pytest.raises(InputError, match="4 is damaged"):
        saved.restore(State.__new__(State))


def test_other_commands_say_that_they_need_a_run_in_memory(run: Path, meio: Command, streamed: Path) -> None:
    with pytest.raises(InputError, match="a streamed run"):
        read_earlier(run)
    refused = meio("solve", streamed, "--warm-start", run, "--run", run.parent / "other")
    assert refused.status == 2
    assert "--warm-start" in refused.err
    assert not (run.parent / "other").exists()


def test_items_on_the_fly_need_options(meio: Command, tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.yaml", config_content(tmp_path, tmp_path / "run", stream={"generate": True}))
    refused = meio("solve", config)
    assert refused.status == 2
    assert "instance.generate" in refused.err


def test_warnings_are_those_of_a_run_in_memory(run: Path, finished: Finished, streamed: Path, tmp_path: Path) -> None:
    told = [json.loads((folder / "instance.json").read_text())["warnings"] for folder in (run, finished.folder)]
    ours, theirs = ({(one["kind"], one["what"]): one["count"] for one in found} for found in told)
    assert theirs
    assert ours == theirs
    config = load_config(streamed).model_copy(update={"run": tmp_path / "strict"})
    with pytest.raises(InputError) as found:
        run_solve(config, Silent(), strict=True)
    assert all(kind in str(found.value) for kind, _ in theirs)
    assert not (tmp_path / "strict").exists()


@pytest.mark.parametrize(("above", "remedy"), [(100, "stream.above_items"), (2, "stream.part_items")])
def test_too_little_memory_is_told_before_the_search(
    meio: Command, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, above: int, remedy: str
) -> None:
    monkeypatch.setattr(memory, "_ALWAYS_FIT", 1)
    monkeypatch.setattr(memory, "_of_machine", lambda: 1000.0)
    content = config_content(tiny_folder, tmp_path / "run", stream={"above_items": above, "part_items": 2})
    called = meio("solve", write_config(tmp_path / "config.yaml", content))
    assert called.status == 2
    assert len(called.err.strip().splitlines()) == 1, called.err
    assert "GiB free; expected about" in called.err
    assert remedy in called.err
    assert not (tmp_path / "run").exists()


def test_free_memory_is_what_the_container_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 10,000 bytes 7,000 are taken, 2,000 of them by copies of files."""
    for name, text in (("max", "10000"), ("current", "7000"), ("stat", "anon 5000\nfile 2000\n")):
        (tmp_path / f"memory.{name}").write_text(text + "\n")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert memory.free_memory() == 5000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.free_memory() > 1e6
