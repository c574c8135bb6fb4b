"""Runs whose items pass in parts: the run folder as in memory, continued after an interruption, refused clearly."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from small_runs import Command, Finished, config_content, usual_promotion, write_config
from tiny import ITEMS

from meio_jax.config import load_config
from meio_jax.errors import InputError
from meio_jax.explain import explain_run
from meio_jax.progress import AbstractProgress, Preempted, Silent, Step
from meio_jax.replan import Replanner, ReplanOptions
from meio_jax.results import Result
from meio_jax.runs import memory
from meio_jax.runs.run import run_solve
from meio_jax.runs.saved_run import read_saved_run
from meio_jax.whatif import whatif_run

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


def table(run: Path, name: str) -> pl.DataFrame:
    """A table of a run, whose rows may be in files of parts."""
    parts = sorted((run / name).glob("*.parquet"))
    return pl.concat(map(pl.read_parquet, parts)) if parts else pl.read_parquet(run / f"{name}.parquet")


def certificate(folder: Path) -> dict:
    return json.loads((folder / "certificate.json").read_text(encoding="utf-8"))


@pytest.mark.slow
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


def test_a_checkpoint_of_parts_is_passed_over_as_a_whole(run: Path, meio: Command, tmp_path: Path) -> None:
    """Where one of its parts is damaged, all continue from the step before, and end as if nothing had happened."""
    again = tmp_path / "run"
    shutil.copytree(run, again)
    shutil.rmtree(again / "plan")
    parts = sorted(path.name for path in (again / "checkpoints").iterdir())
    assert parts == ["1-of-2", "2-of-2"]
    steps = {int(path.name) for path in (again / "checkpoints/2-of-2").iterdir() if path.name.isdigit()}
    assert {4, 6} <= steps
    files = [path for path in (again / "checkpoints/2-of-2/6/state").rglob("*") if path.is_file()]
    saved = max(files, key=lambda path: path.stat().st_size)
    saved.write_bytes(saved.read_bytes()[:-1])
    called = meio("resume", again)
    assert called.status == Result.MAX_STEPS.value, called.err
    assert "checkpoint 6 is damaged" in called.err
    assert "continuing after step 4" in called.err
    for name in ("targets", "orders", "expected_items"):
        ours, theirs = (sorted((folder / "plan" / name).glob("*.parquet")) for folder in (again, run))
        assert len(ours) == len(theirs) == 2
        for mine, other in zip(ours, theirs, strict=True):
            assert_frame_equal(pl.read_parquet(mine), pl.read_parquet(other), check_exact=True)


def test_what_is_saved_of_parts_is_what_is_saved_in_memory(run: Path, finished: Finished) -> None:
    ours, theirs = (read_saved_run(folder, list(ITEMS)) for folder in (run, finished.folder))
    assert ours.held.all()
    for parts, whole in ((ours.best("target"), theirs.best("target")), (ours.prices, theirs.prices)):
        assert parts is not None
        assert whole is not None
        np.testing.assert_allclose(parts, whole, rtol=10 * SAME, atol=SAME * max(1.0, np.abs(whole).max()))
    np.testing.assert_allclose(ours.scale("target"), theirs.scale("target"), rtol=1e-6)


@pytest.mark.slow
def test_a_warm_start_of_parts_is_one_in_memory(
    run: Path, finished: Finished, tiny_folder: Path, meio: Command, tmp_path: Path
) -> None:
    """From a run in memory and from one of parts, to parts of any size: the same search, but for the order of sums."""
    sections = {
        "warm": {"max_steps": 2, "min_steps": 1, "hold": 0.01},
        "exceptions": {"price_jump": 1.0, "price_share": 0.0, "money": 0.0},
    }
    costs, jumps = [], []
    for name, stream, earlier in (
        ("memory", {}, finished.folder),
        ("single", {"above_items": 0, "part_items": 1}, run),
        ("together", {"above_items": 0, "part_items": 100}, run),
    ):
        content = config_content(tiny_folder, tmp_path / name, stream=stream, **sections)
        called = meio("solve", write_config(tmp_path / f"{name}.yaml", content), "--warm-start", earlier)
        assert called.status == Result.MAX_STEPS.value, called.err
        assert "3 of 3 items matched, 0 new, 0 dropped" in called.err
        costs.append(pl.read_parquet(tmp_path / name / "metrics.parquet").select("cost", "price_norm").to_numpy())
        rows = table(tmp_path / name, "plan/exceptions")
        jumps.append(rows.filter(kind="price_jump").sort("what")["units"].to_numpy())
    assert jumps[0].size
    for own, prices in zip(costs[1:], jumps[1:], strict=True):
        np.testing.assert_allclose(own, costs[0], rtol=10 * SAME, atol=10 * SAME)
        np.testing.assert_allclose(prices, jumps[0], rtol=10 * SAME, atol=10 * SAME)


@pytest.mark.slow
def test_items_of_parts_are_planned_again_and_explained(run: Path, finished: Finished, meio: Command) -> None:
    for item in ITEMS:
        ours, theirs = (explain_run(folder, item) for folder in (run, finished.folder))
        assert ours.node_id == theirs.node_id
        assert ours.slope == pytest.approx(theirs.slope, rel=1e-3, abs=1e-3 * theirs.gross)
    changes = {"items": pl.DataFrame({"item_id": [ITEMS[0], ITEMS[-1]]})}
    ours, theirs = (
        Replanner(folder).replan(changes, ReplanOptions(steps=2, scenarios=6)) for folder in (run, finished.folder)
    )
    before, after = (one.items.sort("item_id") for one in (ours, theirs))
    for column in ("cost_before", "cost_after"):
        np.testing.assert_allclose(before[column].to_numpy(), after[column].to_numpy(), rtol=1e-3)
    resource = pl.read_parquet(run / "prices.parquet")["resource_id"][0]
    assert meio("whatif", run, "--resource", resource, "--capacity", "+10%").status == 0
    with usual_promotion():
        checks = [whatif_run(one, resource, "+10%", resolve=True, steps=2).check for one in (run, finished.folder)]
    assert checks[0].steps == checks[1].steps == 2
    np.testing.assert_allclose(checks[0].prices_after, checks[1].prices_after, rtol=1e-3, atol=1e-3)


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
