"""A level that reached zero above empty shelves must be able to rise again."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from helpers import Case, make_policy

from meio_jax.policy.base import shortfall
from meio_jax.simulation.rollout import rollout

# Node 3 is supplied by node 1 alone.
NODE, SUPPLIER = 3, 1


def test_ordering_more_is_what_the_derivative_means_where_nothing_is_short(x64: None) -> None:
    level, position = jnp.asarray([[0.0, 2.0, 1.0, 3.0]]), jnp.asarray([[0.0, 2.0, 3.0, 1.0]])
    slope = jax.grad(lambda more: jnp.sum(shortfall(more, position)))(level)
    np.testing.assert_array_equal(slope, [[1.0, 1.0, 0.0, 1.0]])
    np.testing.assert_array_equal(shortfall(level, position), [[0.0, 0.0, 0.0, 2.0]])


def test_a_node_without_stock_or_target_feels_what_stock_is_worth(x64: None, lost: Case) -> None:
    """The first unit at a node supplied from plenty: the derivative is the slope of a small step upwards."""
    pipeline = lost.block.lane_pipeline.at[lost.network.lane_nodes.index(NODE)].set(0)
    stock = lost.block.on_hand.at[NODE].set(0).at[SUPPLIER].set(1000)
    block = eqx.tree_at(lambda b: (b.on_hand, b.lane_pipeline), lost.block, (stock, pipeline))
    target = make_policy(lost, "base_stock").target.at[:, NODE].set(0)
    policy = make_policy(lost, "base_stock")

    @eqx.filter_jit
    def cost(more: jax.Array) -> jax.Array:
        raised = eqx.tree_at(lambda p: p.target, policy, target.at[:, NODE].add(more))
        return rollout(lost.network, raised, block, lost.scenarios, lost.lists).costs.total.mean()

    step, zero = 1e-6, jnp.zeros(())
    slope, risen = float(jax.jit(jax.grad(cost))(zero)), float((cost(zero + step) - cost(zero)) / step)
    assert abs(risen) > 1e-2
    np.testing.assert_allclose(slope, risen, rtol=1e-6)
