"""Seasons, items that stop, empty shelves, fractions, events and prices: what was put in is found again."""

import datetime

import numpy as np
import pytest
from made_sales import END, panel_of
from scipy import integrate, stats

from meio_jax.forecast.advice import Counts, advice
from meio_jax.forecast.censored import mean_above
from meio_jax.forecast.judge import calibration, judge_block
from meio_jax.forecast.model import Fitted, Shared, fit, learn
from meio_jax.forecast.panel import Panel, Regressors
from meio_jax.forecast.paths import draw, generator, sample_paths
from meio_jax.forecast.season import find_season, own_season

APRIL, DECEMBER = datetime.date(2025, 4, 7), datetime.date(2024, 12, 2)


def christmas(start: datetime.date, weeks: int) -> np.ndarray:
    """Factor of the weeks before a Monday: 5 in the two weeks before Christmas."""
    days = [start + datetime.timedelta(days=7 * at + 3) for at in range(-weeks, 0)]
    return np.asarray(
        [5.0 if (day.month, day.day) >= (12, 11) and (day.month, day.day) <= (12, 24) else 1.0 for day in days]
    )


def forecast(panel: Panel) -> Fitted:
    return fit(panel, learn(panel))


@pytest.mark.parametrize("items", [1, 20])
def test_christmas_is_not_foretold_in_april_but_in_december(items: int) -> None:
    rng = np.random.default_rng(1)
    for start in (APRIL, DECEMBER):
        units = rng.poisson(20 * christmas(start, 156), (items, 156))
        found = forecast(panel_of(units, 8, "week", start))
        paths = np.concatenate([draw(found, at, 400, generator(0, f"{at}")) for at in range(items)])
        if start == APRIL:
            assert paths.mean() == pytest.approx(20, rel=0.08)
            # A week of 60 is three times the usual one: in the replays of other methods it is one path in three.
            assert (paths.max(1) > 60).mean() < 0.05
        else:
            truth = 20 * christmas(start + datetime.timedelta(days=56), 8)
            assert paths.mean(0)[truth > 20].mean() == pytest.approx(100, rel=0.15)
            assert paths.mean(0)[truth == 20].mean() == pytest.approx(20, rel=0.15)


def test_days_carry_the_season_of_their_week() -> None:
    rng = np.random.default_rng(2)
    units = rng.poisson(6 * np.repeat(christmas(DECEMBER, 156), 7), (30, 156 * 7))
    rate = forecast(panel_of(units, 28, "day", DECEMBER)).rate
    assert rate[:, 11:24].mean() > 3 * rate[:, :7].mean()


def test_items_of_their_own_season_are_told_from_the_catalog() -> None:
    """Half of the items peak in summer, half in winter: the shared season is flat, the own ones are not."""
    rng = np.random.default_rng(3)
    week = np.arange(156) - 156
    wave = np.cos(2 * np.pi * week / 52)[None] * np.repeat([1.0, -1.0], 15)[:, None]
    panel = panel_of(rng.poisson(30 * (1 + 0.6 * wave)), 8, "week")
    season = find_season(panel, np.ones(panel.units.shape))
    assert np.abs(season.shared - 1).max() < 0.15
    # A wave of 0.6 has variance 0.18.
    assert season.variance == pytest.approx(0.18, abs=0.06)
    own = own_season(panel, season, np.ones(panel.units.shape))[:, panel.calendar.past_phases()[-52:]]
    truth = 1 + 0.6 * wave[:, -52:]
    assert np.corrcoef(own.ravel(), truth.ravel())[0, 1] > 0.95


def test_noise_is_no_season() -> None:
    rng = np.random.default_rng(4)
    panel = panel_of(rng.poisson(3.0, (40, 157)), 8, "week")
    season = find_season(panel, np.ones(panel.units.shape))
    assert np.abs(season.shared - 1).max() < 0.1
    assert season.variance < 0.02


def test_an_item_that_stopped_is_not_foretold_its_old_demand() -> None:
    rng = np.random.default_rng(5)
    units = rng.poisson(8.0, (20, 400))
    units[:3, -120:] = 0
    found = forecast(panel_of(units, 28))
    assert (found.rate[:3] < 0.05).all()
    assert found.rate[3:].mean() == pytest.approx(8, rel=0.05)
    # Ten days without a sale mean nothing for an item that sells once a month.
    slow = np.zeros((1, 400))
    slow[0, 9::30] = 1
    assert forecast(panel_of(slow, 28)).alive[0] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("least", [0.0, 3.0, 40.0])
def test_demand_of_a_day_that_ran_out_is_the_mean_above_its_sales(least: float) -> None:
    mean, variance = 6.0, 30.0
    law = stats.gamma(mean**2 / variance, scale=variance / mean)
    above = integrate.quad(lambda x: x * law.pdf(x), least, np.inf)[0] / law.sf(least)
    found = mean_above(np.asarray([least]), np.asarray([mean]), np.asarray([variance]))[0]
    assert found == pytest.approx(above, rel=2e-3)


def test_empty_shelves_are_not_taken_for_demand() -> None:
    """Poisson 10 a day, 11 on the shelf every morning: sold out on two days in five, and flagged."""
    rng = np.random.default_rng(6)
    demand = rng.poisson(10.0, (20, 364))
    sold = np.minimum(demand, 11)
    out = sold == 11
    assert forecast(panel_of(sold, 14)).rate.mean() < 9.5
    assert forecast(panel_of(sold, 14, available=~out)).rate.mean() == pytest.approx(10, rel=0.03)
    # Whole weeks without stock say nothing.
    gone = demand.copy()
    gone[:, -60:-10] = 0
    available = gone > 0
    assert forecast(panel_of(gone, 14, available=available)).rate.mean() == pytest.approx(10, rel=0.04)


def test_fractions_are_kept() -> None:
    """0.4 a day is foretold as 0.4 a day, not rounded away."""
    paths = sample_paths(np.full(364, 0.4), "kilograms", 42, 300)
    assert paths.mean() == pytest.approx(0.4, rel=0.02)
    assert not (paths == np.round(paths)).all()
    kilograms = np.random.default_rng(7).gamma(2.0, 0.7, 364) * (np.arange(364) % 3 == 0)
    paths = sample_paths(kilograms, "cheese", 42, 300)
    assert paths.mean() == pytest.approx(1.4 / 3, rel=0.15)
    assert (paths == 0).mean() == pytest.approx(2 / 3, abs=0.1)


def test_the_effect_of_an_event_is_found_and_foretold() -> None:
    rng = np.random.default_rng(8)
    where = np.zeros((1, 378), bool)
    where[0, 20::40] = True
    units = rng.poisson(5 * np.where(where[:, :364], 4.0, 1.0), (30, 364))
    with_event = panel_of(units, 14, regressors=Regressors({"fair": where}))
    shared = learn(with_event)
    assert shared.effects.events["fair"] == pytest.approx(4, rel=0.1)
    assert learn(panel_of(units, 14, regressors=Regressors({"new": np.zeros_like(where)}))).effects.events["new"] == 1
    where[0, 370] = True
    rate = fit(with_event, shared).rate
    assert rate[:, 6].mean() == pytest.approx(20, rel=0.12)
    assert rate[:, 5].mean() == pytest.approx(5, rel=0.12)


def test_the_effect_of_a_price_is_found_and_foretold() -> None:
    rng = np.random.default_rng(9)
    log_price = np.zeros((30, 378))
    for item in range(30):
        for day in rng.integers(0, 350, 8):
            log_price[item, day : day + 7] = np.log(0.7)
    log_price[:, 371:] = np.log(0.7)
    units = rng.poisson(6 * np.exp(-2.0 * log_price[:, :364]))
    panel = panel_of(units, 14, regressors=Regressors({}, log_price))
    shared = learn(panel)
    assert shared.effects.elasticity == pytest.approx(-2, abs=0.25)
    rate = fit(panel, shared).rate
    assert rate[:, 7:].mean() / rate[:, :7].mean() == pytest.approx(0.7**-2, rel=0.15)


def _advice(panel: Panel) -> tuple[str, Shared]:
    shared, counts = learn(panel), Counts()
    counts.add(panel, fit(panel, shared))
    found = calibration(judge_block(panel, learn(panel.cut(28)), 28, 0), 28)
    return " ".join(advice(counts, shared, found, "day")), shared


def test_a_sound_forecast_has_nothing_to_say_against_itself() -> None:
    rng = np.random.default_rng(10)
    level = np.exp(np.cumsum(rng.normal(0, 0.015, (40, 800)), axis=1))
    said, _ = _advice(panel_of(rng.poisson(6.0 * level), 14))
    assert said == ""


def test_the_report_says_when_not_to_use_the_forecast() -> None:
    rng = np.random.default_rng(11)
    units = rng.poisson(6.0, (40, 250)).astype(float)
    units[:2, -100:] = 0
    units[2, :-20] = 0
    units[3] = 0
    said, _ = _advice(panel_of(units, 14))
    for part in (
        "shorter than nine months",
        "2 of 40 items have sold nothing",
        "1 of 40 items are known",
        "never sold",
    ):
        assert part in said, part
    jump = rng.poisson(6.0, (40, 800)).astype(float)
    jump[:, -28:] *= 2
    assert "Do not use it for total volume: on the held-out days it was -4" in _advice(panel_of(jump, 14))[0]
    ended = rng.poisson(6.0, (40, 800)).astype(float)
    ended[:, -60:] = 0
    assert "No item sold in the last 60 days" in _advice(panel_of(ended, 14))[0]
    assert END.weekday() == 6
