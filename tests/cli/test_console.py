"""Nothing but text reaches a terminal, whatever folders are called and whatever a run folder from elsewhere says."""

import io
import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from rich.table import Table
from small_runs import Command, Finished
from tiny import ITEMS

from meio_jax.cli.console import PlainConsole, escape, shown

NAMES = {"a\x1b[31mred": "a\\x1b[31mred", "b\x1b]0;title": "b\\x1b]0;title"}
SMALL = ("--shape", "local", "--items", 3, "--nodes", "1,1,0", "--regions", 2, "--speeds", 2, "--periods", 7)


@pytest.mark.parametrize("name", NAMES, ids=["colour", "title"])
def test_names_of_folders_are_shown_and_not_run(meio: Command, finished: Finished, tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    run, instance = home / "run", home / "instance"
    shutil.copytree(finished.folder, run)
    commands = [("generate", instance, *SMALL), ("validate", instance), ("show", run), ("export", run), ("report", run)]
    for words in commands:
        called = meio(*words)
        assert called.status == 0, called
        assert NAMES[name] in called.out, called.out
        assert shown(called.out) == called.out
    missing = meio("show", home / "nowhere")
    assert missing.status == 2
    assert shown(missing.err) == missing.err


def test_what_a_damaged_certificate_says_is_shown_as_it_is(meio: Command, finished: Finished, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    content = json.loads((run / "certificate.json").read_text())
    row = {"kind": "[/red]\x1b[2J", "resource": "r\x1b", "bucket": "[/b]", "relative": 0.1}
    content |= {"violations": [row], "cost_terms": {"[/x]\x9b31m": 3.0}}
    (run / "certificate.json").write_text(json.dumps(content))
    called = meio("show", run)
    assert called.status == 0, called
    assert shown(called.out) == called.out
    for text in ("[/red]\\x1b[2J", "r\\x1b", "[/b]", "[/x]\\x9b31m"):
        assert text in called.out


def test_a_name_that_is_not_utf8_is_told(meio: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / os.fsdecode(b"c\xff")
    place.mkdir()
    for words in (("generate", place / "instance", *SMALL), ("validate", place), ("show", place), ("solve", place)):
        called = meio(*words)
        assert called.status == 2
        assert len(called.err.strip().splitlines()) == 1, called.err
        assert "c\\udcff" in called.err
        assert "UTF-8" in called.err
    monkeypatch.chdir(place)
    assert "the current folder" in meio("show", "run").err
    assert not list(place.iterdir())


def test_colours_stay_and_lines_end() -> None:
    file = io.StringIO()
    console = PlainConsole(file=file, force_terminal=True, color_system="standard", width=60)
    console.print("one\ntwo\x1b[1m", style="red", highlight=False)
    table = Table("name")
    table.add_row(escape("[a]\x1b"))
    console.print(table)
    text = file.getvalue()
    assert text.startswith("\x1b[31mone\x1b[0m\n\x1b[31mtwo\\x1b[1m\x1b[0m\n")
    assert "[a]\\x1b" in text


@pytest.mark.slow
def test_a_currency_that_looks_like_markup_is_shown(
    meio: Command, finished: Finished, tiny_folder: Path, tmp_path: Path
) -> None:
    instance, run = tmp_path / "instance", tmp_path / "run"
    shutil.copytree(tiny_folder, instance)
    settings = yaml.safe_load((instance / "instance.yaml").read_text()) | {"currency": "[/red]"}
    (instance / "instance.yaml").write_text(yaml.safe_dump(settings))
    shutil.copytree(finished.folder, run)
    for words in (
        ("whatif", run, "--resource", "storage", "--capacity", "+10%", "--instance", instance),
        ("diff", finished.folder, run, "--items", 0, "--instance-b", instance, "--out", tmp_path / "diff"),
        ("explain", run, "--item", ITEMS[0], "--instance", instance),
    ):
        called = meio(*words)
        assert called.status == 0, called
        assert "[/red]" in called.out
