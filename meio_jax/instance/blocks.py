"""Items sorted into groups and cut into blocks of one size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Layout:
    """Where each item sits: `item[b, j]` is the position in the table of the j-th item of block b.

    Short blocks are filled up with repeats of their first item, marked by `live` = 0. All items of a block are of
    one group, so they can share preference lists; `group` numbers it.
    """

    item: np.ndarray
    live: np.ndarray
    group: np.ndarray

    @property
    def blocks(self) -> int:
        return self.item.shape[0]

    @property
    def count(self) -> int:
        """Number of items."""
        return int(self.live.sum())

    def cut(self, array: np.ndarray) -> np.ndarray:
        """`[..., items] -> [blocks, ..., block_items]`."""
        return np.moveaxis(array[..., self.item], -2, 0)

    def join(self, array: np.ndarray, items: int) -> np.ndarray:
        """`[blocks, ..., block_items] -> [..., items]`, dropping the padding."""
        flat = np.moveaxis(np.asarray(array), 0, -2)
        flat = flat.reshape(*flat.shape[:-2], flat.shape[-2] * flat.shape[-1])
        joined = np.zeros((*flat.shape[:-1], items), flat.dtype)
        keep = self.live.reshape(-1) > 0
        joined[..., self.item.reshape(-1)[keep]] = flat[..., keep]
        return joined


def lay_out(group: np.ndarray, block_items: int, blocks: int = 0) -> Layout:
    """Cut the items of each group into blocks.

    Args:
        group: Number of the group of every item. Within a group items keep their order.
        block_items: Items per block.
        blocks: Blocks of no live item are added until there are this many.
    """
    rows, lives, groups = [], [], []
    for number in np.unique(group):
        members = np.flatnonzero(group == number)
        for start in range(0, members.size, block_items):
            own = members[start : start + block_items]
            missing = block_items - own.size
            rows.append(np.concatenate([own, np.full(missing, own[0])]))
            lives.append(np.concatenate([np.ones(own.size), np.zeros(missing)]))
            groups.append(number)
    for _ in range(blocks - len(rows)):
        rows.append(rows[-1])
        lives.append(np.zeros(block_items))
        groups.append(groups[-1])
    return Layout(np.asarray(rows), np.asarray(lives), np.asarray(groups))


def blocks_needed(sizes: Iterable[int], block_items: int) -> int:
    """Number of blocks that hold groups of these numbers of items."""
    return sum(-(-size // block_items) for size in sizes)


def in_equal_sets(blocks: int, devices: int, together: int) -> int:
    """So many blocks, or a few more, that every device has as many, in sets of one size up to `together`."""
    each = -(-blocks // devices)
    sets = -(-each // together)
    return devices * sets * -(-each // sets)


def evened(parts: Sequence[Sequence[int]], block_items: int, together: int) -> int:
    """Least items per block with which groups of these sizes take no more sets of blocks: least padding.

    Args:
        parts: Numbers of items of the groups of every process.
        block_items: Most items per block.
        together: Blocks of a set, which are simulated at once.
    """
    needed = lambda size: max(blocks_needed(sizes, size) for sizes in parts)
    most = together * -(-needed(block_items) // together)
    low, high = 1, block_items
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if needed(middle) <= most else (middle + 1, high)
    return low
