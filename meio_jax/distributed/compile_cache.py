"""Compiled programs outlive a process, so that a rerun or a re-plan does not compile what was compiled before."""

import gc
from pathlib import Path

import jax
from platformdirs import user_cache_path

_LIMIT = 2**30
_LIMIT_OF_MAPS = Path("/proc/sys/vm/max_map_count")


def cache_folder() -> Path:
    """Where compiled programs are kept unless JAX is told otherwise: the user's folder for caches."""
    return user_cache_path("meio-jax") / "programs"


def keep_compiled_programs() -> None:
    """Let JAX read and write compiled programs, at most 1 GiB of them.

    JAX's own settings say otherwise: `JAX_COMPILATION_CACHE_DIR` names another folder, and
    `JAX_ENABLE_COMPILATION_CACHE=false` keeps nothing. A folder that cannot be written is left alone.
    """
    settings = jax.config.values
    if not settings["jax_enable_compilation_cache"] or settings["jax_compilation_cache_dir"]:
        return
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").touch()
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", _LIMIT)


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
    jax.clear_caches()
    gc.collect()
    return True
