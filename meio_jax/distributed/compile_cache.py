"""Compiled programs outlive a process, so that a rerun or a re-plan does not compile what was compiled before."""

import gc
import os
import warnings
from pathlib import Path

import jax
from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from meio_jax.distributed.kept_programs import LIMIT, forget_programs

_SECONDS_TO_WAIT = 10.0
_LIMIT_OF_MAPS = Path("/proc/sys/vm/max_map_count")


def cache_folder() -> Path:
    """Where compiled programs are kept unless JAX is told otherwise: the user's folder for caches."""
    return user_cache_path("meio-jax") / "compiled"


def keep_compiled_programs() -> None:
    """Let JAX read and write compiled programs, at most 1 GiB of them.

    JAX's own settings say otherwise: `JAX_COMPILATION_CACHE_DIR` names another folder, and
    `JAX_ENABLE_COMPILATION_CACHE=false` keeps nothing. A folder that cannot be written is left alone. Programs that
    could not be kept or read back are compiled again without a word: the result is the same.
    """
    settings = jax.config.values
    warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation cache entry")
    if not settings["jax_enable_compilation_cache"] or settings["jax_compilation_cache_dir"]:
        return
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").touch()
        _remove_torn_entries(folder)
    except (OSError, Timeout):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", LIMIT)
    # The commands run a hundred small programs of some 20 ms to compile each; to read one takes about 1 ms.
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _remove_torn_entries(folder: Path) -> None:
    """Remove programs that were written in part only, by a process that was ended or had no space.

    JAX never writes over an entry that exists, so a torn one would be read, and fail, in every later process. It
    writes the time of use after the program itself: an entry without one was not written to its end. The lock is
    JAX's own; who holds it may be between the two.
    """
    with FileLock(folder / ".lockfile", timeout=_SECONDS_TO_WAIT):
        for entry in folder.glob("*-cache"):
            used = entry.with_name(f"{entry.name.removesuffix('-cache')}-atime")
            # A time of use is eight bytes: an empty one cannot be read when old entries are removed.
            if not used.exists() or used.stat().st_size == 0:
                entry.unlink(missing_ok=True)
                used.unlink(missing_ok=True)


def drop_programs_if_many() -> bool:
    """Let go of all compiled programs once they hold half of the memory maps that a process may have.

    Each holds some, and a process that asks for more than the system allows is ended. Solves of equal shapes share
    their programs; a process that solves many different ones would keep those of all.

    Returns:
        Whether they were dropped.
    """
    try:
        with Path("/proc/self/maps").open("rb") as lines:
            held = sum(1 for _ in lines)
        most = int(_LIMIT_OF_MAPS.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if held < most / 2:
        return False
    drop_programs()
    return True


def drop_programs() -> None:
    """Let go of all compiled programs of this process: those that are kept whole, and JAX's own."""
    forget_programs()
    jax.clear_caches()
    gc.collect()
