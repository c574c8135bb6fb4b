"""Splitting totals over waves, speeds and regions."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from sampling import lead_times, mean_demand, sample, shares_of

from meio_jax.demand import PathDemand

SCENARIOS = 4_000
MEANS = [0.3, 3.5, 12.0, 400.0, 9.0, 2.0]
LAWS = [0, 0, 0, 0, 2, 3]
SPREAD = [2.0, 0.5, 0.1, 0.1, 0.4, 0.0]
ITEMS = len(MEANS)


@pytest.fixture(scope="module", params=[0.0, 0.4])
def split(request: pytest.FixtureRequest) -> tuple[float, np.ndarray, np.ndarray]:
    """Shared factor, shares `[classes, items]` and demand `[periods, classes, items, scenarios]`."""
    shares = shares_of(ITEMS, np.random.default_rng(4))
    demand = mean_demand(MEANS, SPREAD, LAWS, items=ITEMS, periods=2)
    drawn = np.asarray(sample(demand, shares=shares, scenarios=SCENARIOS, periods=2, cv=request.param).demand)
    return request.param, np.asarray(shares).reshape(-1, ITEMS), drawn.reshape(2, -1, ITEMS, SCENARIOS)


def test_slow_movers_stay_whole(split: tuple) -> None:
    slow = split[2][:, :, :2]
    np.testing.assert_array_equal(slow, np.round(slow))
    assert (slow >= 0).all()


def test_totals_are_those_of_the_forecast(split: tuple) -> None:
    factor, _, drawn = split
    demand = mean_demand(MEANS, SPREAD, LAWS, items=ITEMS, periods=2)
    total = np.asarray(sample(demand, scenarios=SCENARIOS, periods=2, cv=factor).demand)
    total = total.reshape(2, ITEMS, SCENARIOS)
    np.testing.assert_array_equal(drawn[:, :, :2].sum(1), total[:, :2])
    np.testing.assert_allclose(drawn.sum(1), total, rtol=1e-5, atol=1e-5)


def test_a_class_without_share_gets_nothing(split: tuple) -> None:
    _, shares, drawn = split
    assert (shares == 0).any()
    np.testing.assert_array_equal(drawn[:, shares == 0], 0)
    assert drawn.min() >= 0


def test_shares_are_unbiased(split: tuple) -> None:
    _, shares, drawn = split
    expected = shares * np.asarray(MEANS)
    error = np.abs(drawn.mean((0, -1)) - expected)
    assert (error <= 6 * drawn.std((0, -1)) / np.sqrt(SCENARIOS) + 1e-3 * expected).all()


def test_split_varies_like_single_orders() -> None:
    """Variance n p (1 - p), covariance -n p q: multinomial for totals below, at and beyond the draws."""
    totals = np.asarray([5.0, 16.0, 200.0, 12.5])
    shares = shares_of(4, np.random.default_rng(1), (1, 2, 4))
    demand = mean_demand(totals, 0.0, 3, items=4, periods=1)
    drawn = np.asarray(sample(demand, shares=shares, scenarios=20_000, periods=1).demand, np.float64)
    drawn = drawn.reshape(8, 4, -1)
    share = np.asarray(shares, np.float64).reshape(8, 4)
    for item, total in enumerate(totals):
        trials = np.floor(total) + (total % 1) ** 2
        expected = trials * (np.diag(share[:, item]) - np.outer(share[:, item], share[:, item]))
        np.testing.assert_allclose(np.cov(drawn[:, item]), expected, atol=0.02 * trials)


def test_totals_beyond_the_draws_stay_whole() -> None:
    """A slow mover's rare large order: more units than draws, still whole and complete."""
    shares = shares_of(1, np.random.default_rng(1))
    demand = mean_demand(3.0, 30.0, items=1, periods=3)
    drawn = np.asarray(sample(demand, shares=shares, scenarios=3_000, periods=3).demand)
    total = np.asarray(sample(demand, scenarios=3_000, periods=3).demand)
    assert total.max() > 100
    np.testing.assert_array_equal(drawn, np.round(drawn))
    np.testing.assert_array_equal(drawn.sum((1, 2, 3)), total.sum((1, 2, 3)))


def test_region_factor_ties_the_days_of_a_region() -> None:
    shares = jnp.full((1, 1, 4, 1), 0.25)
    demand = PathDemand(jnp.full((1, 9, 1), 400.0))
    drawn = np.asarray(sample(demand, shares=shares, scenarios=3_000, cv=0.4).demand)[:, 0, 0]
    correlation = np.corrcoef(drawn[[0, 6, 7], 0])
    assert correlation[0, 1] > 0.8
    assert abs(correlation[0, 2]) < 0.1
    # A share of four gamma factors of variance 0.16 has a Dirichlet law of total 4 / 0.16; orders add noise.
    spread = 400**2 * 0.25 * 0.75 / (4 / 0.16 + 1) + 400 * 0.25 * 0.75
    assert drawn[0, 0].var() == pytest.approx(spread, rel=0.1)


def test_an_item_without_shares_or_demand_is_zero_not_nan() -> None:
    shares = jnp.zeros((1, 2, 2, 3))
    demand = mean_demand(0.0, 0.0, items=3)
    drawn = np.asarray(sample(demand, shares=shares, scenarios=2, leads=lead_times(3), cv=0.3).demand)
    np.testing.assert_array_equal(drawn, 0)
