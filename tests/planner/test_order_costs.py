"""Fixed costs of order lines and prices by quantity, against closed forms and the order-by-order simulator."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from lived import DAYS, lived, policy_of
from one_node import instance, item, offer

from meio_jax.backtest import Options, PlanTable, simulate
from meio_jax.instance import Instance, build_instance
from meio_jax.plans.policy_tables import policy_frames

NODES = [{"node_id": name, "kind": "fc", "review_period": 1} for name in ("site", "week")]
# Five whole cycles of four days after a cycle in which the first order comes.
CYCLES = 24


def forecast(name: str, units: list[int]) -> list[dict[str, Any]]:
    return [
        {"item_id": name, "period": day, "mean": float(u), "dispersion": 0.0, "law": "fixed"}
        for day, u in enumerate(units)
    ]


def made(offers: list[dict], units: list[int] = [10] * DAYS, **more: Any) -> Instance:
    """Items bought at `site` two days ahead, as many as there are offers."""
    names = list(dict.fromkeys(one["item_id"] for one in offers))
    own = more.pop("items", [item(name) for name in names])
    tables = instance(
        own,
        offers,
        [row for name in names for row in forecast(name, units)],
        days=len(units),
        settings={"terminal": "liquidate", "terminal_credit": 0.0, **more.pop("settings", {})},
        nodes=NODES,
        **more,
    )
    return build_instance(tables, block_items=8, dtype=np.float32)


def simulated(one: Instance, units: list[int], level: float) -> Any:
    """The simulator at a level of `site`, with the sizes of orders that the plan says."""
    plan = PlanTable(
        pl.DataFrame({"item_id": one.items, "node_id": "site", "target": level}),
        sizes=dict(policy_frames(one, policy_of(one, level)))["plan/order_sizes"],
    )
    actual = pl.DataFrame(
        {
            "item_id": np.repeat(one.items, len(units)),
            "period": list(range(len(units))) * len(one.items),
            "units": units * len(one.items),
        }
    )
    options = Options(ordering=str(one.tables.settings.ordering), actual=actual, rounding="up")
    return simulate(one.tables, plan, options=options)


def usual(one: Instance) -> list[float]:
    ordering = one.catalog.block.ordering
    assert ordering is not None
    return one.layout.join(np.asarray(ordering.usual), len(one.items)).max(0).tolist()


def test_without_costs_of_orders_no_array_is_made() -> None:
    one = made([offer("A", 2)])
    assert one.catalog.block.ordering is None
    assert not one.network.lots
    assert not one.network.lines
    assert "plan/order_sizes" not in dict(policy_frames(one, policy_of(one, 1.0)))


@pytest.mark.parametrize("cost", [0.0, 20.0, 80.0, 180.0])
def test_an_order_is_the_economic_quantity(cost: float) -> None:
    """sqrt(2 K D / h) with ten a day at a holding cost of 1 (Harris 1913)."""
    one = made([offer("A", 2, order_cost=cost), offer("Z", 2, order_cost=1.0)])
    assert usual(one)[0] == pytest.approx(math.sqrt(2 * cost * 10))


def test_orders_of_the_economic_quantity_cost_the_closed_form() -> None:
    """K = 80: 40 units every fourth day, in either simulation; no other quantity is cheaper.

    Stock is counted in the evening, half a day's demand below the mean of the day: sqrt(2 K D h) - D h / 2 a day.
    """
    units, level = [10] * CYCLES, 30.0
    rates = {}
    for size in (20, 30, 40, 50, 60):
        cost = size**2 / 20
        one = made(
            [offer("A", 2, order_cost=cost)], units, on_hand=[{"item_id": "A", "node_id": "site", "units": 20.0}]
        )
        assert usual(one) == [size]
        outcome = simulated(one, units, level)
        row = outcome.items.row(0, named=True)
        assert row["lost"] == 0
        lines = row["order_lines"]
        assert row["ordering"] == pytest.approx(cost * lines)
        # From the first delivery on; the same lines at the cost that the test is about.
        held = (
            outcome.stock.filter((pl.col("node_id") == "site") & (pl.col("day") >= 2)).sort("day")["units"].to_numpy()
        )
        whole = len(held) // (size // 10) * (size // 10)
        rates[size] = 80 * 10 / size + float(held[:whole].mean())
    assert min(rates, key=rates.__getitem__) == 40
    assert rates[40] == pytest.approx(math.sqrt(2 * 80 * 10) - 10 / 2)


def test_the_rollout_orders_and_pays_as_the_simulator_does() -> None:
    """Many and few units a day, packs, a least order, and a most stock that the usual size gives way to."""
    units = [9, 14, 3, 0, 0, 21, 2, 6, 6, 0, 0, 0, 17, 30, 4, 1, 0, 8, 11, 2, 5]
    offers = [
        offer("A", 2, order_cost=30.0),
        offer("B", 2, order_cost=30.0, pack_size=6),
        offer("C", 2, order_cost=5.0, min_order=40),
        offer("D", 2),
        offer("E", 2, order_cost=300.0),
    ]
    one = made(
        offers,
        units,
        settings={"ordering": "evening"},
        on_hand=[{"item_id": name, "node_id": "site", "units": 30.0} for name in "ABCDE"],
        assortment=[{"item_id": "E", "node_id": "site", "max_units": 45.0}],
    )
    stock, outcome = lived(one, policy_of(one, 30.0))
    other = simulated(one, units, 30)
    by_item = {row["item_id"]: row for row in other.items.iter_rows(named=True)}
    costs = outcome.costs
    for at, name in enumerate(one.items):
        assert np.asarray(costs.ordering)[at] == pytest.approx(by_item[name]["ordering"]), name
        assert by_item[name]["order_lines"] > 0
    assert stock.shape[0] == DAYS
    assert float(np.asarray(costs.ordering)[one.items.index("D")]) == 0


def breaks(*rows: tuple[str, int, float], vendor: str = "v", **more: Any) -> list[dict[str, Any]]:
    return [
        {"item_id": name, "vendor_id": vendor, "from_units": least, "unit_cost": cost, **more}
        for name, least, cost in rows
    ]


def test_the_best_quantity_of_all_prices_is_taken() -> None:
    """Ten a day, K = 20, h = 1, price 5: of 20 units cost 50 + 10 + 10 = 70 a day.

    A: from 60 units a price of 4.5 saves 5 a day; 3.3 + 30 - 20 are more: 20 units. B: from 60 at 3.5 it pays.
    C: from 15 at 4.9 already the economic quantity has it. D: two steps, of which the second is best.
    """
    names = "ABCD"
    table = breaks(("A", 60, 4.5), ("B", 60, 3.5), ("C", 15, 4.9), ("D", 40, 4.8), ("D", 80, 1.0))
    one = made([offer(name, 2, unit_cost=5.0, order_cost=20.0) for name in names], price_breaks=table)
    assert usual(one) == [20, 60, 20, 80]
    rate = lambda size, price: 10 * price + 200 / size + size / 2
    for name, size in zip(names, usual(one), strict=True):
        steps = sorted(
            (least, cost)
            for other, least, cost in (tuple(r.values())[:1] + tuple(r.values())[2:] for r in table)
            if other == name
        )
        price = lambda q, steps=steps: ([5.0] + [cost for least, cost in steps if q >= least])[-1]
        cheapest = min(range(1, 200), key=lambda q: rate(q, price(q)))
        assert size == cheapest


def test_orders_pay_the_price_of_their_quantity() -> None:
    """A level of 50: 40 are sold and ordered on the first day, then ten a day; from 25 on the price is 2, not 3."""
    units = [40] + [10] * (DAYS - 1)
    table = breaks(("A", 25, 2.0), ("A", 8, 2.5), ("B", 25, 2.0))
    held = [item(name, holding_cost=100.0) for name in "ABC"]
    there = [{"item_id": name, "node_id": "site", "units": 50.0} for name in "ABC"]
    evening = {"ordering": "evening"}
    offers = [offer(name, 2, unit_cost=3.0) for name in "ABC"]
    one = made(offers, units, items=held, price_breaks=table, settings=evening, on_hand=there)
    # Holding is so dear that no quantity is worth while for its price but one that a day sells anyway.
    assert usual(one) == [8, 0, 0]
    _, outcome = lived(one, policy_of(one, 50.0))
    other = simulated(one, units, 50)
    found = dict(zip(one.items, np.asarray(outcome.costs.purchase).tolist(), strict=True))
    lines = dict(zip(one.items, other.items["order_lines"].to_list(), strict=True))
    bought = dict(zip(one.items, other.items["purchased"].to_list(), strict=True))
    theirs = dict(zip(one.items, other.items["purchase"].to_list(), strict=True))
    assert found == pytest.approx(theirs)
    assert theirs["C"] == 3 * bought["C"]
    first = 40
    assert theirs["B"] == 2 * first + 3 * (bought["B"] - first)
    assert theirs["A"] == 2 * first + 2.5 * (bought["A"] - first)
    assert lines["A"] == 1 + (bought["A"] - first) / 10
