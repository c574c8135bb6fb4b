"""Orders assigned by the value of the unit given up: hand-worked cases, slopes, and what must not matter."""

from __future__ import annotations

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import Case, close, make_case, make_policy

from meio_jax.simulation.node_values import NodeValues, Worth, extra_costs, worth_of
from meio_jax.simulation.preferences import PreferenceLists, preference_lists
from meio_jax.simulation.rollout import rollout
from meio_jax.simulation.serve import Customer, serve_waves


def valued(case: Case, base: np.ndarray, scarce: np.ndarray) -> Case:
    """The case with values of units `[buckets, nodes, items]`, at no prices."""
    network, block = case.network, case.block
    kind = block.volume.dtype
    none, free = jnp.zeros(network.eligible.shape, kind), jnp.zeros((network.buckets, network.nodes), kind)
    group = (block.group_weight, block.group_stockable)
    lists = jax.vmap(lambda price: preference_lists(network, *group, price, none, 3, valued=block))(free)
    where = lambda one: (one.values.base, one.values.scarce)
    return replace(case, lists=eqx.tree_at(where, lists, (jnp.asarray(base, kind), jnp.asarray(scarce, kind))))


def low_kind(case: Case) -> np.dtype:
    return case.block.volume.dtype


def some_values(case: Case, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shape = (case.network.buckets, case.network.nodes, case.block.items)
    return rng.uniform(0, 2, shape), rng.uniform(0, 4, shape)


def simulated(case: Case, *, seed: int = 1) -> object:
    policy = make_policy(case, "base_stock", seed=seed)
    return rollout(case.network, policy, case.block, case.scenarios, case.lists)


def two_nodes(scarce: float, form: str = "sparse") -> tuple[float, np.ndarray]:
    """Outbound cost, and stock left, where the last unit of node 1 is asked for twice.

    In the first wave region 0 can be served from node 1 for 1.0 or from node 2 for 1.5; in the second wave region 1
    from node 1 for 1.0 or from node 2 for 10.
    """
    case = make_case()
    network = case.network
    shape = (network.waves, network.speeds, 2, network.regions)
    node = np.broadcast_to(np.asarray([1, 2])[:, None], shape).astype(np.int32)
    cost = np.broadcast_to(np.asarray([[1.0, 1.0], [1.5, 10.0]]), shape)
    kind = case.block.volume.dtype
    number = lambda values: jnp.asarray(values, kind)
    nothing = jnp.zeros(shape, kind)
    lists = PreferenceLists(jnp.asarray(node), number(cost), nothing, nothing, rank=number(cost))
    demand = np.zeros((network.waves, network.speeds, network.regions, 1))
    demand[0, 0, 0] = demand[1, 0, 1] = 1
    on_hand = number([[0.0], [1.0], [5.0], [0.0]])
    zero, one = jnp.zeros((4, 1), kind), jnp.ones((4, 1), kind)
    # Node 1 expects to be asked for a unit and a half, node 2 for none.
    scarce_at = scarce * number([[0], [1], [1], [0]])
    worth = Worth(zero, scarce_at, zero, number([[0.0], [-1.5], [0.0], [0.0]]), 0.25 * one, zero)
    customer = Customer(jnp.zeros(1, kind), jnp.zeros(1, kind), jnp.ones(1, kind))
    policy = make_policy(case, "base_stock")
    first = jax.tree.map(lambda leaf: leaf[0], policy)
    left, unmet, served = serve_waves(
        network, first, on_hand, number(demand), lists, customer, form, record=True, worth=worth
    )
    assert float(unmet.total[0]) == pytest.approx(0, abs=1e-6)
    close(served.by_speed.reshape(2, 4).sum(0), on_hand[:, 0] - left[:, 0], tolerance=1e-6)
    close(served.cost_by_speed.sum(), served.outbound_cost.sum(), tolerance=1e-6)
    return float(served.outbound_cost[0]), np.asarray(left[:, 0])


def test_the_last_unit_of_a_scarce_node_is_kept_for_whom_it_saves_most() -> None:
    greedy, left = two_nodes(0.0)
    assert greedy == pytest.approx(1.0 + 10.0)
    close(left, np.asarray([0, 0, 4, 0]), tolerance=1e-6)
    kept, left = two_nodes(8.0)
    assert kept == pytest.approx(1.5 + 1.0)
    close(left, np.asarray([0, 0, 4, 0]), tolerance=1e-6)


@pytest.mark.parametrize("form", ["dense", "fused"])
def test_every_form_keeps_it(form: str) -> None:
    assert two_nodes(8.0, form)[0] == pytest.approx(1.5 + 1.0)


def test_a_unit_saves_what_the_next_choice_costs_more() -> None:
    """Node 1 is first for one class that has a next choice, 3 dearer, and for one that has none."""
    case = make_case(backorder=(False, True))
    network, block = case.network, case.block
    kind = block.volume.dtype
    choice = np.full((network.waves, network.speeds, network.regions, 2), 2)
    cost = np.full(choice.shape, np.inf)
    choice[0, 0, 0], cost[0, 0, 0] = (1, 2), (2.0, 5.0)
    choice[0, 1, 0], cost[0, 1, 0] = (1, 0), (4.0, np.inf)
    low, more, share = extra_costs(network, block, jnp.asarray(choice, jnp.int32), jnp.asarray(cost, kind))
    missed = (float(block.lost_sale_cost[0]), float(block.backorder_cost[1]))
    both = np.asarray([sorted([3.0, missed[0] - 4]), sorted([3.0, max(missed[1] - 4, 0)])])
    close(low[1], jnp.asarray(both[:, 0]), tolerance=1e-5)
    close(more[1], jnp.asarray(both[:, 1] - both[:, 0]), tolerance=1e-5)
    close(share[1], jnp.asarray([0.5, 0.5]), tolerance=1e-5)
    assert not np.asarray(low)[[0, 2, 3]].any()
    assert not np.asarray(more)[[0, 2, 3]].any()


def test_customers_who_are_all_alike_go_elsewhere_together() -> None:
    case = make_case()
    shape = (case.network.waves, case.network.speeds, case.network.regions, 2)
    choice, cost = np.ones(shape, np.int32), np.broadcast_to([0.1, 0.4], shape)
    low, more, share = extra_costs(
        case.network, case.block, jnp.asarray(choice), jnp.asarray(cost, case.block.volume.dtype)
    )
    assert (float(low[1, 0]), float(more[1, 0]), float(share[1, 0])) == (pytest.approx(0.3), 0.0, 1.0)


def test_a_node_is_short_on_the_day_on_which_it_is_likeliest_to_run_out() -> None:
    """Three days of demand 2 +- 1 ahead; 5 units, and 4 more arrive on the third day: the second day counts."""
    kind = jnp.zeros(()).dtype
    row = lambda value: jnp.full((1, 1), value, kind)
    days = jnp.full((1, 1), 3, jnp.int32)
    values = NodeValues(row(1.0), row(2.0), row(3.0), row(0.25), row(2.0), row(1.0), days)
    worth = worth_of(values, row(5.0), jnp.asarray([[[9.0], [0.0], [4.0], [0.0]]], kind))
    assert (float(worth.expected[0, 0]), float(worth.first[0, 0])) == (-4, 1)
    assert float(worth.spread[0, 0]) == pytest.approx(np.sqrt(2))
    # 0.5 and 1.5 units, in standard deviations of sqrt(2): table of the normal distribution.
    assert float(worth.of_unit(row(5.0))[0, 0]) == pytest.approx(1 + 2 * 0.36184 + 3 * 0.14442, abs=1e-4)


@pytest.mark.parametrize("backorder", [(False, False), (True, False)])
def test_a_constant_on_all_values_of_an_item_changes_nothing(backorder: tuple[bool, ...]) -> None:
    case = make_case(backorder=backorder, samples=4)
    base, scarce = some_values(case)
    one, other = simulated(valued(case, base, scarce)), simulated(valued(case, base + 0.7, scarce))
    close((other.costs, other.flows), (one.costs, one.flows), tolerance=1e-4)
    tilted = base.copy()
    tilted[:, 1] += 5
    third = simulated(valued(case, tilted, scarce))
    assert float(jnp.abs(third.costs.outbound - one.costs.outbound).max()) > 1e-2


def test_orders_by_value_conserve_units() -> None:
    case = make_case(backorder=(False,), samples=5, seed=4)
    found = simulated(valued(case, *some_values(case)))
    close(found.units.demand, found.units.shipped + found.units.lost, tolerance=1e-4, of=10)


def test_assigned_by_cost_nothing_is_kept_of_values() -> None:
    case = make_case()
    assert case.lists.rank is None
    assert case.lists.values is None
    assert len(jax.tree.leaves(case.lists)) == 4


@pytest.mark.slow
def test_slopes_are_those_of_the_cost() -> None:
    """Central differences of the whole cost by the levels and by the stock at the start, whatever is asked first."""
    case = make_case(samples=3, seed=2)
    case = valued(case, *some_values(case))
    policy = make_policy(case, "base_stock")

    def cost(level: jax.Array, more: jax.Array) -> jax.Array:
        at = jax.tree.map(lambda leaf: leaf * level, policy)
        block = eqx.tree_at(lambda b: b.on_hand, case.block, case.block.on_hand + more)
        return jnp.sum(rollout(case.network, at, block, case.scenarios, case.lists).costs.total) / case.samples

    one, none, step = jnp.ones(()), jnp.zeros(()), 2e-3
    slopes = jax.jit(jax.grad(cost, argnums=(0, 1)))(one, none)
    priced = jax.jit(cost)
    for slope, along in zip(slopes, ((1, 0), (0, 1)), strict=True):
        up, down = (float(priced(one + sign * step * along[0], none + sign * step * along[1])) for sign in (1, -1))
        assert float(slope) == pytest.approx((up - down) / (2 * step), rel=2e-2)
