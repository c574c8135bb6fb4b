"""How many items a step simulates at once, by the device that it runs on.

On a CPU a block is as large as the cache holds. On other devices it is as large as their memory holds: there every
kernel of a day takes a few microseconds to launch, whatever it works on, so that few large blocks are fastest.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import polars as pl

from meio_jax.config.settings import Config
from meio_jax.tables import Tables

_CPU_BATCH_ROWS, _LEAST_BATCH = 5_000, 64
# Where a device does not tell its memory.
_USUAL_MEMORY = 16 * 2**30
# The rest is for what items keep between steps and for programs.
_SHARE_OF_MEMORY = 0.5
# Blocks that are simulated at once: items of a block are of one group, and groups differ in size.
TOGETHER = 16
# What a compiled step keeps of a period in words: so many times its demand classes, and its nodes and sources (measured
# in `experiments/gpu_compile.py`).
_WORDS_PER_CLASS, _WORDS_PER_NODE = 3, 8
# The tail that is simulated after the horizon, in horizons.
_WITH_TAIL = 1.5


@dataclass(frozen=True)
class Device:
    """What steps run on: `cpu` or another kind, and the bytes that programs may take there (None: not told)."""

    kind: str
    memory: int | None = None


def this_device() -> Device:
    """The devices of this process, which are all of one kind."""
    first = jax.local_devices()[0]
    stats = None if first.platform == "cpu" else first.memory_stats()
    return Device(first.platform, None if not stats else stats.get("bytes_limit"))


def block_items(nodes: int, scenarios: int) -> int:
    """Items per block such that what the backward pass of a day keeps fits a CPU's cache (`bench_kernel`)."""
    batch = max(_LEAST_BATCH, _CPU_BATCH_ROWS // max(nodes, 1))
    return max(1, batch // scenarios)


def column_bytes(tables: Tables, config: Config) -> float:
    """Bytes that a compiled step keeps of one scenario of an item, about."""
    settings = tables.settings
    classes = settings.waves * tables.speeds.height * tables.regions.height
    word = 8 if config.precision == "float64" else 4
    words = _WORDS_PER_CLASS * classes + (_WORDS_PER_NODE + _lives(tables)) * tables.nodes.height
    return word * _WITH_TAIL * settings.periods * words


def _lives(tables: Tables) -> int:
    """Days of life by which the stock of a node is kept apart; none without shelf lives."""
    longest = tables.items["shelf_life"].cast(pl.Int64).max()
    return min(longest, tables.settings.periods) if isinstance(longest, int) else 0


def items_per_block(tables: Tables, config: Config, scenarios: int, device: Device | None = None) -> int:
    """Items per block: as the configuration says, else by the device.

    Args:
        tables: The instance, or a part of it: its network and settings count.
        config: The configuration.
        scenarios: Scenarios of a step.
        device: What steps run on; None: the device of this process.
    """
    if config.solve.block_items is not None:
        return config.solve.block_items
    device = this_device() if device is None else device
    if device.kind == "cpu":
        return block_items(tables.nodes.height, scenarios)
    columns = _SHARE_OF_MEMORY * (device.memory or _USUAL_MEMORY) / column_bytes(tables, config)
    return max(1, int(columns / scenarios / TOGETHER))


def blocks_together(device: Device | None = None) -> int:
    """How many blocks a step simulates at once at most: one on a CPU, where each fills the cache."""
    return 1 if (this_device() if device is None else device).kind == "cpu" else TOGETHER
