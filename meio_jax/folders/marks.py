"""The marker by which a command knows a folder that an earlier command wrote."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from meio_jax.folders.trouble import writing

MARKER = ".meio.json"
LOCK, HOLDER = ".meio.lock", ".meio.holder.json"
NEXT, OLD = ".next", ".old"
FORMAT = 1

OWN = frozenset({MARKER, LOCK, HOLDER, NEXT, OLD})
"""Names that commands keep for themselves in folders that they write."""


@dataclass(frozen=True)
class Mark:
    """What a folder is and which of its entries were written by a command; all else in it is the user's.

    `kind` is "run", "instance", "forecast", "replan", "export" or "scratch"; `entries` names files and folders directly
    in the folder; `of` says of which run (or other thing) they are the result, "" where that has no meaning.
    """

    kind: str
    entries: tuple[str, ...]
    of: str = ""
    format: int = FORMAT


def read_mark(folder: Path) -> Mark | None:
    """The marker of a folder; None where there is none that can be trusted (damaged, or of another format)."""
    try:
        found = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        mark = Mark(str(found["kind"]), tuple(map(str, found["entries"])), str(found["of"]), int(found["format"]))
    except (OSError, ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return None
    # What a marker names is removed later: a name must not lead out of the folder.
    return mark if all(map(is_plain, mark.entries)) and mark.format == FORMAT else None


def is_plain(name: str) -> bool:
    """Whether a name is that of an entry directly in a folder."""
    return name == Path(name).name and name not in ("", ".", "..") and "\0" not in name


def write_mark(folder: Path, mark: Mark) -> None:
    """Write the marker under a temporary name, then rename it."""
    about = {"made_by": f"meio-jax {metadata.version('meio-jax')}", **asdict(mark)}
    write_whole(folder / MARKER, json.dumps(about, indent=1))


def write_whole(path: Path, text: str) -> None:
    """Write a small file that is either whole or not there."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with writing(path):
            unfinished.write_text(text, encoding="utf-8")
            os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def content(folder: Path) -> list[str]:
    """Names in a folder besides those that commands keep for themselves; none where the folder is not there.

    Raises:
        OSError: If it is not a folder, or cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.name not in OWN)
    except FileNotFoundError:
        return []
