"""What each policy orders, by hand, and what all of them promise."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import Case, close, make_case, make_policy

from meio_jax.policy import POLICIES, Arrival, PolicyFamily, StartingPoint, View, policy_family
from meio_jax.policy.protected import Protected

# A few additions in float32.
ROUNDING = 1e-6


def view(**changes: object) -> View:
    """Two nodes in one tier: node 4 has a slow and a fast offer, node 7 has one offer and one lane."""
    fields = {
        "position": jnp.asarray([[3.0], [5.0]]),
        "echelon_position": jnp.asarray([[8.0], [9.0]]),
        "net_stock": jnp.asarray([[1.0], [2.0]]),
        "arriving_soon": jnp.asarray([[0.5], [0.0]]),
        "has_expedited": jnp.asarray([[True], [False]]),
        "source_share": jnp.asarray([[0.8], [0.2], [0.25], [0.75]]),
        "source_expedited": jnp.asarray([False, True, False, False]),
        "source_row": (0, 0, 1, 1),
        "source_index": (0, 1, 2, 3),
        "rows": (4, 7),
        "arrival": Arrival(
            stock=jnp.asarray([[4.0], [6.0]]),
            cover=jnp.asarray([[3.0], [2.0]]),
            usual=jnp.asarray([[2.0], [12.0]]),
            spread=jnp.asarray([[1.25], [0.5]]),
        ),
    }
    return View(**{**fields, **changes})


def levels(at_four: float, at_seven: float) -> jax.Array:
    return jnp.zeros((8, 1)).at[4].set(at_four).at[7].set(at_seven)


def expected_orders() -> dict[str, tuple[tuple, list[float]]]:
    """Leaves of each policy, and the orders that they must give for `view()`."""
    target = levels(10, 9)
    return {
        "base_stock": ((target,), [0.8 * 7, 0.2 * 7, 0.25 * 4, 0.75 * 4]),
        "capped": ((target, levels(2, 100)), [0.8 * 2, 0.2 * 2, 0.25 * 4, 0.75 * 4]),
        "echelon": ((target,), [0.8 * 2, 0.2 * 2, 0, 0]),
        # Fast: 4 - (1 + 0.5); slow: 10 - (3 + 2.5). Node 7 has no second offer and splits by the default shares.
        "dual_index": ((target, levels(4, 100)), [4.5, 2.5, 0.25 * 4, 0.75 * 4]),
        # Node 4: 3 covered and 1.25 x (10 - 2) beyond; node 7 has less than a usual day's 12: 9 x 2/12, below 6.
        "projected_level": ((target,), [0.8 * 9, 0.2 * 9, 0, 0]),
        # Without a network that of the projected level.
        "neural": ((target,), [0.8 * 9, 0.2 * 9, 0, 0]),
        "shares": ((target, jnp.asarray([[3.0], [1.0], [0.0], [0.0]])), [0.75 * 7, 0.25 * 7, 0.25 * 4, 0.75 * 4]),
    }


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_orders_by_hand(name: str) -> None:
    assert name in expected_orders(), f"write down what {name} orders"
    leaves, orders = expected_orders()[name]
    close(POLICIES[name](*leaves).order(view()), jnp.asarray(orders)[:, None], tolerance=ROUNDING)


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_a_full_node_orders_nothing(name: str) -> None:
    leaves, _ = expected_orders()[name]
    full = {"position": 100.0, "echelon_position": 100.0, "net_stock": 100.0}
    there = view(**{key: jnp.full((2, 1), value) for key, value in full.items()})
    there = eqx.tree_at(lambda v: v.arrival.stock, there, jnp.full((2, 1), 100.0))
    order = POLICIES[name](*leaves).order(there)
    assert float(jnp.abs(order[:2]).max()) == 0
    assert float(jnp.abs(order[2:]).max()) == 0


def start_of(case: Case) -> StartingPoint:
    shape = (case.network.buckets, case.network.nodes, case.block.items)
    kind = case.block.volume.dtype
    tables = [jnp.asarray(np.random.default_rng(i).uniform(1, 5, shape), kind) for i in range(5)]
    return StartingPoint(*tables)


@pytest.mark.parametrize("protection", [False, True])
@pytest.mark.parametrize("name", sorted(POLICIES))
def test_start_and_scale_have_the_same_leaves(name: str, protection: bool) -> None:
    case = make_case(backorder=(False, False))
    family, at = policy_family(name, protection), start_of(case)
    start, scale = family.start(case.network, case.block, at), family.scales(case.network, case.block, at)
    assert jax.tree.structure(start) == jax.tree.structure(scale)
    for value, unit in zip(jax.tree.leaves(start), jax.tree.leaves(scale), strict=True):
        assert value.shape == unit.shape
        assert value.shape[0] == case.network.buckets
        assert value.shape[-1] == case.block.items
        assert bool((value >= 0).all())
        # A leaf without a unit stays at zero, so it must start there.
        assert bool(((unit > 0) | (value == 0)).all()), name


def test_closed_offers_stay_closed() -> None:
    case = make_case(backorder=(False, False))
    policy = make_policy(case, "shares")
    closed = ~np.asarray(case.block.offer_active)
    assert closed.any()
    assert float(np.abs(np.asarray(policy.source_weight)[:, : closed.shape[0]][:, closed]).max()) == 0


def test_protection_reserves_for_faster_speeds_only() -> None:
    levels_at = jnp.arange(6.0)[:, None]
    policy = Protected(POLICIES["base_stock"](levels(1, 1)), levels_at, 3)
    assert policy.reserved(0) is None
    close(policy.reserved(1), levels_at[:3], tolerance=0)
    close(policy.reserved(2), levels_at[3:], tolerance=0)
    assert POLICIES["base_stock"](levels(1, 1)).reserved(2) is None


def test_protected_is_built_by_its_family_and_is_no_member() -> None:
    assert not isinstance(Protected, PolicyFamily)
    assert isinstance(policy_family("base_stock", protection=True), PolicyFamily)
    assert all(isinstance(member, PolicyFamily) for member in POLICIES.values())


def test_echelon_matrix_counts_shares_downstream() -> None:
    network = make_case().network
    network = eqx.tree_at(lambda n: n.lane_share, network, jnp.asarray([1.0, 0.4, 0.5]))
    expected = np.eye(4)
    expected[0, 1], expected[0, 2], expected[1, 3], expected[0, 3] = 1.0, 0.4, 0.5, 0.5
    close(network.echelon_matrix(), expected, tolerance=ROUNDING)
