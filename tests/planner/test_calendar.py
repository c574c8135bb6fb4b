"""Closed days and order days: right orders, stock and dates by hand, the same in rollout and independent simulator."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from lived import DAYS, LANES, bought, built, lived, policy_of
from one_node import START

from meio_jax.backtest import Options, PlanTable, simulate
from meio_jax.errors import InputError
from meio_jax.instance import Instance
from meio_jax.plans.tables import decision_frames

MONDAY, THURSDAY, SUNDAY = 0, 3, 6
ORDER_DAYS = [{"vendor_id": "v", "weekdays": "mon;thu", "status": "only"}]


def day(number: int) -> datetime.date:
    """Date of a period; period 0 is a Monday."""
    return START + datetime.timedelta(days=number)


def made(calendar: list[dict[str, Any]], **more: Any) -> Instance:
    return built(["A"], [], calendar=calendar, **more)


def by_hand(orders: set[int], receipts: set[int], *, sold: int) -> tuple[list[int], list[int]]:
    """Units ordered and stock of every evening: ten a day, lead time two, level 100.

    `sold` is what is taken off the stock of the morning for the day's sales: the planner counts positions as they stand
    in the evening, the simulator by levels as they are.
    """
    level, lead = 100, 2
    stock, due, ordered, evenings = 0, np.zeros(DAYS + 60, int), [], []
    for now in range(DAYS):
        stock, due[now] = stock + due[now], 0
        wanted = level - (stock - min(stock, sold) + due.sum()) if now in orders else 0
        arrives = now + lead
        while arrives not in receipts:
            arrives += 1
        due[arrives] += wanted
        ordered.append(int(wanted))
        stock -= min(stock, 10)
        evenings.append(int(stock))
    return ordered, evenings


ALL = set(range(DAYS + 60))
CASES = {
    "order days": (ORDER_DAYS, {d for d in ALL if d % 7 in (MONDAY, THURSDAY)}, ALL),
    "dock closed on Sundays": (
        [{"node_id": "site", "activity": "receipts", "weekdays": "sun"}], ALL, ALL - set(range(6, 99, 7)),
    ),
    "node closed in the second week": (
        [{"node_id": "site", "date": day(7), "last_date": day(10)}], ALL - {7, 8, 9, 10}, ALL - {7, 8, 9, 10},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def outcomes() -> dict[str, tuple]:
    """Units ordered each day and stock of every evening in the rollout; units bought and stock in the simulator."""
    found = {}
    for name, (calendar, _, _) in CASES.items():
        instance = made(calendar)
        stock, outcome = lived(instance, policy_of(instance, 100.0))
        assert outcome.timing is not None
        ordered = np.asarray(outcome.timing.daily)[:DAYS].sum((1, 2))
        plan = PlanTable(pl.DataFrame({"item_id": ["A"], "node_id": ["site"], "target": [100]}))
        actual = pl.DataFrame({"item_id": ["A"] * DAYS, "period": range(DAYS), "units": [10] * DAYS})
        simulated = simulate(instance.tables, plan, options=Options(ordering="morning", actual=actual))
        evenings = simulated.stock.filter(pl.col("node_id") == "site").sort("day")["units"].to_list()
        found[name] = ordered.tolist(), stock[:, 0, 0].tolist(), (simulated.purchases["units"].sum(), evenings)
    return found


@pytest.mark.parametrize("name", CASES)
def test_rollout_and_simulator_keep_the_calendar(outcomes: dict, name: str) -> None:
    ordered, evenings = by_hand(*CASES[name][1:], sold=10)
    assert outcomes[name][0] == pytest.approx(ordered)
    assert outcomes[name][1] == pytest.approx(evenings)
    bought_in_all, simulated = outcomes[name][2]
    ordered, evenings = by_hand(*CASES[name][1:], sold=0)
    assert (bought_in_all, simulated) == (sum(ordered), evenings)


def test_order_days_by_hand(outcomes: dict) -> None:
    """100 on Monday; on Thursday 90 are left of which ten will be sold, so 20; the Monday after 40."""
    ordered = outcomes["order days"][0]
    assert {d: units for d, units in enumerate(ordered) if units and d < 10} == {0: 100, 3: 20, 7: 40}


def test_orders_of_the_evening_before_wait_at_a_closed_dock() -> None:
    """Ordered in the evening before Monday with a lead time of two days: due on Tuesday, received on Wednesday."""
    calendar = [{"node_id": "site", "activity": "receipts", "weekdays": "tue"}]
    instance = made(calendar, settings={"ordering": "evening"})
    stock, _ = lived(instance, policy_of(instance, 100.0))
    assert stock[:3, 0, 0].tolist() == [0, 0, 90]


def test_a_review_on_a_closed_day_is_made_up_for() -> None:
    """`week` orders on Mondays; the second Monday and Tuesday are holidays of the vendor, so it orders on Wednesday."""
    instance = built(
        ["A"], [], profile="week", calendar=[{"vendor_id": "v", "date": day(7), "last_date": day(8)}],
        offers=[{"item_id": "A", "vendor_id": "v", "node_id": "week", "unit_cost": 0.0, "lead_time_mean": 2.0}],
    )  # fmt: skip
    _, outcome = lived(instance, policy_of(instance, 100.0))
    assert outcome.timing is not None
    days = np.flatnonzero(np.asarray(outcome.timing.daily)[:DAYS].sum((1, 2)))
    assert days.tolist() == [0, 9, 14]


def test_transfers_wait_where_the_node_above_does_not_ship() -> None:
    """Nothing leaves `site` in the first two days; `week` is asked on Mondays, so it is sent its stock on Wednesday."""
    calendar = [{"node_id": "site", "activity": "shipments", "date": day(0), "last_date": day(1)}]
    instance = made(calendar, profile="week", lanes=LANES, on_hand=[{"item_id": "A", "node_id": "site", "units": 60.0}])
    _, outcome = lived(instance, policy_of(instance, 50.0))
    assert outcome.timing is not None
    moved = np.asarray(outcome.timing.daily)[:DAYS, instance.network.offers :].sum((1, 2))
    assert np.flatnonzero(moved)[:2].tolist() == [2, 7]


def test_orders_of_today_and_their_dates() -> None:
    """Lead time 2: what is ordered on Monday is due on Wednesday, which is closed, and arrives on Thursday."""
    closed = {"node_id": "site", "activity": "receipts", "date": day(2)}
    instance = made([closed])
    orders, _ = (frame for _, frame in decision_frames(instance, policy_of(instance, 100.0)))
    assert orders.select("units", "order_date", "due_date").row(0) == (100, day(0), day(3))
    shut = made([{"vendor_id": "v", "date": day(0)}])
    assert bought(shut, policy_of(shut, 100.0)) == {"A": 0}


def test_goods_under_way_arrive_on_the_next_open_day() -> None:
    due = [{"item_id": "A", "node_id": "site", "period_due": number, "units": 30.0} for number in (0, 5, 6)]
    instance = made([{"node_id": "site", "activity": "receipts", "weekdays": "mon;sat;sun"}], on_order=due)
    pipeline = np.asarray(instance.catalog.block.vendor_pipeline)[0, 0, :, 0]
    assert {at: units for at, units in enumerate(pipeline.tolist()) if units} == {1: 30, 8: 60}


def test_without_a_calendar_nothing_is_added() -> None:
    assert made([]).network.calendar is None


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"node_id": "site"}, "a date, or weekdays"),
        ({"node_id": "site", "weekdays": "mon;funday"}, "mon;tue;wed"),
        # Not Monday, Saturday and Sunday, though they begin so.
        ({"node_id": "site", "weekdays": "month"}, "mon;tue;wed"),
        ({"node_id": "site", "weekdays": "mon;satisfied"}, "mon;tue;wed"),
        ({"node_id": "site", "weekdays": "sun mon"}, "mon;tue;wed"),
        ({"node_id": "site", "last_date": day(3)}, "the first day as well"),
        ({"node_id": "site", "date": day(3), "last_date": day(2)}, "no day before date"),
        ({"vendor_id": "v", "activity": "receipts", "weekdays": "mon"}, "orders (or all) where a vendor is named"),
        ({"node_id": "nowhere", "weekdays": "mon"}, "nowhere"),
        ({"node_id": "site", "date": day(0), "last_date": day(400)}, "at most 120 periods in a row without receipts"),
    ],
)
def test_rows_that_cannot_be_taken_are_told(row: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as told:
        made([row])
    assert said in str(told.value)
    assert "calendar" in str(told.value)


def test_a_vendor_without_offers_is_told() -> None:
    tables = made([{"vendor_id": "V", "weekdays": "mon"}]).tables
    assert "vendors without offers" in {one.kind for one in tables.warnings}
