"""Classes, levels, spread, paths and their judgement, against laws that are known."""

import numpy as np
import pytest
from made_sales import panel_of, steady
from scipy import stats

from meio_jax.forecast.bootstrap import block_paths
from meio_jax.forecast.classes import demand_class
from meio_jax.forecast.judge import calibration, judge_block, pinball, places
from meio_jax.forecast.level import smooth
from meio_jax.forecast.model import Fitted, fit, learn
from meio_jax.forecast.paths import draw, generator, sample_paths
from meio_jax.forecast.spread import Spread

FOUR_ERRORS = 4.0


@pytest.mark.parametrize(
    ("units", "kind"),
    [
        ([5, 6, 5, 4] * 10, "smooth"),
        ([1, 30, 1, 1] * 10, "erratic"),
        ([2, 0, 0, 2, 0] * 10, "intermittent"),
        ([1, 0, 0, 20, 0] * 10, "lumpy"),
        ([3] * 7 + [0] * 100, "sparse"),
        ([0] * 50, "sparse"),
    ],
)
def test_items_fall_into_the_classes_of_the_literature(units: list[int], kind: str) -> None:
    assert demand_class(np.asarray(units, float)) == kind


def test_levels_are_discounted_sums_over_discounted_exposure() -> None:
    """Against the sums written out: half-life 2, periods that are not known left out."""
    rng = np.random.default_rng(1)
    units, exposure = rng.poisson(5, (1, 30)).astype(float), rng.uniform(0.5, 2, (1, 30))
    known = rng.random((1, 30)) < 0.7
    found = smooth(units, exposure, known, (2.0,), 4)
    at = np.flatnonzero(known[0])
    first = units[0, at[:4]].sum() / exposure[0, at[:4]].sum()
    weight = 0.5 ** (np.arange(at.size)[::-1] / 2)
    start = 2.0 * 0.5 ** (at.size / 2)
    above, below = start * first + weight @ units[0, at], start + weight @ exposure[0, at]
    assert found.last[0, 0] == pytest.approx(above / below)
    assert found.before[0, 0, 0] == pytest.approx(first)


@pytest.mark.parametrize(
    ("mean", "dispersion"),
    [(40.0, 0.02), (20.0, 1.0), (0.3, 0.0), (3.0, 5.0)],
    ids=["fast", "erratic", "slow", "lumpy"],
)
def test_the_mean_is_found_whatever_the_class(mean: float, dispersion: float) -> None:
    rng = np.random.default_rng(7)
    panel = panel_of(np.stack([steady(rng, 364, mean, dispersion) for _ in range(30)]), 14)
    rate = fit(panel, learn(panel)).rate
    assert rate.shape == (30, 14)
    assert rate.min() >= 0
    # Thirty items: the level that is followed is some weeks of sales.
    error = FOUR_ERRORS * np.sqrt((mean + dispersion * mean**2) / (30 * 20))
    assert rate.mean() == pytest.approx(mean, abs=error)


def test_the_week_is_in_the_rate_of_fast_and_of_slow_items() -> None:
    week = np.asarray([0.2, 0.2, 1.0, 1.0, 1.0, 1.8, 1.8])
    rng = np.random.default_rng(8)
    panel = panel_of(np.stack([rng.poisson(mean * np.tile(week, 52)) for mean in (60.0, 4.0)]), 14)
    rate = fit(panel, learn(panel)).rate
    np.testing.assert_allclose(rate[0] / rate[0].mean(), np.tile(week, 2), atol=0.1)
    assert rate[1, [5, 6, 12, 13]].mean() > 2 * rate[1, [0, 1, 7, 8]].mean()


def test_spread_is_that_of_the_law() -> None:
    """Over many items: what a negative binomial varies by day, and what moves the level of all days."""
    rng = np.random.default_rng(5)
    panel = panel_of(np.stack([steady(rng, 364, 20.0, 0.4) for _ in range(60)]), 28)
    days = fit(panel, learn(panel)).spread
    assert days.period.mean() == pytest.approx(0.4, abs=0.1)
    assert days.level.mean() < 0.06
    level = np.repeat(rng.gamma(1 / 0.3, 0.3, (60, 13)), 28, axis=1)
    moving = panel_of(rng.poisson(20 * level), 28)
    assert fit(moving, learn(moving)).spread.level.mean() > 0.15


def _known(rate: np.ndarray, level: float, period: float, *, alive: float = 1.0, whole: bool = True) -> Fitted:
    spread = Spread(np.asarray([level]), np.asarray([period]))
    ratio = np.asarray([[0.0, 1.0, 2.0, np.nan]])
    return Fitted(["a"], ["smooth"], rate[None], np.asarray([alive]), spread, np.asarray([whole]), ratio)


def test_paths_have_the_rate_and_the_spread_asked_for() -> None:
    """Mean rate; variance of a period rate + (level + period + level period) rate^2, covariance of two level rate^2."""
    rate, level, period, count = 3.0, 0.2, 0.5, 120_000
    paths = draw(_known(np.full(2, rate), level, period), 0, count, np.random.default_rng(1))
    variance = rate + ((1 + level) * (1 + period) - 1) * rate**2
    error = FOUR_ERRORS * np.sqrt(variance / count)
    np.testing.assert_allclose(paths.mean(0), rate, atol=error)
    np.testing.assert_allclose(paths.var(0), variance, rtol=0.05)
    np.testing.assert_allclose(np.cov(paths.T)[0, 1], level * rate**2, rtol=0.1)
    assert (paths == np.round(paths)).all()
    assert paths.min() >= 0


def test_an_item_that_may_have_stopped_has_paths_without_any_sale() -> None:
    paths = draw(_known(np.full(5, 50.0), 0.01, 0.01, alive=0.4), 0, 20_000, np.random.default_rng(2))
    assert (paths.sum(1) == 0).mean() == pytest.approx(0.6, abs=FOUR_ERRORS * np.sqrt(0.24 / 20_000))
    assert paths.mean() == pytest.approx(50, rel=0.05)


def test_fractions_are_drawn_as_fractions_around_the_rate() -> None:
    paths = draw(_known(np.full(4, 0.4), 0.005, 0.01, whole=False), 0, 40_000, np.random.default_rng(3))
    assert paths.mean() == pytest.approx(0.4, rel=0.02)
    assert (paths == 0).mean() == pytest.approx(1 / 3, abs=0.01)
    assert ((paths > 0) & (paths < 1)).any()


def test_blocks_stand_on_their_weekday_and_are_whole_pieces() -> None:
    units = np.arange(70.0)
    paths = block_paths(units, 30, 500, np.random.default_rng(2), block=14)
    assert paths.shape == (500, 30)
    np.testing.assert_array_equal(paths % 7, np.broadcast_to(np.arange(70, 100) % 7, paths.shape))
    np.testing.assert_array_equal(np.diff(paths[:, :14]), 1)
    np.testing.assert_array_equal(np.diff(paths[:, 14:28]), 1)
    assert set(paths[:, 0]) == set(range(0, 57, 7))
    # A past shorter than a week is one block, over and over.
    np.testing.assert_array_equal(
        block_paths(np.asarray([4.0, 5.0]), 5, 1, np.random.default_rng(0))[0], [4, 5, 4, 5, 4]
    )


def test_an_item_has_its_paths_whatever_else_is_forecast_with_it() -> None:
    rng = np.random.default_rng(3)
    units = np.stack([steady(rng, 200, 0.4, 0.5) for _ in range(3)])
    panel = panel_of(units, 14)
    shared = learn(panel)
    together = fit(panel, shared)
    for at in range(3):
        alone = fit(panel_of(units[at], 14), shared)
        drawn = [draw(*one, 30, generator(1, "a")) for one in ((together, at), (alone, 0))]
        np.testing.assert_array_equal(*drawn)
    first = sample_paths(units[0], "a", 14, 30, seed=1)
    np.testing.assert_array_equal(sample_paths(units[0], "a", 14, 30, seed=1), first)
    for name, seed in (("b", 1), ("a", 2)):
        assert (sample_paths(units[0], name, 14, 30, seed=seed) != first).any()
    assert generator(1, "a").random() != generator(1, "a", "calibration").random()


def test_an_item_that_never_sold_will_hardly_sell() -> None:
    assert not sample_paths(np.zeros(100), "never", 28).any()


def test_pinball_and_places_are_those_of_the_definition() -> None:
    """A uniform law on 0 .. 999 and a truth of 400: loss by hand at every level."""
    paths = np.arange(1000.0)[:, None]
    levels = np.asarray([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
    quantile = np.ceil(levels * 1000) - 1
    by_hand = np.where(quantile < 400, levels * (400 - quantile), (1 - levels) * (quantile - 400)).mean()
    assert pinball(paths, np.asarray([400.0])) == pytest.approx(by_hand)
    rng = np.random.default_rng(4)
    assert 0.4 <= places(paths, np.asarray([400.0]), rng)[0] <= 0.401
    ties = [places(np.zeros((10, 1)), np.zeros(1), rng)[0] for _ in range(200)]
    assert stats.kstest(ties, "uniform").pvalue > 1e-4


def test_a_right_forecast_covers_what_it_says() -> None:
    """Steady Poisson items, a mean that is known well: coverage is nominal."""
    rng = np.random.default_rng(6)
    panel = panel_of(np.stack([steady(rng, 400, 6.0) for _ in range(60)]), 14)
    found = calibration(judge_block(panel, learn(panel.cut(28)), 28, 0), 28)
    row = found.row()
    assert row["items"] == 60
    assert row["foretold"] == pytest.approx(row["sold"], rel=0.05)
    days = 60 * 28
    for share in (50, 80, 95):
        nominal = share / 100
        error = FOUR_ERRORS * np.sqrt(nominal * (1 - nominal) / days) + 0.02
        assert row[f"day_coverage_{share}"] == pytest.approx(nominal, abs=error)
    assert found.as_dict()["rows"][-1]["class"] == "all"


def test_a_history_that_is_too_short_is_counted_apart() -> None:
    units = np.ones((2, 56))
    units[0, :30] = 0
    panel = panel_of(units, 14)
    found = calibration(judge_block(panel, learn(panel.cut(28)), 28, 0), 28)
    assert (found.items, found.too_short) == (1, 1)
