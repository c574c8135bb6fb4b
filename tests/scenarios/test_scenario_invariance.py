"""An item's scenarios do not depend on the block, order or catalog that it is drawn in, to the last bit."""

from __future__ import annotations

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marks import some_slow
from sampling import forms, lead_times, names, sample, shares_of

from meio_jax.demand import DEMAND_FORMS, QuantileDemand
from meio_jax.scenarios import HOLDOUT, Scenarios, item_keys
from meio_jax.scenarios.sampling import _narrowed

ITEMS, SCENARIOS = 9, 5
FORMS = sorted(DEMAND_FORMS)


def pick(tree: eqx.Module, rows: np.ndarray) -> eqx.Module:
    """The given items of a demand or lead-time model."""
    return jax.tree.map(lambda leaf: leaf[..., rows] if leaf.shape[-1] == ITEMS else leaf, tree)


@functools.cache
def whole_catalog(form: str) -> tuple:
    rng = np.random.default_rng(7)
    demand, leads, shares = forms(ITEMS, rng)[form], lead_times(ITEMS, rng), shares_of(ITEMS, rng)
    drawn = sample(demand, shares=shares, leads=leads, ids=names(ITEMS), cv=0.4, scenarios=SCENARIOS)
    return demand, leads, shares, drawn


@pytest.mark.parametrize("form", some_slow(FORMS, quick=["paths"]))
@given(data=st.data())
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
def test_any_block_draws_the_same(form: str, data: st.DataObject) -> None:
    demand, leads, shares, whole = whole_catalog(form)
    size = data.draw(st.sampled_from([1, 6] if form == "mean" else [2]))
    rows = np.asarray(data.draw(st.permutations(range(ITEMS))))[:size]
    numbers = np.asarray(data.draw(st.permutations(range(SCENARIOS))))[:3]
    part = sample(
        pick(demand, rows),
        shares=shares[..., rows],
        leads=pick(leads, rows),
        ids=[names(ITEMS)[row] for row in rows],
        cv=0.4,
        scenarios=numbers,
    )
    columns = (rows[:, None] * SCENARIOS + numbers).reshape(-1)
    for of_whole, of_part in zip(jax.tree.leaves(whole), jax.tree.leaves(part), strict=True):
        np.testing.assert_array_equal(np.asarray(of_whole)[..., columns], np.asarray(of_part))


@pytest.mark.parametrize("form", some_slow(FORMS, quick=["few_paths"]))
def test_longer_horizon_keeps_the_first_days(form: str) -> None:
    rng = np.random.default_rng(1)
    demand = forms(ITEMS, rng, periods=20)[form]
    leads, shares = lead_times(ITEMS, rng), shares_of(ITEMS, rng)
    long, short = (sample(demand, shares=shares, leads=leads, cv=0.3, scenarios=4, periods=n) for n in (20, 8))
    np.testing.assert_array_equal(np.asarray(long.demand)[:8], np.asarray(short.demand))
    np.testing.assert_array_equal(np.asarray(long.vendor_lead)[:8], np.asarray(short.vendor_lead))


def different(one: Scenarios, other: Scenarios) -> bool:
    return bool((np.asarray(one.demand) != np.asarray(other.demand)).any())


def test_seed_purpose_and_item_change_the_draws() -> None:
    demand, leads, shares, base = whole_catalog("mean")
    draw = functools.partial(sample, demand, shares=shares, leads=leads, cv=0.4, scenarios=SCENARIOS)
    assert different(base, draw(seed=4))
    assert different(base, draw(seed=3 + 2**32))
    assert different(base, draw(purpose=HOLDOUT))
    assert different(base, draw(ids=names(ITEMS)[::-1]))
    assert not different(base, draw())


def test_item_keys_are_a_fixed_hash() -> None:
    keys = item_keys(["a", "b", "naïve"])
    np.testing.assert_array_equal(keys[0], np.asarray([966719552, 792880731], np.uint32))
    assert keys.dtype == np.uint32
    many = item_keys(names(20_000))
    assert len({tuple(key) for key in many.tolist()}) == 20_000


def cast(tree: tuple, dtype: type) -> tuple:
    def one(leaf: jax.Array) -> jax.Array:
        array = np.asarray(leaf)
        return jnp.asarray(array.astype(dtype) if array.dtype == np.float32 else array)

    return jax.tree.map(one, tree)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", some_slow([np.float32, np.float64], quick=[np.float32]))
def test_strict_types_and_ranks(form: str, dtype: type) -> None:
    demand, leads, shares, plain = whole_catalog(form)
    double = dtype == np.float64
    with jax.enable_x64(double), jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        args = cast((demand, leads, shares), dtype)
        shapes = eqx.filter_eval_shape(
            sample, args[0], leads=args[1], shares=args[2], cv=0.4, scenarios=SCENARIOS, purpose=HOLDOUT
        )
    assert shapes.demand.shape == plain.demand.shape
    assert shapes.demand.dtype == dtype
    assert shapes.vendor_lead.dtype == np.int32


def test_float64_sees_the_same_scenarios() -> None:
    demand, leads, shares, plain = whole_catalog("mean")
    with jax.enable_x64(True):
        args = cast((demand, leads, shares), np.float64)
        double = sample(args[0], leads=args[1], shares=args[2], cv=0.4, scenarios=SCENARIOS)
    # The same uniforms underneath: float64 differs by rounding, and where a comparison is that close.
    close = np.isclose(np.asarray(double.demand), np.asarray(plain.demand), rtol=1e-3, atol=1e-4)
    assert close.mean() > 0.999


def test_one_level_of_quantiles_is_a_path() -> None:
    demand = QuantileDemand(jnp.full((1, 9, 4), 5.0), jnp.asarray([0.5]))
    assert (np.asarray(sample(demand, scenarios=2).demand) == 5).all()


def test_an_instance_without_offers_or_lanes_has_scenarios() -> None:
    """Their lead times have an axis of length 0, which says nothing about the number of scenarios."""
    kept = _narrowed(jnp.zeros((3, 0, 8)), 2, 3)
    assert kept.shape == (3, 0, 6)
