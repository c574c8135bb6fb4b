"""Tables from elsewhere as files of this process: fetched once, so that everything it reads is of one moment.

They lie in a folder for temporary files that only the user can look into, and are removed when the process ends. What
a process that was killed left there is removed by the next one.
"""

from __future__ import annotations

import atexit
import contextlib
import glob
import os
import shutil
import socket
import tempfile
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from meio_jax.folders.alive import is_alive
from meio_jax.tables.cloud import delta_rows, fetch_objects
from meio_jax.tables.database import query_rows
from meio_jax.tables.origins import Origin, filled
from meio_jax.tables.plain_rows import write_rows


@dataclass(frozen=True)
class Fetched:
    """A table that was fetched: its files, the name of each for messages, and the digest of rows where they are rows
    of no file (else empty: the digest is that of the bytes)."""

    paths: tuple[Path, ...]
    labels: tuple[str, ...]
    digests: tuple[str, ...] = ()
    read: bool = False


_KEPT: dict[tuple[Path, str, str], Fetched] = {}
_LOCK = threading.RLock()


def snapshot(folder: Path, name: str, origin: Origin) -> Fetched:
    """The rows of a table as this process fetched them; fetched now if it has not.

    Args:
        folder: The instance.
        name: The table.
        origin: Where it is.

    Raises:
        InputError: If it cannot be fetched.
    """
    key = (folder.resolve(), name, origin.model_dump_json())
    with _LOCK:
        if key not in _KEPT:
            _KEPT[key] = _fetch(folder, name, origin)
        return _KEPT[key]


def renew(folder: Path) -> None:
    """Let tables be fetched anew that a whole reading of the instance has used already."""
    with _LOCK:
        for key, found in list(_KEPT.items()):
            if key[0] == folder.resolve() and found.read:
                del _KEPT[key]
                shutil.rmtree(found.paths[0].parent, ignore_errors=True)


def mark_read(folder: Path) -> None:
    """Note that a whole reading of the instance has used what is fetched."""
    with _LOCK:
        for key, found in list(_KEPT.items()):
            if key[0] == folder.resolve():
                _KEPT[key] = replace(found, read=True)


def _fetch(folder: Path, name: str, origin: Origin) -> Fetched:
    label = f"{name} (from {origin.shown})"
    place, secrets = filled(origin.place, label)
    home = Path(tempfile.mkdtemp(dir=_home(), prefix=f"{name}-"))
    try:
        if origin.path is not None:
            found = fetch_objects(place, home, label, secrets)
            scheme = place.split("://")[0]
            return Fetched(tuple(path for _, path in found), tuple(f"{scheme}://{one}" for one, _ in found))
        if origin.query is not None:
            query, more = filled(origin.query, label)
            frame = query_rows(place, query, folder, label, (*secrets, *more))
        else:
            table = place if "://" in place else str(folder / place)
            frame, version = delta_rows(table, origin.version, label, secrets)
            label = f"{name} (from {origin.shown}, version {version})"
        path = home / f"{name}.parquet"
        digest = write_rows(frame, path, f"{name}.{origin.kind}", label)
        return Fetched((path,), (label,), (digest,))
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise


_OWN: list[Path] = []


def _home() -> Path:
    """The folder of this process."""
    if not _OWN:
        _sweep()
        made = Path(tempfile.mkdtemp(prefix=f"{_prefix()}{os.getpid()}-"))
        _OWN.append(made)
        atexit.register(shutil.rmtree, made, ignore_errors=True)
    return _OWN[0]


def _prefix() -> str:
    """How folders of this machine begin: containers that share the place number their processes on their own."""
    return f"meio-jax-tables-{socket.gethostname()}-"


def _sweep() -> None:
    """Remove what processes of this user on this machine left that are gone."""
    if os.name != "posix":
        return
    for left in Path(tempfile.gettempdir()).glob(f"{glob.escape(_prefix())}*-*"):
        number = left.name.removeprefix(_prefix()).split("-")[0]
        # Another process may be removing it at this moment.
        with contextlib.suppress(FileNotFoundError):
            if number.isdigit() and left.stat().st_uid == os.getuid() and not is_alive(int(number)):
                shutil.rmtree(left, ignore_errors=True)
