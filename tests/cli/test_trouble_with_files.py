"""Disk full, read-only, a file where a folder should be, a name too long: one line, and all is as it was."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from small_runs import Command, Finished, config_content, usual_promotion, write_config

from meio_jax.cli.endings import ending
from meio_jax.config import load_config
from meio_jax.errors import InputError
from meio_jax.folders import writing
from meio_jax.folders.marks import write_whole
from meio_jax.generate import files
from meio_jax.progress import Preempted, Silent, Step
from meio_jax.runs.portable import Basis
from meio_jax.runs.run import run_solve
from meio_jax.solver.file_store import _save
from meio_jax.tables import write_table, write_text
from meio_jax.tables.write_excel import write_workbook

SMALL = ("--shape", "local", "--items", 5, "--nodes", "1,1,0", "--regions", 2, "--speeds", 2, "--periods", 7)


def told(meio: Command, place: Path, *words: object) -> None:
    """The command writes nothing, and one line names the place, the reason and the way on."""
    called = meio(*words)
    assert called.status == 2, called
    assert len(called.err.strip().splitlines()) == 1, called.err
    assert place.name[:40] in called.err
    assert "To go on" in called.err or "To mend" in called.err


def test_a_file_stands_where_a_folder_should(meio: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    told(meio, tmp_path / "file", "generate", tmp_path / "file", *SMALL)
    told(meio, tmp_path / "file", "generate", tmp_path / "file" / "inside", *SMALL)
    assert (tmp_path / "file").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_name_that_is_too_long(meio: Command, tmp_path: Path) -> None:
    told(meio, tmp_path / ("x" * 300), "generate", tmp_path / ("x" * 300), *SMALL)
    # A table's temporary name is no longer than the table's: a name that fits can be written.
    name = "x" * 247 + ".parquet"
    assert write_table(pl.DataFrame({"a": [1]}), tmp_path / name).exists()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    """No file may grow beyond 2000 bytes: tables of the new instance do not fit, and the old one stands."""
    code = "from meio_jax.cli import main; main()"
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); "
    words = ["generate", "made", *map(str, SMALL)]
    assert subprocess.run([sys.executable, "-c", code, *words], check=False, cwd=tmp_path).returncode == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "made").iterdir()}
    again = [*words, "--seed", "1", "--overwrite"]
    limited = [sys.executable, "-c", limit + code, *again]
    done = subprocess.run(limited, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2, done
    assert "too large" in done.stderr.lower()
    assert "What was complete is as it was" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert {path.name: path.read_bytes() for path in (tmp_path / "made").iterdir()} == before
    assert subprocess.run([sys.executable, "-c", code, *again], check=False, cwd=tmp_path).returncode == 0


WRITERS: dict[str, Callable[[Path], object]] = {
    "small file": lambda path: write_whole(path, "new"),
    "text of an instance": lambda path: files.write_text(path, "new"),
    "basis of checkpoints": Basis(["a"], {}, {"scale": np.ones(3)}).write,
    "workbook": lambda path: write_workbook([("a", pl.DataFrame({"a": [1]}))], path),
    "arrays of a part": lambda path: _save(path, [np.ones(3)]),
}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
@pytest.mark.parametrize("write", WRITERS.values(), ids=list(WRITERS))
def test_a_small_file_that_does_not_fit_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], object]
) -> None:
    """What the system says of a write names no file: the writer does."""
    write_whole(tmp_path / "kept", "old")
    opened = Path.open
    full = lambda path, *rest, **more: opened(Path("/dev/full"), *rest, **more)
    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match="No space left") as found:
        write(tmp_path / "kept")
    monkeypatch.undo()
    assert found.value.filename == str(tmp_path / "kept")
    assert (tmp_path / "kept").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1
    status, text = ending(found.value, None) or (0, "")
    assert status == 2
    assert text.startswith(f"Cannot read or write {tmp_path / 'kept'}: no space left on device.")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("No space left on device (os error 28)", errno.ENOSPC),
        ("RESOURCE_EXHAUSTED: Error writing: No space left on device", errno.ENOSPC),
        ("[Errno 30] Read-only file system: 'x'", errno.EROFS),
        ("UNKNOWN: file too large", errno.EFBIG),
    ],
)
def test_what_libraries_say_of_files_is_told_alike(tmp_path: Path, said: str, code: int) -> None:
    with pytest.raises(OSError, match=os.strerror(code)) as found, writing(tmp_path / "table"):
        raise ValueError(said)
    assert found.value.errno == code
    assert found.value.filename == str(tmp_path / "table")
    with pytest.raises(ValueError, match="shapes"), writing(tmp_path):
        raise ValueError("shapes differ")


def test_a_failed_write_leaves_the_file_and_nothing_else(tmp_path: Path) -> None:
    write_text("old", tmp_path / "text")
    with pytest.raises(UnicodeEncodeError):
        write_text("\udcff", tmp_path / "text")
    assert (tmp_path / "text").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_endings_say_how_to_go_on() -> None:
    run = "`meio resume runs/one`"
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/one/plan")
    status, text = ending(full, run) or (0, "")
    assert status == 5
    assert text == (
        "Cannot read or write runs/one/plan: no space left on device. What was complete is as it was. "
        "To go on: free some space there, then continue with `meio resume runs/one`."
    )
    assert (ending(full, None) or (0, ""))[0] == 2
    unnamed = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert (ending(unnamed, None) or (0, ""))[1].startswith(
        "Cannot read or write the output, or a file without a name: no space left on device."
    )
    assert (ending(Preempted("Told to end."), run) or (0, ""))[1].endswith("`meio resume runs/one`.")
    assert (ending(MemoryError(), run) or (0, ""))[0] == 5
    assert ending(ValueError("a mistake of the program"), run) is None


def test_no_room_for_compiled_code_is_told() -> None:
    """More bytes than addresses: what the runtime raises then is no `MemoryError`."""
    too_much = jax.jit(lambda value: jnp.zeros((2**30, 2**30)) + value)
    with pytest.raises(RuntimeError) as found:
        too_much(1.0).block_until_ready()
    status, text = ending(found.value, "`meio resume runs/one`") or (0, "")
    assert status == 5
    assert text.startswith("Out of memory. Free some memory, or lower `solve.block_items`")
    assert text.endswith("then continue with `meio resume runs/one`.")
    assert (ending(found.value, None) or (0, ""))[0] == 2
    assert ending(RuntimeError("INTERNAL: a mistake of the program"), None) is None


class TakesAway(Silent):
    """Removes a folder after the second step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def update(self, step: Step) -> None:
        if step.step == 2:
            shutil.rmtree(self.folder)


@pytest.mark.parametrize("every", [0, 2])
def test_a_run_folder_that_is_deleted_in_the_middle_is_told(tiny_folder: Path, tmp_path: Path, every: int) -> None:
    run = tmp_path / "run"
    config = load_config(
        write_config(tmp_path / "config.yaml", config_content(tiny_folder, run, checkpoint={"every": every}))
    )
    with usual_promotion(), pytest.raises((OSError, InputError)) as found:
        run_solve(config, TakesAway(run))
    status, text = ending(found.value, f"`meio resume {run}`") or (0, "")
    assert status in (2, 5), found.value
    assert len(text.splitlines()) == 1
    assert str(run) in text
    # No half of a run is left that could be taken for one.
    assert not (run / "certificate.json").exists()
    assert not (run / "plan").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to the administrator")
@pytest.mark.parametrize("command", ["generate", "solve", "report", "export", "replan"])
def test_a_folder_that_is_read_only(
    meio: Command, finished: Finished, tiny_folder: Path, tmp_path: Path, command: str
) -> None:
    place = tmp_path / "locked"
    shutil.copytree(finished.folder, place / "run")
    config = write_config(tmp_path / "config.yaml", config_content(tiny_folder, place / "new"))
    words = {
        "generate": ("generate", place / "new", *SMALL),
        "solve": ("solve", config),
        "report": ("report", place / "run"),
        "export": ("export", place / "run"),
        "replan": ("replan", place / "run", "--items", tiny_folder / "on_hand.parquet"),
    }[command]
    before = sorted(place.rglob("*"))
    folders = [place, *(path for path in before if path.is_dir())]
    try:
        for folder in folders:
            folder.chmod(0o555)
        called = meio(*words)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert called.status in (2, 5), called
    assert "Traceback" not in called.err
    assert "permission denied" in called.err
    assert sorted(place.rglob("*")) == before


@pytest.mark.slow
@pytest.mark.parametrize("size", [3000, 9000])
def test_a_solve_that_runs_out_of_space_is_told_in_one_line(
    meio: Command, tiny_folder: Path, tmp_path: Path, size: int
) -> None:
    """No file may grow beyond some kilobytes: tables, or checkpoints that are written in the background."""
    run = tmp_path / "run"
    config = write_config(tmp_path / "config.yaml", config_content(tiny_folder, run))
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size})); "
    words = [sys.executable, "-c", f"{limit}from meio_jax.cli import main; main()", "solve", str(config), "-q"]
    # Its programs are kept nowhere: in part, they would be of no use to the tests that share the folder.
    apart = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    done = subprocess.run(words, check=False, cwd=tmp_path, env=apart, capture_output=True, text=True)
    lines = [line for line in done.stderr.strip().splitlines() if not line.startswith("warning: ")]
    assert len(lines) == 1, done.stderr
    assert done.returncode in (2, 5)
    assert lines[0].startswith(f"Cannot read or write {run}")
    assert "file too large" in lines[0]
    assert not (run / "plan").exists()
    assert not (run / "certificate.json").exists()
    # With space it goes on to the plan of a run that nothing happened to.
    called = meio(*(("resume", run, "-q") if done.returncode == 5 else ("solve", config, "-q")))
    assert called.status == 3, called
    assert (run / "plan" / "orders.parquet").exists()
