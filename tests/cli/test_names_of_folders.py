"""Folders whose names mean something to a terminal, to a search for files or to a shell."""

import shutil
from pathlib import Path

import pytest
from marks import some_slow
from small_runs import SOLVE, Command, Finished, config_content, write_config

from meio_jax.results import Result

NAMES = ["[", "a[bold]b[/bold]", "[red]", "*", "?[!x]", "ein Ordner mit Ümläuten", "{a}", "-q"]
SMALL = ("--shape", "local", "--items", 3, "--nodes", "1,1,0", "--regions", 2, "--speeds", 2, "--periods", 7)


@pytest.mark.parametrize("name", some_slow(NAMES, quick=["a[bold]b[/bold]", "?[!x]"]))
def test_a_folder_may_be_called_anything(meio: Command, finished: Finished, tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    assert meio("generate", home / "instance", *SMALL).status == 0
    called = meio("validate", home / "instance")
    assert called.status == 0, called.err
    assert "not read" not in called.err, "what the program keeps in a folder is nobody's"
    assert name in called.out
    run = home / "run"
    shutil.copytree(finished.folder, run)
    # Another folder that the name would find as a pattern.
    shutil.copytree(finished.folder / "plan", tmp_path / "b" / "run" / "plan")
    for command in ("show", "export", "report"):
        called = meio(command, run)
        assert called.status == 0, called
        assert name in called.out, called.out
    assert len(list((run / "export" / "plan").glob("*.csv"))) == len(list((run / "plan").glob("*.parquet")))
    missing = meio("show", home / "nowhere")
    assert missing.status == 2
    assert name in missing.err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["[red]x[/red]", "a*"])
def test_a_run_may_be_called_anything(meio: Command, tiny_folder: Path, tmp_path: Path, name: str) -> None:
    """Instance and run, the run inside the instance; a closing mark of nothing would end the program."""
    home = tmp_path / name / "[/red]"
    shutil.copytree(tiny_folder, home)
    content = config_content(home, home / "runs" / name, solve={**SOLVE, "max_steps": 2})
    config = write_config(tmp_path / "config.yaml", content)
    called = meio("solve", config)
    assert called.status == Result.MAX_STEPS.value, called
    assert name in called.out
    assert meio("validate", home).status == 0, "a run inside the instance is no part of it"
    # Its own files are not among the digests of the instance: it can be resumed.
    assert meio("resume", home / "runs" / name, "-q").status == Result.MAX_STEPS.value
