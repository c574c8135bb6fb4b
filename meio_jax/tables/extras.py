"""Libraries that are not installed everywhere: asked for when they are needed, and told with the line that mends it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from meio_jax.errors import InputError, Note, Problem, first_line


def optional_library(module: str, extra: str, place: str, purpose: str) -> Any:
    """Import a library of an extra.

    Args:
        module: Name of the module.
        extra: Extra of this package that installs it.
        place: File, table or command that needs it, for the message.
        purpose: What it is needed for, such as "to read Excel workbooks".

    Raises:
        InputError: If it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        absent = (error.name or module).split(".")[0]
        expected = f"the library `{absent}` {purpose}"
        remedy = f'pip install "meio-jax[{extra}]"'
        raise InputError([Problem(place, "", "", Note("no such library"), expected, remedy)]) from None


@contextmanager
def panics_as_value_errors() -> Iterator[None]:
    """Tell the panics of compiled libraries as a `ValueError`: each library has a class of its own, no `Exception`.

    Raises:
        ValueError: If a library panics in the context.
    """
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError(first_line(error)) from None
