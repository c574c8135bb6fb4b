"""`compiled`: numba's `njit` with a cache on disk, or a stand-in that says how to get numba."""

import hashlib
import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from meio_jax.errors import InputError, Problem

numba: Any
try:
    numba = import_module("numba")
except ImportError:  # an optional extra; the message belongs to the first use, not to the import
    numba = None

_HERE = Path(__file__).parent


def _cache_folder() -> str:
    """Cache folder named after the sources: numba alone notices a change of a function's own file only, not
    of the compiled functions that it calls."""
    digest = hashlib.blake2b(digest_size=6)
    for source in sorted(_HERE.glob("*.py")):
        digest.update(source.read_bytes())
    return str(_HERE / "__pycache__" / f"numba-{digest.hexdigest()}")


def missing_numba() -> InputError:
    """The error of every compiled function where numba is not installed."""
    return InputError(
        [
            Problem(
                "the order-by-order simulator",
                "",
                "",
                None,
                "the package numba, which compiles it",
                'pip install "meio-jax[backtest]"',
            )
        ]
    )


_FOLDER = _cache_folder()


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function on first use and keep the machine code on disk.

    Raises:
        InputError: On call, if numba is not installed; the message names the extra to install.
    """
    return _compile(function)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """`compiled`, for a step of an inner loop: its code is put into its callers, because handing over a
    hundred arrays takes longer than the step itself."""
    return _compile(function, forceinline=True)


# The compiled code allocates nothing, so numba need not count references to arrays: with `_nrt` on,
# counting takes nine tenths of the time. (An array made inside would be a compile-time error, not a leak.)
def _compile(function: Callable[..., Any], **how: bool) -> Callable[..., Any]:
    function = inspect.unwrap(function)  # a type checker's wrapper cannot be compiled
    if numba is None:

        def stand_in(*_: Any, **__: Any) -> Any:
            raise missing_numba()

        return stand_in
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = _FOLDER  # read while decorating; put back so that nobody else is affected
    try:
        return numba.njit(cache=True, _nrt=False, **how)(function)
    finally:
        numba.config.CACHE_DIR = before
