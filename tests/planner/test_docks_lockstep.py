"""Docks that queue in the planner and in the order-by-order simulator, which share no code: the same waits."""

from __future__ import annotations

import polars as pl
import pytest
from one_node import START, demand, item, offer

from meio_jax.backtest import Options, PlanTable, simulate
from meio_jax.certify.docks import queued_docks
from meio_jax.certify.holdout import evaluate_holdout
from meio_jax.config import make_config
from meio_jax.distributed.sharding import own_part
from meio_jax.planner.model import prepare
from meio_jax.plans.docks import waits_in
from meio_jax.plans.policy_tables import policy_frames
from meio_jax.tables import InstanceSettings, Tables

ITEMS, DAYS = 12, 42
MEAN = 4.0
# All items order on one day of the week: 336 units arrive at once, at a dock of 80; customers ask for 48 a day of 54.
INBOUND, OUTBOUND = 80.0, 54.0


def weekly(outbound: float) -> Tables:
    """Twelve items at a node that orders once a week."""
    names = [f"i{number}" for number in range(ITEMS)]
    rows = {
        "items": [item(name, holding_cost=0.1, lost_sale_cost=500.0) for name in names],
        "offers": [offer(name, 2) for name in names],
        "forecast": [row for name in names for row in demand(name, MEAN, law="negative_binomial", days=DAYS)],
        "on_hand": [{"item_id": name, "node_id": "site", "units": 70.0} for name in names],
        "nodes": [{"node_id": "site", "kind": "fc", "review_period": 7}],
        "regions": [{"region_id": "r"}],
        "speeds": [{"speed_id": "s", "promise_days": 1, "deliver_by_hour": 24.0}],
        "transit": [{"node_id": "site", "region_id": "r", "hours": 1.0, "cost_per_unit": 0.0}],
        "cutoffs": [{"node_id": "site", "speed_id": "s", "cutoff_hour": 24.0}],
        "shares": [{"profile": "site", "region_id": "r", "speed_id": "s", "wave": 0, "share": 1.0}],
        "resources": [
            {"resource_id": "in", "kind": "inbound", "node_id": "site", "measure": "units", "capacity": INBOUND},
            {"resource_id": "out", "kind": "outbound", "node_id": "site", "measure": "units", "capacity": outbound},
            {"resource_id": "kept", "kind": "service", "measure": None, "node_id": None, "capacity": 0.5},
        ],
    }
    settings = InstanceSettings(
        name="weekly", start_date=START, periods=DAYS, wave_ends=[24.0], forecast="mean",
        ordering="evening", terminal="liquidate", docks="queue",
    )  # fmt: skip
    return Tables.from_frames(
        settings, **{name: pl.DataFrame(table, infer_schema_length=None) for name, table in rows.items()}
    )


@pytest.mark.slow
def test_waits_and_promises_are_those_of_the_simulator() -> None:
    """Levels are so high that next to nothing is lost while goods wait: both worlds order the same."""
    tables = weekly(OUTBOUND)
    scenarios = {"train": 16, "per_step": 16, "holdout": 256, "clairvoyant": 0}
    model = prepare(tables, make_config(scenarios=scenarios, solve={"devices": 1}))
    items, free = model.store.start(), model.problem.zero_prices()
    queued = queued_docks(model.given, items, True, free, 256, 16)
    assert queued is not None
    assert queued.settled
    waits = waits_in(model.instance, queued)
    ((problem, policy),) = model.given.plans(items, True)
    holdout = evaluate_holdout(problem, policy, free, 256, chunk=16, shares=queued.days.shares)
    levels = dict(policy_frames(model.instance, policy))["plan/targets"]
    plan = PlanTable(levels.select("item_id", "node_id", "bucket", pl.col("target").alias("target_units")))
    options = Options(ordering="evening", inbound="day", outbound="queue", storage="measure")
    lived = simulate(tables, plan, replications=100, seed=3, options=options)
    sums = {
        name: float(lived.items[name].sum()) for name in ("received", "shipped", "waited", "held", "on_time", "lost")
    }
    inbound, outbound = waits.unit_periods.sum(axis=0) / waits.due.sum(axis=0)
    # The simulator unloads one delivery after the other, and loses some sales of the last ones.
    assert own_part(holdout.items.units.lost).sum() <= sums["lost"] < 0.02 * sums["shipped"]
    # One and a half days at one dock, a twentieth at the other; 100 lives know the latter to a tenth of it.
    assert inbound == pytest.approx(sums["waited"] / sums["received"], rel=0.03)
    assert outbound == pytest.approx(sums["held"] / sums["shipped"], rel=0.2)
    assert holdout.usage.used[:, 2].sum() == pytest.approx(sums["on_time"], rel=0.01)
