"""Sweeps over a catalog that does not fit in memory: a part of its blocks at a time, read ahead of the computation.

What belongs to the items of a part lives in two files: what stays (forecasts, costs, stock, scales) and what every step
changes (parameters and optimiser state). One compiled program serves all parts; only sums over items, whose size
does not depend on the catalog, are kept in memory between parts. Everything after the sweep - means, judging, the move
of the prices - is the joint step of `meio_jax.solver.solve` on those sums.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int
from meio_kernels.projection import nonnegative

from meio_jax.dual.best import BestSoFar
from meio_jax.model.resources import Resources
from meio_jax.policy import AbstractPolicy
from meio_jax.solver.solve import State, Trace, averaging_weight, joint_step
from meio_jax.solver.subproblem import (
    AbstractSubproblem,
    Evaluation,
    InventorySubproblem,
    Totals,
    evaluation_of,
    ranking_prices,
    unit_of_prices,
)


class Shared(eqx.Module):
    """What a search knows besides the items: the prices that rank fulfilment, and the number of steps."""

    list_prices: Float[Array, "buckets resources"]
    count: Int[Array, ""]


class Swept(AbstractSubproblem[Shared]):
    """The item problems after a sweep: their sums, as if they had just been evaluated."""

    resources: Resources
    totals: Totals
    damping: float = eqx.field(static=True)

    def init(self) -> Shared:
        return Shared(self.zero_prices(), jnp.zeros((), jnp.int32))

    def zero_prices(self) -> Float[Array, "buckets resources"]:
        return jnp.zeros_like(self.resources.capacity)

    def price_scale(
        self, evaluation: Evaluation, size: Float[Array, "buckets resources"], kind: Int[Array, " resources"]
    ) -> Float[Array, "buckets resources"]:
        return unit_of_prices(self.resources, evaluation, size, kind)

    def evaluate(self, prices: Array, warm: Shared) -> tuple[Evaluation, Shared]:
        return evaluation_of(self.resources, self.totals), Shared(self.ranking_prices(prices, warm), warm.count + 1)

    def ranking_prices(self, prices: Array, warm: Shared) -> Float[Array, "buckets resources"]:
        """Running mean of the prices, by which fulfilment options are ranked."""
        return ranking_prices(warm.list_prices, prices, self.damping)


class PartState(eqx.Module):
    """What a step changes of the items of a part: parameters in units of their scale, optimiser, mean and best."""

    raw: AbstractPolicy
    optimiser: optax.OptState
    mean: AbstractPolicy
    best: AbstractPolicy


class Part(eqx.Module):
    """What stays of the items of a part: a slice of the catalog (`Catalog.per_block`), scales and item costs."""

    leaves: tuple
    scale: AbstractPolicy
    item_scale: Float[Array, "blocks items"]


@eqx.filter_jit
def part_step(
    problem: InventorySubproblem,
    state: PartState,
    prices: tuple[Array, Array],
    chunk: Int[Array, ""],
    weight: Float[Array, ""],
    improved: Array,
) -> tuple[Totals, PartState]:
    """Evaluate the items of a part and move their parameters.

    Args:
        problem: The item problems of the part.
        state: Its state.
        prices: Prices, and the prices that rank fulfilment options.
        chunk: Number of the scenarios of this step.
        weight: Weight of this step's parameters in their mean.
        improved: Whether the step before found the mean to be the best so far.
    """
    best = jax.tree.map(lambda new, old: jnp.where(improved, new, old), state.mean, state.best)
    mean = jax.tree.map(lambda old, new: old + weight.astype(old.dtype) * (new - old), state.mean, state.raw)
    totals, gradient = problem.sweep(*prices, state.raw, chunk)
    updates, optimiser = problem.optimiser.update(gradient, state.optimiser, state.raw)
    raw = jax.tree.map(nonnegative, optax.apply_updates(state.raw, updates))
    return totals, PartState(raw, optimiser, mean, best)


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

    def ahead(self, work: Callable[..., Any], *arguments: Any) -> Future:
        """Do something in the reading thread."""
        return self._reader.submit(work, *arguments)

    def close(self) -> None:
        """Wait for what is under way."""
        self._reader.shutdown()
        self._writer.shutdown()

    def path(self, name: str, part: int) -> Path:
        """The file of a part; each write makes it anew, so that a hard link keeps what was there."""
        return self.folder / f"{name}-{part:06d}.arrays"


def _save(path: Path, arrays: list[np.ndarray]) -> None:
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        for array in arrays:
            np.save(file, array, allow_pickle=False)
    unfinished.replace(path)


@dataclasses.dataclass(frozen=True)
class Stream:
    """All item problems of a catalog in files.

    Attributes:
        problem: The problem of one part, for what all parts share; its items are those of no part in particular.
        files: Where `part` and `state` of every part are.
        parts: Number of parts.
        state: Name of the files that a step changes.
    """

    problem: InventorySubproblem
    files: PartFiles
    parts: int
    state: str = "state"

    def swept(self) -> Swept:
        """The problem that the solver loop sees, before the first sweep."""
        zeros = Totals.zeros(self.problem.resources, self.problem.item_scale.dtype)
        return Swept(self.problem.resources, zeros, self.problem.settings.damping)

    def part(self, part: Part) -> InventorySubproblem:
        """The problem of one part."""
        places = lambda p: (*p.catalog.per_block(), p.scale, p.first, p.item_scale)
        own = (*part.leaves, part.scale, part.scale, part.item_scale)
        # Leaves are replaced and no constructor is called: they stay arrays of the host until they are used.
        return eqx.tree_at(places, self.problem, own, is_leaf=lambda leaf: leaf is None)

    def each(self, *names: str) -> Iterator[tuple[int, list[Any]]]:
        """The trees of every part in turn; the next part is read while the caller works on this one."""
        read = lambda part: [self.files.read(name, part) for name in names]
        coming = self.files.ahead(read, 0)
        for part in range(self.parts):
            trees = coming.result()
            if part + 1 < self.parts:
                coming = self.files.ahead(read, part + 1)
            yield part, trees

    def advance(self, problem: Swept, method: BestSoFar, kind: Array, state: State) -> tuple[State, Trace]:
        """One sweep over all parts, and one move of the prices: in place of `solve.joint_step`."""
        prices = method.prices(state.dual)
        ranking = problem.ranking_prices(prices, state.warm)
        weight = averaging_weight(state.step, method.averaging, prices.dtype)
        chunk = state.warm.count % self.problem.chunks
        total = self.sweep((prices, ranking), chunk, weight, state.dual.improved)
        return joint_step(eqx.tree_at(lambda p: p.totals, problem, total), method, kind, state)

    def sweep(
        self, prices: tuple[Array, Array], chunk: Int[Array, ""], weight: Float[Array, ""], improved: Array
    ) -> Totals:
        """`part_step` on every part in turn, and the sums of all."""
        sums: list[np.ndarray] | None = None
        for number, (part, own) in self.each("part", self.state):
            totals, after = part_step(self.part(part), own, prices, chunk, weight, improved)
            # Float64 on the host: sums over many parts in float32 would drift.
            leaves = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(totals)]
            sums = leaves if sums is None else [old + new for old, new in zip(sums, leaves, strict=True)]
            self.files.write(self.state, number, after)
        like = Totals.zeros(self.problem.resources, self.problem.item_scale.dtype)
        leaves, form = jax.tree.flatten(like)
        return jax.tree.unflatten(
            form, [jnp.asarray(new, old.dtype) for new, old in zip(sums or [], leaves, strict=True)]
        )

    def best(self, improved: bool) -> Iterator[tuple[int, InventorySubproblem, AbstractPolicy]]:
        """The best parameters of every part, in units of stock.

        `improved`: whether the last step found a better mean.
        """
        for number, (part, own) in self.each("part", self.state):
            raw = own.mean if improved else own.best
            problem = self.part(part)
            yield number, problem, jax.tree.map(jnp.multiply, raw, problem.scale)
