"""The clairvoyant bound against linear programs and against simulated plans."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flow_lp import least_cost
from helpers import Case, make_case, make_policy
from marks import some_slow

from meio_jax.certify.clairvoyant import scenario_bounds
from meio_jax.model.resources import Resources, excess, usage
from meio_jax.policy import AbstractPolicy
from meio_jax.simulation.rollout import rollout


def make_resources(case: Case, seed: int) -> tuple[Resources, np.ndarray]:
    """One row of every kind, limits in every bucket but one, and random prices."""
    rng = np.random.default_rng(seed)
    network, rows = case.network, 8
    tables = {name: np.zeros((rows, network.nodes)) for name in ("stock", "inbound", "outbound")}
    tables["stock"][0, 1] = tables["inbound"][1, 2] = tables["outbound"][2, 1] = tables["outbound"][3, 3] = 1
    lane, service = np.zeros((rows, network.lanes)), np.zeros((rows, network.speeds, network.region_groups))
    lane[4, 0], service[7, 0, :] = 1, 1
    offer = np.zeros((2, network.offers))
    offer[0], offer[1, 0] = 1, 1
    present = np.ones((network.buckets, rows), bool)
    present[1, 0] = False
    capacity = np.where(np.arange(rows) == 7, 0.9, rng.uniform(5, 20, (network.buckets, rows)))
    prices = rng.uniform(0, 0.6, (network.buckets, rows)) * np.where(np.arange(rows) == 6, 0.05, 1)
    resources = Resources(
        **{name: jnp.asarray(table) for name, table in tables.items()},
        lane=jnp.asarray(lane),
        service=jnp.asarray(service),
        offer=jnp.asarray(offer),
        order_vendor=jnp.asarray([0, -1], jnp.int32),
        measure=jnp.asarray([1, 0, 2, 0, 1, 0, 3, 0], jnp.int32),
        storage_class=jnp.full(rows, -1, jnp.int32),
        is_service=jnp.asarray(np.arange(rows) == 7),
        capacity=jnp.asarray(capacity),
        present=jnp.asarray(present),
        order_index=(5, 6),
    )
    return resources, prices


def without_stock(case: Case) -> Case:
    """The case with empty shelves and nothing on order."""
    empty = eqx.tree_at(
        lambda b: (b.on_hand, b.vendor_pipeline, b.lane_pipeline), case.block, replace_fn=jnp.zeros_like
    )
    return Case(case.network, empty, case.scenarios, case.lists, case.samples)


def profitable(case: Case, factor: float, warmup: int) -> Case:
    """The case with a terminal credit factor and a number of warm-up periods."""
    charged = (np.arange(case.network.periods) >= warmup).astype(float)
    network = eqx.tree_at(lambda n: n.charged, case.network, jnp.asarray(charged))
    value = jnp.broadcast_to(factor * case.block.unit_cost, case.block.end_value.shape)
    block = eqx.tree_at(lambda b: (b.end_value, b.end_value_due), case.block, (value, value))
    return Case(network, block, case.scenarios, case.lists, case.samples)


def both(case: Case, seed: int) -> tuple[np.ndarray, np.ndarray]:
    resources, prices = make_resources(case, seed)
    ours = scenario_bounds(case.network, resources, case.block, case.scenarios, jnp.asarray(prices))
    theirs = [
        least_cost(case.network, resources, case.block, case.scenarios, prices, column // case.samples, column)
        for column in range(case.scenarios.demand.shape[-1])
    ]
    return np.asarray(ours), np.asarray(theirs)


@pytest.mark.parametrize("seed", some_slow(range(6), quick=[0]))
@pytest.mark.parametrize("warmup", some_slow([0, 2], quick=[2]))
def test_without_stock_the_bound_is_the_optimum(x64: None, seed: int, warmup: int) -> None:
    case = make_case(backorder=(False, True, False), samples=2, seed=seed)
    case = without_stock(profitable(case, 0.5 if warmup == 0 else 0.0, warmup))
    ours, theirs = both(case, seed)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("seed", some_slow(range(6), quick=[0]))
def test_with_stock_the_bound_is_below_the_optimum(x64: None, seed: int) -> None:
    ours, theirs = both(profitable(make_case(backorder=(False, True), samples=2, seed=seed), 0.5, 0), seed)
    assert np.all(np.isfinite(theirs))
    assert np.all(ours <= theirs + 1e-7)
    # Starting stock is a third of all supply here; one number per item and scenario prices it.
    assert np.mean(theirs - ours) <= 0.1 * np.mean(np.abs(theirs))


@pytest.mark.parametrize("seed", range(4))
def test_an_unbounded_program_is_said_to_be(x64: None, seed: int) -> None:
    ours, theirs = both(profitable(make_case(backorder=(False, True), samples=2, seed=seed), 3.0, 0), seed)
    assert np.all(np.isneginf(theirs))
    assert np.all(np.isneginf(ours))


def each_column(case: Case) -> Case:
    """The same simulation with every scenario of an item as an item of its own, so that usage is known by scenario."""
    names = ("group", "group_weight", "group_volume", "group_stockable")
    spread = jax.tree.map(lambda leaf: jnp.repeat(leaf, case.samples, -1) if leaf.ndim else leaf, case.block)
    fields = [lambda b, name=name: getattr(b, name) for name in names]
    block = eqx.tree_at(lambda b: [f(b) for f in fields], spread, [f(case.block) for f in fields])
    return Case(case.network, block, case.scenarios, case.lists, 1)


@eqx.filter_jit
def priced_cost(parts: tuple, resources: Resources, prices: jax.Array, policy: AbstractPolicy) -> jax.Array:
    """Cost of every scenario, and what it pays for capacity (capacities themselves not taken off)."""
    network, block, scenarios, lists = parts
    outcome = rollout(network, policy, block, scenarios, lists)
    free = eqx.tree_at(lambda r: r.capacity, resources, jnp.where(resources.is_service, resources.capacity, 0))
    columns = []
    for column in range(block.items):
        only = jnp.where(jnp.arange(block.items) == column, block.live, 0)
        used = usage(resources, outcome.flows, eqx.tree_at(lambda b: b.live, block, only))
        columns.append(jnp.sum(prices * excess(free, used)))
    return outcome.costs.total + jnp.stack(columns)


@pytest.mark.parametrize("name", some_slow(["base_stock", "echelon", "capped", "dual_index"], quick=["dual_index"]))
@pytest.mark.parametrize("seed", some_slow(range(2), quick=[1]))
def test_no_policy_beats_the_bound(x64: None, name: str, seed: int) -> None:
    case = profitable(make_case(backorder=(False, True, False), samples=2, seed=seed), 0.5, 0)
    resources, prices = make_resources(case, seed)
    bound = np.asarray(scenario_bounds(case.network, resources, case.block, case.scenarios, jnp.asarray(prices)))
    columns = each_column(case)
    parts = (columns.network, columns.block, columns.scenarios, columns.lists)
    for trial in range(3):
        cost = priced_cost(parts, resources, jnp.asarray(prices), make_policy(columns, name, seed=seed + trial))
        assert np.all(np.asarray(cost) >= bound - 1e-7)
