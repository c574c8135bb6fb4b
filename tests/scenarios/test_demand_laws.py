"""Totals of every form against closed forms; bounds are five standard errors plus 0.3 % of the value."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from sampling import LEVELS, few_paths, mean_demand, totals
from scipy import stats

from meio_jax.demand import HistoryDemand, PathDemand, QuantileDemand
from meio_jax.demand.few_paths import fitted_law
from meio_jax.scenarios import HOLDOUT, TRAINING, VALIDATION

SCENARIOS, PERIODS = 20_000, 2
NEGATIVE_BINOMIAL, NORMAL, GAMMA, FIXED = range(4)

# (law, mean, dispersion)
CASES = [
    (NEGATIVE_BINOMIAL, 0.05, 0.0),
    (NEGATIVE_BINOMIAL, 1.0, 0.0),
    (NEGATIVE_BINOMIAL, 7.9, 0.0),
    (NEGATIVE_BINOMIAL, 300.0, 0.0),
    (NEGATIVE_BINOMIAL, 0.4, 1.0),
    (NEGATIVE_BINOMIAL, 6.0, 1.0),
    (NEGATIVE_BINOMIAL, 50.0, 0.3),
    (NEGATIVE_BINOMIAL, 2.0, 4.0),
    (NORMAL, 20.0, 0.01),
    (NORMAL, 3.0, 1.0),
    (GAMMA, 5.0, 1.0),
    (GAMMA, 100.0, 0.05),
    (GAMMA, 2.0, 3.0),
    (FIXED, 2.5, 0.7),
]


def law_of(law: int, mean: float, dispersion: float):
    """The same law in scipy; None where there is nothing random."""
    if law == NEGATIVE_BINOMIAL:
        size = 1 / dispersion if dispersion else None
        return stats.nbinom(size, 1 / (1 + dispersion * mean)) if size else stats.poisson(mean)
    if law == GAMMA:
        return stats.gamma(1 / dispersion, scale=dispersion * mean)
    return None


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    law, mean, dispersion = (np.asarray(column) for column in zip(*CASES, strict=True))
    demand = mean_demand(mean, dispersion, law, items=len(CASES), periods=PERIODS)
    return totals(demand, scenarios=SCENARIOS, periods=PERIODS).transpose(1, 0, 2).reshape(len(CASES), -1)


def assert_moments(values: np.ndarray, mean: float, variance: float, kurtosis: float = 3.0) -> None:
    count = values.size
    assert abs(values.mean() - mean) < 5 * np.sqrt(variance / count) + 0.003 * mean
    assert abs(values.var() - variance) < variance * (5 * np.sqrt((kurtosis - 1) / count) + 0.003)


@pytest.mark.parametrize("case", [n for n, case in enumerate(CASES) if law_of(*case)], ids=lambda n: str(CASES[n]))
def test_counts_and_gamma_follow_their_law(drawn: np.ndarray, case: int) -> None:
    law = law_of(*CASES[case])
    mean, variance, _, excess = (float(value) for value in law.stats("mvsk"))
    assert_moments(drawn[case], mean, variance, excess + 3)
    points = law.ppf(np.linspace(0.02, 0.98, 25))
    empirical = (drawn[case][:, None] <= points * (1 + 1e-6)).mean(0)
    assert np.abs(empirical - law.cdf(points * (1 + 1e-6))).max() < 2 / np.sqrt(drawn[case].size) + 0.003


@pytest.mark.parametrize("case", [n for n, case in enumerate(CASES) if case[0] == NORMAL])
def test_normal_is_clipped_at_zero(drawn: np.ndarray, case: int) -> None:
    _, mean, dispersion = CASES[case]
    sd = np.sqrt(dispersion) * mean
    z = mean / sd
    first = mean * stats.norm.cdf(z) + sd * stats.norm.pdf(z)
    second = (mean**2 + sd**2) * stats.norm.cdf(z) + mean * sd * stats.norm.pdf(z)
    assert_moments(drawn[case], first, second - first**2)
    assert drawn[case].min() >= 0


def test_fixed_is_fixed_and_counts_are_whole(drawn: np.ndarray) -> None:
    np.testing.assert_array_equal(drawn[-1], 2.5)
    counts = drawn[[law == NEGATIVE_BINOMIAL for law, _, _ in CASES]]
    np.testing.assert_array_equal(counts, np.round(counts))


def test_days_and_items_are_independent(drawn: np.ndarray) -> None:
    days = drawn.reshape(len(CASES), PERIODS, -1)[:-1]
    flat = days.reshape(-1, SCENARIOS)
    correlation = np.corrcoef(flat) - np.eye(len(flat))
    assert np.abs(correlation).max() < 5 / np.sqrt(SCENARIOS)


def test_weekly_factor_scales_the_mean_of_a_week() -> None:
    demand = mean_demand(50.0, 0.0, items=1, periods=14)
    days = totals(demand, scenarios=4_000, cv=0.5, periods=14)[:, 0]
    # Variance of a mixed Poisson: mean + (mean cv)^2; days of a week share the factor, weeks do not.
    assert abs(days.mean() / 50 - 1) < 0.02
    assert abs(days.var() / (50 + 25**2) - 1) < 0.08
    correlation = np.corrcoef(days)
    assert correlation[0, 6] == pytest.approx(625 / 675, abs=0.02)
    assert abs(correlation[6, 7]) < 0.08


def test_quantiles_come_back() -> None:
    law = stats.gamma(2, scale=10)
    table = np.stack([law.ppf(LEVELS), stats.expon(scale=30).ppf(LEVELS)], -1)
    demand = QuantileDemand(
        jnp.asarray(np.broadcast_to(table[:, None], (19, PERIODS, 2)), jnp.float32),
        jnp.asarray(LEVELS, jnp.float32),
        0.6,
    )
    values = totals(demand, scenarios=SCENARIOS, periods=PERIODS)
    for item in range(2):
        reached = (values[0, item][:, None] <= table[:, item]).mean(0)
        np.testing.assert_allclose(reached, LEVELS, atol=5 * 0.5 / np.sqrt(SCENARIOS))
    # The exponential tail is exact: the mean excess over the highest quantile is the scale.
    top = values[:, 1][values[:, 1] > table[-1, 1]] - table[-1, 1]
    assert top.mean() == pytest.approx(30, rel=5 / np.sqrt(top.size))
    ranks = stats.norm.ppf(stats.rankdata(values[:, 0], axis=1) / (SCENARIOS + 1))
    assert np.corrcoef(ranks)[0, 1] == pytest.approx(0.6, abs=0.03)


def test_slow_quantiles_are_rounded_and_keep_their_mean() -> None:
    table = np.broadcast_to(np.linspace(0, 3, 19)[:, None, None], (19, PERIODS, 1))
    demand = QuantileDemand(jnp.asarray(table, jnp.float32), jnp.asarray(LEVELS, jnp.float32))
    values = totals(demand, scenarios=SCENARIOS, periods=PERIODS)
    np.testing.assert_array_equal(values, np.round(values))
    assert values.mean() == pytest.approx(1.5, abs=0.05)


def test_ties_at_the_top_still_have_a_tail() -> None:
    quantiles = np.r_[np.zeros(15), np.ones(4)][:, None, None] * np.ones((1, PERIODS, 1))
    demand = QuantileDemand(jnp.asarray(quantiles, jnp.float32), jnp.asarray(LEVELS, jnp.float32))
    assert totals(demand, scenarios=2_000, periods=PERIODS).max() > 1


def weekly_history(days: int, first: int) -> HistoryDemand:
    """Day d sells d units, none before `first`."""
    units = np.where(np.arange(days) >= first, np.arange(days), 0.0)
    return HistoryDemand(jnp.asarray(units[:, None], jnp.float32), jnp.asarray([first], jnp.int32), 7)


@pytest.mark.parametrize(("days", "first"), [(50, 10), (50, 43), (49, 0), (20, 16)])
def test_bootstrap_only_repeats_what_was(days: int, first: int) -> None:
    values = totals(weekly_history(days, first), scenarios=500, periods=9)[:, 0]
    assert values.min() >= first
    if days - first >= 7:
        np.testing.assert_array_equal(np.diff(values[:7], axis=0), 1)
        np.testing.assert_array_equal((values - days - np.arange(9)[:, None]) % 7, 0)
        starts = np.arange(days - 7, first - 1, -7)
        np.testing.assert_array_equal(np.unique(values[0]), np.sort(starts))


def test_paths_take_turns_and_are_not_shared_with_the_holdout() -> None:
    paths = np.arange(5.0)[:, None, None] * np.ones((1, PERIODS, 2))
    demand = PathDemand(jnp.asarray(paths, jnp.float32))
    purposes = (TRAINING, HOLDOUT, VALIDATION)
    train, holdout, other = (totals(demand, scenarios=6, periods=PERIODS, purpose=one) for one in purposes)
    np.testing.assert_array_equal(train[0, 1], [0, 2, 4, 0, 2, 4])
    np.testing.assert_array_equal(holdout[0, 0], [1] * 6)
    np.testing.assert_array_equal(other[0, 0], [3] * 6)


def test_few_paths_train_on_a_law_and_are_judged_on_the_paths() -> None:
    """Days of a negative binomial law under a level of variance 0.3 that lasts: both are found again."""
    rng = np.random.default_rng(3)
    lasting, spread = 0.3, 0.2
    level = rng.gamma(1 / lasting, lasting, (20_000, 1, 1))
    rate = level * rng.uniform(2, 30, (1, PERIODS, 1))
    paths = rng.poisson(rate * rng.gamma(1 / spread, spread, rate.shape)).astype(float)
    mean, found, law, found_lasting = fitted_law(paths, PERIODS)
    np.testing.assert_allclose(mean, paths[::2].mean(0))
    assert found_lasting[0] == pytest.approx(lasting, rel=0.1)
    assert found[0, 0] == pytest.approx(spread, rel=0.1)
    assert law[0] == NEGATIVE_BINOMIAL
    demand = few_paths(paths)
    for purpose in (HOLDOUT, VALIDATION):
        given = totals(demand.paths, scenarios=64, periods=PERIODS, purpose=purpose)
        np.testing.assert_array_equal(totals(demand, scenarios=64, periods=PERIODS, purpose=purpose), given)
    fresh = totals(demand, scenarios=20_000, periods=PERIODS)[:, 0]
    np.testing.assert_array_equal(fresh, np.round(fresh))
    np.testing.assert_allclose(fresh.mean(1), mean[:, 0], rtol=0.03)
    assert fresh.sum(0).std() == pytest.approx(paths.sum(1).std(), rel=0.05)
    np.testing.assert_allclose(fresh.std(1), paths.std(0)[:, 0], rtol=0.08)


@pytest.mark.parametrize("units", [0.0, 7.0])
def test_few_paths_that_never_vary_stay_what_they_are(units: float) -> None:
    demand = few_paths(np.full((6, PERIODS, 1), units))
    assert np.all(totals(demand, scenarios=32, periods=PERIODS) == units)


def test_periods_that_repeat_a_week_do_not_count_as_a_level_that_lasts() -> None:
    rng = np.random.default_rng(5)
    week = rng.poisson(6.0, (4_000, 7, 1)).astype(float)
    _, spread, _, lasting = fitted_law(np.tile(week, (1, 3, 1)), 7)
    assert lasting[0] < 0.01
    assert spread.shape == (21, 1)


def test_the_four_forms_of_one_process_agree() -> None:
    """Negative binomial with mean 20 and dispersion 0.2, told in each form."""
    rng = np.random.default_rng(0)
    law = law_of(NEGATIVE_BINOMIAL, 20.0, 0.2)
    mean, variance = (float(value) for value in law.stats("mv"))
    table = np.broadcast_to(law.ppf(LEVELS)[:, None, None], (19, PERIODS, 1))
    told = {
        "mean": mean_demand(20.0, 0.2, periods=PERIODS),
        "paths": PathDemand(jnp.asarray(law.rvs((2_000, PERIODS, 1), random_state=rng), jnp.float32)),
        "quantiles": QuantileDemand(jnp.asarray(table, jnp.float32), jnp.asarray(LEVELS, jnp.float32)),
        "history": HistoryDemand(
            jnp.asarray(law.rvs((3_000, 1), random_state=rng), jnp.float32), jnp.zeros(1, jnp.int32), 7
        ),
    }
    for form, demand in told.items():
        values = totals(demand, scenarios=8_000, periods=PERIODS)
        assert values.mean() == pytest.approx(mean, rel=0.04), form
        assert values.var() == pytest.approx(variance, rel=0.12), form
        linear, square = np.asarray(demand.variance_terms())[:, 0]
        assert linear * mean + square * mean**2 == pytest.approx(variance, rel=0.12), form


def test_variance_terms_of_every_law() -> None:
    """The form `mean` knows the law. A clipped normal keeps the variance of the whole bell."""
    law, mean, dispersion = (np.asarray(column) for column in zip(*CASES, strict=True))
    demand = mean_demand(mean, dispersion, law, items=len(CASES), periods=PERIODS)
    linear, square = np.asarray(demand.variance_terms(), float)
    expected = np.where(law == FIXED, 0, dispersion * mean**2) + np.where(law == NEGATIVE_BINOMIAL, mean, 0)
    np.testing.assert_allclose(linear * mean + square * mean**2, expected, rtol=1e-5)
