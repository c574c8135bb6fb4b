"""A run folder: where a run is written while it is under way, and how a finished one takes its place."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meio_jax.certify.certificate import Certificate
from meio_jax.config.settings import Config, dump_config
from meio_jax.errors import Note, Problem, Refusal
from meio_jax.folders import (
    NEXT,
    Claim,
    Mark,
    check_claim,
    check_free,
    clear_unfinished,
    publish,
    read_mark,
    settle,
    write_mark,
)
from meio_jax.instance import Instance
from meio_jax.results import Result
from meio_jax.tables import write_text

_BEGUN = ("config.yaml", "instance.json", "census.json", "checkpoints", "scratch")
_FOUND = ("plan", "prices.parquet", "metrics.parquet", "certificate.json")
# Made of a plan by other commands, and so of no use once there is another plan.
_OF_PLAN = ("report.html",)
_DERIVED = ("export", "replan", "diff")

RUN_MARK = Mark("run", (*_BEGUN, *_FOUND, *_OF_PLAN))


@dataclass(frozen=True)
class RunFolder:
    """A run under way: `home` is the folder that the user named, `place` where this run is written.

    They are the same unless an earlier run is being replaced: then `place` is a folder inside `home` until the new
    run is complete.
    """

    home: Path
    place: Path

    @property
    def checkpoints(self) -> Path:
        return self.place / "checkpoints"

    @property
    def coming(self) -> Path:
        """Where the results are written before they take their place as a whole."""
        return self.place / NEXT

    def begin(self, config: Config, instance: Instance, folder: Path, digests: dict[str, str], **more: Any) -> None:
        """Write down what this run solves.

        Args:
            config: The configuration as resolved.
            instance: The instance, or a part of it.
            folder: Where the instance is.
            digests: Hash of every table.
            more: Further entries of `instance.json`.
        """
        ids = instance.ids
        about = {
            "digests": digests,
            "name": instance.tables.settings.name,
            "path": str(folder),
            "items": instance.census.items,
            "nodes": len(ids.nodes),
            "regions": len(ids.regions),
            **more,
        }
        write_text(json.dumps(about, indent=1), self.place / "instance.json")
        write_text(json.dumps(instance.census.as_dict()), self.place / "census.json")
        # Last: a folder without it is one in which nothing has begun.
        write_text(dump_config(config), self.place / "config.yaml")

    def prepare_results(self) -> None:
        """Make the folder of the results anew.

        Raises:
            OSError: If the folder of the run was taken away, or cannot be written.
        """
        check_there(self.place / "config.yaml")
        clear_unfinished(self.place)
        self.coming.mkdir()

    def finish(self, certificate: Certificate) -> bool:
        """Write the certificate, and let the results, or the whole run, take their place.

        Returns:
            Whether they are in the folder that the user named; False where an earlier run keeps it.
        """
        write_certificate(certificate, self.coming)
        publish(self.place, RUN_MARK, _stale(self.place))
        if self.place == self.home:
            return True
        if not _replaces(Result[certificate.result]):
            return False
        publish(self.home, RUN_MARK, (*RUN_MARK.entries, *_stale(self.home)))
        return True

    def results(self) -> Path:
        """Where the results of a run that has been finished are: in the folder that the user named, or beside it."""
        return self.place if (self.place / "certificate.json").is_file() else self.home


def check_there(path: Path) -> None:
    """Make sure that what this run has written is there still: writers of files make folders that are missing.

    Raises:
        FileNotFoundError: If it was taken away.
    """
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def _replaces(result: Result) -> bool:
    """Whether a run that ended so may take the place of a finished one: one that can be resumed, or failed, may not."""
    return result not in (Result.INTERRUPTED, Result.NUMERICAL_FAILURE)


def _stale(place: Path) -> list[str]:
    """What earlier commands made of the plan in a folder."""
    derived = {name: read_mark(place / name) for name in _DERIVED}
    return [*_OF_PLAN, *(name for name, mark in derived.items() if mark is not None and mark.kind == name)]


def made_of(run: Path, out: Path) -> str:
    """How a folder that a command makes of a run names it: by its place, so that a run may be moved with it."""
    return ".." if out.resolve().parent == run.resolve() else str(run.resolve())


def check_new(run: Path, *, overwrite: bool) -> bool:
    """Whether a run that begins replaces an earlier one; nothing is written.

    Args:
        run: The folder that the user named.
        overwrite: Whether an earlier run may be replaced.

    Raises:
        Refusal: If the folder holds an earlier run that may not be replaced, or anything else.
    """
    if read_mark(run) == RUN_MARK and not (run / "config.yaml").exists():
        # A run that ended before anything had begun.
        return False
    if read_mark(run) == RUN_MARK:
        # Of a run that is under way it would be said that it can be continued or replaced.
        check_free(run)
    return check_claim(run, Claim("run", "run", overwrite=overwrite), _what(run))


def open_new(run: Path, *, overwrite: bool) -> RunFolder:
    """The folder of a run that begins; arguments and errors as of `check_new`."""
    settle(run)
    replaces = check_new(run, overwrite=overwrite)
    clear_unfinished(run)
    place = run / NEXT if replaces else run
    place.mkdir(exist_ok=True)
    # Before anything else, so that what a killed process leaves is known for what it is.
    write_mark(place, RUN_MARK)
    return RunFolder(run, place)


def open_again(run: Path) -> RunFolder:
    """The folder of a run that is continued: the one that was to replace another, where there is one."""
    settle(run)
    return RunFolder(run, unfinished_place(run))


def unfinished_place(run: Path) -> Path:
    """Where the run that `resume` continues is written.

    Raises:
        Refusal: If the folder holds no run that this program made.
    """
    place = run / NEXT if (run / NEXT / "config.yaml").is_file() else run
    mark = read_mark(place)
    if mark is None or mark.kind != RUN_MARK.kind or not (place / "config.yaml").is_file():
        found = Note("no run that this program began") if run.is_dir() else None
        raise Refusal(Problem(str(run), "", "", found, "the folder of a run", "start one with `meio solve`"))
    return place


def stays(folder: RunFolder) -> str:
    """What is said where an earlier run stays in place."""
    return f"the earlier run stays in {folder.home}, as this one is not complete; what this one found: {folder.place}"


def _what(run: Path) -> str:
    """What an earlier run in a folder is, in words."""
    try:
        result = Result[json.loads((run / "certificate.json").read_text(encoding="utf-8"))["result"]]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return "an unfinished run, which `meio resume` continues"
    words = result.name.lower().replace("_", " ")
    return (
        "an interrupted run, which `meio resume` continues"
        if result is Result.INTERRUPTED
        else f"a finished run ({words})"
    )


def write_certificate(certificate: Certificate, folder: Path) -> None:
    """Write `certificate.json`."""
    write_text(json.dumps(without_nan(certificate.as_dict()), indent=1, allow_nan=False), folder / "certificate.json")


def without_nan(value: Any) -> Any:
    """JSON has no infinities and no NaN: they become null."""
    if isinstance(value, dict):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(inner) for inner in value]
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return None
    return value
