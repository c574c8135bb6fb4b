"""What commands do to folders that hold something: the user's is left alone, a finished run is replaced when told."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import SOLVE, Command, Finished, config_content, usual_promotion, write_config

from meio_jax.config import load_config
from meio_jax.folders import held
from meio_jax.progress import AbstractProgress, Preempted, Step
from meio_jax.results import Result
from meio_jax.runs.run import run_solve

SMALL = ("--shape", "local", "--items", 5, "--nodes", "1,1,0", "--regions", 2, "--speeds", 2, "--periods", 7)


def files(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, but the lock that stays in it."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".meio.lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def thesis(folder: Path) -> Path:
    """A folder of somebody's work whose sub-folders are called like those of an instance and of a run."""
    for name in ("resources/img/a.jpg", "items/keep.txt", "checkpoints/resnet/model.bin", "plan/notes.txt"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("30 GPU days")
    (folder / "report.html").write_text("mine")
    (folder / "config.yaml").write_text("key: 1")
    return folder


def refused(called: object, *named: str) -> None:
    """Status 2 and one line that names things."""
    assert called.status == 2, called
    for text in named:
        assert text in called.err, called.err
    assert len(called.err.strip().splitlines()) == 1, called.err


class After(AbstractProgress):
    """Does something after a number of steps."""

    def __init__(self, steps: int, error: BaseException | None = None) -> None:
        self.steps, self.error, self.seen, self.said = steps, error, 0, []

    def update(self, step: Step) -> None:
        self.seen = step.step
        if self.error is not None and self.seen >= self.steps:
            raise self.error

    def stage(self, name: str) -> None:
        self.said.append(name)

    def should_stop(self) -> bool:
        return self.seen >= self.steps


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_no_command_writes_into_a_folder_of_the_user(
    meio: Command, finished: Finished, tiny_folder: Path, tmp_path: Path, overwrite: tuple
) -> None:
    mine = thesis(tmp_path / "mine")
    before = files(mine)
    refused(meio("generate", mine, *SMALL, *overwrite), "mine", "empty folder")
    refused(meio("solve", finished.config, "--run", mine, *overwrite), "mine", "checkpoints")
    refused(meio("forecast", tiny_folder, "--out", mine, *overwrite), "mine")
    refused(meio("resume", mine), "mine")
    refused(meio("replan", finished.folder, "--items", tiny_folder / "on_hand.parquet", "--out", mine), "mine")
    refused(meio("export", finished.folder, "--out", mine), "mine")
    refused(meio("report", finished.folder, "--out", mine / "report.html"), "report.html")
    refused(meio("report", finished.folder, "--out", mine / "plan"), "plan")
    # A folder of this program, but of another kind.
    refused(meio("export", finished.folder, "--out", tiny_folder), "not an export")
    refused(meio("solve", finished.config, "--run", tiny_folder, *overwrite), "not a run")
    assert files(mine) == before


def test_generating_again_needs_a_word_and_keeps_what_the_user_added(meio: Command, tmp_path: Path) -> None:
    made = tmp_path / "made"
    assert meio("generate", made, *SMALL, "--forecast", "history").status == 0
    (made / "notes.txt").write_text("mine")
    before = files(made)
    refused(meio("generate", made, *SMALL), "made", "--overwrite")
    assert files(made) == before
    assert meio("generate", made, *SMALL, "--seed", 1, "--overwrite").status == 0
    after = files(made)
    assert after["items.parquet"] != before["items.parquet"]
    assert after["notes.txt"] == b"mine"
    assert meio("validate", made).status == 0


@pytest.mark.slow
def test_a_finished_run_is_replaced_on_request_once_the_new_one_is_complete(
    meio: Command, finished: Finished, tiny_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    (run / "notes.txt").write_text("mine")
    content = config_content(tiny_folder, run, seed=7)
    config = write_config(tmp_path / "config.yaml", content)
    before = files(run)
    called = meio("solve", config)
    refused(called, "finished run", "--overwrite")
    assert files(run) == before
    meio("export", run)
    # Taken away in the middle, interrupted, and resumed: yesterday's plan stands until today's is there.
    with usual_promotion(), pytest.raises(Preempted):
        run_solve(load_config(config), After(3, Preempted("")), overwrite=True)
    seen = After(3)
    with usual_promotion():
        run_solve(load_config(config), seen, overwrite=True)
    assert any("earlier run stays" in line for line in seen.said)
    now = files(run)
    assert {name: text for name, text in now.items() if name in before} == before
    assert meio("show", run).status == 0
    called = meio("resume", run)
    assert called.status == Result.MAX_STEPS.value, called.err
    assert "continuing after step 3" in called.err
    after = files(run)
    assert not any(name.startswith((".next", ".old", "export")) for name in after), "stale exports go with their plan"
    assert after["notes.txt"] == b"mine"
    assert {n for n in after if "checkpoints" not in n} == {n for n in before if "checkpoints" not in n}
    assert load_config(run / "config.yaml").seed == 7
    straight = tmp_path / "straight"
    assert meio("solve", config, "--run", straight).status == Result.MAX_STEPS.value
    for name in ("plan/targets.parquet", "prices.parquet"):
        assert (straight / name).read_bytes() == after[name]


def test_an_interrupted_run_is_continued_or_replaced_on_request(
    meio: Command, tiny_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    config = write_config(tmp_path / "config.yaml", config_content(tiny_folder, run))
    with usual_promotion(), pytest.raises(Preempted):
        run_solve(load_config(config), After(3, Preempted("")))
    refused(meio("solve", config), "meio resume", "--overwrite")
    assert meio("solve", config, "--overwrite").status == Result.MAX_STEPS.value
    assert (run / "certificate.json").exists()
    assert not (run / ".next").exists()


@pytest.mark.slow
def test_a_run_that_died_before_it_began_is_no_obstacle(meio: Command, tiny_folder: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path / "config.yaml", config_content(tiny_folder, tmp_path / "run"))
    shutil.copytree(tiny_folder, tmp_path / "instance")
    (tmp_path / "instance" / "items.parquet").unlink()
    wrong = write_config(tmp_path / "wrong.yaml", config_content(tmp_path / "instance", tmp_path / "run"))
    assert meio("solve", wrong).status == 2
    assert not (tmp_path / "run").exists()
    (tmp_path / "run" / ".next").mkdir(parents=True)
    (tmp_path / "run" / ".meio.json").write_text(json.dumps({"kind": "run"}))
    assert meio("solve", config).status == Result.MAX_STEPS.value


def test_results_of_a_run_are_made_again_but_not_over_those_of_another(
    meio: Command, finished: Finished, tiny_folder: Path, tmp_path: Path
) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    for folder in (run, other):
        shutil.copytree(finished.folder, folder)
    out = tmp_path / "out"
    for _ in range(2):
        assert meio("export", run).status == 0
        assert meio("export", run, "--out", out).status == 0
        assert meio("report", run).status == 0
    refused(meio("export", other, "--out", out), "export of", str(run))
    run.rename(tmp_path / "moved")
    assert meio("export", tmp_path / "moved", "--format", "parquet").status == 0
    assert not list((tmp_path / "moved" / "export").rglob("*.csv"))


def test_two_commands_in_one_run_folder(meio: Command, finished: Finished, tiny_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    config = write_config(tmp_path / "config.yaml", config_content(tiny_folder, run, solve={**SOLVE, "max_steps": 2}))
    before = files(run)
    with held(run, "meio solve"):
        for words in (
            ("solve", config, "--overwrite"),
            ("resume", run),
            ("replan", run, "--items", tiny_folder / "on_hand.parquet"),
            ("report", run),
            ("export", run),
        ):
            refused(meio(*words), "in use by `meio solve`", "process")
        assert meio("show", run).status == 0
    assert files(run) == before


def test_a_run_under_way_in_another_process_is_told_as_such(
    meio: Command, finished: Finished, tiny_folder: Path, tmp_path: Path
) -> None:
    """No one is told to resume or to replace what another process is at work on."""
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    for name in ("certificate.json", "prices.parquet", "metrics.parquet"):
        (run / name).unlink()
    shutil.rmtree(run / "plan")
    config = write_config(tmp_path / "config.yaml", config_content(tiny_folder, run, solve={**SOLVE, "max_steps": 2}))
    before = files(run)
    code = (
        "import sys; from pathlib import Path; from meio_jax.folders import held\n"
        "with held(Path(sys.argv[1]), 'meio solve'): print('held', flush=True); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    other = subprocess.Popen([sys.executable, "-c", code, str(run)], stdin=pipe, stdout=pipe, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    changed = tiny_folder / "on_hand.parquet"
    for words in (
        ("solve", config),
        ("solve", config, "--overwrite"),
        ("resume", run),
        ("replan", run, "--items", changed),
        ("report", run),
        ("export", run),
        ("show", run),
    ):
        refused(meio(*words), f"in use by `meio solve` (process {other.pid} on")
    other.communicate()
    assert files(run) == before
    refused(meio("solve", config), "an unfinished run, which `meio resume` continues")
    refused(meio("show", run), "a run that has not ended", "meio resume")


def test_a_run_is_private_where_that_is_asked(tiny_folder: Path, finished: Finished, tmp_path: Path) -> None:
    """Others cannot look into the folder, from its first file on."""
    run = tmp_path / "run"
    seen = []

    class Looks(AbstractProgress):
        def update(self, step: Step) -> None:
            seen.append(run.stat().st_mode & 0o777)

    content = config_content(tiny_folder, run, output={"private": True}, solve={**SOLVE, "max_steps": 2})
    with usual_promotion():
        run_solve(load_config(write_config(tmp_path / "config.yaml", content)), Looks())
    assert set(seen) == {0o700}
    assert run.stat().st_mode & 0o777 == 0o700
    assert finished.folder.stat().st_mode & 0o077 != 0
