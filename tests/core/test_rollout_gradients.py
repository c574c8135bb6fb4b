"""Derivatives of a rollout three ways: checkpointed, direct, and by differences; every policy and objective."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import Case, close, direction, make_policy, shifted

from meio_jax.objective import OBJECTIVES
from meio_jax.policy import POLICIES
from meio_jax.rollout import GRADIENT_MODES, rollout
from meio_jax.subproblem import scenario_costs

# Central differences, step 1e-6, money of 1e3: piecewise linear, so rounding (1e3 * 1e-16 / 1e-6) is the error.
DIFFERENCE = 1e-6
# The same operations in another order.
ROUNDING = 1e-9
STEP = 1e-6

VARIANTS = [(name, False) for name in sorted(POLICIES)] + [("base_stock", True)]


def costs_of(case: Case, policy, mode: str):  # noqa: ANN001, ANN201
    outcome = rollout(case.network, policy, case.block, case.scenarios, case.lists, gradient=GRADIENT_MODES[mode])
    return scenario_costs(case.block, outcome)


@eqx.filter_jit
def objectives(case: tuple, policy, mode: str):  # noqa: ANN001, ANN201
    """Value and gradient of every objective, one rollout differentiated for all of them."""
    costs, pull = jax.vjp(lambda p: costs_of(Case(*case), p, mode), policy)
    pulls = [jax.grad(lambda c, one=one: jnp.sum(one()(c)))(costs) for one in OBJECTIVES.values()]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *pulls)
    return costs, stacked, jax.vmap(pull)(stacked)[0]


@eqx.filter_jit
def only_costs(case: tuple, policy):  # noqa: ANN001, ANN201
    return costs_of(Case(*case), policy, "direct")


@pytest.mark.parametrize("unmet", ["lost", "mixed"])
@pytest.mark.parametrize(("name", "protection"), VARIANTS, ids=[f"{n}{'-protected' * p}" for n, p in VARIANTS])
def test_gradients_agree(x64: None, name: str, protection: bool, unmet: str, request: pytest.FixtureRequest) -> None:
    case = request.getfixturevalue(unmet)
    parts = (case.network, case.block, case.scenarios, case.lists, case.samples)
    policy = make_policy(case, name, protection=protection)
    _, pulls, ours = objectives(parts, policy, "checkpointed")
    theirs = objectives(parts, policy, "direct")[2]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(ours))
    size = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(ours))
    assert size > 0
    close(ours, theirs, tolerance=ROUNDING, of=size)
    along = direction(policy)
    ahead, behind = (only_costs(parts, shifted(policy, along, step)) for step in (STEP, -STEP))
    moved = jax.tree.map(lambda up, down: (up - down) / (2 * STEP), ahead, behind)
    for number, objective in enumerate(OBJECTIVES):
        slope = sum(
            float(jnp.vdot(bar[number], move))
            for bar, move in zip(jax.tree.leaves(pulls), jax.tree.leaves(moved), strict=True)
        )
        expected = sum(
            float(jnp.vdot(leaf[number], move))
            for leaf, move in zip(jax.tree.leaves(ours), jax.tree.leaves(along), strict=True)
        )
        close(expected, slope, tolerance=DIFFERENCE, of=abs(slope) + size, what=objective)
        assert any(float(jnp.abs(leaf[number]).max()) > 0 for leaf in jax.tree.leaves(ours)), objective


def test_every_kind_of_parameter_matters(mixed: Case, x64: None) -> None:
    """No leaf of a policy has a zero gradient throughout, or it would never be searched."""
    parts = (mixed.network, mixed.block, mixed.scenarios, mixed.lists, mixed.samples)
    for name in sorted(POLICIES):
        gradient = objectives(parts, make_policy(mixed, name), "checkpointed")[2]
        assert all(float(jnp.abs(leaf).max()) > 0 for leaf in jax.tree.leaves(gradient)), name


def test_flows_have_derivatives(mixed: Case, x64: None) -> None:
    """Prices act through flows: usage of stock falls when targets fall, and its derivative says by how much."""
    policy, along = make_policy(mixed, "base_stock"), None

    @eqx.filter_jit
    def stock(policy):  # noqa: ANN001, ANN202
        flows = rollout(mixed.network, policy, mixed.block, mixed.scenarios, mixed.lists).flows
        return sum(jnp.sum(leaf) for leaf in (flows.stock, flows.inbound, flows.lane, flows.offer, flows.served))

    slope = eqx.filter_jit(jax.grad(stock))(policy)
    along = direction(policy)
    expected = sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(slope), jax.tree.leaves(along), strict=True))
    difference = (stock(shifted(policy, along, STEP)) - stock(shifted(policy, along, -STEP))) / (2 * STEP)
    close(expected, difference, tolerance=DIFFERENCE, of=float(jnp.abs(expected)))
