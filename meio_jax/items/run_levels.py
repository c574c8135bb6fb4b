"""Levels that a run has saved, for blocks of items that are planned again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np

from meio_jax.instance import Instance
from meio_jax.policy import AbstractPolicy
from meio_jax.runs.portable import named_leaves, names_of
from meio_jax.runs.saved_run import SavedRun
from meio_jax.runs.warm import bucket_weights, match, source_rows
from meio_jax.solver.refine import Refining


@dataclass(frozen=True)
class SavedBlock:
    """What the run has of a block: parameters per unit of scale, squared gradients, and levels in units.

    `at` marks what of a parameter's `[rows, items]` the run has, `known` which items.
    """

    raw: AbstractPolicy
    square: AbstractPolicy
    levels: AbstractPolicy
    at: AbstractPolicy
    known: np.ndarray


@dataclass(frozen=True)
class RunLevels:
    """What a run has saved of its items, on the days of the run that is planned again.

    Attributes:
        earlier: The run whose levels these are.
        days: Dates of the run that is planned again.
        policy: Name of its policy.
    """

    earlier: SavedRun
    days: dict[str, Any]
    policy: str

    @cached_property
    def place(self) -> dict[str, int]:
        """Position of every item that the run has among those that were read of it."""
        return {name: at for at, name in enumerate(self.earlier.basis.items) if self.earlier.held[at]}

    def of_block(self, instance: Instance, block: int, like: Refining) -> SavedBlock:
        """What the run has of the items of a block; `like` has the shapes of their parameters."""
        items = instance.layout.item[block]
        at = np.asarray([self.place.get(instance.items[item], -1) for item in items])
        run, axes = self.earlier, like.raw.row_axes()
        raw, square, levels, known = [], [], [], []
        for name, leaf in named_leaves(like.raw).items():
            rows = np.broadcast_to(np.arange(leaf.shape[1])[:, None], leaf.shape[1:])
            if axes[name] == "sources":
                rows = self._source_rows(instance)[:, items]
            there = (rows >= 0) & (at >= 0)

            def of_run(table: np.ndarray | None, rows: np.ndarray = rows, there: np.ndarray = there) -> np.ndarray:
                if table is None:
                    return np.zeros(there.shape, np.float32)[None]
                table = self._on_days(table)
                return np.where(there, table[:, np.maximum(rows, 0), np.maximum(at, 0)], 0)

            raw.append(of_run(run.best(name)))
            square.append(np.broadcast_to(of_run(run.square(name)), leaf.shape))
            levels.append(raw[-1] * of_run(run.scale(name)))
            known.append(there)
        dtype, structure = like.cost.dtype, jax.tree.structure(like.raw)
        tree = lambda leaves: jax.tree.unflatten(structure, [np.asarray(leaf, dtype) for leaf in leaves])
        return SavedBlock(tree(raw), tree(square), tree(levels), jax.tree.unflatten(structure, known), at >= 0)

    def _on_days(self, table: np.ndarray) -> np.ndarray:
        """A table by bucket of the run whose levels these are, on the days of the run that is planned again."""
        now, then = self.days, self.earlier.axes
        weights, _ = bucket_weights(now, then)
        if table.shape[0] != weights.shape[1] or then["start_date"] == now["start_date"]:
            return table
        return np.einsum("bo,o...->b...", weights, table)

    def _source_rows(self, instance: Instance) -> np.ndarray:
        """Row that every source has in the run: vendors may change their rank at a node."""
        basis = names_of(instance, self.policy)
        return source_rows(basis, self.earlier, match(basis, self.earlier))
