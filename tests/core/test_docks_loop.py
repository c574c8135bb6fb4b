"""Docks that queue: the rollout against plain loops at given shares, its derivatives, and what items bring to docks."""

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

from meio_jax.model.queues import Docks, Shares
from meio_jax.simulation.gradients import checkpointed, direct
from meio_jax.simulation.rollout import rollout

# Two inbound docks, one of a node that both a vendor and a lane supply; three outbound ones.
QUEUES = [(0, False), (2, False), (3, False), (1, True), (2, True), (3, True)]
WAITS = (False, True)


def with_docks(case: Case, *, seed: int = 7) -> Case:
    """The case at docks of which random shares pass, by day, queue and scenario; every load counts units."""
    rng, network = np.random.default_rng(seed), case.network
    kind = case.block.volume.dtype
    shape = (network.periods, len(QUEUES), case.samples)
    shares = Shares(*(jnp.asarray(rng.uniform(0.3, 1.0, shape), kind) for _ in range(2)))
    count = len(QUEUES)
    docks = Docks(
        node=tuple(node for node, _ in QUEUES),
        outbound=tuple(out for _, out in QUEUES),
        load_queue=tuple(range(count)),
        load_row=(-1,) * count,
        measure=(0,) * count,
        lines=(False,) * count,
        capacity=jnp.full((network.periods, 1), jnp.inf, kind),
        shares=shares,
    )
    return replace(case, network=eqx.tree_at(lambda n: n.docks, network, docks, is_leaf=lambda leaf: leaf is None))


def evening_case() -> Case:
    case = make_case(backorder=WAITS, samples=2, evening=True)
    # Pipelines begin with the evening before period 0: what is due later than they reach would be lost.
    pipelines = lambda block: (block.vendor_pipeline, block.lane_pipeline)
    block = eqx.tree_at(pipelines, case.block, tuple(leaf.at[:, -1].set(0) for leaf in pipelines(case.block)))
    return replace(case, block=block)


@pytest.mark.parametrize("form", some_slow(["sparse", "dense", "fused"], quick=["sparse"]))
def test_queues_match_loops(x64: None, form: str) -> None:
    case = with_docks(make_case(backorder=WAITS, samples=2))
    policy = make_policy(case, "base_stock")
    outcome = run(case, policy, form)
    compare(case, outcome, books(case, np.asarray(policy.target)))
    assert float(outcome.flows.outside.sum()) > 1


@pytest.mark.slow
def test_queues_match_loops_in_the_evening(x64: None) -> None:
    case = with_docks(evening_case())
    policy = make_policy(case, "base_stock")
    compare(case, run(case, policy), books(case, np.asarray(policy.target)))


@pytest.mark.slow
def test_goods_that_age_match_loops_over_lots(x64: None) -> None:
    case = with_docks(perishable(make_case(backorder=(False, False, True), samples=2), (3, 0, 4)))
    policy = make_policy(case, "base_stock")
    compare(case, run(case, policy), books(case, np.asarray(policy.target)))


def test_loads_are_what_items_bring(x64: None) -> None:
    case = with_docks(make_case(backorder=WAITS, samples=2))
    outcome = run(case, make_policy(case, "base_stock"))
    days = np.arange(case.network.periods)
    charged = np.asarray(case.network.charged)[:, None]
    loads = np.asarray(outcome.loads).mean(-1) * charged
    for queue, (node, out) in enumerate(QUEUES):
        flow = outcome.flows.outbound if out else outcome.flows.inbound
        by_bucket = np.asarray([loads[days // case.network.bucket_periods == b, queue].sum() for b in range(3)])
        close(by_bucket, flow[:, node].sum(-1), tolerance=1e-10)


def test_derivatives_at_given_shares(x64: None) -> None:
    case = with_docks(make_case(backorder=WAITS, samples=2))
    policy = make_policy(case, "base_stock")

    def cost(mode, levels) -> jax.Array:
        found = rollout(case.network, levels, case.block, case.scenarios, case.lists, gradient=mode)
        return jnp.sum(found.costs.total) + sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(found.flows))

    kept, slope = (eqx.filter_jit(jax.grad(partial(cost, mode)))(policy) for mode in (direct, checkpointed))
    close(kept, slope, tolerance=1e-9)
    along, step, value = direction(policy), 1e-6, eqx.filter_jit(partial(cost, direct))
    by_differences = float(value(shifted(policy, along, step)) - value(shifted(policy, along, -step))) / (2 * step)
    directed = sum(float(jnp.vdot(a, b)) for a, b in zip(jax.tree.leaves(slope), jax.tree.leaves(along), strict=True))
    assert directed == pytest.approx(by_differences, rel=1e-6)
