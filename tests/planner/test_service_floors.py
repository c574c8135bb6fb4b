"""Floors of item classes and node groups: levels and prices of the Poisson law, and what each floor counts."""

from __future__ import annotations

import datetime
from typing import Any

import floor_items
import jax
import numpy as np
import polars as pl
import pytest
from floor_items import fill_rate, floors, level_in_stock, level_of_fill, price_in_stock, price_of_fill
from lived import DAYS, LANES, built, lived, policy_of
from one_node import START, demand, instance, item, offer, settings

from meio_jax.backtest import Options, PlanTable, simulate
from meio_jax.errors import InputError
from meio_jax.instance import build_instance
from meio_jax.model.resources import usage
from meio_jax.planner import plan
from meio_jax.planner.finished import Plan
from meio_jax.results import Result
from meio_jax.tables import Tables

# Seven tenths of the way from one whole level to the next: prices are those of the step between them.
FILL_A = fill_rate(5.7)
FILL_B = fill_rate(4.7)
STOCK_C = 0.3 * floor_items.in_stock_rate(7) + 0.7 * floor_items.in_stock_rate(8)
ROWS = [
    {"resource_id": "fill A", "kind": "service", "item_class": "A", "capacity": FILL_A},
    {"resource_id": "fill B", "kind": "service", "item_class": "B", "node_group": "front", "capacity": FILL_B},
    {"resource_id": "stock C", "kind": "in_stock", "item_class": "C", "node_group": "front", "capacity": STOCK_C},
]
ITEMS = {"a": "A", "b": "B", "c": "C", "d": "D"}


@pytest.fixture(scope="module")
def solved() -> Plan:
    return plan(floors(ITEMS, ROWS), settings(max_steps=240, min_steps=240))


def levels(found: Plan) -> dict[str, int]:
    table = found.frames()["plan/targets"]
    return dict(zip(table["item_id"].to_list(), table["target_units"].to_list(), strict=True))


@pytest.mark.slow
def test_levels_are_the_least_that_keep_their_floors(solved: Plan) -> None:
    at = levels(solved)
    assert at["a"] == np.ceil(level_of_fill(FILL_A)) == 6
    assert at["b"] == np.ceil(level_of_fill(FILL_B)) == 5
    assert at["c"] == level_in_stock(STOCK_C) == 8
    # Without a floor a unit is held as long as it costs less than it saves.
    assert at["d"] == max(k for k in range(1, 20) if floor_items.cost_of_a_unit(k) < 0)


@pytest.mark.slow
def test_prices_are_what_a_unit_of_each_floor_costs(solved: Plan) -> None:
    prices = dict(solved.frames()["prices"].select("resource_id", "price").iter_rows())
    assert prices["fill A"] == pytest.approx(price_of_fill(6), rel=0.15)
    assert prices["fill B"] == pytest.approx(price_of_fill(5), rel=0.15)
    assert prices["stock C"] == pytest.approx(price_in_stock(8), rel=0.15)


@pytest.mark.slow
def test_rates_are_counted_in_whole_units(solved: Plan) -> None:
    table = {row["resource_id"]: row for row in solved.frames()["prices"].iter_rows(named=True)}
    assert table["fill A"]["usage"] == pytest.approx(fill_rate(6), abs=0.006)
    assert table["fill B"]["usage"] == pytest.approx(fill_rate(5), abs=0.006)
    assert table["stock C"]["usage"] == pytest.approx(floor_items.in_stock_rate(8), abs=0.012)
    # One pair of item and node over fourteen charged days; demand of four a day.
    assert table["stock C"]["scope"] == pytest.approx(14)
    assert table["fill A"]["scope"] == pytest.approx(4 * 14, rel=0.03)
    assert (table["fill B"]["item_class"], table["fill B"]["node_group"]) == ("B", "front")


TWO_NODES = [
    {"node_id": "site", "kind": "fc", "node_group": "front"},
    {"node_id": "week", "kind": "fc", "node_group": "back"},
]
BOTH_SERVE = [
    {"node_id": "site", "region_id": "r_site", "hours": 1.0, "cost_per_unit": 0.0},
    {"node_id": "week", "region_id": "r_site", "hours": 1.0, "cost_per_unit": 1.0},
    {"node_id": "week", "region_id": "r_week", "hours": 1.0, "cost_per_unit": 0.0},
]
COUNTED = [
    {"resource_id": "front", "kind": "service", "node_group": "front", "capacity": 0.1},
    {"resource_id": "front A", "kind": "service", "node_group": "front", "item_class": "A", "capacity": 0.1},
    {"resource_id": "A", "kind": "service", "item_class": "A", "capacity": 0.1},
    {"resource_id": "all", "kind": "service", "capacity": 0.1},
    {"resource_id": "stock", "kind": "in_stock", "capacity": 0.1},
    {"resource_id": "stock B back", "kind": "in_stock", "item_class": "B", "node_group": "back", "capacity": 0.1},
]
# Ten a day of each item in one region. `site` starts with 26, `week` with 17 of A and none of B; nothing is ordered.
# A: 10, 10, 6 from the site, 4, 10, 3 from `week`. B: 10, 10, 6 from the site.
# Evenings in stock: A two at the site (16, 6) and four at `week` (17, 17, 13, 3), B two.
SERVED = {"front": (52, 420), "front A": (26, 210), "A": (43, 210), "all": (69, 420)}
STOCKED = {"stock": (8, 84), "stock B back": (0, 21)}


def _started(**more: Any) -> Tables:
    """Both items with their stock at the start, ten a day of each in one region."""
    stock = [("A", "site", 26.0), ("A", "week", 17.0), ("B", "site", 26.0)]
    return instance(
        [item(name, item_class=name, **more) for name in ("A", "B")],
        [offer(name, 2) for name in ("A", "B")],
        [row for name in ("A", "B") for row in demand(name, 10.0, days=DAYS)],
        DAYS,
        settings={"terminal": "liquidate", "bucket_periods": DAYS},
        nodes=TWO_NODES,
        transit=BOTH_SERVE,
        resources=COUNTED,
        lanes=LANES,
        on_hand=[{"item_id": name, "node_id": node, "units": units} for name, node, units in stock],
    )


def test_the_rollout_counts_classes_nodes_and_evenings() -> None:
    made = build_instance(_started(), block_items=16, dtype=np.float32)
    _, found = lived(made, policy_of(made, 0.0))
    counted = usage(made.resources, found.flows, jax.tree.map(lambda leaf: leaf[0], made.catalog.block))
    at = made.ids.resources.index
    for name, (kept, asked) in (SERVED | STOCKED).items():
        shown = (float(counted.used[0, at(name)]), float(counted.wanted[0, at(name)]))
        assert shown == (pytest.approx(kept), pytest.approx(asked)), name


def test_what_waits_and_is_served_late_is_not_served_as_promised() -> None:
    made = build_instance(_started(unmet="backorder", backorder_cost=1.0), block_items=16, dtype=np.float32)
    _, found = lived(made, policy_of(made, 0.0))
    counted = usage(made.resources, found.flows, jax.tree.map(lambda leaf: leaf[0], made.catalog.block))
    used = dict(zip(made.ids.resources, np.asarray(counted.used[0]).tolist(), strict=True))
    # At a level of 0 nodes order what customers wait for, and B has only what the site starts with: what comes goes to
    # those who wait.
    assert used["front"] - used["front A"] == pytest.approx(26)


def _by_orders(tables: Tables) -> dict[str, float]:
    """Shares that the simulator counts where ten units of each item are ordered every morning and nothing is bought."""
    cells = [(name, day) for name in ("A", "B") for day in range(DAYS)]
    asked = {"region_id": "r_site", "speed_id": "s", "hour": 9.0, "units": 10}
    orders = pl.DataFrame([{"item_id": name, "day": day, **asked} for name, day in cells])
    places = [(name, node) for name in ("A", "B") for node in ("site", "week")]
    nothing = pl.DataFrame([{"item_id": name, "node_id": node, "target_units": 0} for name, node in places])
    found = simulate(tables, PlanTable(nothing), options=Options(orders=orders))
    return dict(found.capacity.select("resource_id", "usage").iter_rows())


def test_the_simulator_counts_the_same_order_by_order() -> None:
    shares = _by_orders(_started())
    for name, (kept, asked) in (SERVED | STOCKED).items():
        assert shares[name] == pytest.approx(kept / asked), name


def test_an_item_that_is_phased_out_no_longer_counts() -> None:
    ended = START + datetime.timedelta(days=3)
    made = build_instance(_started(phase_out=ended), block_items=16, dtype=np.float32)
    _, found = lived(made, policy_of(made, 0.0))
    counted = usage(made.resources, found.flows, jax.tree.map(lambda leaf: leaf[0], made.catalog.block))
    at = made.ids.resources.index("stock")
    # Two items at two nodes on three days; A is left on two evenings at the site and on three at `week`, B on two.
    assert (float(counted.wanted[0, at]), float(counted.used[0, at])) == (12, 7)
    assert _by_orders(_started(phase_out=ended))["stock"] == pytest.approx(7 / 12)


@pytest.mark.slow
def test_a_floor_that_no_plan_can_meet_is_named() -> None:
    """Nothing is there on the first five of fourteen days, whatever is ordered."""
    rows = [{"resource_id": "too much", "kind": "in_stock", "item_class": "C", "capacity": 0.9}]
    late = floors({"c": "C"}, rows, lead=6)
    found = plan(late, settings(max_steps=40, min_steps=40))
    assert found.result is Result.INFEASIBLE
    (named,) = found.certificate.infeasible
    assert named["resource"] == "too much"
    assert named["least_usage"] / named["capacity"] < 0.8


def test_without_such_floors_nothing_is_counted() -> None:
    made = built(["A"], [])
    _, found = lived(made, policy_of(made, 5.0))
    parts = (made.network.floors, made.resources.item_class, made.catalog.block.item_class)
    assert (*parts, found.flows.kept, found.flows.asked) == (None, None, None, None, None)


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [
        ({"kind": "in_stock", "capacity": 1.5}, "capacity", "a share in [0, 1] for kind in_stock"),
        ({"kind": "in_stock", "item_class": "Z"}, "item_class", "occurs in table items"),
        ({"kind": "service", "node_group": "middle"}, "node_group", "occurs in table nodes"),
        ({"kind": "in_stock", "speed_id": "s"}, "speed_id", "kind in_stock knows item_class, node_group only"),
        ({"kind": "spend", "item_class": "A"}, "item_class", "kind spend knows node_id, vendor_id only"),
    ],
)
def test_scopes_that_make_no_sense_are_told(row: dict[str, Any], column: str, expected: str) -> None:
    with pytest.raises(InputError) as told:
        floors({"a": "A"}, [{"resource_id": "x", "capacity": 0.5, **row}])
    (problem,) = told.value.problems
    assert problem.column == column
    assert expected in str(problem)
