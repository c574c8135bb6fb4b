"""One command at a time in a folder: a lock with its holder's process, machine and age.

The lock is the operating system's, so that it goes with a process that dies. Some file systems have none, and some do
not share them between machines: the holder therefore signs a file again and again. Of a process of this machine it is
known whether it is alive; one of another machine is held for gone when it has not signed for some minutes.
"""

from __future__ import annotations

import json
import math
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from meio_jax.errors import Note, Problem, Refusal
from meio_jax.folders.alive import is_alive
from meio_jax.folders.marks import HOLDER, LOCK, MARKER, NEXT, content, write_whole
from meio_jax.folders.remove import made_folders, remove_empty
from meio_jax.folders.swap import settle

SIGNS_EVERY, GONE_AFTER = 15.0, 90.0
"""Seconds between two signs of life, and after how many without one a process of another machine is held for gone."""


@dataclass(frozen=True)
class Holder:
    """Who holds a folder: command, process, machine and when it began (seconds since 1970)."""

    command: str
    process: int
    machine: str
    since: float


def read_holder(folder: Path) -> Holder | None:
    """Who signed for a folder; None where nobody did, or it cannot be read."""
    try:
        found = Holder(**json.loads((folder / HOLDER).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return found if _is_sound(found) else None


def _is_sound(holder: Holder) -> bool:
    """Whether the entries of a file that anybody may have written are what they should be."""
    texts = isinstance(holder.command, str) and isinstance(holder.machine, str)
    number = type(holder.process) is int and 0 < holder.process < 2**31
    return texts and number and isinstance(holder.since, int | float) and math.isfinite(holder.since)


@contextmanager
def held(folder: Path, command: str) -> Iterator[None]:
    """Hold a folder, which is made if it is missing; a folder that was made and stays empty is taken away again.

    Args:
        folder: The folder.
        command: What is done in it, as another user is told, such as "meio solve".

    Raises:
        Refusal: If another process holds it.
        OSError: If the folder cannot be made or written.
    """
    made = made_folders(folder)
    lock = FileLock(folder / LOCK)
    try:
        system = _taken(lock, folder)
        other = read_holder(folder)
        if other is not None and not _is_gone(folder, other, system):
            raise _refused(folder, other)
        _sign(folder, command)
    except BaseException:
        _leave(folder, made)
        lock.release(force=True)
        raise
    ended = threading.Event()
    threading.Thread(target=_keep_signing, args=(folder, ended), daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        (folder / HOLDER).unlink(missing_ok=True)
        _leave(folder, made)
        lock.release(force=True)


@contextmanager
def used(folder: Path, command: str) -> Iterator[None]:
    """Hold a folder that is there, where it can be written; where it cannot be, nobody works in it here.

    Arguments and errors as of `held`.
    """
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        yield
        return
    with held(folder, command):
        settle(folder)
        yield


def check_free(folder: Path) -> None:
    """Make sure that no other process holds a folder, without holding it.

    Raises:
        Refusal: If another process holds it.
    """
    other = read_holder(folder)
    if other is None or _is_own(other) or not os.access(folder / LOCK, os.W_OK):
        return
    lock = FileLock(folder / LOCK)
    try:
        if not _is_gone(folder, other, _taken(lock, folder)):
            raise _refused(folder, other)
    finally:
        lock.release(force=True)


def _is_own(holder: Holder) -> bool:
    return holder.process == os.getpid() and holder.machine == socket.gethostname()


def _taken(lock: FileLock, folder: Path) -> bool:
    """Take the lock of the operating system; False where the file system has none."""
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise _refused(folder, read_holder(folder)) from None
    except NotImplementedError:
        return False
    return True


def _is_gone(folder: Path, other: Holder, system: bool) -> bool:
    """Whether a process that signed is gone: `system` says that the lock of the operating system was free."""
    if other.machine == socket.gethostname():
        return system or not is_alive(other.process)
    return _unsigned(folder) > GONE_AFTER


def _unsigned(folder: Path) -> float:
    """Seconds since the last sign of life, by the clock of the file system."""
    probe = folder / f"{HOLDER}.{os.getpid()}.now"
    try:
        probe.touch()
        return probe.stat().st_mtime - (folder / HOLDER).stat().st_mtime
    except FileNotFoundError:
        return GONE_AFTER + 1
    finally:
        probe.unlink(missing_ok=True)


def _sign(folder: Path, command: str) -> None:
    holder = Holder(command, os.getpid(), socket.gethostname(), time.time())
    write_whole(folder / HOLDER, json.dumps(asdict(holder)))


def _keep_signing(folder: Path, ended: threading.Event) -> None:
    while not ended.wait(SIGNS_EVERY):
        # A folder that was taken away is told where something is written to it.
        with suppress(OSError):
            os.utime(folder / HOLDER)


def _leave(folder: Path, made: list[Path]) -> None:
    """Take away a folder that was made and in which nothing was written."""
    if made:
        with suppress(OSError):
            if not content(folder) and not (folder / NEXT).exists():
                for name in (MARKER, LOCK):
                    (folder / name).unlink(missing_ok=True)
        remove_empty(made)


def _refused(folder: Path, other: Holder | None) -> Refusal:
    found = "in use by another process"
    if other is not None:
        found = f"in use by `{other.command}` (process {other.process} on {other.machine}, for {_age(other.since)})"
    remedy = f"wait until it has ended, or end it ({folder / HOLDER} says who it is)"
    return Refusal(Problem(str(folder), "", "", Note(found), "a folder that no other command works in", remedy))


def _age(since: float) -> str:
    seconds = max(time.time() - since, 0.0)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
