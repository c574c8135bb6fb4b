"""The clock: cut-offs at the exact hour, promises, downgrades, the sequence of a day."""

import pytest
from backtest_instances import ITEM, NODE, instance, orders, single_node, targets

from meio_jax.backtest import Options, PlanTable, simulate

FREE = PlanTable(targets(("a", "near", 0)))


def two_sites(**tables: list[dict]):
    """`near` is cheap and closes at 12:00; `far` costs more and closes at 20:00."""
    rows = {
        "items": [
            {"item_id": "a"}
            | ITEM
            | {"downgrade_share": 1.0, "downgrade_cost": 0.25, "holding_cost": 0.0, "weight_kg": 2.0}
        ],
        "nodes": [
            {"node_id": "near", "handling_cost": 0.5} | NODE,
            {"node_id": "far", "handling_cost": 0.5} | NODE | {"latitude": 41.0},
        ],
        "regions": [{"region_id": "r", "latitude": 40.0, "longitude": -100.0}],
        "speeds": [
            {"speed_id": "slow", "promise_days": 1, "deliver_by_hour": 20.0},
            {"speed_id": "fast", "promise_days": 0, "deliver_by_hour": 22.0, "cost_factor": 2.0},
        ],
        "transit": [
            {"node_id": "near", "region_id": "r", "hours": 4.0, "cost_per_unit": 1.0, "cost_per_kg": 0.5},
            {"node_id": "far", "region_id": "r", "hours": 2.0, "cost_per_unit": 3.0, "cost_per_kg": 0.5},
        ],
        "cutoffs": [
            {"node_id": "near", "speed_id": "fast", "cutoff_hour": 12.0},
            {"node_id": "far", "speed_id": "fast", "cutoff_hour": 20.0},
            {"node_id": "near", "speed_id": "slow", "cutoff_hour": 15.0},
        ],
        "shares": [{"profile": "p", "region_id": "r", "speed_id": "fast", "wave": 0, "share": 1.0}],
        "forecast": [{"item_id": "a", "period": t, "mean": 0.0} for t in range(2)],
        "on_hand": [
            {"item_id": "a", "node_id": "near", "units": 10.0},
            {"item_id": "a", "node_id": "far", "units": 10.0},
        ],
    }
    return instance({"periods": 2}, **(rows | tables))


def cost_of(tables, *rows: tuple, **options) -> dict[str, float]:
    outcome = simulate(tables, FREE, options=Options(orders=orders(*rows), **options))
    return outcome.metrics() | {"table": outcome}


@pytest.mark.parametrize(
    ("hour", "outbound"),
    [
        (11.99, 2 * (1.0 + 1.0)),  # near, before its cut-off; factor 2, 2 kg at 0.5
        (12.0, 2 * (1.0 + 1.0)),  # at the cut-off it still leaves today
        (12.01, 2 * (3.0 + 1.0)),  # near would leave tomorrow: too late for today's promise
        (20.0, 2 * (3.0 + 1.0)),
        (20.01, 1.0 + 1.0),  # nobody can keep it: downgrade; slow: tomorrow at 15:00 + 4 h = 19:00
    ],
)
def test_cut_off_at_the_exact_hour(hour: float, outbound: float) -> None:
    done = cost_of(two_sites(), ("a", "r", "fast", 0, hour))
    assert done["outbound"] == pytest.approx(outbound)
    assert done["handling"] == pytest.approx(0.5)
    assert done["downgrade"] == pytest.approx(0.25 if hour > 20 else 0.0)


def test_next_site_when_the_cheapest_is_empty_then_downgrade_then_loss() -> None:
    stock = [
        {"item_id": "a", "node_id": "near", "units": 1.0},
        {"item_id": "a", "node_id": "far", "units": 1.0},
    ]
    rows = [("a", "r", "fast", 0, 9.0 + k) for k in range(3)]
    done = cost_of(two_sites(on_hand=stock), *rows)
    assert done["outbound"] == pytest.approx(4.0 + 8.0)
    assert (done["downgraded"], done["lost"], done["on_time"]) == (1, 1, 2)
    assert done["lost_sale"] == pytest.approx(9.0)


def test_price_of_outbound_capacity_moves_the_choice() -> None:
    import polars as pl

    prices = pl.DataFrame(
        {"kind": ["outbound"], "node_id": ["near"], "bucket": [0], "price": [5.0], "measure": ["units"]}
    )
    plan = PlanTable(FREE.targets, prices=prices)
    outcome = simulate(two_sites(), plan, options=Options(orders=orders(("a", "r", "fast", 0, 9.0))))
    assert outcome.metrics()["outbound"] == pytest.approx(8.0)  # far's own cost; the price itself is no cost


def test_protection_keeps_stock_for_the_faster_speed() -> None:
    import polars as pl

    guard = pl.DataFrame({"item_id": ["a"], "node_id": ["near"], "speed_id": ["slow"], "units": [9]})
    plan = PlanTable(FREE.targets, protection=guard)
    rows = [("a", "r", "slow", 0, 9.0), ("a", "r", "slow", 0, 10.0), ("a", "r", "fast", 0, 11.0)]
    outcome = simulate(two_sites(), plan, options=Options(orders=orders(*rows)))
    done = outcome.metrics()
    assert (done["on_time"], done["lost"]) == (2, 1)


def test_an_order_of_several_units_may_come_from_two_sites() -> None:
    stock = [
        {"item_id": "a", "node_id": "near", "units": 3.0},
        {"item_id": "a", "node_id": "far", "units": 9.0},
    ]
    done = cost_of(two_sites(on_hand=stock), ("a", "r", "fast", 0, 9.0, 5))
    assert done["outbound"] == pytest.approx(3 * 4.0 + 2 * 8.0)
    assert done["shipped"] == 5


def test_backorders_are_served_first_on_the_next_day_and_late() -> None:
    tables = single_node(
        0.0,
        item={"unmet": "backorder", "backorder_cost": 2.0, "holding_cost": 0.0},
        on_order=[{"item_id": "i", "node_id": "n", "period_due": 1, "units": 1.0}],
    )
    rows = orders(("i", "r", "s", 0, 23.0), ("i", "r", "s", 1, 0.5))
    outcome = simulate(tables, PlanTable(targets(("i", "n", 0))), options=Options(orders=rows))
    done = outcome.metrics()
    # day 0: the first waits, and takes the unit of day 1 before the newcomer; that one's is bought then
    assert (done["late"], done["on_time"], done["lost"], done["purchased"]) == (2, 0, 0, 1)
    assert (done["backordered"], done["backorder"]) == (2, 4.0)


def test_hand_worked_week() -> None:
    """Buy, receive, sell, hold and lose, day by day, with costs added by hand."""
    tables = single_node(
        0.0,
        lead=2,
        settings={"periods": 4, "terminal_credit": 0.5},
        item={"unit_cost": 4.0},
        node={"handling_cost": 0.5, "inbound_cost": 0.25, "review_period": 2, "holding_factor": 2.0},
        transit=[{"node_id": "n", "region_id": "r", "hours": 1.0, "cost_per_unit": 1.5}],
        offers=[
            {"item_id": "i", "vendor_id": "v", "node_id": "n", "unit_cost": 3.0, "freight_cost": 0.75,
             "lead_time_mean": 2.0}
        ],
        start=2.0,
    )  # fmt: skip
    rows = orders(("i", "r", "s", 0, 8.0), ("i", "r", "s", 1, 8.0), ("i", "r", "s", 1, 9.0), ("i", "r", "s", 2, 9.0))
    outcome = simulate(tables, PlanTable(targets(("i", "n", 3))), options=Options(orders=rows))
    done = outcome.metrics()
    # day 0: sell 1, 1 left, position 1 -> buy 2 (due day 2), hold 1
    # day 1: sell 1, lose 1, no review, hold 0
    # day 2: receive 2, sell 1, 1 left, position 1 -> buy 2 (due day 4), hold 1
    # day 3: hold 1; at the end 1 on hand and 2 on order
    expected = {
        "purchase": 4 * 3.0,
        "inbound": 4 * 0.75 + 2 * 0.25,
        "handling": 3 * 0.5,
        "outbound": 3 * 1.5,
        "holding": (1 + 0 + 1 + 1) * 2.0,
        "lost_sale": 9.0,
        "terminal": -0.5 * 4.0 * 3,
    }
    for name, money in expected.items():
        assert done[name] == pytest.approx(money), name
    assert done["total"] == pytest.approx(sum(expected.values()))
