"""Levels of a warm start that hardly change stay as they were: plans that change less from day to day."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from meio_jax.results import Result
from meio_jax.solver.solve import Solution
from meio_jax.solver.store import AbstractInventoryStore, Part
from meio_jax.solver.subproblem import ItemState

Items = TypeVar("Items")


def steadied(
    store: AbstractInventoryStore[Items], solution: Solution[Items], before: Items, hold: float
) -> Solution[Items]:
    """The solution with every level put back that changed by at most a share of what it was.

    Args:
        store: The items.
        solution: A search that began at `before`.
        before: The items before its first step.
        hold: The share; 0: nothing is put back.
    """
    if hold <= 0 or solution.result in (Result.INTERRUPTED, Result.NUMERICAL_FAILURE):
        return solution
    began = store.each(before)

    def kept(part: Part) -> ItemState:
        found, old = part.items.plan(solution.improved), next(began).items.raw
        best = jax.tree.map(lambda new, was: _kept(new, was, hold), found, old)
        return dataclasses.replace(part.items, best=best)

    return solution.with_best(store.changed(solution.state.items, kept, "steadied"))


def _kept(new: jax.Array, old: ArrayLike, hold: float) -> jax.Array:
    small = jnp.abs(new - old) <= jnp.asarray(hold, new.dtype) * jnp.abs(old)
    return jnp.where(small, old, new)
