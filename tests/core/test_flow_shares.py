"""Shares of demand and lead times of sources, by hand on four nodes, for arrays of the host and of devices."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import make_network

from meio_jax.model.flow_shares import flow_shares
from meio_jax.model.leads import source_leads
from meio_jax.model.network import Network

# Two offers of node 0, one of node 2; lanes from 0 to 1, from 0 to 2, from 1 to 3.
SHARES = [[0.7], [0.3], [0.6], [0.5], [0.25], [1.0]]
LIBRARIES = pytest.mark.parametrize(("array", "kind"), [(np.asarray, np.ndarray), (jnp.asarray, jax.Array)])


@pytest.fixture(scope="module")
def network() -> Network:
    return make_network(np.random.default_rng(0), backorders=False, priority=False)


@LIBRARIES
def test_nodes_pass_on_what_lower_nodes_take(network: Network, array: Callable, kind: Any) -> None:
    own = array([[1.0], [2.0], [3.0], [4.0]])
    found = flow_shares(network, own, array(SHARES))
    assert isinstance(found, kind)
    # Node 1 passes 4 on to node 3; node 0 half of what node 1 takes, a quarter of what node 2 does.
    np.testing.assert_allclose(found[:, 0], [1 + 0.5 * 6 + 0.25 * 3, 6, 3, 4])
    np.testing.assert_array_equal(own[:, 0], [1, 2, 3, 4])


@LIBRARIES
def test_lead_times_are_weighed_by_shares(network: Network, array: Callable, kind: Any) -> None:
    found = source_leads(network, array([[3.0], [1.0], [2.0]]), array(SHARES))
    assert isinstance(found, kind)
    # Lanes take 1, 2 and 2 periods.
    np.testing.assert_allclose(found[:, 0], [0.7 * 3 + 0.3 * 1, 0.5 * 1, 0.6 * 2 + 0.25 * 2, 1.0 * 2], rtol=1e-6)
