"""How the command ends where something stands in its way: one message, and an exit status that is documented."""

from __future__ import annotations

import errno
import os

from meio_jax.errors import InputError, is_out_of_memory
from meio_jax.progress import Preempted, ProcessLost
from meio_jax.results import Result

BAD_INPUT = 2

_REMEDIES = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some space there, or ask for a larger quota",
    errno.EFBIG: "lift the limit on the size of files (`ulimit -f`)",
    errno.EROFS: "choose a folder that can be written",
    errno.EACCES: "choose a folder that you may read and write",
    errno.EPERM: "choose a folder that you may read and write",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "choose a path whose every part but the last is a folder",
    errno.EISDIR: "choose a name that is not a folder's",
    errno.EEXIST: "choose another name",
    errno.ENOENT: "leave the folder in place while a command works in it",
    errno.ENOTEMPTY: "leave the folder alone while a command works in it",
    errno.EIO: "check the disk",
    errno.ESTALE: "check the network file system",
    errno.ELOOP: "mend the symbolic link",
    errno.EMFILE: "raise the limit on open files (`ulimit -n`)",
    errno.ENOMEM: "free some memory",
}


def ending(error: BaseException, onward: str | None) -> tuple[int, str] | None:
    """Exit status and message of an error that users can do something about; None of all others.

    Args:
        error: What was raised.
        onward: How what has begun can be continued, such as "`meio resume RUN`"; None: nothing has begun.
    """
    if isinstance(error, InputError):
        return BAD_INPUT, str(error)
    if isinstance(error, Preempted | ProcessLost):
        words = str(error)
        more = "" if onward is None or onward in words else f" Continue with {onward}."
        return Result.INTERRUPTED.value, words + more
    if isinstance(error, OSError) and error.errno in _REMEDIES:
        return _status(onward), _file_trouble(error, onward)
    if isinstance(error, MemoryError) or is_out_of_memory(error):
        then = "" if onward is None else f", then continue with {onward}"
        remedy = f"Free some memory, or lower `solve.block_items`, `scenarios.per_step` or `scenarios.store_gib`{then}."
        return _status(onward), f"Out of memory. {remedy}"
    return None


def _status(onward: str | None) -> int:
    return BAD_INPUT if onward is None else Result.INTERRUPTED.value


def _file_trouble(error: OSError, onward: str | None) -> str:
    where = error.filename2 or error.filename
    # Of the output, and of some files of libraries, the system says no name.
    place = (
        os.fsdecode(where) if isinstance(where, str | bytes | os.PathLike) else "the output, or a file without a name"
    )
    assert error.errno is not None  # known above
    reason = (error.strerror or os.strerror(error.errno)).rstrip(".").lower()
    then = "give the command again" if onward is None else f"continue with {onward}"
    remedy = _REMEDIES[error.errno]
    return f"Cannot read or write {place}: {reason}. What was complete is as it was. To go on: {remedy}, then {then}."
