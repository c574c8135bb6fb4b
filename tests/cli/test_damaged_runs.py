"""Every command on every run folder that a command, or a bad disk, can leave: it works, or says in one line why not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import yaml
from marks import some_slow
from small_runs import Command, Finished, config_content, usual_promotion, write_config
from tiny import ITEMS

from meio_jax.config import load_config
from meio_jax.progress import Preempted, Silent
from meio_jax.results import Result
from meio_jax.runs.resume import table_digests
from meio_jax.runs.run import run_solve

Damage = Callable[[Path], None]


def cut(name: str) -> Damage:
    def damage(run: Path) -> None:
        content = (run / name).read_bytes()
        (run / name).write_bytes(content[: len(content) // 2])

    return damage


def text(name: str, content: str) -> Damage:
    return lambda run: (run / name).write_text(content) and None


def gone(name: str) -> Damage:
    return lambda run: shutil.rmtree(run / name) if (run / name).is_dir() else (run / name).unlink()


def without(name: str, key: str) -> Damage:
    def damage(run: Path) -> None:
        found = json.loads((run / name).read_text())
        del found[key]
        (run / name).write_text(json.dumps(found))

    return damage


def no_checkpoint(run: Path) -> None:
    for step in (run / "checkpoints/1-of-1").glob("[0-9]*"):
        shutil.rmtree(step / "state")


SHOWING = ("show", "report", "export", "whatif")
PLANNING = ("explain", "replan", "resume")
DAMAGES: dict[str, tuple[Damage, tuple[str, ...]]] = {
    "certificate cut off": (cut("certificate.json"), SHOWING),
    "certificate {}": (text("certificate.json", "{}"), SHOWING),
    "certificate []": (text("certificate.json", "[]"), SHOWING),
    "certificate of numbers": (text("certificate.json", '{"result": 3}'), SHOWING),
    "certificate without a figure": (without("certificate.json", "holdout_cost"), SHOWING),
    "no certificate": (gone("certificate.json"), SHOWING),
    "instance.json []": (text("instance.json", "[]"), ("report", "whatif", "explain", "replan")),
    "instance.json {}": (text("instance.json", "{}"), ("report", "whatif", "explain", "replan")),
    "instance.json cut off": (cut("instance.json"), ("report", "whatif", "explain", "replan")),
    "digests of numbers": (text("instance.json", '{"path": 3, "digests": [1]}'), ("report", "explain", "replan")),
    "no instance.json": (gone("instance.json"), ("report", "whatif", "explain", "replan")),
    "census []": (text("census.json", "[]"), ("explain", "replan")),
    "census {}": (text("census.json", "{}"), ("explain", "replan")),
    "no census": (gone("census.json"), ("replan",)),
    "config cut off": (text("config.yaml", "instance: {pa"), PLANNING),
    "no config": (gone("config.yaml"), PLANNING),
    "prices cut off": (cut("prices.parquet"), ("report", "export", "whatif", "replan")),
    "prices of something else": (
        lambda run: pl.DataFrame({"a": [1]}).write_parquet(run / "prices.parquet"),
        ("report", "whatif", "replan"),
    ),
    "metrics cut off": (cut("metrics.parquet"), ("report", "export")),
    "targets cut off": (cut("plan/targets.parquet"), ("report", "export")),
    "orders of something else": (
        lambda run: pl.DataFrame({"a": [1]}).write_parquet(run / "plan/orders.parquet"),
        ("report",),
    ),
    "no planned transfers": (gone("plan/planned_transfers.parquet"), ("report",)),
    "no plan": (gone("plan"), ("report", "whatif")),
    "basis cut off": (cut("checkpoints/1-of-1/basis.npz"), PLANNING),
    "no basis": (gone("checkpoints/1-of-1/basis.npz"), PLANNING),
    "no checkpoints": (gone("checkpoints"), ("explain", "replan")),
    "checkpoints damaged": (no_checkpoint, PLANNING),
}


def words_of(command: str, run: Path, instance: Path) -> tuple:
    return {
        "show": ("show", run),
        "report": ("report", run),
        "export": ("export", run),
        "resume": ("resume", run),
        "whatif": ("whatif", run, "--resource", "storage", "--capacity", "+10%"),
        "explain": ("explain", run, "--item", ITEMS[0]),
        "replan": ("replan", run, "--items", instance / "on_hand.parquet"),
        "diff": ("diff", run, run.with_name("other"), "--items", 0),
    }[command]


@pytest.mark.parametrize(
    ("damage", "command"), [(name, command) for name, (_, commands) in DAMAGES.items() for command in commands]
)
def test_a_damaged_run_is_told_in_one_line(
    meio: Command, finished: Finished, tiny_folder: Path, tmp_path: Path, damage: str, command: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    DAMAGES[damage][0](run)
    called = meio(*words_of(command, run, tiny_folder))
    assert called.status == 2, called
    lines = [line for line in called.err.strip().splitlines() if not line.endswith("...")]
    # Several problems are told at once, one line each, after a line that counts them.
    assert len(lines) <= 1 + called.err.count("To mend:"), called.err
    assert "run" in called.err
    assert not (run / "report.html").exists()
    assert not (run / "replan").exists()


@pytest.mark.parametrize("command", ["report", "show", "export"])
def test_tables_whose_footer_is_whole_and_whose_rows_are_not(
    meio: Command, finished: Finished, tiny_folder: Path, tmp_path: Path, command: str
) -> None:
    """What is wrong is found when rows are decoded, long after the tables were opened."""
    files = [path.relative_to(finished.folder) for path in finished.folder.rglob("*.parquet")]
    tables = [path for path in files if "checkpoints" not in path.parts and (finished.folder / path).stat().st_size > 0]
    assert len(tables) > 8
    told = 0
    for table in tables:
        run = tmp_path / table.stem / "run"
        shutil.copytree(finished.folder, run)
        content = bytearray((run / table).read_bytes())
        # The first page of the first column, behind the four letters that every file begins with.
        content[4:68] = bytes(64)
        (run / table).write_bytes(bytes(content))
        called = meio(*words_of(command, run, tiny_folder))
        assert called.status in (0, 2), (table, called)
        if called.status == 2:
            assert table.name in called.err, (table, called.err)
            told += 1
    assert told >= {"report": 6, "show": 1, "export": len(tables)}[command]


@pytest.mark.parametrize("entry", ["lagrangian_label", "cost_terms", "steps"])
def test_a_certificate_without_an_entry_that_a_report_has(
    meio: Command, finished: Finished, tmp_path: Path, entry: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    certificate = json.loads((run / "certificate.json").read_text(encoding="utf-8"))
    del certificate[entry]
    (run / "certificate.json").write_text(json.dumps(certificate), encoding="utf-8")
    called = meio("report", run)
    assert called.status == 2, called
    assert entry in called.err or "terms of the cost" in called.err
    assert not (run / "report.html").exists()


def test_an_item_that_is_gone_from_the_instance(
    meio: Command, finished: Finished, tiny_folder: Path, tmp_path: Path
) -> None:
    instance = tmp_path / "instance"
    shutil.copytree(tiny_folder, instance)
    for path in instance.glob("*.parquet"):
        frame = pl.read_parquet(path)
        column = next((name for name in ("item_id", "unique_id") if name in frame.columns), None)
        if column is not None:
            frame.filter(pl.col(column) != ITEMS[0]).write_parquet(path)
    called = meio("explain", finished.folder, "--item", ITEMS[0], "--instance", instance)
    assert called.status == 2
    assert ITEMS[0] in called.err
    called = meio("explain", finished.folder, "--item", "no such item")
    assert called.status == 2
    assert "no such item" in called.err
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    assert meio("report", run, "--instance", instance).status == 0


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_is_compared_or_told_in_one_line(
    meio: Command, finished: Finished, tiny_folder: Path, tmp_path: Path, damage: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    shutil.copytree(finished.folder, tmp_path / "other")
    DAMAGES[damage][0](run)
    called = meio(*words_of("diff", run, tiny_folder))
    assert called.status in (0, 2), called
    if called.status:
        lines = [line for line in called.err.strip().splitlines() if not line.endswith("...")]
        assert len(lines) <= 1 + called.err.count("To mend:"), called.err


@pytest.mark.parametrize(
    "result", some_slow(Result, quick=[Result.INFEASIBLE, Result.NUMERICAL_FAILURE]), ids=lambda result: result.name
)
def test_every_command_works_on_a_run_that_ended_so(
    meio: Command, finished: Finished, tiny_folder: Path, tmp_path: Path, result: Result
) -> None:
    """Every status that a run can end with; a failed run has no figures, and what needs some says so in one line."""
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    shutil.copytree(finished.folder, tmp_path / "other")
    if result is Result.NUMERICAL_FAILURE:
        failed(run)
    content = json.loads((run / "certificate.json").read_text())
    worst = {"resource": "storage", "bucket": 0, "relative": 0.5, "least_usage": 3.0, "capacity": 2.0}
    content |= {"result": result.name, "infeasible": [worst] if result is Result.INFEASIBLE else []}
    (run / "certificate.json").write_text(json.dumps(content))
    for command in ("show", "report", "export", "whatif", "explain", "diff"):
        called = meio(*words_of(command, run, tiny_folder))
        assert called.status in (0, 2), (command, called)
        assert called.status == 0 or result is Result.NUMERICAL_FAILURE, (command, called)
        if called.status:
            assert len(called.err.strip().splitlines()) == 1, (command, called.err)
    if result is Result.INFEASIBLE:
        assert "storage" in (run / "report.html").read_text(encoding="utf-8")
        assert "cannot be met by any plan found" in meio("show", run).out


def failed(run: Path) -> None:
    """Make a run look like one that ended with status 6 or 4: nothing that is not a number is a number."""
    certificate = json.loads((run / "certificate.json").read_text())
    for name in certificate:
        if isinstance(certificate[name], float) and name != "seconds":
            certificate[name] = None
    certificate |= {
        "result": "NUMERICAL_FAILURE",
        "holdout_cost_ci95": [None, None],
        "cost_terms": dict.fromkeys(certificate["cost_terms"]),
        "violations": [{**row, "relative": None} for row in certificate["violations"]],
    }
    (run / "certificate.json").write_text(json.dumps(certificate))
    for path in [*run.glob("*.parquet"), *run.glob("plan/*.parquet")]:
        frame = pl.read_parquet(path)
        nothing = [pl.lit(float("nan")).alias(name) for name, kind in frame.schema.items() if kind.is_float()]
        keep = {"capacity"} & set(frame.columns)
        frame.with_columns([one for one in nothing if one.meta.output_name() not in keep]).write_parquet(path)


@pytest.mark.parametrize("command", ["show", "report", "export", "whatif"])
def test_a_run_that_failed_can_be_looked_at(
    meio: Command, finished: Finished, tiny_folder: Path, tmp_path: Path, command: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    failed(run)
    called = meio(*words_of(command, run, tiny_folder))
    assert called.status == (2 if command == "whatif" else 0), called
    if command == "show":
        assert "numerical failure" in called.out
        assert "not available" in called.out
        assert "nan" not in called.out.lower().replace("finance", "")
        assert "infinite" not in called.out
    if command == "report":
        page = (run / "report.html").read_text(encoding="utf-8")
        assert "Numerical failure" in page
        assert ">nan<" not in page.lower()
        assert ">∞<" not in page


@pytest.mark.parametrize("command", ["show", "report", "export", "whatif", "explain", "replan"])
def test_a_run_that_has_not_ended_says_how_to_go_on(
    meio: Command, finished: Finished, tiny_folder: Path, tmp_path: Path, command: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    for name in ("certificate.json", "prices.parquet", "metrics.parquet", "plan"):
        gone(name)(run)
    called = meio(*words_of(command, run, tiny_folder))
    if command == "explain" and called.status == 0:
        return
    assert called.status == 2
    assert "meio resume" in called.err
    assert len(called.err.strip().splitlines()) == 1, called.err


@pytest.mark.parametrize("command", ["show", "report", "export", "whatif", "explain", "resume"])
def test_a_run_that_is_not_there(meio: Command, tmp_path: Path, tiny_folder: Path, command: str) -> None:
    called = meio(*words_of(command, tmp_path / "nowhere", tiny_folder))
    assert called.status == 2
    assert "nowhere" in called.err
    assert not (tmp_path / "nowhere").exists()


def test_the_configuration_of_a_run_is_what_it_was(finished: Finished) -> None:
    assert yaml.safe_load((finished.folder / "config.yaml").read_text())["run"] == str(finished.folder)


@pytest.mark.parametrize("command", ["report", "whatif", "explain"])
def test_an_instance_that_has_changed_since_is_told(
    meio: Command, finished: Finished, tiny_folder: Path, tmp_path: Path, command: str
) -> None:
    instance, run = tmp_path / "instance", tmp_path / "run"
    shutil.copytree(tiny_folder, instance)
    shutil.copytree(finished.folder, run)
    words = (*words_of(command, run, tiny_folder), "--instance", instance)
    assert "has changed" not in meio(*words).err
    frame = pl.read_parquet(instance / "forecast.parquet")
    frame.with_columns(pl.col("mean") * 2).write_parquet(instance / "forecast.parquet")
    called = meio(*words)
    assert called.status == 0
    said = (run / "report.html").read_text(encoding="utf-8") if command == "report" else called.err
    assert "has changed since this plan was made: forecast.parquet" in said


class Writes(Silent):
    """Doubles the forecast of an instance once it has been read, and ends the run once it has begun."""

    def __init__(self, instance: Path) -> None:
        self.path = instance / "forecast.parquet"

    def stage(self, name: str) -> None:
        pl.read_parquet(self.path).with_columns(pl.col("mean") * 2).write_parquet(self.path)

    def begun(self, run: Path, how: str | None = None) -> None:
        raise Preempted("")


def test_a_run_says_what_it_read_and_not_what_became_of_it(tiny_folder: Path, tmp_path: Path) -> None:
    """Digests that are taken later are those of tables that nobody planned: the change would never be told."""
    instance, run = tmp_path / "instance", tmp_path / "run"
    shutil.copytree(tiny_folder, instance)
    read = table_digests(instance)
    config = load_config(write_config(tmp_path / "config.yaml", config_content(instance, run)))
    with usual_promotion(), pytest.raises(Preempted):
        run_solve(config, Writes(instance))
    assert json.loads((run / "instance.json").read_text())["digests"] == read
    assert table_digests(instance) != read
