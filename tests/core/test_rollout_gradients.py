"""Derivatives of a rollout three ways: checkpointed, direct, and by differences; every objective."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import Case, close, direction, make_policy, shifted
from marks import some_slow

from meio_jax.objective import OBJECTIVES
from meio_jax.simulation.gradients import GRADIENT_MODES
from meio_jax.simulation.rollout import rollout
from meio_jax.solver.subproblem import reported_costs

# Central differences, step 1e-6, money of 1e3: piecewise linear, so rounding (1e3 * 1e-16 / 1e-6) is the error.
DIFFERENCE = 1e-6
# The same operations in another order.
ROUNDING = 1e-9
STEP = 1e-6

# Items with lost sales and with backorders share the case `mixed`; `lost` is the program without backlog. Every policy
# with every objective is in tests/solvers/test_gradients.py, on a smaller system; here are tiers, waves and reviews.
VARIANTS = [("echelon", True, "mixed"), ("dual_index", False, "lost"), ("projected_level", True, "mixed")]


def costs_of(case: Case, mode: str, policy):
    outcome = rollout(case.network, policy, case.block, case.scenarios, case.lists, gradient=GRADIENT_MODES[mode])
    flows = [jnp.sum(leaf**2) for leaf in jax.tree.leaves(outcome.flows)]
    return reported_costs(case.block, outcome), sum(flows)


@eqx.filter_jit
def pulled(case: tuple, mode: str, policy, bars):
    """Costs and flows, and the gradient for given derivatives of them."""
    out, pull = jax.vjp(partial(costs_of, Case(*case), mode), policy)
    return out, pull(bars)[0]


def bars_of(costs, name: str | None):
    """Derivatives of an objective (None: of the flows) with respect to costs and flows."""
    value = lambda c: jnp.sum(OBJECTIVES[name]()(c)) if name else 0 * jnp.sum(c.total)
    return jax.grad(value)(costs), jnp.asarray(0.0 if name else 1.0)


def inner(left, right) -> float:
    """Sum of products of two trees."""
    return sum(float(jnp.vdot(a, b)) for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True))


@pytest.mark.parametrize(("name", "protection", "unmet"), some_slow(VARIANTS, quick=VARIANTS[1:2]))
def test_gradients_agree(x64: None, name: str, protection: bool, unmet: str, request: pytest.FixtureRequest) -> None:
    case = request.getfixturevalue(unmet)
    parts = (case.network, case.block, case.scenarios, case.lists, case.samples)
    policy = make_policy(case, name, protection=protection)
    shapes = jax.eval_shape(partial(costs_of, case, "direct"), policy)
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    (costs, _), _ = pulled(parts, "checkpointed", policy, nothing)
    along = direction(policy)
    ahead, behind = (pulled(parts, "checkpointed", shifted(policy, along, step), nothing)[0] for step in (STEP, -STEP))
    moved = jax.tree.map(lambda up, down: (up - down) / (2 * STEP), ahead, behind)
    for objective in (None, *OBJECTIVES):
        bars = bars_of(costs, objective)
        _, gradient = pulled(parts, "checkpointed", policy, bars)
        leaves = jax.tree.leaves(gradient)
        assert all(np.isfinite(leaf).all() for leaf in leaves), objective
        # A leaf without any gradient would never be searched.
        assert all(float(jnp.abs(leaf).max()) > 0 for leaf in leaves), objective
        size = max(float(jnp.abs(leaf).max()) for leaf in leaves)
        close(inner(gradient, along), inner(bars, moved), tolerance=DIFFERENCE, of=10 * size, what=str(objective))
        close(gradient, pulled(parts, "direct", policy, bars)[1], tolerance=ROUNDING, of=size, what=str(objective))
