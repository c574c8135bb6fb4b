"""Fixed costs of orders under random demand: sizes and levels against the best of all (s, S)."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from fixed_cost import System, best_reorder, cost_rates, lots

import meio_jax as mj
from meio_jax.tables import InstanceSettings, Tables

SYSTEM = System()
SIZE = math.sqrt(2 * SYSTEM.fixed * SYSTEM.mean / SYSTEM.holding)


@pytest.fixture(scope="module")
def best() -> float:
    return best_reorder(SYSTEM)


def test_the_economic_quantity_costs_little_more_than_the_best_of_all_rules(best: float) -> None:
    """An eighth is the most that it can cost (Zheng 1992); here it is little. An order a day costs far more."""
    levels = np.arange(4, 24)
    assert cost_rates(SYSTEM, lots(levels, SIZE), levels.size).min() < 1.03 * best
    assert cost_rates(SYSTEM, lots(levels, 1.0), levels.size).min() > 1.3 * best


@pytest.mark.slow
def test_a_plan_finds_the_level_that_goes_with_the_size(best: float) -> None:
    made = mj.plan(
        _tables(),
        policy=mj.BaseStock(),
        scenarios=mj.ScenarioOptions(train=256, per_step=32, holdout=64, clairvoyant=0),
        search=mj.SearchOptions(max_steps=150, min_steps=150, slack_items=0, confirm=0),
    )
    frames = made.frames()
    assert frames["plan/order_sizes"]["units"].to_list() == [math.ceil(SIZE)]
    level = frames["plan/targets"]["target_units"].to_numpy()
    rates = cost_rates(SYSTEM, lots(level, SIZE), level.size)
    assert rates.max() < 1.05 * best
    assert made.certificate.cost_terms["ordering"] > 0


def _tables() -> Tables:
    days = 56
    settings = InstanceSettings(
        name="fixed cost", start_date="2026-03-02", periods=days, wave_ends=[24.0], forecast="mean", ordering="evening",
        stationary_targets=True,
    )  # fmt: skip
    frames = {
        "items": [{
            "item_id": "A", "volume_m3": 0.0, "weight_kg": 0.0, "price": 0.0, "unit_cost": 0.0, "profile": "p",
            "holding_cost": SYSTEM.holding, "lost_sale_cost": SYSTEM.lost,
        }],
        "nodes": [{"node_id": "n", "kind": "fc"}],
        "regions": [{"region_id": "r"}],
        "speeds": [{"speed_id": "s", "promise_days": 1, "deliver_by_hour": 24.0}],
        "transit": [{"node_id": "n", "region_id": "r", "hours": 1.0, "cost_per_unit": 0.0}],
        "cutoffs": [{"node_id": "n", "speed_id": "s", "cutoff_hour": 24.0}],
        "shares": [{"profile": "p", "region_id": "r", "speed_id": "s", "wave": 0, "share": 1.0}],
        "offers": [{
            "item_id": "A", "vendor_id": "v", "node_id": "n", "unit_cost": 0.0, "lead_time_mean": float(SYSTEM.lead),
            "order_cost": SYSTEM.fixed,
        }],
        "on_hand": [{"item_id": "A", "node_id": "n", "units": 20.0}],
        "forecast": [{"item_id": "A", "period": day, "mean": SYSTEM.mean} for day in range(days)],
    }  # fmt: skip
    return Tables.from_frames(settings, **{name: pl.DataFrame(rows) for name, rows in frames.items()})
