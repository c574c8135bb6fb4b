"""A world lived by tables: what is ordered is what arrives; a planner is told each morning what he may know."""

import datetime

import numpy as np
import polars as pl
import pytest
from backtest_instances import same_targets, single_node, small_network

from meio_jax.backtest import Execution, Options, PlanTable, simulate, window
from meio_jax.errors import InputError

FIXED = {"dispersion": 0.0, "law": "fixed"}
NO_TRANSFERS = pl.DataFrame(schema={"item_id": pl.String, "from_node": pl.String, "to_node": pl.String, "units": int})
LEVELS = {"D": 60, "F1": 12, "F2": 12, "S": 4}


def order(units: int, node: str = "n") -> pl.DataFrame:
    return pl.DataFrame({"item_id": ["i"], "vendor_id": ["v"], "node_id": [node], "units": [units]})


def lived(tables, days: int, units: list[int], seed: int = 0):
    """A node that is told day by day how much to order."""
    execution = Execution(tables, days, seed=seed)
    for day in range(days):
        execution.execute(order(units[day % len(units)]), NO_TRANSFERS)
        execution.finish()
    return execution.outcome()


def test_what_is_sold_today_is_ordered_this_morning_and_nothing_is_lost() -> None:
    """Demand of exactly 10, lead time 1, stock 10: ten units a day keep the shelf just full enough."""
    tables = single_node(10.0, lead=1, start=10.0, forecast=FIXED, item={"unit_cost": 2.0})
    outcome = lived(tables, 7, [10])
    assert outcome.metrics()["lost"] == 0
    assert outcome.metrics()["holding"] == 0
    assert outcome.metrics()["purchased"] == 70
    # Half of it, and from the second day on half of the demand is lost: 5 units of 9 on six days.
    assert lived(tables, 7, [5]).metrics()["lost_sale"] == 6 * 5 * 9


def test_an_order_arrives_on_the_morning_after_its_lead_time() -> None:
    tables = single_node(10.0, lead=3, start=30.0, forecast=FIXED)
    execution = Execution(tables, 7)
    stock, due = [], []
    for _ in range(5):
        execution.execute(order(10), NO_TRANSFERS)
        execution.finish()
        morning = execution.morning()
        stock.append(morning.on_hand["units"].sum())
        due.append(sorted(morning.on_order["period_due"].to_list()))
    assert stock == [20, 10, 10, 10, 10]
    assert due == [[2], [1, 2], [1, 2], [1, 2], [1, 2]]


@pytest.mark.slow
def test_levels_followed_by_tables_are_levels_followed() -> None:
    """The orders that levels give, executed as tables in an equal world, give the same world to the last cent."""
    tables = small_network()
    plan = PlanTable(same_targets(tables, **LEVELS))
    first, second = Execution(tables, 14, seed=4), Execution(tables, 14, seed=4)
    moved = 0
    for _ in range(14):
        orders, transfers = first.follow(plan)
        done = second.execute(orders, transfers, PlanTable(plan.targets))
        moved += transfers["units"].sum()
        assert done.short.is_empty()
        first.finish()
        second.finish()
    one, other = first.outcome(), second.outcome()
    assert moved > 0
    assert one.items.equals(other.items)
    assert one.capacity.equals(other.capacity)
    assert one.transfers.equals(other.transfers)
    whole = simulate(window(tables, 0, 14), plan, seed=4, options=Options(ordering="morning"))
    assert whole.items.equals(one.items)


def test_lost_sales_with_lead_time_cost_what_was_published() -> None:
    """Zipkin (2008), Poisson(5), p = 9, L = 1: ordering in the morning is his timing; best level 13, cost 5.5475."""
    items, days, warm = 400, 160, 20
    settings = {"periods": days, "bucket_periods": days, "warmup_periods": warm}
    tables = single_node(5.0, items=items, lead=1, start=13.0, settings=settings)
    execution = Execution(tables, days)
    plan = PlanTable(same_targets(tables, n=13))
    for _ in range(days):
        execution.follow(plan)
        execution.finish()
    assert execution.outcome().cost / items / (days - warm) == pytest.approx(5.5475, rel=0.01)


def test_a_planner_is_told_when_goods_are_expected_and_not_when_they_will_come() -> None:
    tables = small_network(items=40)
    execution, late = Execution(tables, 20, seed=1), 0
    plan = PlanTable(same_targets(tables, **LEVELS))
    for day in range(20):
        orders, transfers = execution.follow(plan)
        coming = execution.morning().on_order
        expected = set(orders["due_date"].to_list())
        if day == 0 and expected:
            start = tables.settings.start_date
            told = {start + datetime.timedelta(days=due) for due in coming["period_due"].to_list()}
            assert expected | set(transfers["due_date"].to_list()) <= told
            # Vendor v takes 6 days in the mean, with a deviation of 2.
            assert expected == {start + datetime.timedelta(days=6)}
        late += int((coming["period_due"] == 1).sum() > 0)
        assert coming["period_due"].min() is None or coming["period_due"].min() >= 1
        execution.finish()
    assert late > 0


def test_the_morning_has_the_stock_that_is_there_and_the_reviews_of_that_day() -> None:
    tables = small_network()
    execution = Execution(tables, 10, seed=2)
    for _ in range(5):
        execution.follow(PlanTable(same_targets(tables, **LEVELS)))
        execution.finish()
    morning = execution.morning()
    assert morning.settings.start_date == tables.settings.start_date + datetime.timedelta(days=5)
    assert morning.settings.periods == tables.settings.periods
    # F2 reviews on days 0, 3, 6: the next is tomorrow; D on days 0, 7: in two days.
    offset = dict(morning.nodes.select("node_id", "review_offset").iter_rows())
    assert offset == {"D": 2, "F1": 0, "F2": 1, "S": 0}
    outcome = execution.outcome()
    # A morning counts no stock that demand already waits for.
    waiting = int(execution.backlog()["units"].sum())
    left = outcome.balance["end"][0]
    assert morning.on_hand["units"].sum() + morning.on_order["units"].sum() == left - waiting


def test_demand_that_waits_is_told_by_class() -> None:
    tables = single_node(10.0, start=4.0, forecast=FIXED, item={"unmet": "backorder", "backorder_cost": 1.0})
    execution = Execution(tables, 7)
    execution.execute(order(16), NO_TRANSFERS)
    execution.finish()
    assert execution.backlog().rows() == [("i", "r", "s", 6.0)]
    execution.execute(order(10), NO_TRANSFERS)
    execution.finish()
    assert execution.backlog().is_empty()
    assert execution.outcome().metrics()["backorder"] == 6.0


def test_past_sales_grow_by_the_days_lived() -> None:
    start = datetime.date(2025, 6, 2)
    past = [{"item_id": "i", "ds": start - datetime.timedelta(days=k), "units": 3.0} for k in range(1, 29)]
    tables = single_node(0.0, forecast_table=past, settings={"forecast": "history"}, start=100.0)
    execution = Execution(tables, 7)
    for _ in range(2):
        execution.execute(order(0), NO_TRANSFERS)
        execution.finish()
    seen = execution.morning().forecast.filter(pl.col("ds") >= start)
    assert seen.select("item_id", "ds", "units").rows() == [
        ("i", start, 3.0),
        ("i", start + datetime.timedelta(days=1), 3.0),
    ]
    assert seen["available"].all()
    assert execution.sales.tolist() == [[3], [3]]


def test_a_transfer_takes_what_is_there_and_the_rest_is_told() -> None:
    tables = small_network(on_order=[], resources=[])
    execution = Execution(tables, 3)
    wanted = pl.DataFrame(
        {"item_id": ["i0", "i0"], "from_node": ["D", "D"], "to_node": ["F1", "F2"], "units": [15, 15]}
    )
    orders = pl.DataFrame(schema={"item_id": str, "vendor_id": str, "node_id": str, "units": int})
    done = execution.execute(orders, wanted)
    assert done.short.rows() == [("i0", "D", "F2", 10)]
    assert execution.morning().on_order["units"].sum() == 20


@pytest.mark.parametrize(
    ("table", "change", "said"),
    [
        ("orders", {"vendor_id": ["x"]}, "x"),
        ("orders", {"units": [7]}, "whole packs of 6"),
        ("orders", {"units": [2.5]}, "whole number"),
        ("transfers", {"from_node": ["S"]}, "S to F1"),
    ],
)
def test_tables_that_cannot_be_executed_are_refused(table: str, change: dict, said: str) -> None:
    tables = small_network()
    execution = Execution(tables, 3)
    orders = {"item_id": ["i1"], "vendor_id": ["v"], "node_id": ["D"], "units": [6]}
    transfers = {"item_id": ["i1"], "from_node": ["D"], "to_node": ["F1"], "units": [1]}
    both = {"orders": orders, "transfers": transfers}
    both[table] = both[table] | change
    with pytest.raises(InputError, match=said):
        execution.execute(pl.DataFrame(both["orders"]), pl.DataFrame(both["transfers"]))


def test_a_window_repeats_the_last_week_and_moves_capacities_with_the_days() -> None:
    means = [{"item_id": "i", "period": t, "mean": float(t)} for t in range(14)]
    hall = [
        {"resource_id": "hall", "kind": "storage", "node_id": "n", "measure": "units", "bucket": b, "capacity": c}
        for b, c in ((0, 70.0), (1, 140.0))
    ]
    money = [{"resource_id": "money", "kind": "spend", "bucket": b, "capacity": c} for b, c in ((0, 70.0), (1, 140.0))]
    tables = single_node(0.0, forecast_table=means, settings={"periods": 14}, resources=[*hall, *money])
    moved = window(tables, 3, 14)
    assert moved.forecast["mean"].to_list() == [*range(3, 14), 7, 8, 9]
    assert moved.forecast["period"].to_list() == list(range(14))
    rows = {(r["resource_id"], r["bucket"]): r["capacity"] for r in moved.resources.iter_rows(named=True)}
    assert rows[("hall", 0)] == pytest.approx((4 * 70 + 3 * 140) / 7)
    assert rows[("hall", 1)] == 140.0
    assert rows[("money", 0)] == pytest.approx(4 * 10 + 3 * 20)
    assert rows[("money", 1)] == pytest.approx(140.0)
    again = window(tables, 0, 14)
    assert again.forecast.equals(tables.forecast.select(again.forecast.columns))
    assert again.resources.sort("resource_id").equals(tables.resources.sort("resource_id"))


def test_levels_of_a_plan_are_those_of_its_first_bucket() -> None:
    tables = single_node(0.0, settings={"periods": 14})
    levels = pl.DataFrame({"item_id": ["i"] * 2, "node_id": ["n"] * 2, "bucket": [0, 1], "target_units": [5, 50]})
    execution = Execution(tables, 14)
    for _ in range(9):
        orders, _ = execution.follow(PlanTable(levels))
        execution.finish()
    assert execution.morning().on_hand["units"].sum() == 5
    assert orders.is_empty()


def test_days_end() -> None:
    execution = Execution(single_node(1.0), 1)
    execution.execute(order(0), NO_TRANSFERS)
    execution.finish()
    with pytest.raises(InputError, match="a day that is left"):
        execution.finish()
    assert np.shape(execution.sales) == (1, 1)
    with pytest.raises(InputError, match="at least 1"):
        Execution(single_node(1.0), 0)


def test_days_add_up_to_the_books() -> None:
    tables = small_network()
    execution = Execution(tables, 14, seed=4)
    days = []
    for _ in range(14):
        execution.follow(PlanTable(same_targets(tables, **LEVELS)))
        days.append(execution.finish())
    total = execution.outcome().replications.row(0, named=True)
    for term in ("purchase", "holding", "outbound", "lost_sale", "backorder"):
        assert sum(day.cost[term] for day in days) == pytest.approx(total[term])
    assert sum(day.units["demand"] for day in days) == total["demand"] == sum(day.promises[:, 0].sum() for day in days)
    assert days[-1].stock.sum() + days[-1].on_order == execution.outcome().balance["end"][0]
    hall = tables.resources["resource_id"].to_list().index("hall")
    capacity = execution.outcome().capacity.filter(resource_id="hall")
    assert np.mean([day.usage[hall] for day in days[:7]]) == pytest.approx(capacity["usage"][0])


def test_a_short_delivery_is_found_when_it_arrives_and_not_paid_for() -> None:
    tables = single_node(0.0, lead=2, item={"unit_cost": 3.0})
    short = pl.DataFrame({"vendor_id": ["v"], "day": [1], "share": [0.4]})
    execution = Execution(tables, 7, options=Options(deliveries=short))
    stock, coming = [], []
    for day in range(5):
        execution.execute(order(10 if day < 2 else 0), NO_TRANSFERS)
        execution.finish()
        morning = execution.morning()
        stock.append(morning.on_hand["units"].sum())
        coming.append(morning.on_order["units"].sum())
    assert stock == [0, 10, 14, 14, 14]
    assert coming == [10, 10, 0, 0, 0]
    outcome = execution.outcome()
    assert outcome.metrics()["purchased"] == 14
    assert outcome.balance.row(0, named=True)["end"] == outcome.balance.row(0, named=True)["purchased"] == 14


def test_drawn_short_deliveries_come_as_often_as_said() -> None:
    tables = single_node(0.0, items=400, lead=1)
    execution = Execution(tables, 2, seed=9, options=Options(short_deliveries=(0.25, 0.5)))
    orders = pl.DataFrame(
        {"item_id": [f"i{k}" for k in range(400)], "vendor_id": ["v"] * 400, "node_id": ["n"] * 400, "units": [8] * 400}
    )
    execution.execute(orders, NO_TRANSFERS)
    execution.finish()
    units = execution.morning().on_hand["units"]
    assert set(units.to_list()) == {4.0, 8.0}
    # Three standard errors of a share of 0.25 in 400.
    assert (units == 4.0).mean() == pytest.approx(0.25, abs=0.065)


def test_what_is_owed_is_no_stock_and_not_on_its_way() -> None:
    """12 wait, 5 arrive this morning, 4 tomorrow and 8 the day after: 5 and 4 are spoken for, and 3 of the 8."""
    coming = [
        {"item_id": "i", "node_id": "n", "period_due": day, "units": units} for day, units in ((1, 5.0), (2, 4.0))
    ]
    coming.append({"item_id": "i", "node_id": "n", "period_due": 3, "units": 8.0})
    item = {"unmet": "backorder", "backorder_cost": 1.0}
    tables = single_node(12.0, forecast=FIXED, item=item, on_order=coming)
    execution = Execution(tables, 3)
    execution.execute(order(0), NO_TRANSFERS)
    execution.finish()
    morning = execution.morning()
    assert execution.backlog()["units"].to_list() == [12.0]
    assert morning.on_hand.is_empty()
    assert morning.on_order.select("period_due", "units").rows() == [(2, 5.0)]
