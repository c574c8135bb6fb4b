"""Starting levels of a catalog in parts: the bound of their fractile follows from what all parts use together."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np

from meio_jax.planner.model import MANY_ITEMS, Model
from meio_jax.solver.bounded_start import bounded_start
from meio_jax.solver.file_store import FileStore, write_start
from meio_jax.solver.first_levels import FirstLevels, Start, first_levels
from meio_jax.solver.problem import started
from meio_jax.solver.start import LARGEST_FRACTILE
from meio_jax.solver.subproblem import InventorySubproblem, Totals


def exact_sum(parts: Iterable[Totals]) -> Totals:
    """Totals of all parts, in float64 on the host: sums over many parts in float32 would drift."""
    exact = (jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), totals) for totals in parts)
    return reduce(lambda one, other: jax.tree.map(np.add, one, other), exact)


def start_within_capacities(model: Model, store: FileStore, start: Start, unbounded: Totals) -> None:
    """Bound the fractile of the starting levels, as `Built.within_capacities` does for a catalog in memory.

    Args:
        model: What all parts share.
        store: The parts, with starting levels whose fractile is not bounded.
        start: The policy, and how it is simulated.
        unbounded: What these levels use and cost, added up over the parts of this process (`exact_sum`).
    """
    resources = model.instance.resources
    if not resources.count or model.instance.census.items < MANY_ITEMS:
        return
    free = jnp.zeros_like(resources.capacity)

    def of_part(problem: InventorySubproblem, most: float) -> tuple[Totals, FirstLevels]:
        return first_levels(start, resources, (problem.network, problem.catalog), problem.mesh, free, most)

    def of_all(sums: Totals) -> Totals:
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, free.dtype), store.summed(sums))

    def at(most: float) -> Totals:
        parts = (of_part(part.problem, most)[0] for part in store.each(store.start()))
        return of_all(exact_sum(parts))

    most = bounded_start(resources, model.kind_of, of_all(unbounded), at)
    if most == LARGEST_FRACTILE:
        return
    for part in store.each(store.start()):
        problem = started(part.problem, of_part(part.problem, most)[1])
        write_start(store.files, part.number, problem.first, problem.begin(problem.first))
