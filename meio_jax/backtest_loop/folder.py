"""The folder of a backtest: a new one is written beside a finished one, and takes its place when it is complete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from meio_jax.errors import InputError, Note, Problem
from meio_jax.folders import (
    NEXT,
    Claim,
    Mark,
    check_claim,
    clear_unfinished,
    publish,
    read_mark,
    remove,
    settle,
    write_mark,
)
from meio_jax.runs.backtests import KIND, SUMMARY
from meio_jax.runs.files import read_json
from meio_jax.runs.moved import say_where
from meio_jax.tables import write_text

IDENTITY = "backtest.json"
_MARK = Mark(KIND, (IDENTITY, SUMMARY, "days", "mornings", "plans", "steady", "clairvoyant", "results", "report.html"))


def open_folder(folder: Path, same: dict[str, Any], *, resume: bool, overwrite: bool) -> Path:
    """Make a folder ready, and say where in it the backtest is written.

    Args:
        folder: The folder that the user named.
        same: What a continuation must agree with.
        resume: Continue what an earlier process left.
        overwrite: Replace the backtest that the folder holds; a finished one once the new one is complete.

    Raises:
        InputError: If there is nothing to continue, it was begun with something else, or the folder is not to be
            written.
    """
    settle(folder)
    if resume:
        place = folder / NEXT if (folder / NEXT / IDENTITY).is_file() else folder
        mark = read_mark(place)
        if mark is None or mark.kind != KIND or not (place / IDENTITY).exists():
            remedy = "leave `--resume` away, or give the folder of a backtest"
            raise InputError([Problem(str(folder), "--run", "", Note("no backtest"), "a backtest to continue", remedy)])
        _check_same(place, same)
        return place
    check_claim(folder, Claim(KIND, "--run", overwrite=overwrite), "a backtest (continue it with --resume)")
    clear_unfinished(folder)
    place = folder / NEXT if (folder / SUMMARY).exists() else folder
    place.mkdir(exist_ok=True)
    for name in _MARK.entries:
        remove(place / name)
    write_mark(place, _MARK)
    write_text(json.dumps(same, indent=1), place / IDENTITY)
    return place


def finish(folder: Path, place: Path) -> None:
    """Let a complete backtest take the place of an earlier one."""
    if place == folder:
        return
    for run in sorted((place / "plans").glob("[0-9]*")):
        say_where(run, place, folder)
    publish(folder, _MARK, _MARK.entries)


def _check_same(place: Path, same: dict[str, Any]) -> None:
    stored = read_json(place / IDENTITY, "what a backtest began with")
    now = json.loads(json.dumps(same))
    remedy = "continue with what it began with, or begin anew with --overwrite"
    problems = [
        Problem(str(place / IDENTITY), "", key, now.get(key), f"{stored.get(key)}, as it began", remedy)
        for key in dict.fromkeys([*stored, *now])
        if stored.get(key) != now.get(key)
    ]
    if problems:
        raise InputError(problems)
