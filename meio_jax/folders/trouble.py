"""Trouble with files as libraries tell it, in the words of the operating system: one kind of error for all writers."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CODE = re.compile(r"os error (\d+)|\[Errno (\d+)\]|errno[=: ]+(\d+)", re.IGNORECASE)
_SAYS = {
    "no space left": errno.ENOSPC,
    "disk quota": errno.EDQUOT,
    "file too large": errno.EFBIG,
    "read-only file system": errno.EROFS,
    "permission denied": errno.EACCES,
    "file name too long": errno.ENAMETOOLONG,
    "not a directory": errno.ENOTDIR,
    "no such file": errno.ENOENT,
    "input/output error": errno.EIO,
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell every failure to write a file as an `OSError` that names it.

    Raises:
        OSError: If what is done in the context fails because of the file system.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is not None:
            raise
        raise _named(error, path) from error
    except Exception as error:
        if _code(error) is None:
            raise
        raise _named(error, path) from error


def _named(error: BaseException, path: Path) -> OSError:
    code = _code(error) or errno.EIO
    return OSError(code, os.strerror(code), str(path))


def _code(error: BaseException) -> int | None:
    """The number of the system's error that a message speaks of; None where it speaks of none."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    text = str(error)
    found = _CODE.search(text)
    if found:
        return int(next(group for group in found.groups() if group))
    low = text.lower()
    return next((code for words, code in _SAYS.items() if words in low), None)
