"""A simulation that ends with the reported horizon says the same of it as one that goes on through the tail."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from one_node import demand, instance, item, offer, settings

from meio_jax.model.catalog import draw
from meio_jax.planner import prepare
from meio_jax.scenarios.sampling import TRAINING
from meio_jax.simulation.outcome import Record
from meio_jax.simulation.rollout import rollout
from meio_jax.solver.subproblem import block_lists

# 16 days in buckets of a week: the last one is short. An order of four days is under way when the horizon ends.
DAYS = 16


@pytest.mark.parametrize("ordering", ["morning", pytest.param("evening", marks=pytest.mark.slow)])
def test_the_tail_changes_nothing_before_it(ordering: str) -> None:
    tables = instance(
        [item("A", backorder_cost=5.0), item("B", "week")],
        [offer("A", 4), offer("B", 9, "week")],
        [*demand("A", 3.0, "negative_binomial", DAYS), *demand("B", 2.0, "negative_binomial", DAYS)],
        days=DAYS,
        settings={"ordering": ordering, "bucket_periods": 7},
    )
    problem = prepare(tables, settings()).problem
    network, chosen = problem.network, problem.settings
    assert network.tail_buckets
    leaves, raw, scale = jax.tree.map(lambda leaf: leaf[0], (problem.catalog.per_block(), problem.first, problem.scale))
    ids = jnp.arange(8, dtype=jnp.int32)

    @eqx.filter_jit
    def outcome(tail: bool):
        scenarios = draw(chosen.scenarios, problem.catalog.profiles, leaves, ids, TRAINING)
        lists = block_lists(network, problem.resources, chosen, leaves[0], problem.zero_prices())
        policy = jax.tree.map(jnp.multiply, raw, scale)
        record = Record(by_speed=True, orders=2)
        return rollout(network, policy, leaves[0], scenarios, lists, record=record, whole=True, tail=tail)

    long, short = outcome(True), outcome(False)
    assert float(np.abs(long.tail_flows.offer).sum()) > 0
    assert float(np.abs(short.tail_flows.offer).sum()) == 0
    reported = lambda out: (
        out.costs, out.units, out.flows, out.speed_units, out.speed_cost, out.regional, out.timing,
    )  # fmt: skip
    pairs = zip(jax.tree.leaves(reported(short)), jax.tree.leaves(reported(long)), strict=True)
    for ours, theirs in pairs:
        # The same sums of whole units, compiled in two programs.
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-4)
    for ours, theirs in zip(jax.tree.leaves(short.whole_costs), jax.tree.leaves(short.costs), strict=True):
        np.testing.assert_array_equal(ours, theirs)
