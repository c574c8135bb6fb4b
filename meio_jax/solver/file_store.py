"""Items that do not fit in memory: a part of their blocks at a time, read ahead of the computation.

What belongs to the items of a part lives in files: what stays (forecasts, costs, stock, scales) and what every step
changes (`ItemState`). One compiled program serves all parts; only sums over items, whose size does not depend on the
catalog, are kept in memory between parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from meio_jax.distributed.sharding import sum_over_processes
from meio_jax.policy import AbstractPolicy
from meio_jax.solver.store import AbstractInventoryStore, Change, Moment, Part, Tree, part_look, part_step
from meio_jax.solver.subproblem import InventorySubproblem, ItemState, Totals

Read = TypeVar("Read")
_DATA, _FIRST, _START, _NOW = "part", "first", "start", "state"


class PartFiles:
    """Trees of arrays in files, one for each part and name; read and written by threads of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._structure: dict[str, Any] = {}
        self._writing: dict[Path, Future] = {}
        self._reader = ThreadPoolExecutor(1, "read-ahead")
        self._writer = ThreadPoolExecutor(1, "write-behind")

    def write(self, name: str, part: int, tree: Any) -> None:
        """Write a tree; returns once the one before it is written, so that at most two wait in memory.

        Raises:
            ValueError: If parts of one name differ in their structure or in the shape of an array.
        """
        leaves, structure = jax.tree.flatten(tree)
        arrays = [np.asarray(leaf) for leaf in leaves]
        form = (structure, [(array.shape, array.dtype) for array in arrays])
        if self._structure.setdefault(name, form) != form:
            raise ValueError(f"part {part} of {name} is not of the form of the parts before it")
        self.flush()
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.path(name, part)
        self._writing[path] = self._writer.submit(_save, path, arrays)

    def flush(self) -> None:
        """Wait for what is being written.

        Raises:
            OSError: If it could not be written.
        """
        for future in [*self._writing.values()]:
            future.result()
        self._writing.clear()

    def read(self, name: str, part: int) -> Any:
        """Read a tree back, as numpy arrays."""
        path = self.path(name, part)
        under_way = self._writing.get(path)
        if under_way is not None:
            under_way.result()
        structure, form = self._structure[name]
        with path.open("rb") as file:
            return jax.tree.unflatten(structure, [np.load(file, allow_pickle=False) for _ in form])

    def each(self, parts: range, *names: str) -> Iterator[list[Any]]:
        """The trees of every part in turn."""
        return self.ahead(lambda part: [self.read(name, part) for name in names], parts)

    def ahead(self, read: Callable[[int], Read], parts: range) -> Iterator[Read]:
        """What is read of every part in turn; the next is read, in a thread, while the caller works on this one."""
        coming = None
        for part in parts:
            now = self._reader.submit(read, part) if coming is None else coming
            found = now.result()
            after = part + parts.step
            coming = self._reader.submit(read, after) if after in parts else None
            yield found

    def close(self) -> None:
        """Wait for what is under way."""
        self._reader.shutdown()
        self._writer.shutdown()

    def path(self, name: str, part: int) -> Path:
        """The file of a part."""
        return self.folder / f"{name}-{part:06d}.arrays"


def _save(path: Path, arrays: list[np.ndarray]) -> None:
    """Write arrays one after the other, as `np.load` reads them; OSError that names the file where it cannot be."""
    unfinished = path.with_suffix(".unfinished")
    try:
        with unfinished.open("wb") as file:
            for array in arrays:
                # Not `np.save`, which does not say why a file could not be written.
                plain = np.asarray(array, order="C")
                np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(plain))
                file.write(plain.reshape(-1).view(np.uint8).data)
        unfinished.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        unfinished.unlink(missing_ok=True)


class ItemData(eqx.Module):
    """What stays of the items of a part: a slice of the catalog (`Catalog.per_block`), scales and item costs."""

    leaves: tuple
    scale: AbstractPolicy
    item_scale: Float[Array, "blocks items"]


class FileStore(AbstractInventoryStore[str]):
    """Items in files, part by part; a state of all items is the name of its files. Each process has parts of its own.

    Attributes:
        files: Where they are.
        sizes: Items in every block of each part of this process.
        own: Numbers of these parts.
        whole: Number of parts of all processes.
    """

    files: PartFiles = eqx.field(static=True)
    sizes: tuple[tuple[float, ...], ...] = eqx.field(static=True)
    own: range = eqx.field(static=True)
    whole: int = eqx.field(static=True)

    @property
    def numbers(self) -> range:
        return self.own

    @property
    def parts(self) -> int:
        return self.whole

    def summed(self, tree: Tree) -> Tree:
        return sum_over_processes(tree)

    @property
    def block_sizes(self) -> list[np.ndarray]:
        return [np.asarray(sizes) for sizes in self.sizes]

    def sampled(self, items: int) -> FileStore:
        # Whole parts, so that the others need not be read.
        held = float(self.summed(np.asarray(sum(map(sum, self.sizes)))))
        step = min(math.ceil(held / items), len(self.own))
        first = (len(self.own) - 1) % step // 2
        return replace(self, own=self.own[first::step], sizes=self.sizes[first::step])

    def sees(self, number: int) -> np.ndarray:
        return np.full(self.problem.catalog.blocks, number in self.own)

    def start(self) -> str:
        return _START

    def sweep(self, at: Moment, items: str) -> tuple[Totals, str]:
        if at.memory is None:
            return self._step(at, items)
        sums: Any = None
        for part in self.each(items):
            sums = _added(sums, part_look(part.problem, part.items, at))
        totals = self._total(sums)
        stepped, after = self._step(self.weighed(at, totals), items)
        return replace(totals, undefined=stepped.undefined), after

    def _step(self, at: Moment, items: str) -> tuple[Totals, str]:
        """Evaluate all items and move their parameters, part by part."""
        after = _NOW if items == _START else items
        sums: Any = None
        for part in self.each(items):
            totals, moved = part_step(part.problem, part.items, at)
            sums = _added(sums, totals)
            self.files.write(after, part.number, moved)
        return self._total(sums), after

    def _total(self, sums: Any) -> Totals:
        """The sum over all processes, of what the parts of this one add up to."""
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, self.problem.item_scale.dtype), self.summed(sums))

    def each(self, items: str, *, first: bool = False) -> Iterator[Part]:
        names = (_DATA, items, _FIRST) if first else (_DATA, items)
        for number, trees in zip(self.numbers, self.files.each(self.numbers, *names), strict=True):
            data, state = trees[:2]
            yield Part(number, self._problem(data, trees[-1] if first else data.scale), state)

    def changed(self, items: str, change: Change, name: str) -> str:
        for part in self.each(items, first=True):
            self.files.write(name, part.number, change(part))
        return name

    def _problem(self, data: ItemData, first: AbstractPolicy) -> InventorySubproblem:
        """The problem of one part."""
        places = lambda p: (*p.catalog.per_block(), p.scale, p.first, p.item_scale)
        own = (*data.leaves, data.scale, first, data.item_scale)
        # Leaves are replaced and no constructor is called: they stay arrays of the host until they are used.
        return eqx.tree_at(places, self.problem, own, is_leaf=lambda leaf: leaf is None)


def _added(sums: Any, totals: Totals) -> Any:
    """Totals of one part more, in float64 on the host: sums over many parts in float32 would drift."""
    own = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), totals)
    return own if sums is None else jax.tree.map(np.add, sums, own)


def write_start(files: PartFiles, number: int, first: AbstractPolicy, items: ItemState) -> None:
    """Write the starting levels of a part of a `FileStore`, and its state before the first step."""
    files.write(_FIRST, number, first)
    files.write(_START, number, items)


def write_part(files: PartFiles, number: int, problem: InventorySubproblem, items: ItemState) -> tuple[float, ...]:
    """Write a part of a `FileStore` and its state before the first step; returns the number of items of its blocks."""
    files.write(_DATA, number, ItemData(problem.catalog.per_block(), problem.scale, problem.item_scale))
    write_start(files, number, problem.first, items)
    return tuple(np.asarray(problem.catalog.block.live).sum(1).tolist())
