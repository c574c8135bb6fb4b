"""Stock that expires: the rollout against plain loops over lots, its derivatives, and what is kept."""

from dataclasses import replace
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import Case, close, direction, make_case, make_policy, perishable, shifted
from marks import some_slow
from test_rollout_loop import books, compare, run

from meio_jax.simulation.gradients import checkpointed, direct
from meio_jax.simulation.rollout import rollout

# A day's mean demand of the case is 7 at all nodes together, levels are 4 to 14 each: with lives of 3 and 4 days
# something expires in most scenarios.
LIVES = (3, 0, 4)
WAITS = (False, False, True)


def perishable_case(*, seed: int = 0, evening: bool = False, samples: int = 2, lives: tuple = LIVES) -> Case:
    case = make_case(backorder=WAITS, samples=samples, seed=seed, evening=evening)
    if evening:
        # Pipelines begin with the evening before period 0: what is due later than they reach would be lost.
        pipelines = lambda block: (block.vendor_pipeline, block.lane_pipeline)
        block = eqx.tree_at(pipelines, case.block, tuple(leaf.at[:, -1].set(0) for leaf in pipelines(case.block)))
        case = replace(case, block=block)
    return perishable(case, lives)


@pytest.mark.parametrize("form", some_slow(["sparse", "dense", "fused"], quick=["sparse"]))
@pytest.mark.parametrize("evening", [False, True], ids=["morning", "evening"])
def test_stock_that_expires_matches_loops_over_lots(x64: None, form: str, evening: bool) -> None:
    case = perishable_case(evening=evening)
    policy = make_policy(case, "base_stock")
    ledgers = books(case, np.asarray(policy.target))
    wasted = np.asarray([[book.units["wasted"] for book in item] for item in ledgers])
    assert (wasted[[0, 2]].sum(1) > 1).all()
    assert (wasted[1] == 0).all()
    compare(case, run(case, policy, form), ledgers)


@pytest.mark.slow
@pytest.mark.parametrize("seed", some_slow([1, 2, 3], quick=[2]))
def test_other_networks_and_one_day_lives_match_loops(x64: None, seed: int) -> None:
    """A life of a day: nothing is shipped on, all that is not sold on the day of its receipt is wasted."""
    case = perishable_case(seed=seed, lives=(2, 1, 6))
    policy = make_policy(case, "base_stock", seed=seed)
    compare(case, run(case, policy), books(case, np.asarray(policy.target)))


def test_what_comes_in_is_sold_wasted_or_left(x64: None) -> None:
    case = perishable_case()
    block, policy = case.block, make_policy(case, "base_stock")
    counted = eqx.tree_at(lambda n: n.charged, case.network, jnp.ones_like(case.network.charged))
    every = run(replace(case, network=counted), policy)
    at_start = block.on_hand.sum(0) + block.vendor_pipeline.sum((0, 1)) + block.lane_pipeline.sum((0, 1))
    mean = lambda leaf: np.asarray(leaf).reshape(len(LIVES), -1).mean(-1)
    bought = np.asarray(every.flows.offer).sum((0, 1))
    left = mean(every.final.on_hand.sum(0) + every.final.on_order.sum(0))
    close(at_start + bought, mean(every.units.shipped) + mean(every.units.wasted) + left, tolerance=1e-10)
    old = np.asarray(every.final.old)
    assert (np.diff(old, axis=0) >= -1e-12).all()
    assert (old <= np.asarray(every.final.on_hand) + 1e-12).all()


def cost_of(case: Case, gradient, policy) -> jax.Array:
    outcome = rollout(case.network, policy, case.block, case.scenarios, case.lists, gradient=gradient)
    return jnp.sum(outcome.costs.total)


@pytest.mark.slow
@pytest.mark.parametrize("evening", some_slow([False, True], quick=[False]), ids=["morning", "evening"])
def test_the_derivative_is_that_of_differences(x64: None, evening: bool) -> None:
    """Kept day by day or recomputed, and by central differences that no kink lies between."""
    case = perishable_case(evening=evening)
    policy = make_policy(case, "base_stock")
    found = jax.jit(jax.grad(partial(cost_of, case, checkpointed)))(policy)
    close(jax.jit(jax.grad(partial(cost_of, case, direct)))(policy), found, tolerance=1e-12, of=1e3)
    value, checked = jax.jit(partial(cost_of, case, direct)), 0
    for seed in range(6):
        along = direction(policy, seed)
        slope = sum(float(jnp.vdot(a, b)) for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(along), strict=True))
        sides = [float(value(shifted(policy, along, step))) for step in (-1e-6, 0.0, 1e-6)]
        low, high = (sides[1] - sides[0]) / 1e-6, (sides[2] - sides[1]) / 1e-6
        if abs(low - high) < 1e-4 * abs(high):
            np.testing.assert_allclose(slope, (low + high) / 2, rtol=1e-5)
            checked += 1
    assert checked >= 4


@pytest.mark.slow
@pytest.mark.parametrize("evening", [False, True], ids=["morning", "evening"])
def test_a_unit_more_that_nobody_buys_expires(x64: None, evening: bool) -> None:
    """No demand and no orders: what is added to the stock at the start is wasted, to the last hundredth."""
    case = perishable_case(evening=evening)
    counted = eqx.tree_at(lambda n: n.charged, case.network, jnp.ones_like(case.network.charged))
    idle = eqx.tree_at(lambda s: s.demand, case.scenarios, jnp.zeros_like(case.scenarios.demand))
    policy = jax.tree.map(jnp.zeros_like, make_policy(case, "base_stock"))

    def wasted(on_hand: jax.Array) -> jax.Array:
        block = eqx.tree_at(lambda b: b.on_hand, case.block, on_hand)
        return jnp.sum(run(replace(case, network=counted, scenarios=idle, block=block), policy).units.wasted)

    more = case.block.on_hand + 0.01
    places, samples = 2 * case.network.nodes, 2
    close(wasted(more) - wasted(case.block.on_hand), 0.01 * places * samples, tolerance=1e-9)
    slope = jax.grad(wasted)(more)
    close(slope[:, jnp.asarray([0, 2])], samples * jnp.ones((case.network.nodes, 2)), tolerance=1e-9)
    close(slope[:, 1], jnp.zeros(case.network.nodes), tolerance=0)


@pytest.mark.slow
def test_the_derivative_by_the_waste_cost_is_the_units_wasted(x64: None) -> None:
    case = perishable_case()
    policy = make_policy(case, "base_stock")

    def cost(waste_cost: jax.Array) -> jax.Array:
        block = eqx.tree_at(lambda b: b.shelf.waste_cost, case.block, waste_cost)
        outcome = rollout(case.network, policy, block, case.scenarios, case.lists)
        return jnp.sum(outcome.costs.total)

    units = np.asarray(run(case, policy).units.wasted).reshape(len(LIVES), -1).sum(-1)
    close(jax.grad(cost)(case.block.shelf.waste_cost), units, tolerance=1e-10)


def test_without_shelf_lives_nothing_is_carried_or_counted() -> None:
    case = make_case()
    outcome = run(case, make_policy(case, "base_stock"))
    assert outcome.final.old is None
    assert outcome.costs.waste is None
    assert outcome.units.wasted is None
    assert outcome.flows.wasted is None
