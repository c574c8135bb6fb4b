"""How much memory a catalog takes, and how much there is, before a search starts."""

from __future__ import annotations

import os
from pathlib import Path

import jax
import numpy as np

from meio_jax.config.settings import Config
from meio_jax.errors import Note, Problem, Refusal
from meio_jax.instance import build_instance
from meio_jax.tables import count_item_rows, read_item_block, scan_item_ids

_ALWAYS_FIT, _SAMPLE = 20_000, 256
# Tables, arrays being built, parameters with their moments and means, holdout results: several times the arrays.
_COPIES = 6
_CGROUP = Path("/sys/fs/cgroup")


def fits(config: Config, items: int) -> bool:
    """Whether so many items of the catalog take less than half of the memory that is free."""
    return items <= _ALWAYS_FIT or memory_needed(config, items) < free_memory() / 2


def check_memory(config: Config, items: int, remedy: str) -> None:
    """Refuse to hold more items in memory than there is room for; a few always pass.

    Args:
        config: The configuration.
        items: How many items of the instance are held at a time.
        remedy: What the user can change.

    Raises:
        Refusal: If they take more than all memory that is free.
    """
    items = min(items, count_item_rows(config.instance.path))
    if items <= _ALWAYS_FIT:
        return
    needed, free = memory_needed(config, items), free_memory()
    if needed > free:
        found = Note(f"{free / 2**30:,.1f} GiB free")
        expected = f"about {needed / 2**30:,.1f} GiB for {items:,} items at a time"
        raise Refusal(Problem("memory", "", "", found, expected, f"{remedy}, or free some memory"))


def memory_needed(config: Config, items: int) -> float:
    """Bytes that so many items take in a search, by the arrays of the first ones of the catalog."""
    folder = config.instance.path
    tables = read_item_block(folder, scan_item_ids(folder, 0, _SAMPLE), consecutive=True)
    # A few items alone say nothing of whole orders.
    tables = tables.replace(vendors=tables.vendors.clear())
    instance = build_instance(tables, block_items=_SAMPLE, bands=1, dtype=np.dtype(config.precision).type)
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(instance.catalog))
    return items / tables.items.height * size * _COPIES


def free_memory() -> float:
    """Bytes that are free: on the accelerator, or in the machine, as far as this process may take them."""
    limits = [device.memory_stats() for device in jax.local_devices()]
    of_devices = sum(one["bytes_limit"] for one in limits if one and "bytes_limit" in one)
    if of_devices:
        return float(of_devices)
    return min(_of_machine(), _of_group(), _of_process())


def _of_machine() -> float:
    path = Path("/proc/meminfo")
    if not path.exists():
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    rows = dict(line.split(":", 1) for line in path.read_text(encoding="utf-8").splitlines())
    return 1024.0 * int(rows["MemAvailable"].split()[0])


def _of_group() -> float:
    """What is left to the container that this process runs in; copies of files give way."""
    try:
        most, used, details = (
            (_CGROUP / f"memory.{name}").read_text(encoding="utf-8").strip() for name in ("max", "current", "stat")
        )
    except OSError:
        return float("inf")
    if most == "max":
        return float("inf")
    files = dict(line.split() for line in details.splitlines()).get("file", "0")
    return float(int(most) - int(used) + int(files))


def _of_process() -> float:
    """What `ulimit -v` leaves to this process."""
    path = Path("/proc/self/statm")
    if not path.exists():
        return float("inf")
    # A module that other systems do not have.
    import resource

    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY:
        return float("inf")
    return float(most - int(path.read_text(encoding="utf-8").split()[0]) * resource.getpagesize())
