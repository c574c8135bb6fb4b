"""Starting levels of a catalog in parts: the bound of their fractile follows from what all parts use together."""

from __future__ import annotations

from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np

from meio_jax.planner.planning import MANY_ITEMS, Model
from meio_jax.solver.bounded_start import bounded_start
from meio_jax.solver.file_store import FileStore, write_start
from meio_jax.solver.problem import Start, in_units, start_everywhere
from meio_jax.solver.start import LARGEST_FRACTILE
from meio_jax.solver.subproblem import InventorySubproblem, Totals


def start_within_capacities(model: Model, store: FileStore) -> None:
    """Bound the fractile of the starting levels, as `build_problem` does for a catalog in memory.

    Args:
        model: What all parts share.
        store: The parts, with starting levels whose fractile is not bounded.
    """
    resources = model.instance.resources
    if not resources.count or model.instance.census.items < MANY_ITEMS:
        return
    start = Start(model.problem.settings, model.values.policy.family, stationary=model.stationary)
    free = jnp.zeros_like(resources.capacity)

    def of_part(problem: InventorySubproblem, most: float) -> tuple:
        shared = (problem.network, resources, problem.catalog.profiles, free, jnp.asarray(most, free.dtype))
        return start_everywhere(start, problem.mesh, problem.everywhere(shared), problem.catalog.per_block())

    def of_all(most: float) -> Totals:
        parts = (of_part(part.problem, most)[0] for part in store.each(store.start()))
        # Float64 on the host: sums over many parts in float32 would drift.
        exact = (jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), totals) for totals in parts)
        sums = reduce(lambda one, other: jax.tree.map(np.add, one, other), exact)
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, free.dtype), store.summed(sums))

    most = bounded_start(resources, model.kind_of, of_all(LARGEST_FRACTILE), of_all)
    if most == LARGEST_FRACTILE:
        return
    for part in store.each(store.start()):
        problem = part.problem
        raw = in_units(of_part(problem, most)[1][0], problem.scale)
        write_start(store.files, part.number, raw, problem.begin(raw))
