"""Amounts that rounding leaves of demand, far below the range whose squares single precision can hold."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import make_case
from jaxtyping import Array
from meio_kernels.parts import part_of

from meio_jax.policy.base_stock import BaseStock
from meio_jax.simulation.serve import Customer, serve_waves


@pytest.mark.parametrize("whole", [1e-38, 1e-30, 1e-20, 1e-13])
def test_the_share_of_next_to_nothing_has_a_derivative(whole: float) -> None:
    value, slopes = jax.value_and_grad(part_of, argnums=(0, 1))(jnp.float32(whole / 2), jnp.float32(whole))
    assert (value, *slopes) == (0, 0, 0)
    assert part_of(jnp.float32(0.5), jnp.float32(2.0)) == 0.25


def test_units_on_time_have_a_derivative_where_next_to_no_demand_was_downgraded() -> None:
    """What rounds leave of a demand comes to a slower speed that nobody asked for, and asks there."""
    case = make_case(backorder=(False, False, False))
    network, batch = case.network, 3
    lists: Any = jax.tree.map(lambda leaf: leaf[0], case.lists)
    demand = jnp.zeros((*lists.node.shape[:2], lists.node.shape[-1], batch), jnp.float32).at[:, 0].set(1.0)
    each, policy = jnp.ones(batch, jnp.float32), BaseStock(jnp.zeros((network.nodes, batch), jnp.float32))

    def on_time(on_hand: Array) -> Array:
        customer = Customer(each, 1e-24 * each, each)
        _, _, served = serve_waves(network, policy, on_hand, demand, lists, customer, "sparse", record=False)
        return jnp.sum(served.on_time)

    slope = jax.grad(on_time)(jnp.full((network.nodes, batch), 0.1, jnp.float32))
    assert np.isfinite(np.asarray(slope)).all()
