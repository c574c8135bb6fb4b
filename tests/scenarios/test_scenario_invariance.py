"""An item's scenarios do not depend on the block, order or catalog that it is drawn in, to the last bit."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling import LEVELS, forms, lead_times, names, sample, shares_of

from meio_jax.demand import DEMAND_FORMS, QuantileDemand
from meio_jax.scenarios import HOLDOUT, item_keys

ITEMS, SCENARIOS = 9, 5


def pick(tree: eqx.Module, rows: np.ndarray) -> eqx.Module:
    """The given items of a demand or lead-time model."""

    def cut(leaf: jax.Array) -> jax.Array:
        return leaf[..., rows] if leaf.shape[-1] == ITEMS else leaf

    return jax.tree.map(cut, tree)


@pytest.mark.parametrize("form", sorted(DEMAND_FORMS))
@given(data=st.data())
@settings(max_examples=4, deadline=None)
def test_any_block_draws_the_same(form: str, data: st.DataObject) -> None:
    rng = np.random.default_rng(7)
    demand, leads, shares = forms(ITEMS, rng)[form], lead_times(ITEMS, rng), shares_of(ITEMS, rng)
    size = data.draw(st.sampled_from([1, 2, 5]))
    rows = np.asarray(data.draw(st.permutations(range(ITEMS))))[:size]
    numbers = np.asarray(data.draw(st.permutations(range(SCENARIOS))))[: data.draw(st.sampled_from([1, 4]))]
    all_names = names(ITEMS)
    whole = sample(demand, shares=shares, leads=leads, ids=all_names, cv=0.4, scenarios=SCENARIOS)
    part = sample(
        pick(demand, rows),
        shares=shares[..., rows],
        leads=pick(leads, rows),
        ids=[all_names[row] for row in rows],
        cv=0.4,
        scenarios=numbers,
    )
    columns = (rows[:, None] * SCENARIOS + numbers).reshape(-1)
    for of_whole, of_part in zip(jax.tree.leaves(whole), jax.tree.leaves(part), strict=True):
        np.testing.assert_array_equal(np.asarray(of_whole)[..., columns], np.asarray(of_part))


@pytest.mark.parametrize("form", sorted(DEMAND_FORMS))
def test_longer_horizon_keeps_the_first_days(form: str) -> None:
    rng = np.random.default_rng(1)
    demand = forms(ITEMS, rng, periods=20)[form]
    leads, shares = lead_times(ITEMS, rng), shares_of(ITEMS, rng)
    long, short = (sample(demand, shares=shares, leads=leads, cv=0.3, scenarios=4, periods=n) for n in (20, 8))
    np.testing.assert_array_equal(np.asarray(long.demand)[:8], np.asarray(short.demand))
    np.testing.assert_array_equal(np.asarray(long.vendor_lead)[:8], np.asarray(short.vendor_lead))


@pytest.mark.parametrize("form", sorted(DEMAND_FORMS))
def test_seed_purpose_and_item_change_the_draws(form: str) -> None:
    demand = forms(ITEMS, np.random.default_rng(2))[form]
    shares = shares_of(ITEMS, np.random.default_rng(2))
    base = np.asarray(sample(demand, shares=shares, scenarios=4).demand)
    assert (base != np.asarray(sample(demand, shares=shares, scenarios=4, seed=4).demand)).any()
    assert (base != np.asarray(sample(demand, shares=shares, scenarios=4, purpose=HOLDOUT).demand)).any()
    other = np.asarray(sample(demand, shares=shares, scenarios=4, ids=names(ITEMS)[::-1]).demand)
    assert (base != other).any()
    np.testing.assert_array_equal(base, np.asarray(sample(demand, shares=shares, scenarios=4).demand))


def test_item_keys_are_a_fixed_hash() -> None:
    keys = item_keys(["a", "b", "naïve"])
    np.testing.assert_array_equal(keys[0], np.asarray([966719552, 792880731], np.uint32))
    assert keys.dtype == np.uint32
    many = item_keys(names(20_000))
    assert len({tuple(key) for key in many.tolist()}) == 20_000


@pytest.mark.parametrize("form", sorted(DEMAND_FORMS))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_strict_types_and_float64(form: str, dtype: type) -> None:
    rng = np.random.default_rng(5)
    demand, leads, shares = forms(ITEMS, rng)[form], lead_times(ITEMS, rng), shares_of(ITEMS, rng)
    plain = sample(demand, shares=shares, leads=leads, cv=0.2, scenarios=3)
    with jax.enable_x64(dtype == np.float64), jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):

        def cast(leaf: jax.Array) -> jax.Array:
            array = np.asarray(leaf)
            return jnp.asarray(array.astype(dtype) if array.dtype == np.float32 else array)

        args = jax.tree.map(cast, (demand, leads, shares))
        strict = sample(args[0], leads=args[1], shares=args[2], cv=0.2, scenarios=3)
        assert strict.demand.dtype == dtype
        assert strict.vendor_lead.dtype == jnp.int32
    # The same uniforms underneath: float64 differs by rounding, and where a comparison is that close.
    close = np.isclose(np.asarray(strict.demand), np.asarray(plain.demand), rtol=1e-3, atol=1e-4)
    assert close.mean() > 0.999


def test_levels_are_shared_by_all_items() -> None:
    demand = QuantileDemand(jnp.ones((LEVELS.size, 9, 4)), jnp.asarray(LEVELS, jnp.float32))
    assert sample(demand, scenarios=2).demand.shape == (9, 1, 1, 1, 8)
