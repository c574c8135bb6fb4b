"""Every policy, objective and kind of unmet demand on a small system: gradients three ways, costs two ways."""

import jax
import numpy as np
import pytest
from gradient_parts import matrix, system
from gradient_parts.matrix import Case
from gradient_parts.values import VALUES
from marks import some_slow

from meio_jax.objective import OBJECTIVES
from meio_jax.policy import POLICIES
from meio_jax.solver.subproblem import InventorySubproblem

# Double precision over 30 periods; central differences with a step of 1e-6, relative to the largest derivative.
ROUNDING, DIFFERENCE = 1e-9, 1e-5
PATHS = 64
# What nothing uses: reserves of the centre, which serves nobody, the fast target of the shop, its only source.
IDLE = {"protection": [0], "fast_target": [1], "source_weight": [2]}


@pytest.fixture(scope="module")
def problem() -> InventorySubproblem:
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        return system.problem()


def test_every_objective_is_here() -> None:
    assert sorted(VALUES) == sorted(OBJECTIVES)
    assert sorted(system.LEVELS) == sorted(POLICIES)


@pytest.mark.parametrize("name", some_slow(sorted(POLICIES), quick=["base_stock"]))
def test_gradients_are_those_of_the_cost(x64: None, problem: InventorySubproblem, name: str) -> None:
    # Rows: objectives; columns: an item that loses what it cannot serve, and one that lets it wait.
    agreed = matrix.agreement(Case(problem, name, protection=True), PATHS)
    gradient = agreed["gradient"]
    assert agreed["modes"].shape == (len(OBJECTIVES), 2)
    assert agreed["finite"].all()
    assert agreed["modes"].max() <= ROUNDING
    assert agreed["difference"].max() <= DIFFERENCE
    # The same costs as a simulation that shares nothing with the planner's.
    assert agreed["same_paths"].max() <= ROUNDING
    largest = max(np.abs(slope).max() for slope in gradient.values())
    for leaf, slope in gradient.items():
        idle = np.isin(np.arange(slope.shape[1]), IDLE.get(leaf, []))
        # A share of the only source is w / w: two terms that cancel.
        assert np.all(np.abs(slope[:, idle]) <= 1e-12 * largest), leaf
        assert np.all(np.abs(slope[:, ~idle]) > 1e-9 * largest), leaf
