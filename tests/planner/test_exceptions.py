"""Exceptions of one made instance, each with the money that follows by hand."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from one_node import START, demand, instance, item, offer, settings

from meio_jax.config.settings import ExceptionPart
from meio_jax.planner import Plan, plan
from meio_jax.plans.exceptions import Judged, capacity_exceptions, exception_frame

DAYS = 14


@pytest.fixture(scope="module")
def solved() -> Plan:
    """Demand of 5 a day, fixed; what else is said of each item."""
    items = [
        item("ENDS", lost_sale_cost=10.0),
        item("MUCH", unit_cost=3.0),
        item("LATE", lost_sale_cost=20.0),
        item("FINE"),
        item("FAST", lost_sale_cost=4.0, profile="half"),
    ]
    offers = [offer("MUCH", 1), offer("LATE", 8), offer("FINE", 1), offer("FAST", 1)]
    forecast = [row for name in ("ENDS", "MUCH", "LATE", "FINE", "FAST") for row in demand(name, 5.0, days=DAYS)]
    on_hand = {"ENDS": 50.0, "MUCH": 500.0, "LATE": 10.0, "FINE": 5.0, "FAST": 5.0}
    tables = instance(
        items,
        offers,
        forecast,
        days=DAYS,
        on_hand=[{"item_id": name, "node_id": "site", "units": units} for name, units in on_hand.items()],
        on_order=[{"item_id": "LATE", "node_id": "site", "period_due": 6, "units": 60.0}],
        speeds=[
            {"speed_id": "now", "promise_days": 0, "deliver_by_hour": 1.0},
            {"speed_id": "s", "promise_days": 1, "deliver_by_hour": 24.0},
        ],
        shares=[
            *(
                {"profile": n, "region_id": f"r_{n}", "speed_id": "s", "wave": 0, "share": 1.0}
                for n in ("site", "week")
            ),
            *({"profile": "half", "region_id": "r_site", "speed_id": s, "wave": 0, "share": 0.5} for s in ("now", "s")),
        ],
        resources=[{"resource_id": "hall", "kind": "storage", "node_id": "site", "measure": "units", "capacity": 1e4}],
    )
    return plan(tables, settings(max_steps=40, min_steps=40))


def found(solved: Plan, name: str) -> dict:
    """The one exception of an item."""
    return solved.frames()["plan/exceptions"].filter(item_id=name).row(0, named=True)


def test_what_is_fine_is_no_exception(solved: Plan) -> None:
    frame = solved.frames()["plan/exceptions"]
    assert "FINE" not in frame["item_id"].to_list()
    assert frame["money"].is_sorted(descending=True)
    assert set(frame.select("item_id", "kind").rows()) == {
        ("ENDS", "stock_out"),
        ("MUCH", "excess"),
        ("LATE", "expedite"),
        ("LATE", "stock_out"),
        ("FAST", "not_in_time"),
        ("FAST", "stock_out"),
    }


def test_stock_that_runs_out_without_a_vendor(solved: Plan) -> None:
    """50 units for 70: 20 are lost at 10 each."""
    row = found(solved, "ENDS")
    assert (row["node_id"], row["kind"]) == ("site", "stock_out")
    assert row["units"] == pytest.approx(20, rel=1e-5)
    assert row["money"] == pytest.approx(200, rel=1e-5)
    assert "no vendor" in row["mend"]


def test_stock_far_above_the_plan(solved: Plan) -> None:
    level = solved.frames()["plan/targets"].filter(item_id="MUCH", node_id="site")["target"].max()
    row = found(solved, "MUCH")
    assert row["units"] == pytest.approx(500 - float(level), rel=1e-5)
    assert row["money"] == pytest.approx(3 * row["units"], rel=1e-5)
    assert "days of demand" in row["what"]


def test_an_order_that_comes_too_late(solved: Plan) -> None:
    """Ten units last days 0 and 1; days 2 to 5 lack 20 units at 20 each before 60 arrive on day 6."""
    row = solved.frames()["plan/exceptions"].filter(item_id="LATE", kind="expedite").row(0, named=True)
    assert row["units"] == pytest.approx(20)
    assert row["money"] == pytest.approx(400)
    day = lambda number: str(START + datetime.timedelta(days=number))
    assert day(2) in row["what"]
    assert day(6) in row["what"]
    assert f"20 units forward to {day(2)}" in row["mend"]


def test_demand_that_no_node_serves_in_time(solved: Plan) -> None:
    """Half of 70 units asked for within an hour, which nobody delivers: 35 units at 4 each."""
    row = solved.frames()["plan/exceptions"].filter(item_id="FAST", kind="not_in_time").row(0, named=True)
    assert row["node_id"] is None
    assert row["units"] == pytest.approx(35, rel=1e-5)
    assert row["money"] == pytest.approx(140, rel=1e-5)
    assert "r_site at now" in row["what"]


def test_thresholds_are_those_of_the_configuration(solved: Plan) -> None:
    judged = Judged(solved.model.instance, solved.policy, solved.holdout, solved.values, np.zeros((2, 1)), None)
    kinds = lambda **options: set(exception_frame(judged, ExceptionPart(**options))["kind"].to_list())
    assert kinds(lost_share=0.9) == {"excess", "expedite", "not_in_time"}
    assert kinds(excess_days=1000.0, late_units=30.0, late_share=0.5) == {"stock_out"}
    assert kinds(money=1e6) == set()


def test_prices_that_jumped(solved: Plan) -> None:
    """Rent of a capacity is price times use, summed over buckets: from 1 to 3 a unit that is two thirds more."""
    used = float(np.asarray(solved.holdout.usage.used).sum())
    before, now = np.ones((2, 1)), np.full((2, 1), 3.0)
    judged = Judged(solved.model.instance, solved.policy, solved.holdout, solved.values, now, before)
    row = exception_frame(judged, ExceptionPart()).filter(kind="price_jump").row(0, named=True)
    assert (row["item_id"], row["node_id"]) == (None, "site")
    assert row["money"] == pytest.approx(2 * used, rel=1e-5)
    assert "from 1 to 3" in row["what"]
    assert exception_frame(judged, ExceptionPart(price_jump=4.0)).filter(kind="price_jump").is_empty()
    shared = capacity_exceptions(solved.model.instance, solved.holdout.usage, (now, before), ExceptionPart())
    assert shared.rows(named=True) == [row]
