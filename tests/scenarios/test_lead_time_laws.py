"""Lead times against their laws."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from sampling import mean_demand, sample
from scipy import stats

from meio_jax.scenarios.leadtimes import LAWS, LeadTimes, counted_lead, searched_lead

LIMIT, SCENARIOS = 30, 20_000
FIXED, GAMMA, EMPIRICAL = range(3)
# (law, mean, sd, vendor)
OFFERS = [(FIXED, 6.4, 3.0, 0), (GAMMA, 8.0, 3.0, 0), (GAMMA, 3.0, 3.0, 0), (GAMMA, 5.0, 0.0, 1)]
OFFERS += [(EMPIRICAL, 1.0, 0.0, 0), (EMPIRICAL, 1.0, 0.0, 1)]


def gamma_shares(mean: float, sd: float, limit: int) -> np.ndarray:
    """Chance of each lead time 1..limit of a gamma law rounded to whole days."""
    law = stats.gamma((mean / sd) ** 2, scale=sd**2 / mean)
    edges = law.cdf(np.arange(1, limit) + 0.5)
    return np.diff(np.r_[0, edges, 1])


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    rng = np.random.default_rng(0)
    weight = rng.random((2, LIMIT)) * (rng.random((2, LIMIT)) < 0.4)
    return weight / weight.sum(1, keepdims=True)


@pytest.fixture(scope="module")
def drawn(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vendor leads `[offers, draws]` and lane leads `[lanes, draws]`."""
    law, mean, sd, vendor = (np.asarray(column)[:, None] for column in zip(*OFFERS, strict=True))
    leads = LeadTimes(
        jnp.asarray(mean, jnp.float32),
        jnp.asarray(sd, jnp.float32),
        jnp.asarray(law, jnp.int32),
        jnp.asarray(vendor, jnp.int32),
        jnp.asarray(np.cumsum(weights, 1), jnp.float32),
        jnp.asarray([4.0, 2.0]),
        jnp.asarray([2.0, 0.0]),
        LIMIT,
        12,
        True,
    )
    out = sample(mean_demand(1.0, 0.0, periods=1), leads=leads, scenarios=SCENARIOS, periods=1)
    return np.asarray(out.vendor_lead)[0], np.asarray(out.lane_lead)[0]


def shares_in(values: np.ndarray, limit: int) -> np.ndarray:
    assert values.min() >= 1
    assert values.max() <= limit
    return np.bincount(values, minlength=limit + 1)[1:] / values.size


def test_fixed_lead_times_are_rounded(drawn: tuple) -> None:
    np.testing.assert_array_equal(drawn[0][OFFERS.index((FIXED, 6.4, 3.0, 0))], 6)
    np.testing.assert_array_equal(drawn[0][OFFERS.index((GAMMA, 5.0, 0.0, 1))], 5)
    np.testing.assert_array_equal(drawn[1][1], 2)


@pytest.mark.parametrize("offer", [1, 2])
def test_gamma_lead_times(drawn: tuple, offer: int) -> None:
    _, mean, sd, _ = OFFERS[offer]
    observed = shares_in(drawn[0][offer], LIMIT)
    np.testing.assert_allclose(observed, gamma_shares(mean, sd, LIMIT), atol=5 * 0.5 / np.sqrt(SCENARIOS))


def test_lanes_have_gamma_lead_times(drawn: tuple) -> None:
    observed = shares_in(drawn[1][0], 12)
    np.testing.assert_allclose(observed, gamma_shares(4.0, 2.0, 12), atol=5 * 0.5 / np.sqrt(SCENARIOS))


@pytest.mark.parametrize("offer", [4, 5])
def test_empirical_lead_times(drawn: tuple, weights: np.ndarray, offer: int) -> None:
    expected = weights[OFFERS[offer][3]]
    observed = shares_in(drawn[0][offer], LIMIT)
    np.testing.assert_allclose(observed, expected, atol=5 * 0.5 / np.sqrt(SCENARIOS))
    np.testing.assert_array_equal(observed[expected == 0], 0)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 9, 120])
def test_search_is_the_inverse_of_the_table(limit: int) -> None:
    rng = np.random.default_rng(limit)
    cumulative = np.cumsum(rng.dirichlet(np.ones(limit), 2), 1).astype(np.float32)
    uniform = np.r_[rng.random(50), 1e-7, 1 - 1e-7].astype(np.float32)[None]
    vendor = rng.integers(0, 2, uniform.shape).astype(np.int32)
    found = searched_lead(jnp.asarray(uniform), jnp.asarray(cumulative), jnp.asarray(vendor))
    expected = [
        min(int(np.searchsorted(cumulative[row], value)) + 1, limit)
        for value, row in zip(uniform[0], vendor[0], strict=True)
    ]
    np.testing.assert_array_equal(np.asarray(found)[0], expected)
    shares = jnp.asarray(cumulative[vendor[0]].T[:, None])
    np.testing.assert_array_equal(np.asarray(counted_lead(jnp.asarray(uniform), shares))[0], expected)


def test_lanes_without_spread_are_one_number_each() -> None:
    out = sample(mean_demand(1.0, 0.0), scenarios=3)
    np.testing.assert_array_equal(out.lane_lead, [3, 2])
    assert LAWS == ("fixed", "gamma", "empirical")
