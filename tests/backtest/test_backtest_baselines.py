"""Baselines: as good as their idea allows, and within storage."""

import numpy as np
import polars as pl
import pytest
from backtest_instances import ITEM, copies, same_targets, single_node, small_network

from meio_jax.backtest import Options, PlanTable, read_world, simulate
from meio_jax.backtest.baselines import BASELINES
from meio_jax.backtest.baselines.levels import (
    demand_quantile,
    expected_left,
    normal_quantile,
    quantiles,
    whole_shares,
)
from meio_jax.backtest.baselines.setting import read_setting


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_a_baseline_gives_a_sensible_plan(name: str) -> None:
    tables = small_network(resources=[])
    plan = BASELINES[name](tables)
    assert plan.name == name
    assert plan.targets["target_units"].min() >= 0
    world = read_world(tables)
    assert plan.levels(world).target.shape[0] == world.buckets
    outcome = simulate(tables, plan, replications=3)
    naive = simulate(tables, PlanTable(same_targets(tables, D=30, F1=10, F2=10, S=3)), replications=3)
    assert outcome.cost < naive.cost
    assert outcome.metrics()["lost_share"] < naive.metrics()["lost_share"]


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_a_baseline_fits_storage_on_average(name: str) -> None:
    halls = [{"resource_id": "h", "kind": "storage", "node_id": "F1", "measure": "m3", "capacity": 6.0}]
    loose, tight = small_network(resources=[]), small_network(resources=halls)
    free, fitted = BASELINES[name](loose), BASELINES[name](tight)
    at = pl.col("node_id") == "F1"
    assert fitted.targets.filter(at)["target_units"].sum() < free.targets.filter(at)["target_units"].sum()
    options = Options.unlimited()
    used = [
        simulate(tight, plan, options=options, replications=3).capacity["usage"][1:].mean() for plan in (free, fitted)
    ]
    assert used[0] > 6.0
    assert used[1] < 1.25 * 6.0  # fitted in expectation, from formulas


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_on_a_single_site_every_baseline_is_the_newsvendor(name: str) -> None:
    """One site, lead time 1, daily review: the best level is the least with P(D <= level) >= p / (p + h)."""
    tables = single_node(5.0, settings={"periods": 14})
    level = BASELINES[name](tables).targets["target_units"].unique().to_list()
    exact = demand_quantile(5.0, 5.0, 0.9)
    assert exact == 8
    assert level == [8]


def test_the_single_site_level_is_the_best_by_simulation() -> None:
    tables = single_node(5.0, items=400, settings={"periods": 40, "bucket_periods": 40, "warmup_periods": 5}, start=8)
    costs = {n: simulate(tables, PlanTable(same_targets(tables, n=n))).cost for n in (7, 8, 9)}
    # lost sales leave a little less stock to arrive than the newsvendor thinks, so its neighbour may tie
    assert costs[8] <= 1.01 * min(costs.values())


def test_levels_have_exact_quantiles() -> None:
    mass = np.array([np.exp(-3.0) * 3.0**k / np.prod(np.arange(1, k + 1)) for k in range(30)])
    for p in (0.05, 0.4, 0.8, 0.99):
        assert demand_quantile(3.0, 3.0, p) == np.argmax(np.cumsum(mass) >= p)
    # negative binomial of mean 4 and variance 12 (size 2, chance 1/3), by its recursion
    weight, total, level = (1 / 3) ** 2, 0.0, 0
    while total + weight < 0.9:
        total += weight
        weight *= (level + 2) / (level + 1) * 2 / 3
        level += 1
    assert demand_quantile(4.0, 12.0, 0.9) == level
    assert normal_quantile(0.975) == pytest.approx(1.959963985, abs=1e-6)
    assert normal_quantile(0.001) == pytest.approx(-3.090232306, abs=1e-6)
    wide = quantiles(np.array([1000.0]), np.array([1000.0]), np.array([0.975]))
    assert wide[0] == pytest.approx(1000 + 1.96 * np.sqrt(1000), abs=2)
    assert demand_quantile(0.0, 0.0, 0.9) == 0
    assert expected_left(np.array([10.0]), np.array([8.0]), np.array([4.0]))[0] == pytest.approx(2.1666, abs=2e-3)


def test_whole_shares_keep_the_total() -> None:
    parts = whole_shares(np.array([7.0, 1.0, 0.0]), np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.1, 0.1, 0.1]]))
    assert parts.tolist() == [[4, 2, 1], [1, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("form", ["mean", "paths", "history", "quantiles"])
def test_demand_moments_are_those_of_the_sampled_sales(form: str) -> None:
    """Mean and variance that the baselines use are the moments of what the simulator sends."""
    from test_backtest_orders import START, sample

    rng = np.random.default_rng(0)
    items = 300
    if form == "paths":
        values = rng.poisson(6.0, (60, 7))
        table = [{"path": p, "period": t, "units": float(v)} for (p, t), v in np.ndenumerate(values)]
    elif form == "history":
        from datetime import timedelta

        values = rng.poisson(6.0, 200)
        table = [{"ds": START - timedelta(days=k + 1), "units": float(v)} for k, v in enumerate(values)]
    elif form == "quantiles":
        from datetime import timedelta

        table = [
            {"unique_id": f"i{k}", "ds": START + timedelta(days=t), "q0.1": 2.0, "q0.5": 6.0, "q0.9": 14.0}
            for k in range(items)
            for t in range(7)
        ]
    else:
        table = [{"period": t, "mean": 6.0, "dispersion": 0.4} for t in range(7)]
    rows = table if form == "quantiles" else copies([{"item_id": "i"} | row for row in table], items)
    tables = single_node(0.0, items=items, settings={"forecast": form}, forecast_table=rows)
    setting = read_setting(tables)
    sampled = sample(tables)
    assert setting.mean.mean() == pytest.approx(sampled.mean(), rel=0.05)
    assert setting.variance.mean() == pytest.approx(sampled.var(axis=0).mean(), rel=0.15)


def test_lead_time_variance_raises_the_levels() -> None:
    rows = {"item_id": "i", "vendor_id": "v", "node_id": "n", "unit_cost": 1.0, "lead_time_mean": 8.0}
    levels = [
        BASELINES["independent_sites"](
            single_node(5.0, offers=[rows | {"lead_time_law": "gamma", "lead_time_sd": sd}])
        ).targets["target_units"].max()
        for sd in (0.0, 4.0)
    ]  # fmt: skip
    assert levels[1] > levels[0] + 10


def test_holding_cost_lowers_the_levels() -> None:
    levels = [
        BASELINES["echelon_formulas"](single_node(5.0, item=ITEM | {"holding_cost": h})).targets["target_units"].max()
        for h in (0.1, 2.0)
    ]
    assert levels[0] > levels[1]


def test_gaps_between_orders_follow_the_calendar() -> None:
    """Order days on Mondays and Thursdays: seven days have two of them, fourteen four."""
    tables = single_node(
        1.0,
        settings={"periods": 14},
        calendar=[{"vendor_id": "v", "weekdays": "mon;thu", "status": "only"}],
    )
    assert read_setting(tables).gap.tolist() == [3.5]
