"""A capacity that no plan keeps, beside one that every good plan uses to the full."""

from pathlib import Path

import jax
import polars as pl
import pytest

from meio_jax.config import make_config
from meio_jax.planner import Plan, plan
from meio_jax.results import Result
from meio_jax.tables import read_instance

DAYS, DOOR = 14, 5
# What one unit of the lamp brings more than it costs at the site that is not over-full.
MARGIN = 40.0 - 20.0

SMALL_TABLES = {
    "instance.yaml": f"name: over-full\nperiods: {DAYS}\nbucket_periods: 7\nforecast: mean\n"
    "start_date: 2026-01-05\nwave_ends: [24]\n",
    "nodes.csv": "node_id,kind\nfull,fc\nfree,fc\n",
    "regions.csv": "region_id\nall\n",
    "speeds.csv": "speed_id,promise_days,deliver_by_hour\nstandard,4,20\n",
    "cutoffs.csv": "node_id,speed_id,cutoff_hour\nfull,standard,16\nfree,standard,16\n",
    "transit.csv": "node_id,region_id,hours,cost_per_unit\nfull,all,24,1\nfree,all,24,1\n",
    "shares.csv": "profile,region_id,speed_id,wave,share\nusual,all,standard,0,1\n",
    "items.csv": (
        "item_id,volume_m3,weight_kg,price,unit_cost,holding_cost,lost_sale_cost,profile\n"
        "chair,0.01,1,30,18,0.02,32,usual\nlamp,0.01,2,40,20,0.02,40,usual\n"
    ),
    # The chair cannot be bought any more: what is sold of it is in the over-full site.
    "offers.csv": "item_id,vendor_id,node_id,unit_cost,lead_time_mean\nlamp,acme,free,20,1\n",
    "on_hand.csv": "item_id,node_id,units\nchair,full,900\n",
    "resources.csv": (
        f"resource_id,kind,node_id,measure,capacity\nfull_door,outbound,full,units,{DOOR}\n"
        f"free_door,outbound,free,units,{DOOR}\n"
    ),
    "forecast.csv": "item_id,period,mean,dispersion\n"
    + "".join(f"{name},{day},{mean},0.1\n" for name, mean in (("chair", 40), ("lamp", 20)) for day in range(DAYS)),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("over_full")
    for name, text in SMALL_TABLES.items():
        (folder / name).write_text(text, encoding="utf-8")
    config = make_config(
        scenarios={"train": 64, "per_step": 8, "holdout": 64, "clairvoyant": 0, "unit_values": 0},
        solve={"max_steps": 200, "slack_items": 0},
    )
    with jax.numpy_dtype_promotion("standard"):
        return plan(read_instance(Path(folder)), config)


def price_rows(found: Plan, name: str) -> pl.DataFrame:
    return found.frames()["prices"].filter(resource_id=name).sort("bucket")


@pytest.mark.slow
def test_only_what_no_plan_keeps_is_named_with_what_the_plan_comes_to(found: Plan) -> None:
    """All demand for chairs leaves the one site that has them: 40 a day through a door for 5."""
    certificate = found.certificate
    assert certificate.result == Result.INFEASIBLE.name
    assert {row["resource"] for row in certificate.infeasible} == {"full_door"}
    for row in certificate.infeasible:
        plan_use = price_rows(found, "full_door")["usage"][row["bucket"]]
        assert plan_use == pytest.approx(40, rel=0.05)
        assert row["least_usage"] / 7 == pytest.approx(plan_use, rel=0.05)
        assert row["relative"] == pytest.approx(plan_use / DOOR - 1, rel=0.06)


@pytest.mark.slow
def test_the_other_capacity_is_used_to_the_full_at_a_price_that_means_something(found: Plan) -> None:
    free = price_rows(found, "free_door")
    assert free["violation"].max() < 0.1
    assert free["usage"].min() > 0.7 * DOOR
    assert 0.3 * MARGIN < free["price"].min() <= free["price"].max() < 1.5 * MARGIN


@pytest.mark.slow
def test_the_price_of_what_no_plan_keeps_is_bounded_by_what_a_unit_is_worth(found: Plan) -> None:
    full = price_rows(found, "full_door")
    worth = 40.0 + 20.0 + 0.02 * DAYS
    assert full["price"].max() <= 2 * worth * 1.001
    assert full["price"].min() > worth
