"""Levels of a warm start that hardly change stay as they were: plans that change less from day to day."""

from __future__ import annotations

import dataclasses
from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp

from meio_jax.policy import AbstractPolicy
from meio_jax.results import Result
from meio_jax.solver.solve import Solution
from meio_jax.solver.subproblem import Search


def steadied(solution: Solution, before: AbstractPolicy, hold: float) -> Solution:
    """The solution with every level put back that changed by at most a share of what it was.

    Args:
        solution: A search that began at `before`.
        before: Parameters in the units of the search.
        hold: The share; 0: nothing is put back.
    """
    if hold <= 0 or solution.result in (Result.INTERRUPTED, Result.NUMERICAL_FAILURE):
        return solution
    found = cast(Search, solution.best).raw
    keep = lambda new, old: jnp.where(jnp.abs(new - old) <= jnp.asarray(hold, old.dtype) * jnp.abs(old), old, new)
    best = eqx.tree_at(lambda s: s.raw, solution.best, jax.tree.map(keep, found, before))
    state = eqx.tree_at(lambda s: s.best, solution.state, best)
    return dataclasses.replace(solution, best=best, state=state, confirmed=None)
