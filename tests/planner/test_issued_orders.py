"""Today's orders are the first decision of the simulated policy, and right where that is plain by hand."""

from __future__ import annotations

import datetime

import polars as pl
import pytest
from one_node import DAYS, START, demand, instance, item, offer, settings

from meio_jax.planner import Plan, plan
from meio_jax.plans.planned import NextOrder, next_order


@pytest.fixture(scope="module")
def solved() -> Plan:
    """Ten items that do not meet, in one solve."""
    items = [
        item("A1"),
        item("A3"),
        item("B3", unmet="backorder", lost_sale_cost=0.0, backorder_cost=50.0),
        item("W", node="week"),
        item("K4"),
        item("SLOW", holding_cost=0.01, lost_sale_cost=20.0),
        item("FAR"),
        item("DEAR", unit_cost=18.0, price=12.0, lost_sale_cost=12.0),
        item("OPENS", holding_cost=0.02, lost_sale_cost=12.0, unit_cost=6.0, price=10.0),
        item("CREDIT", holding_cost=0.1, lost_sale_cost=30.0, unit_cost=10.0),
    ]
    offers = [
        offer("A1", 1),
        offer("A3", 3),
        offer("B3", 3),
        offer("W", 2, node="week"),
        *(offer("K4", 1, vendor=f"k{number}", share=1.0) for number in range(4)),
        offer("SLOW", 3, pack_size=12),
        offer("FAR", 2),
        offer("DEAR", 2, unit_cost=18.0),
        offer("OPENS", 7, unit_cost=6.0),
        offer("CREDIT", 2, unit_cost=9.0),
    ]
    forecast = [
        *(row for name in ("A1", "A3", "B3", "W") for row in demand(name, 10.0)),
        *demand("K4", 1.0),
        *demand("SLOW", 0.2, "negative_binomial"),
        *demand("FAR", 5.0),
        *demand("DEAR", 8.0),
        *demand("OPENS", 10.0, "negative_binomial", idle=7),
        *demand("CREDIT", 5.0, "negative_binomial"),
    ]
    on_hand = [
        *({"item_id": name, "node_id": "site", "units": 10.0} for name in ("A1", "A3", "B3", "FAR")),
        {"item_id": "W", "node_id": "week", "units": 20.0},
    ]
    on_order = [
        *(
            {"item_id": name, "node_id": "site", "period_due": day, "units": 10.0}
            for name in ("A3", "B3")
            for day in (1, 2)
        ),
        {"item_id": "FAR", "node_id": "site", "period_due": 25, "units": 100.0},
    ]
    return plan(instance(items, offers, forecast, on_hand=on_hand, on_order=on_order), settings())


def ordered(solved: Plan, name: str) -> int:
    """Units of an item ordered today."""
    return int(solved.frames()["plan/orders"].filter(item_id=name)["units"].sum())


def expected(solved: Plan, name: str, column: str) -> float:
    return float(solved.frames()["plan/expected_items"].filter(item_id=name)[column].item())


@pytest.mark.parametrize("name", ["A1", "A3", "B3"])
def test_a_day_of_demand_is_ordered_every_day(solved: Plan, name: str) -> None:
    """Ten a day, ten on hand, ten a day under way: an empty list would lose every unit a lead time from now."""
    assert ordered(solved, name) == 10
    assert expected(solved, name, "lost") == pytest.approx(0, abs=1e-6)


def test_a_weekly_review_covers_the_week_and_the_lead_time(solved: Plan) -> None:
    """Level 80 tonight (two days of lead time, six until the next review), when ten of twenty units are left."""
    targets = solved.frames()["plan/targets"].filter(item_id="W", node_id="week", bucket=0)
    assert targets["target"].item() == pytest.approx(80, abs=0.3)
    assert ordered(solved, "W") == 70


def test_one_unit_of_many_vendors_is_one_unit(solved: Plan) -> None:
    assert ordered(solved, "K4") == 1


def test_a_pack_larger_than_the_need_is_ordered(solved: Plan) -> None:
    """A pack at a time loses about 0.62 of 11.2 units over 56 days (brute force); never ordering loses all."""
    assert ordered(solved, "SLOW") == 12
    assert expected(solved, "SLOW", "lost") < 0.1 * expected(solved, "SLOW", "demand")


def test_what_is_due_late_does_not_count(solved: Plan) -> None:
    """A hundred units due on day 25 cover no day before that."""
    assert ordered(solved, "FAR") in (5, 6)
    assert expected(solved, "FAR", "lost") == pytest.approx(0, abs=1e-6)


def test_what_costs_more_than_it_saves_is_not_bought(solved: Plan) -> None:
    """A unit costs 18, a lost sale 12: all demand is lost at 12 each."""
    assert ordered(solved, "DEAR") == 0
    assert expected(solved, "DEAR", "total_cost") == pytest.approx(12 * 8 * DAYS, rel=1e-6)


def test_a_first_week_without_demand_orders_for_the_second(solved: Plan) -> None:
    assert 70 <= ordered(solved, "OPENS") <= 120
    assert expected(solved, "OPENS", "lost") < 0.01 * expected(solved, "OPENS", "demand")


def test_a_credit_above_the_price_buys_nothing_more(solved: Plan) -> None:
    """Replacement at 10 where an offer costs 9: stock left is worth 9, so levels stay those of a newsvendor."""
    assert ordered(solved, "CREDIT") < 40
    assert solved.frames()["plan/targets"].filter(item_id="CREDIT", node_id="site")["target"].max() < 60


def test_dates_are_those_of_the_simulation(solved: Plan) -> None:
    orders = solved.frames()["plan/orders"]
    assert orders["order_date"].unique().to_list() == [START]
    assert orders.filter(item_id="A3")["due_date"].item() == START + datetime.timedelta(days=3)


@pytest.mark.slow
def test_evening_orders_are_placed_the_evening_before() -> None:
    """Stock after the sales of the evening before; an order of lead time 1 arrives in the first morning."""
    tables = instance(
        [item("A1")], [offer("A1", 1)], demand("A1", 10.0), settings={"ordering": "evening", "terminal": "liquidate"}
    )
    found = plan(tables, settings(max_steps=60))
    orders = found.frames()["plan/orders"]
    assert orders["units"].to_list() == [10]
    assert orders["order_date"].item() == START - datetime.timedelta(days=1)
    # Eight evenings and seven: the evening before belongs to the first week.
    weeks = found.frames()["plan/planned_orders"]
    assert weeks["units"].to_list()[:2] == [80.0, 70.0]
    assert weeks["order_date"][1] == START + datetime.timedelta(days=10)
    assert weeks["due_date"][1] == START + datetime.timedelta(days=11)
    calendar = found.frames()["plan/calendar"]
    assert calendar.row(0) == (START - datetime.timedelta(days=1), 1.0, 10.0, 0.0, 0.0)
    assert orders["due_date"].item() == START
    assert float(found.frames()["plan/expected_items"]["lost"].item()) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("days", [14, pytest.param(42, marks=pytest.mark.slow)])
def test_orders_do_not_depend_on_where_the_horizon_ends(days: int) -> None:
    """Constant Poisson demand of 10, lead time 7: levels of all weeks are one, and so is today's order."""
    row = item("P", unit_cost=6.0, price=10.0, holding_cost=0.02, lost_sale_cost=12.0)
    forecast = demand("P", 10.0, "negative_binomial", days=days)
    found = plan(instance([row], [offer("P", 7, unit_cost=6.0)], forecast, days=days), settings())
    levels = found.frames()["plan/targets"].filter(node_id="site")["target"]
    # Seven days of lead time after tonight: 70, and safety stock of some standard deviations of 8.4.
    assert levels.min() > 75
    assert levels.max() < 100
    assert 75 <= found.frames()["plan/orders"]["units"].sum() <= 100


@pytest.mark.slow
def test_stock_that_is_sold_off_ends_with_the_horizon() -> None:
    """Fifty units, no vendor, five a day for fourteen days: 20 lost at 10, and 225 unit-days of stock."""
    stock = [{"item_id": "S", "node_id": "site", "units": 50.0}]
    tables = instance([item("S", lost_sale_cost=10.0)], [], demand("S", 5.0, days=14), days=14, on_hand=stock)
    found = plan(tables, settings(max_steps=40))
    assert found.certificate.holdout_cost == pytest.approx(425, rel=1e-5)
    # The next unit is sold on day 10 for 10, after ten nights at 1; the last one on day 9, after nine.
    row = found.frames()["plan/unit_values"].filter(node_id="site").row(0, named=True)
    assert (row["on_hand"], row["next_value"], row["last_value"]) == pytest.approx((50.0, 0.0, 1.0), abs=1e-4)


@pytest.mark.slow
def test_a_vendor_that_is_closed_for_a_week_is_ordered_from_before_it() -> None:
    """Capacity 0 in the third week: levels 20, 90, 0, 20 at the end of the day cost 1,314 (brute force)."""
    row = item("H", holding_cost=0.02, lost_sale_cost=12.0, unit_cost=5.0, price=10.0)
    kind = {"resource_id": "open", "kind": "vendor", "vendor_id": "v", "measure": "units"}
    open_weeks = [{**kind, "bucket": week, "capacity": most} for week, most in enumerate((1000.0, 1000.0, 0.0, 1000.0))]
    tables = instance(
        [row],
        [offer("H", 2, unit_cost=5.0)],
        demand("H", 10.0, days=28),
        days=28,
        resources=open_weeks,
        on_hand=[{"item_id": "H", "node_id": "site", "units": 10.0}],
        on_order=[{"item_id": "H", "node_id": "site", "period_due": 1, "units": 10.0}],
    )
    found = plan(tables, settings(max_steps=150))
    prices = found.frames()["prices"].sort("bucket")
    assert prices["usage"][2] == pytest.approx(0, abs=0.05)
    assert prices["price"][2] > 0
    assert found.certificate.largest_violation <= 0.005
    assert float(found.frames()["plan/expected_items"]["lost"].sum()) < 1
    assert found.certificate.holdout_cost == pytest.approx(1314, rel=0.01)
    assert prices["violation"].is_finite().all()
    assert prices.select(pl.col("violation").is_null().any()).item() is False


def test_prices_of_no_capacities_are_an_empty_table_of_the_usual_types(solved: Plan) -> None:
    """Planning an item again joins it with the table of its own use."""
    prices = solved.frames()["prices"]
    assert prices.is_empty()
    assert prices.schema["resource_id"] == prices.schema["kind"] == pl.String


def planned(solved: Plan, name: str) -> pl.DataFrame:
    return solved.frames()["plan/planned_orders"].filter(item_id=name).sort("bucket")


def test_planned_orders_of_a_weekly_review_are_placed_on_its_days(solved: Plan) -> None:
    """Level 80 tonight with 20 on hand: 70 today, then a week's demand on every review day, without spread."""
    rows = planned(solved, "W")
    assert rows["bucket"].to_list() == list(range(8))
    assert rows["units"].to_list()[:7] == pytest.approx([70.0] * 7, abs=1.01)
    assert rows["order_date"].to_list() == [START + datetime.timedelta(days=7 * week) for week in range(8)]
    assert rows["due_date"].to_list() == [START + datetime.timedelta(days=7 * week + 2) for week in range(8)]
    # Demand is not random: every quantile is the mean.
    assert rows["units_p10"].to_list() == pytest.approx(rows["units"].to_list())
    assert rows["units_p90"].to_list() == pytest.approx(rows["units"].to_list())


def test_planned_orders_add_up_to_what_is_paid(solved: Plan) -> None:
    """Sums of the table are those of the certificate, and quantiles lie around the means."""
    orders, terms = solved.frames()["plan/planned_orders"], solved.certificate.cost_terms
    assert terms["purchase"] > 0
    assert orders["cost"].sum() == pytest.approx(terms["purchase"], rel=1e-6)
    assert orders["freight"].sum() == pytest.approx(terms["inbound"], rel=1e-6, abs=1e-6)
    random = orders.filter(pl.col("item_id").is_in(["SLOW", "OPENS", "CREDIT"]).and_(pl.col("units") > 1))
    assert (random["units_p10"] <= random["units"]).all()
    assert (random["units_p90"] >= random["units"]).any()
    assert (orders["units_p10"] % 1 == 0).all()
    # A pack at a time, 11 units of demand in 8 weeks: most weeks order nothing, some weeks a pack.
    slow = planned(solved, "SLOW").filter(pl.col("bucket") > 0)
    assert set(slow["units_p10"].to_list()) == {0.0}
    assert slow["units_p90"].max() == 12.0


def test_the_calendar_begins_with_the_orders_of_today(solved: Plan) -> None:
    calendar, today = solved.frames()["plan/calendar"], solved.frames()["plan/orders"]
    assert calendar["date"].to_list() == [START + datetime.timedelta(days=day) for day in range(DAYS)]
    assert calendar["order_items"][0] == today["item_id"].n_unique()
    assert calendar["order_units"][0] == today["units"].sum()
    assert calendar["order_cost"][0] == pytest.approx(today["cost"].sum(), rel=1e-6)
    assert calendar["order_units"].sum() == pytest.approx(
        solved.frames()["plan/planned_orders"]["units"].sum(), rel=1e-6
    )
    found = next_order(calendar)
    assert found is not None
    assert found.date == START + datetime.timedelta(days=1)


@pytest.mark.slow
def test_the_next_order_is_told_where_nothing_is_bought_today() -> None:
    """Thirty on hand, ten a day, a day of lead time: the order of the third morning (day 2) brings those of day 3.

    The evening of day 1 still leaves ten, the evening of day 2 nothing: level 10 tonight, so day 2 orders ten.
    """
    stock = [{"item_id": "A1", "node_id": "site", "units": 30.0}]
    tables = instance([item("A1")], [offer("A1", 1)], demand("A1", 10.0, days=14), days=14, on_hand=stock)
    frames = plan(tables, settings(max_steps=60)).frames()
    assert frames["plan/orders"].is_empty()
    found = next_order(frames["plan/calendar"])
    assert found == NextOrder(START + datetime.timedelta(days=2), 1.0, 10.0)
    assert next_order(frames["plan/calendar"].head(2)) is None
