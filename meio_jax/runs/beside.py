"""Folders of several runs (backtests, curves): continued after a cut, and written beside a finished one."""

from __future__ import annotations

import json
from dataclasses import dataclass
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
from meio_jax.runs.files import read_json
from meio_jax.runs.moved import say_where
from meio_jax.tables import write_text

SAME_AGAIN = "the same command and `--resume`"
"""How such work is continued, in words."""


@dataclass(frozen=True)
class Work:
    """A kind of folder that holds several runs.

    Attributes:
        mark: Its marker; the kind is what messages call it.
        identity: The file of what it began with.
        result: The file that stands there once it is finished.
        runs: The folder in it that holds its runs.
        option: The option that names the folder.
    """

    mark: Mark
    identity: str
    result: str
    runs: str
    option: str


def open_beside(folder: Path, work: Work, same: dict[str, Any], *, resume: bool, overwrite: bool) -> Path:
    """Make a folder ready, and say where in it the work is written.

    Args:
        folder: The folder that the user named.
        work: What is done there.
        same: What a continuation must agree with.
        resume: Continue what an earlier process left.
        overwrite: Replace what the folder holds; what is finished once the new one is complete.

    Raises:
        InputError: If there is nothing to continue, it was begun with something else, or the folder is not to be
            written.
    """
    settle(folder)
    kind = work.mark.kind
    if resume:
        place = folder / NEXT if (folder / NEXT / work.identity).is_file() else folder
        mark = read_mark(place)
        if mark is None or mark.kind != kind or not (place / work.identity).exists():
            remedy = f"leave `--resume` away, or give the folder of a {kind}"
            expected = f"a {kind} to continue"
            raise InputError([Problem(str(folder), work.option, "", Note(f"no {kind}"), expected, remedy)])
        _check_same(place / work.identity, same, kind)
        return place
    check_claim(folder, Claim(kind, work.option, overwrite=overwrite), f"a {kind} (continue it with --resume)")
    clear_unfinished(folder)
    place = folder / NEXT if (folder / work.result).exists() else folder
    place.mkdir(exist_ok=True, parents=True)
    for name in work.mark.entries:
        remove(place / name)
    write_mark(place, work.mark)
    write_text(json.dumps(same, indent=1), place / work.identity)
    return place


def take_over(folder: Path, place: Path, work: Work) -> None:
    """Let complete work in `place` take the place of earlier work in `folder`; nothing where they are one."""
    if place == folder:
        return
    for run in sorted((place / work.runs).glob("[0-9]*")):
        say_where(run, place, folder)
    publish(folder, work.mark, work.mark.entries)


def _check_same(path: Path, same: dict[str, Any], kind: str) -> None:
    stored, now = read_json(path, f"what a {kind} began with"), json.loads(json.dumps(same))
    remedy = "continue with what it began with, or begin anew with --overwrite"
    problems = [
        Problem(str(path), "", key, now.get(key), f"{stored.get(key)}, as it began", remedy)
        for key in dict.fromkeys([*stored, *now])
        if stored.get(key) != now.get(key)
    ]
    if problems:
        raise InputError(problems)
