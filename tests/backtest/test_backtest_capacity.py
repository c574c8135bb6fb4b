"""Docks, halls and outbound capacity: what does not fit waits or goes elsewhere, and is counted."""

import numpy as np
import polars as pl
import pytest
from backtest_instances import instance, orders, same_targets, single_node, small_network, targets

from meio_jax.backtest import Options, PlanTable, read_world, simulate

PLAN = PlanTable(targets(("i", "n", 0)))
LEVELS = {"D": 40, "F1": 12, "F2": 12, "S": 4}


def limited(kind: str, capacity: float, measure: str = "units", **row) -> list[dict]:
    return [{"resource_id": "c", "kind": kind, "node_id": "n", "measure": measure, "capacity": capacity} | row]


def arriving(units: float, **more) -> list[dict]:
    return [{"item_id": "i", "node_id": "n", "period_due": 0, "units": units} | more]


def test_a_dock_unloads_so_much_a_day_and_the_rest_waits_at_a_cost() -> None:
    tables = single_node(0.0, settings={"periods": 4}, resources=limited("inbound", 4.0), on_order=arriving(10.0))
    outcome = simulate(tables, PLAN, options=Options(orders=orders()))
    assert outcome.stock["units"].to_list() == [4, 8, 10, 10]
    assert outcome.stock["waiting_units"].to_list() == [6, 2, 0, 0]
    assert outcome.metrics()["holding"] == pytest.approx(10 * 4)  # inside or outside, a unit costs its holding
    assert outcome.metrics()["waited"] == 8
    assert outcome.capacity["peak"].to_list() == [4.0]


def test_a_dock_may_be_averaged_over_the_bucket_or_only_measured() -> None:
    tables = single_node(0.0, settings={"periods": 4}, resources=limited("inbound", 4.0), on_order=arriving(10.0))
    for mode in ("bucket", "measure"):
        outcome = simulate(tables, PLAN, options=Options(orders=orders(), inbound=mode))
        assert outcome.stock["units"].to_list() == [10, 10, 10, 10]
        assert outcome.capacity["usage"].to_list() == [2.5]
        assert outcome.capacity["excess"].to_list() == [1.5]
        assert outcome.capacity["violation"].to_list() == [0.0]


def test_a_full_hall_keeps_goods_outside_until_there_is_room() -> None:
    tables = single_node(
        0.0,
        settings={"periods": 3},
        item={"volume_m3": 0.5},
        resources=limited("storage", 2.0, "m3"),
        on_order=arriving(6.0),
    )
    rows = orders(*[("i", "r", "s", 1, 9.0 + k) for k in range(3)])
    outcome = simulate(tables, PLAN, options=Options(orders=rows))
    assert outcome.stock["units"].to_list() == [4, 1, 3]
    assert outcome.stock["waiting_m3"].to_list() == [1.0, 1.0, 0.0]
    assert outcome.metrics()["violation_storage"] == 0.0
    free = simulate(tables, PLAN, options=Options(orders=rows, storage="measure"))
    assert free.stock["units"].to_list() == [6, 3, 3]


def test_a_node_that_has_shipped_its_day_cannot_ship_more() -> None:
    tables = single_node(
        0.0,
        settings={"periods": 2},
        resources=limited("outbound", 2.0, "kg"),
        start=9.0,
        item={"weight_kg": 0.8},
    )
    rows = orders(*[("i", "r", "s", 0, 9.0 + k) for k in range(4)], ("i", "r", "s", 1, 9.0))
    done = simulate(tables, PLAN, options=Options(orders=rows)).metrics()
    assert (done["on_time"], done["lost"]) == (3, 2)
    assert done["excess_outbound"] == 0.0


def test_storage_classes_share_only_their_own_hall() -> None:
    resources = limited("storage", 2.0, storage_class="cold") + [
        {"resource_id": "all", "kind": "storage", "node_id": "n", "measure": "units", "capacity": 7.0}
    ]
    tables = single_node(0.0, items=2, settings={"periods": 1})
    frames = {name: frame.to_dicts() for name, frame in tables.frames().items()}
    frames["items"][0]["storage_class"] = "cold"
    frames["resources"] = resources
    frames["on_order"] = [{"item_id": name, "node_id": "n", "period_due": 0, "units": 6.0} for name in ("i0", "i1")]
    tables = instance(tables.settings.model_dump(), **frames)
    outcome = simulate(tables, PlanTable(same_targets(tables, n=0)), options=Options(orders=orders(), detail=True))
    # What arrives on a day is unloaded in a drawn order: the cold goods first, or when there is room for one more.
    found = dict(outcome.levels.select("item_id", "on_hand").iter_rows())
    assert found in ({"i0": 2.0, "i1": 5.0}, {"i0": 1.0, "i1": 6.0})


@pytest.mark.parametrize("seed", [0, 1])
def test_enforced_capacity_is_never_exceeded(seed: int) -> None:
    tables = small_network()
    plan = PlanTable(same_targets(tables, **LEVELS))
    outcome = simulate(tables, plan, seed=seed)
    assert outcome.capacity["excess"].max() <= 1e-9
    assert outcome.metrics()["waited"] > 0  # the docks did bind
    free = simulate(tables, plan, seed=seed, options=Options.unlimited())
    assert free.capacity["excess"].max() > 0
    assert free.metrics()["waited"] == 0


def test_lane_vendor_spend_and_service_are_measured() -> None:
    tables = small_network(
        settings={"periods": 10},
        resources=[
            {
                "resource_id": "lane",
                "kind": "lane",
                "node_id": "D",
                "to_node": "F1",
                "measure": "kg",
                "capacity": 5.0,
            },
            {"resource_id": "vendor", "kind": "vendor", "vendor_id": "v", "measure": "m3", "capacity": 1.0},
            {"resource_id": "spend", "kind": "spend", "measure": "money", "capacity": 100.0},
            {"resource_id": "fast", "kind": "service", "speed_id": "fast", "capacity": 0.95},
        ],
    )
    outcome = simulate(tables, PlanTable(same_targets(tables, **LEVELS)), options=Options.unlimited(detail=True))
    use = {(row["resource_id"], row["bucket"]): row["usage"] for row in outcome.capacity.iter_rows(named=True)}
    spend = sum(use["spend", b] for b in (0, 1))
    assert spend == pytest.approx(outcome.metrics()["purchase"])
    world = read_world(tables)
    weight = dict(zip(world.items, world.catalog.weight, strict=True))
    moved = outcome.transfers.filter((pl.col("from_node") == "D") & (pl.col("to_node") == "F1"))["units"].sum()
    kilos = 7 * use["lane", 0] + 3 * use["lane", 1]
    assert min(weight.values()) * moved <= kilos <= max(weight.values()) * moved
    fast = outcome.service.filter(pl.col("speed_id") == "fast")
    by_bucket = fast.group_by("bucket").agg(pl.col("demand", "on_time").sum()).sort("bucket")
    shares = (by_bucket["on_time"] / by_bucket["demand"]).to_list()
    assert [use["fast", b] for b in (0, 1)] == pytest.approx(shares)
    short = outcome.capacity.filter(pl.col("kind") == "service")["violation"].to_numpy()
    assert short == pytest.approx(np.maximum(1 - np.array(shares) / 0.95, 0))


def test_what_exceeds_an_outbound_dock_leaves_later_and_is_late() -> None:
    tables = single_node(
        0.0, settings={"periods": 4}, resources=limited("outbound", 4.0), start=20.0, item={"backorder_cost": 2.0}
    )
    rows = orders(("i", "r", "s", 0, 9.0, 10), ("i", "r", "s", 1, 9.0, 3))
    outcome = simulate(tables, PLAN, options=Options(orders=rows, outbound="queue"))
    assert outcome.stock["held_units"].to_list() == [6, 5, 1, 0]
    # What waits lies in the hall: 20 less what has left, 4 a day.
    assert outcome.stock["units"].to_list() == [16, 12, 8, 7]
    done = outcome.metrics()
    assert (done["on_time"], done["late"], done["lost"], done["held"]) == (4, 9, 0, 12)
    assert done["holding"] == pytest.approx(16 + 12 + 8 + 7)
    assert done["backorder"] == pytest.approx(2.0 * 12)
    assert outcome.capacity["peak"].to_list() == [4.0]
    elsewhere = simulate(tables, PLAN, options=Options(orders=rows)).metrics()
    assert (elsewhere["on_time"], elsewhere["lost"], elsewhere["held"]) == (7, 6, 0)


def test_the_first_promise_leaves_first_and_frees_its_room() -> None:
    """Two items at a dock of two units a day and a hall of six: what leaves makes room for what waits outside."""
    tables = single_node(
        0.0,
        items=2,
        settings={"periods": 4},
        start=3.0,
        resources=[*limited("outbound", 2.0), {**limited("storage", 6.0)[0], "resource_id": "hall"}],
        on_order=[{"item_id": "i0", "node_id": "n", "period_due": 0, "units": 3.0}],
    )
    rows = orders(("i1", "r", "s", 0, 9.0, 3), ("i0", "r", "s", 0, 10.0, 2))
    outcome = simulate(tables, PlanTable(same_targets(tables, n=0)), options=Options(orders=rows, outbound="queue"))
    # Three of i1 come first, of which two leave; then the third, and one of i0; then the last.
    assert outcome.stock["held_units"].to_list() == [3, 1, 0, 0]
    # Two leave on day 0, two on day 1, one on day 2; what waits outside comes in on the mornings after.
    assert outcome.stock["waiting_units"].to_list() == [3, 1, 0, 0]
    assert outcome.stock["units"].to_list() == [4, 4, 4, 4]
