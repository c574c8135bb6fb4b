"""The order stream: samplers, the four forms of forecast, shares, hours.

Tolerances are three to four standard errors of the sample.
"""

import datetime

import numpy as np
import polars as pl
import pytest
from backtest_instances import single_node, small_network

from meio_jax.backtest import Options, draws, read_world
from meio_jax.backtest.orders import order_source, read_demand, state_of
from meio_jax.backtest.sales import id_keys, read_forecast, sample_sales

START = datetime.date(2025, 6, 2)


def sample(tables, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    keys = id_keys(tables.items["item_id"].to_list())
    return sample_sales(read_forecast(tables), keys, np.full((1, 1), scale), state_of(seed, 0)).astype(float)


def close(sampled: np.ndarray, mean: float, variance: float) -> None:
    error = np.sqrt(variance / sampled.size)
    assert sampled.mean() == pytest.approx(mean, abs=4 * error)
    assert sampled.var() == pytest.approx(variance, rel=0.06)


@pytest.mark.parametrize("mean", [0.3, 5.0, 29.0, 31.0, 200.0])
def test_poisson_draws(mean: float) -> None:
    close(sample(single_node(mean, items=3000)), mean, mean)


@pytest.mark.parametrize(
    ("law", "variance"),
    [
        ("negative_binomial", 6.0 + 0.5 * 36.0),
        ("gamma", 0.5 * 36.0 + 1 / 6),  # rounded to whole units at random
        ("normal", 0.04 * 36.0 + 1 / 6),
        ("fixed", 0.0),
    ],
)
def test_laws_of_the_form_mean(law: str, variance: float) -> None:
    spread = 0.04 if law == "normal" else 0.5
    sampled = sample(single_node(6.0, items=3000, forecast={"law": law, "dispersion": spread}))
    if law == "fixed":
        assert (sampled == 6).all()
    else:
        close(sampled, 6.0, variance)


def test_quantiles_are_reproduced_and_days_are_correlated() -> None:
    forecast = [
        {
            "unique_id": f"i{k}",
            "ds": START + datetime.timedelta(days=t),
            "q0.25": 100.0,
            "q0.5": 200.0,
            "q0.75": 400.0,
        }
        for k in range(4000)
        for t in range(7)
    ]
    settings = {"forecast": "quantiles", "autocorrelation": 0.6}
    sampled = sample(single_node(0.0, items=4000, settings=settings, forecast_table=forecast))
    at = np.quantile(sampled, [0.25, 0.5, 0.75])
    assert at == pytest.approx([100, 200, 400], rel=0.05)
    assert np.corrcoef(sampled[:, 0], sampled[:, 1])[0, 1] == pytest.approx(0.6, abs=0.06)


def test_paths_are_followed_and_training_paths_are_left_out() -> None:
    forecast = [
        {"item_id": f"i{k}", "path": path, "period": t, "units": float(10 * path + t)}
        for k in range(200)
        for path in range(4)
        for t in range(7)
    ]
    sampled = sample(single_node(0.0, items=200, settings={"forecast": "paths"}, forecast_table=forecast))
    first = set(sampled[:, 0])
    assert first == {10.0, 30.0}
    assert (np.diff(sampled, axis=1) == 1).all()


def test_history_comes_in_weeks_that_keep_their_weekdays() -> None:
    history = [
        {"item_id": f"i{k}", "ds": START - datetime.timedelta(days=back), "units": float((-back) % 7)}
        for k in range(100)
        for back in range(1, 40)
    ]
    tables = single_node(0.0, items=100, settings={"forecast": "history", "periods": 14}, forecast_table=history)
    assert (sample(tables) == np.arange(14) % 7).all()


def test_orders_follow_the_shares_and_the_hours_of_their_waves() -> None:
    tables = small_network(items=30, settings={"shared_factor_cv": 0.0})
    world = read_world(tables)
    source = order_source(world, read_demand(world, tables, Options()), state_of(0, 0))
    days = [source(t) for t in range(world.periods)]
    for day in days:
        assert (np.diff(day.hour) >= 0).all()
        assert ((day.hour > 0) & (day.hour <= 24)).all()
    speed = np.concatenate([day.speed for day in days])
    hour = np.concatenate([day.hour for day in days])
    share = np.bincount(speed, minlength=3) / len(speed)
    assert share == pytest.approx([1 / 6, 2 / 6, 3 / 6], abs=4 * 0.5 / np.sqrt(len(speed)))
    assert (hour <= 12).mean() == pytest.approx(0.5, abs=2 / np.sqrt(len(hour)))
    assert hour[hour <= 12].mean() == pytest.approx(6.0, abs=4 * 3.5 / np.sqrt(len(hour) / 2))


def test_shared_factors_move_the_days_of_a_week_and_the_units_of_a_region_together() -> None:
    days, items = 14, 4000
    plain, shaken = (
        single_node(20.0, items=items, settings={"periods": days, "shared_factor_cv": cv}) for cv in (0.0, 0.4)
    )
    totals = []
    for tables in (plain, shaken):
        world = read_world(tables)
        source = order_source(world, read_demand(world, tables, Options()), state_of(0, 0))
        totals.append(np.stack([np.bincount(source(t).item, minlength=items) for t in range(days)]))
    assert totals[0].var() == pytest.approx(20.0, rel=0.05)
    assert totals[1].mean() == pytest.approx(20.0, rel=0.02)
    assert totals[1].var() == pytest.approx(20.0 + 0.16 * 400, rel=0.08)
    assert np.corrcoef(totals[1][0], totals[1][6])[0, 1] == pytest.approx(64 / 84, abs=0.05)
    assert np.corrcoef(totals[1][0], totals[1][7])[0, 1] == pytest.approx(0.0, abs=0.07)


def test_the_world_factor_moves_all_items_of_a_replication_together() -> None:
    days, items, cv, runs = 14, 300, 0.4, 200
    settings = {"periods": days, "world_factor_cv": cv, "world_factor_persistence": 0.5}
    world = read_world(tables := single_node(5.0, items=items, settings=settings))
    demand, weekly = read_demand(world, tables, Options()), np.zeros((runs, 2))
    for run in range(runs):
        source = order_source(world, demand, state_of(0, run))
        sold = np.array([len(source(t).item) for t in range(days)])
        weekly[run] = sold.reshape(2, 7).sum(1) / (7 * 5.0 * items)
    assert weekly.mean() == pytest.approx(1.0, abs=4 * cv / np.sqrt(1.5 * runs))
    assert np.log(weekly).std() == pytest.approx(np.sqrt(np.log1p(cv**2)), rel=0.15)
    assert np.corrcoef(np.log(weekly.T))[0, 1] == pytest.approx(0.5, abs=0.2)


def test_lots_bundle_units_of_an_item() -> None:
    tables = single_node(7.0, items=5, forecast={"law": "fixed"})
    world = read_world(tables)
    source = order_source(world, read_demand(world, tables, Options(units_per_order=3)), state_of(0, 0), 3)
    assert sorted(source(0).units.tolist()) == [1] * 5 + [3] * 10


def test_draws_of_different_keys_are_independent() -> None:
    state = draws.derived(7)
    uniforms = np.array([[draws.uniform(draws.derived(state, k, j))[1] for j in range(2)] for k in range(4000)])
    assert np.corrcoef(uniforms.T)[0, 1] == pytest.approx(0.0, abs=0.06)
    assert np.quantile(uniforms, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.02)


@pytest.mark.parametrize("shape", [0.3, 1.0, 7.5])
def test_gamma_draws(shape: float) -> None:
    values, state = [], draws.derived(3)
    for k in range(4000):
        values.append(draws.gamma(draws.derived(state, k), shape)[1])
    assert np.mean(values) == pytest.approx(shape, abs=4 * np.sqrt(shape / 4000))
    assert np.var(values) == pytest.approx(shape, rel=0.15)


def test_recorded_sales_outside_the_horizon_are_ignored() -> None:
    tables = single_node(0.0)
    world = read_world(tables)
    actual = pl.DataFrame({"item_id": ["i", "i", "i"], "period": [-1, 0, 7], "units": [5, 2, 9]})
    source = order_source(world, read_demand(world, tables, Options(actual=actual)), state_of(0, 0))
    assert [len(source(t).item) for t in range(7)] == [2, 0, 0, 0, 0, 0, 0]
