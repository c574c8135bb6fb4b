"""Rules of vendors for whole orders: by hand, by trying everything, and lived in the order-by-order simulator."""

from __future__ import annotations

import datetime
import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from lived import DAYS, lived, policy_of
from one_node import START, item, offer
from test_order_costs import made

from meio_jax.backtest import Execution, Options, PlanTable, simulate
from meio_jax.instance import Instance
from meio_jax.plans.tables import decision_frames
from meio_jax.plans.whole_order import FILLED, PLACED, POSTPONED, TOO_SMALL, Lines, Rules, whole_order
from meio_jax.tables.open_days import schedule

ITEMS = [item(name, unit_cost=5.0) for name in "ABC"]
OFFERS = [offer(name, 2, unit_cost=5.0) for name in "ABC"]


def rules(**changes: Any) -> Rules:
    usual: dict[str, Any] = {
        "least": {}, "trucks": {}, "order_cost": 0.0, "truck_cost": 0.0, "fill": 0.0, "usual": 0.0,
        "gap": 1, "every": 1,
    }  # fmt: skip
    return Rules(**{**usual, **changes})


def lines(units: list[float], **changes: Any) -> Lines:
    """Three items with enough stock, sold 10, 2 and 5 a day without variance, of value 5 and 1 m3."""
    each = {
        "fixed": 0.0, "pack": 2.0, "smallest": changes.get("pack", 2.0), "room": np.inf, "position": 1000.0,
        "variance": 0.0, "lead": 2.0, "holding": 1.0, "penalty": 50.0,
    }  # fmt: skip
    rate = np.array([10.0, 2.0, 5.0])
    named = {name: np.broadcast_to(np.asarray(changes.pop(name, value), float), 3) for name, value in each.items()}
    none: Any = {"from_units": np.zeros((0, 3)), "prices": np.zeros((0, 3))}
    sizes = {"value": np.full(3, 5.0), "volume": np.ones(3), "weight": np.zeros(3)}
    return replace(Lines(units=np.array(units, float), rate=rate, sizes=sizes, **none, **named), **changes)


def test_an_order_that_is_large_enough_is_placed_as_it_is() -> None:
    units, status = whole_order(lines([10, 4, 6]), rules(least={"value": 100.0}))
    assert (units.tolist(), status) == ([10, 4, 6], PLACED)


def test_an_order_that_is_too_small_waits_while_nothing_runs_out() -> None:
    """70 of 100; with 1,000 units of each in stock nobody misses what comes a day later."""
    units, status = whole_order(lines([10, 4, 0]), rules(least={"value": 100.0}))
    assert (units.tolist(), status) == ([0, 0, 0], POSTPONED)


def test_it_is_filled_up_where_waiting_costs_more() -> None:
    """Stock lasts for the lead time of two days and no longer: a day of waiting misses ten units at 50."""
    one = lines([10, 4, 0], position=[20.0, 1000.0, 1000.0])
    units, status = whole_order(one, rules(least={"value": 100.0}))
    assert status == FILLED
    assert units @ one.sizes["value"] == 100


@pytest.mark.parametrize("least", [90.0, 100.0, 140.0, 200.0])
@pytest.mark.parametrize("holding", [[1.0, 1.0, 1.0], [0.2, 3.0, 1.0]])
def test_what_fills_it_up_is_the_cheapest_of_all(least: float, holding: list[float]) -> None:
    """A unit that comes early is held until its demand would have ordered it: e^2 / 2D on average."""
    one = lines([10, 4, 0], position=[20.0, 1000.0, 1000.0], holding=holding, penalty=1e6)
    units, _ = whole_order(one, rules(least={"value": least}))
    early = lambda more: float(np.sum(one.holding * more**2 / (2 * one.rate)))
    enough = [
        np.array(more)
        for more in itertools.product(range(0, 32, 2), repeat=3)
        if (one.units + np.array(more)) @ one.sizes["value"] >= least
    ]
    assert early(units - one.units) == pytest.approx(min(map(early, enough)))


def test_a_most_stock_is_kept_and_an_order_that_cannot_be_filled_is_none() -> None:
    units, status = whole_order(lines([10, 0, 0], position=0.0, room=[12.0, 0.0, 0.0]), rules(least={"value": 100.0}))
    assert (units.sum(), status) == (0, TOO_SMALL)


def test_what_planners_have_fixed_is_never_put_off() -> None:
    units, status = whole_order(lines([10, 4, 0], fixed=[10.0, 0.0, 0.0]), rules(least={"value": 100.0}))
    assert status == FILLED
    assert units[0] >= 10


def test_an_order_waits_for_the_size_that_its_cost_makes_worth_while() -> None:
    """14 of 30 units: waiting a day costs nothing and saves a part of the 100 of the order."""
    dear = rules(order_cost=100.0, usual=30.0)
    assert whole_order(lines([10, 4, 0]), dear)[1] == POSTPONED
    assert whole_order(lines([20, 4, 6]), dear)[1] == PLACED
    assert whole_order(lines([10, 4, 0], position=[20.0, 1000.0, 1000.0]), dear)[1] == PLACED


@pytest.mark.parametrize(
    ("units", "position", "penalty", "wanted"),
    [
        # 14 of 20 m3: six units more cost less to hold than what runs out if four are left out.
        ([10, 4, 0], 0.0, 1e3, 20),
        # 11 of 20 m3, and nothing runs out: one unit is left for later.
        ([10, 0, 1], 1000.0, 1.0, 10),
        ([12, 4, 4], 0.0, 1e3, 20),
    ],
)
def test_full_trucks_only(units: list[float], position: float, penalty: float, wanted: int) -> None:
    one = lines(units, position=position, penalty=penalty, pack=1.0, holding=1.0)
    found, _ = whole_order(one, rules(trucks={"volume": 10.0}, fill=1.0))
    assert found.sum() == wanted


def test_a_truck_that_costs_much_is_filled() -> None:
    """14 m3 in two trucks of 10: at 100 a truck six units more cost less than 0.6 of a truck, at 0.1 they do not."""
    one = lines([10, 4, 0], position=0.0, penalty=1e3, pack=1.0)
    assert whole_order(one, rules(trucks={"volume": 10.0}, truck_cost=100.0))[0].sum() == 20
    assert whole_order(one, rules(trucks={"volume": 10.0}, truck_cost=0.1))[0].sum() == 14


def test_cutting_back_counts_the_price_by_quantity_that_is_lost() -> None:
    """12 m3 in trucks of 10: two units less are the cheaper, unless all others then cost 1 more."""
    one = lines([12, 0, 0], pack=1.0, penalty=1.0, holding=1.0)
    full = rules(trucks={"volume": 10.0}, fill=1.0)
    assert whole_order(one, full)[0].sum() == 10
    steps = {"from_units": np.array([[12.0, np.inf, np.inf]]), "prices": np.array([[4.0, 0.0, 0.0]])}
    assert whole_order(replace(one, **steps), full)[0].sum() == 20


def test_an_order_that_suits_no_number_of_trucks_is_told_to_be_too_small() -> None:
    """20 units are worth enough, and packs of 4 m3 fill no truck of 9 with 24 at most; what is fixed stands."""
    odd = rules(least={"value": 100.0}, trucks={"volume": 9.0}, fill=1.0)
    changes: Any = {"pack": 4.0, "position": [20.0, 1000.0, 1000.0], "room": [16.0, 4.0, 4.0]}
    units, status = whole_order(lines([12, 4, 0], **changes), odd)
    assert (units.tolist(), status) == ([0, 0, 0], TOO_SMALL)
    units, status = whole_order(lines([12, 4, 0], fixed=[12.0, 0.0, 0.0], **changes), odd)
    assert (units.tolist(), status) == ([12, 4, 0], TOO_SMALL)


def test_an_order_that_is_cut_back_to_nothing_is_postponed() -> None:
    """18 of 20 m3 in one line of 18 at least: holding two more is dear, and nothing runs out."""
    one = lines([18, 0, 0], pack=6.0, smallest=18.0, room=[18.0, 20.0, 20.0], penalty=1.0, holding=1.0)
    units, status = whole_order(one, rules(trucks={"volume": 10.0}, fill=1.0))
    assert (units.tolist(), status) == ([0, 0, 0], POSTPONED)


def built(stock: dict[str, float], vendors: dict[str, Any], **more: Any) -> Instance:
    """Three items of ten a day at 5, from one vendor, with levels to be given."""
    there = [{"item_id": name, "node_id": "site", "units": units} for name, units in stock.items()]
    settings = {"ordering": "morning", "terminal": "continue"}
    usual = {"items": ITEMS, "on_hand": there, "vendors": [{"vendor_id": "v", **vendors}], "settings": settings}
    return made(OFFERS, **{**usual, **more})


def decided(one: Instance, level: float) -> tuple[dict[str, int], dict[str, Any]]:
    """Units ordered today, and what became of the whole order."""
    frames = dict(decision_frames(one, policy_of(one, level)))
    orders = frames["plan/orders"]
    (whole,) = frames["plan/vendor_orders"].iter_rows(named=True)
    return dict(zip(orders["item_id"].to_list(), orders["units"].to_list(), strict=True)), whole


def test_a_least_order_sets_the_rhythm_of_the_search() -> None:
    """150 a day: 400 are there every third day, and levels are lived through with orders that far apart."""
    one = built(dict.fromkeys("ABC", 60.0), {"min_order_value": 400.0})
    (rhythm,) = one.census.rhythms
    assert (rhythm.every, rhythm.units, rhythm.unit_cost) == (3, 0, 0)
    _, outcome = lived(one, policy_of(one, 60.0))
    assert outcome.timing is not None
    days = np.flatnonzero(np.asarray(outcome.timing.daily)[:, 0, 0])
    assert set(np.diff(days).tolist()) == {3}
    assert outcome.costs.ordering is None


def test_the_simulation_orders_on_the_day_on_which_the_plan_does() -> None:
    """With 20 of a level of 60 on hand today's order is large enough, and is the first of what is expected."""
    one = built(dict.fromkeys("ABC", 20.0), {"min_order_value": 400.0})
    _, outcome = lived(one, policy_of(one, 60.0))
    assert outcome.timing is not None
    assert np.flatnonzero(np.asarray(outcome.timing.daily)[:, 0, 0])[0] == 0
    orders, whole = decided(one, 60.0)
    assert whole["status"] == "placed"
    assert min(orders.values()) > 0


@pytest.mark.parametrize("later", range(4))
def test_the_rhythm_begins_with_the_first_review_whatever_the_date(later: int) -> None:
    tables = built(dict.fromkeys("ABC", 60.0), {"min_order_value": 400.0}).tables
    date = tables.settings.start_date + datetime.timedelta(days=later)
    settings = tables.settings.model_copy(update={"start_date": date})
    nodes = tables.nodes.with_columns(review_period=pl.lit(2), review_offset=pl.lit(1))
    nothing = (np.empty(0, int), np.empty(0, int))
    found = schedule(tables.calendar, settings, nodes, nothing, 14, {("v", "site"): 3})
    assert found is not None
    calendar = found.open.calendars(["v"])[0]
    assert np.flatnonzero(found.offers[:, calendar, 0]).tolist() == [1, 7, 13]


def test_a_review_that_waited_for_an_open_day_begins_the_rhythm() -> None:
    """The review of the day before was closed: today's order makes up for it, in the plan and in what is expected."""
    yesterday = START - datetime.timedelta(days=1)
    row = {"vendor_id": "v", "date": yesterday}
    tables = built(dict.fromkeys("ABC", 60.0), {"min_order_value": 400.0}, calendar=[row]).tables
    nodes = tables.nodes.with_columns(review_period=pl.lit(7), review_offset=pl.lit(6))
    nothing = (np.empty(0, int), np.empty(0, int))
    found = schedule(tables.calendar, tables.settings, nodes, nothing, 21, {("v", "site"): 2})
    assert found is not None
    calendar = found.open.calendars(["v"])[0]
    assert np.flatnonzero(found.offers[:, calendar, 0]).tolist() == [0, 13]


def test_costs_of_an_order_set_the_rhythm_where_nothing_else_does() -> None:
    """K = 135, 30 a day at a holding cost of 1 each: sqrt(2 K / 30) = 3 days, and 135 / 90 a unit."""
    one = built(dict.fromkeys("ABC", 60.0), {"order_cost": 135.0})
    (rhythm,) = one.census.rhythms
    assert (rhythm.every, rhythm.units, rhythm.unit_cost) == (3, 75, 1.5)


def test_todays_orders_are_those_that_the_vendor_takes() -> None:
    enough = built(dict.fromkeys("ABC", 30.0), {"min_order_value": 400.0})
    assert decided(enough, 60.0)[0] == {"A": 40, "B": 40, "C": 40}
    few = built(dict.fromkeys("ABC", 55.0), {"min_order_value": 400.0})
    units, whole = decided(few, 60.0)
    assert units == {}
    assert (whole["status"], whole["wanted_units"], whole["every"]) == ("postponed", 45, 3)
    urgent = built({"A": 5.0, "B": 70.0, "C": 70.0}, {"min_order_value": 400.0})
    units, whole = decided(urgent, 60.0)
    assert whole["status"] == "filled up"
    assert units["A"] >= 60
    assert 5 * sum(units.values()) == whole["value"] == 400


def test_an_item_that_is_phased_out_fills_up_no_order() -> None:
    """B is the cheapest to hold, and what is bought of it beyond its last day would be worth nothing."""
    last = {"phase_out": START + datetime.timedelta(days=3), "holding_cost": 0.001}
    gone = [{**one, "phase_out": None, **(last if one["item_id"] == "B" else {})} for one in ITEMS]
    urgent = built({"A": 5.0, "B": 70.0, "C": 70.0}, {"min_order_value": 400.0}, items=gone)
    units, whole = decided(urgent, 60.0)
    assert whole["status"] == "filled up"
    assert units.get("B", 0) == 0


def test_todays_order_is_not_cut_back_below_a_price_by_quantity() -> None:
    """120 units in trucks of 100: twenty less of C would lose the lower price of all others, and nothing runs out."""
    stock, trucks = {"A": 60.0, "B": 60.0, "C": 0.0}, {"truck_volume": 100.0, "truck_fill": 1.0}
    breaks = [{"item_id": "C", "vendor_id": "v", "from_units": 120, "unit_cost": 0.5}]
    _, plain = decided(built(stock, trucks), 60.0)
    units, whole = decided(built(stock, trucks, price_breaks=breaks), 60.0)
    assert plain["units"] % 100 == whole["units"] % 100 == 0
    assert units["C"] >= 120


def lived_by(one: Instance, level: float, days: int = DAYS, vendors: pl.DataFrame | None = None, **options: Any) -> Any:
    plan = PlanTable(pl.DataFrame({"item_id": one.items, "node_id": "site", "target": level}), vendors=vendors)
    actual = pl.DataFrame(
        {"item_id": np.repeat(one.items, days), "period": list(range(days)) * 3, "units": [10] * days * 3}
    )
    return simulate(one.tables, plan, options=Options(actual=actual, rounding="up", **options))


def test_the_simulator_refuses_small_orders_and_charges_orders_and_trucks() -> None:
    """Each evening 150 more: refused, refused, then 450 are placed, seven times, in four trucks of 25 each."""
    terms = {"min_order_value": 400.0, "order_cost": 7.0, "truck_volume": 25.0, "truck_cost": 2.0}
    one = built(dict.fromkeys("ABC", 100.0), terms)
    outcome = lived_by(one, 100.0)
    (row,) = outcome.replications.iter_rows(named=True)
    assert row["vendor_orders"] == 7
    assert row["refused_orders"] == 14
    assert row["trucks"] == 28
    assert row["ordering"] == pytest.approx(7 * 7 + 28 * 2)
    assert row["purchased"] == 7 * 90
    assert row["order_lines"] == 21
    assert row["purchase"] == 7 * 450
    left = outcome.balance.row(0, named=True)
    assert left["start"] + left["purchased"] == left["shipped"] + left["wasted"] + left["end"]
    # A plan that puts orders off for up to three days asks for none that is refused.
    table = pl.DataFrame({"vendor_id": ["v"], "node_id": ["site"], "usual_units": [0.0], "every": [3]})
    (same,) = lived_by(one, 100.0, vendors=table).replications.iter_rows(named=True)
    assert (same["refused_orders"], same["postponed_orders"], same["total"]) == (0, 14, pytest.approx(row["total"]))
    # Filled up at once, every order is one of 400 at least.
    filled = lived_by(one, 100.0, small_orders="fill")
    (row,) = filled.replications.iter_rows(named=True)
    assert row["refused_orders"] == 0
    assert row["purchase"] / row["vendor_orders"] >= 400
    left = filled.balance.row(0, named=True)
    assert left["start"] + left["purchased"] == left["shipped"] + left["wasted"] + left["end"]


def test_a_vendor_of_full_trucks_ships_no_part_of_one() -> None:
    """30 units an evening and trucks of 45: an evening too few, then 60 of which 45 go, then 45 again."""
    one = built(dict.fromkeys("ABC", 100.0), {"truck_volume": 45.0, "truck_fill": 1.0})
    (row,) = lived_by(one, 100.0).replications.iter_rows(named=True)
    assert row["purchased"] == 45 * row["trucks"]
    assert row["trucks"] == row["vendor_orders"]
    assert 30 * DAYS - row["purchased"] < 45


def test_tables_that_are_executed_are_refused_as_well() -> None:
    one = built(dict.fromkeys("ABC", 100.0), {"min_order_value": 400.0})
    world = Execution(one.tables, days=2, options=Options(ordering="morning"))
    moves = pl.DataFrame(schema={"item_id": pl.String, "from_node": pl.String, "to_node": pl.String, "units": pl.Int64})
    order = pl.DataFrame({"item_id": ["A"], "vendor_id": ["v"], "node_id": ["site"], "units": [79]})
    assert world.execute(order, moves).refused.rows() == [("v", "site")]
    assert world.finish().units["purchased"] == 0
    assert world.execute(order.with_columns(units=pl.lit(80)), moves).refused.is_empty()
    assert world.finish().units["purchased"] == 80
