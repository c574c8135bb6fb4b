"""Classes, spread, blocks, paths and their judgement, against laws that are known."""

import numpy as np
import pytest
from made_sales import MeanModels, steady
from scipy import stats

from meio_jax.forecast import rates
from meio_jax.forecast.classes import demand_class
from meio_jax.forecast.judge import calibration, judge_item, pinball, places
from meio_jax.forecast.options import ForecastOptions
from meio_jax.forecast.paths import ItemForecast, block_paths, draw, generator, sample_paths
from meio_jax.forecast.spread import Spread, find_spread, look_back

FOUR_ERRORS = 4.0


@pytest.fixture
def plain_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_library", lambda: MeanModels)


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


def test_the_week_is_found_and_follows_the_last_day() -> None:
    week = np.asarray([0.5, 0.5, 1.0, 1.0, 1.0, 1.5, 1.5])
    units = 200 * np.tile(week, 52)
    past = look_back(units)
    np.testing.assert_allclose(past.week, week, atol=0.03)
    np.testing.assert_allclose(past.expected[-28:], units[-28:], rtol=0.1)
    # Three days later the coming week begins three days later.
    np.testing.assert_allclose(look_back(np.append(units, units[:3])).week, np.roll(week, -3), atol=0.03)


def test_a_slow_mover_keeps_a_flat_week() -> None:
    units = np.zeros(364)
    units[::28] = 1
    assert np.abs(look_back(units).week - 1).max() < 0.2


def test_spread_is_that_of_the_law() -> None:
    """Over many items: what a negative binomial varies by day, and what moves the level of all days."""
    rng = np.random.default_rng(5)
    steady_days = [find_spread(look_back(steady(rng, 364, 20.0, 0.4)), 28) for _ in range(60)]
    assert np.mean([one.day for one in steady_days]) == pytest.approx(0.4, abs=0.1)
    assert np.mean([one.level for one in steady_days]) < 0.06
    moving = []
    for _ in range(60):
        level = np.repeat(rng.gamma(1 / 0.3, 0.3, 13), 28)
        moving.append(find_spread(look_back(rng.poisson(20 * level).astype(float)), 28))
    assert np.mean([one.level for one in moving]) > 0.15
    assert find_spread(look_back(np.asarray([1.0, 2.0, 0.0])), 28).level == pytest.approx(0.1)


def test_paths_have_the_rate_and_the_spread_asked_for() -> None:
    """Mean rate; variance of a day rate + (level + day + level day) rate^2, covariance of two days level rate^2."""
    rate, level, day, count = 3.0, 0.2, 0.5, 120_000
    found = ItemForecast("smooth", np.full(2, rate), Spread(level, day), np.full(56, rate))
    drawn = draw(found, count, np.random.default_rng(1))
    from_model = np.isin(np.arange(count) % 6, (0, 1, 2, 3))
    assert (drawn[~from_model] == rate).all()
    paths = drawn[from_model].astype(float)
    variance = rate + ((1 + level) * (1 + day) - 1) * rate**2
    error = FOUR_ERRORS * np.sqrt(variance / len(paths))
    np.testing.assert_allclose(paths.mean(0), rate, atol=error)
    np.testing.assert_allclose(paths.var(0), variance, rtol=0.05)
    np.testing.assert_allclose(np.cov(paths.T)[0, 1], level * rate**2, rtol=0.1)
    assert drawn.dtype.kind == "i"
    assert drawn.min() >= 0


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


def test_an_item_has_its_paths_whatever_else_there_is(plain_models: None) -> None:
    units = steady(np.random.default_rng(3), 200, 0.4, 0.5)
    first = sample_paths(units, "a", 14, 30, seed=1)
    np.testing.assert_array_equal(sample_paths(units, "a", 14, 30, seed=1), first)
    for name, seed in (("b", 1), ("a", 2)):
        assert (sample_paths(units, name, 14, 30, seed=seed) != first).any()
    assert generator(1, "a").random() != generator(1, "a", "calibration").random()
    # Training plans on even paths and judges on odd ones: both hold both kinds.
    kinds = np.isin(np.arange(30) % 6, (4, 5))
    assert kinds[::2].mean() == kinds[1::2].mean() == pytest.approx(1 / 3)


def test_an_item_that_never_sold_will_hardly_sell(plain_models: None) -> None:
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


def test_a_right_forecast_covers_what_it_says(plain_models: None) -> None:
    """Steady Poisson items, a mean that is known well: coverage is nominal, and the baseline is worse."""
    rng = np.random.default_rng(6)
    options = ForecastOptions(paths=200, holdout=28)
    sales = {f"item{at}": steady(rng, 400, 6.0) for at in range(60)}
    found = calibration([judge_item(units, name, options) for name, units in sales.items()], options)
    row = found.row()
    assert row["items"] == 60
    assert row["foretold"] == pytest.approx(row["sold"], rel=0.05)
    days = 60 * 28
    for share in (50, 80, 95):
        nominal = share / 100
        error = FOUR_ERRORS * np.sqrt(nominal * (1 - nominal) / days) + 0.02
        assert row[f"day_coverage_{share}"] == pytest.approx(nominal, abs=error)
    assert found.as_dict()["rows"][-1]["class"] == "all"


def test_a_history_that_is_too_short_is_counted_apart(plain_models: None) -> None:
    options = ForecastOptions(holdout=28, paths=10)
    found = calibration([judge_item(np.ones(days), "x", options) for days in (40, 56)], options)
    assert (found.items, found.too_short) == (1, 1)


def test_models_that_fail_leave_the_smoothed_level(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(MeanModels):
        class AutoETS:
            def __init__(self, **options: object) -> None: ...

            def forecast(self, y: np.ndarray, h: int) -> dict[str, np.ndarray]:
                return {"mean": np.full(h, np.nan)}

    monkeypatch.setattr(rates, "_library", lambda: Broken)
    past = look_back(np.full(100, 5.0))
    np.testing.assert_allclose(rates.rates(past, "smooth", 3), 5.0)
