"""Derivatives and levels that are no numbers: levels stay as they are, it is told, and nothing is ordered by such."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float
from test_planner_steps import model

from meio_jax.dual.base import Tolerances
from meio_jax.objective import ScenarioCosts
from meio_jax.objective.base import AbstractObjective
from meio_jax.plans.decisions import decide
from meio_jax.policy.base_stock import BaseStock
from meio_jax.progress import Silent
from meio_jax.solver.solve import Limits, initial_state, solve
from meio_jax.solver.subproblem import finite


class _Broken(AbstractObjective):
    """The mean cost, with a derivative that is not a number for the first item of a block."""

    def __call__(self, costs: ScenarioCosts) -> Float[Array, " items"]:
        mean = jnp.mean(costs.total, axis=-1)
        first = jnp.arange(mean.size) == 0
        return mean + jnp.sqrt(jnp.where(first, 0, 1 + 0 * mean) * mean * 0)


class _Heard(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def warning(self, text: str) -> None:
        self.said.append(text)


def test_zero_takes_the_place_of_what_is_no_finite_number() -> None:
    slopes, lost = finite(BaseStock(jnp.asarray([[[1.0, jnp.nan, -jnp.inf, 2.0]]])))
    assert int(lost) == 2
    assert np.asarray(slopes.target).tolist() == [[[1, 0, 0, 2]]]


def test_levels_without_a_derivative_stay_and_it_is_told_once() -> None:
    one = model(3)
    objective = lambda store: store.problem.settings.objective
    store, heard = eqx.tree_at(objective, one.store, _Broken()), _Heard()
    with jax.numpy_dtype_promotion("standard"):
        start = initial_state(store, one.method)
        limits = Limits(max_steps=3, min_steps=3, tolerances=Tolerances())
        found = solve(store, one.method, start, limits, one.kind_of, progress=heard)
    assert all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(found.state.items.raw))
    assert len(heard.said) == 1
    assert "step 1" in heard.said[0]


def test_nothing_is_ordered_by_a_level_that_is_not_a_number() -> None:
    one = model(3)
    policy = one.problem.policy(one.problem.first)
    spoiled = jax.tree.map(lambda leaf: leaf.at[..., 0].set(jnp.nan), policy)
    with pytest.raises(FloatingPointError, match=str(one.instance.items[0])):
        decide(one.instance, spoiled)
