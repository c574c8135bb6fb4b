"""Transshipment in the rollout: derivatives, balance of units, and the bound of whoever knows everything."""

from dataclasses import replace
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import Case, close, direction, make_case, make_policy, perishable, shifted, transshipping
from marks import some_slow
from test_clairvoyant import both, each_column, make_resources, priced_cost, profitable, without_stock

from meio_jax.certify.clairvoyant import scenario_bounds
from meio_jax.simulation.rollout import rollout

STEP, DIFFERENCE = 1e-6, 1e-6


@eqx.filter_jit
def outcome_of(parts: tuple, policy, *, whole: bool = False):
    case = Case(*parts)
    return rollout(case.network, policy, case.block, case.scenarios, case.lists, whole=whole)


@eqx.filter_jit
def total(parts: tuple, policy) -> jax.Array:
    found = outcome_of(parts, policy)
    return jnp.sum(found.costs.total) + sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(found.flows))


def parts_of(case: Case) -> tuple:
    return case.network, case.block, case.scenarios, case.lists, case.samples


@pytest.mark.parametrize(
    ("name", "evening"),
    some_slow([("base_stock", False), ("projected_level", False), ("echelon", True)], quick=[("base_stock", False)]),
)
def test_the_derivative_is_that_of_differences(x64: None, name: str, evening: bool) -> None:
    case = transshipping(make_case(backorder=(False, True), evening=evening))
    policy = make_policy(case, name)
    assert float(jnp.sum(outcome_of(parts_of(case), policy).flows.lane[:, 3:])) > 1
    slope = eqx.filter_jit(jax.grad(partial(total, parts_of(case))))(policy)
    for seed in range(3):
        along = direction(policy, seed=seed)
        by_slope = sum(float(jnp.vdot(a, b)) for a, b in zip(*map(jax.tree.leaves, (slope, along)), strict=True))
        up, down = (float(total(parts_of(case), shifted(policy, along, step))) for step in (STEP, -STEP))
        assert by_slope == pytest.approx((up - down) / (2 * STEP), rel=DIFFERENCE, abs=1e-3)


@pytest.mark.parametrize("lives", some_slow(["keep", "expire"], quick=["keep"]))
def test_no_unit_is_made_or_lost_on_the_way(x64: None, lives: str) -> None:
    case = transshipping(make_case(backorder=(False, True)))
    if lives == "expire":
        case = perishable(case, (3, 5))
    # Flows of the warm-up are not counted: here all days are.
    network = eqx.tree_at(lambda n: n.charged, case.network, jnp.ones_like(case.network.charged))
    case = replace(case, network=network)
    found = outcome_of(parts_of(case), make_policy(case, "base_stock"), whole=True)
    split = lambda leaf: np.asarray(leaf).reshape(-1, case.block.items, case.samples).mean(-1)
    left = split(found.final.on_hand).sum(0) + split(found.final.on_order).sum(0)
    start = np.asarray(
        case.block.on_hand.sum(0) + case.block.vendor_pipeline.sum((0, 1)) + case.block.lane_pipeline.sum((0, 1))
    )
    bought = np.asarray(found.flows.offer.sum((0, 1)))
    sold = split(found.units.shipped).sum(0)
    wasted = 0 if lives == "keep" else np.asarray(found.flows.wasted.sum((0, 1)))
    close(start + bought - sold - wasted, left, tolerance=1e-9, of=10)
    assert np.all(np.asarray(found.flows.lane[:, 3:]) >= -1e-12)
    whole = np.asarray(found.flows.lane[:, 3:]) * case.samples
    np.testing.assert_allclose(whole, np.rint(whole), atol=1e-9)


@pytest.mark.parametrize("seed", some_slow(range(4), quick=[0]))
def test_the_bound_is_the_optimum_with_the_same_lanes(x64: None, seed: int) -> None:
    """A linear program that may ship by any lane on any review day."""
    case = transshipping(make_case(backorder=(False, True), samples=2, seed=seed))
    ours, theirs = both(without_stock(profitable(case, 0.0, 2)), seed)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-7)


def test_no_plan_is_below_the_bound(x64: None) -> None:
    case = transshipping(profitable(make_case(backorder=(False, True), samples=2), 0.5, 0))
    resources, prices = make_resources(case, 0)
    resources = eqx.tree_at(lambda r: r.lane, resources, jnp.zeros((8, 6)).at[4, 3].set(1))
    bound = np.asarray(scenario_bounds(case.network, resources, case.block, case.scenarios, jnp.asarray(prices)))
    columns = each_column(case)
    wide = jax.tree.map(lambda leaf: jnp.repeat(leaf, case.samples, -1), case.lists.spare)
    parts = (columns.network, columns.block, columns.scenarios, replace(case.lists, spare=wide))
    cost = priced_cost(parts, resources, jnp.asarray(prices), make_policy(columns, "base_stock"))
    assert np.all(np.asarray(cost) >= bound - 1e-7)
