"""Agreement with systems whose cost is known exactly.

Equal items are so many samples of one system; tolerances are about three standard errors of the mean.
"""

import math

import numpy as np
import pytest
from backtest_instances import instance, same_targets, single_node

from meio_jax.backtest import PlanTable, simulate


def poisson_loss(mean: float, level: int) -> tuple[float, float]:
    """E(level - D)+ and E(D - level)+ for Poisson demand."""
    mass = [math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(int(mean * 4 + 60))]
    left = sum(max(level - k, 0) * p for k, p in enumerate(mass))
    return left, left + mean - level


@pytest.mark.parametrize("level", [18, 22, 26])
def test_newsvendor_of_one_period(level: int) -> None:
    items = 4000
    tables = single_node(20.0, items=items, settings={"periods": 1}, start=float(level))
    left, short = poisson_loss(20.0, level)
    cost = simulate(tables, PlanTable(same_targets(tables, n=0)), seed=3).cost / items
    assert cost == pytest.approx(left + 9 * short, rel=0.03)


def test_lost_sales_with_lead_time_have_the_published_best_level() -> None:
    """Zipkin (2008), Poisson(5), p = 9: ordering before the demand with L = 1 is a lead time of 2 here."""
    items, days, warm = 400, 160, 20
    costs = {}
    for level in (12, 13, 14):
        tables = single_node(
            5.0,
            items=items,
            lead=2,
            start=13.0,
            settings={"periods": days, "bucket_periods": days, "warmup_periods": warm},
        )
        costs[level] = simulate(tables, PlanTable(same_targets(tables, n=level))).cost / items / (days - warm)
    assert min(costs, key=costs.get) == 13
    assert costs[13] == pytest.approx(5.5475, rel=0.01)


@pytest.mark.parametrize("lead", [1, 3])
def test_backordered_base_stock(lead: int) -> None:
    """Stock at the end of a day is the level less the demand of a lead time."""
    items, days, warm, level = 4000, 60, 20, 5 * lead + 3
    tables = single_node(
        5.0,
        items=items,
        lead=lead,
        start=float(level),
        item={"unmet": "backorder", "backorder_cost": 9.0},
        settings={"periods": days, "bucket_periods": days, "warmup_periods": warm},
    )
    left, short = poisson_loss(5.0 * lead, level)
    cost = simulate(tables, PlanTable(same_targets(tables, n=level)), seed=1).cost / items / (days - warm)
    assert cost == pytest.approx(left + 9 * short, rel=0.015)


def test_serial_system_with_echelon_levels() -> None:
    """Snyder and Shen, Example 6.1 with Poisson(5): 72.04674 with stock under way; levels 9, 15, 26."""
    items, days, warm = 200, 140, 20
    base = single_node(
        5.0,
        items=items,
        item={"unmet": "backorder", "backorder_cost": 37.12},
        settings={
            "periods": days,
            "bucket_periods": days,
            "warmup_periods": warm,
            "pipeline_holding": True,
        },
    )
    rows = {name: base.frames()[name].to_dicts() for name in base.frames()}
    rows["nodes"] = [
        {"node_id": name, "kind": "fc", "holding_factor": factor}
        for name, factor in (("n", 7.0), ("m", 4.0), ("u", 2.0))
    ]
    rows["lanes"] = [
        {"from_node": "m", "to_node": "n", "lead_time": 1},
        {"from_node": "u", "to_node": "m", "lead_time": 1},
    ]
    rows["offers"] = [row | {"node_id": "u", "lead_time_mean": 2.0} for row in rows["offers"]]
    rows["on_hand"] = [
        {"item_id": f"i{k}", "node_id": node, "units": units}
        for k in range(items)
        for node, units in (("n", 9.0), ("m", 6.0), ("u", 11.0))
    ]
    settings = base.settings.model_dump()
    tables = instance(settings, **rows)
    plan = PlanTable(same_targets(tables, n=9, m=15, u=26), echelon=frozenset({"n", "m", "u"}))
    cost = simulate(tables, plan).cost / items / (days - warm)
    assert cost == pytest.approx(72.04674, rel=0.01)


def test_error_of_the_mean_falls_with_the_square_root_of_the_sample() -> None:
    tables = single_node(20.0, items=6400, settings={"periods": 1}, start=22.0)
    cost = simulate(tables, PlanTable(same_targets(tables, n=0))).items["total"].to_numpy()
    small, large = (np.std(cost.reshape(-1, size).mean(1)) for size in (16, 256))
    assert small / large == pytest.approx(4.0, rel=0.5)
