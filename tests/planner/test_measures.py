"""Capacities in order lines, pallets and hours: what the planner and the order-by-order simulator count, by hand.

Three items sell ten a day. P is bought in packs of 30 and Q by the unit, both two days ahead at `site`; F is bought
there too and sold at `week`, which asks `site` every seven days. Levels are 100, nothing is in stock on day 0, and
positions are net of what the day will still sell. So P is ordered on days 0 (120), 4, 7, 10, 13, 16, 19 (30); Q on day
0 (100) and daily from day 2 on (10); F on days 0, 7 (100) and 14 (70), and moved on days 7 and 14 likewise.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from lived import DAYS, LANES, built, lived
from one_node import demand, instance, item, offer

from meio_jax.backtest import Options, PlanTable, limits, simulate
from meio_jax.errors import InputError
from meio_jax.instance import Instance, build_instance
from meio_jax.model import resources
from meio_jax.model.resources import item_charge, outbound_price, usage
from meio_jax.policy.base_stock import BaseStock
from meio_jax.tables import Tables
from meio_jax.tables.measures import MEASURES

RESOURCES: dict[str, dict[str, Any]] = {
    "orders": {"kind": "vendor", "vendor_id": "v", "measure": "lines"},
    "bought": {"kind": "vendor", "vendor_id": "v", "measure": "pallets"},
    "receipts": {"kind": "inbound", "node_id": "site", "measure": "lines"},
    "moves": {"kind": "lane", "node_id": "site", "to_node": "week", "measure": "lines"},
    "moved": {"kind": "lane", "node_id": "site", "to_node": "week", "measure": "hours"},
    "picks": {"kind": "outbound", "node_id": "site", "measure": "lines"},
    "work": {"kind": "outbound", "node_id": "site", "measure": "hours"},
    "hall": {"kind": "storage", "node_id": "site", "measure": "pallets"},
}
EXPECTED = {
    "orders": [2 + 6 + 1, 3 + 7 + 1, 2 + 7 + 1],
    "bought": [150 / 30 + 150 / 20 + 100 / 10, 90 / 30 + 70 / 20 + 100 / 10, 60 / 30 + 70 / 20 + 70 / 10],
    "receipts": [2 + 4 + 1, 2 + 7 + 1, 2 + 7 + 1],
    "moves": [0, 1, 1],
    "moved": [0, 100 * 0.2, 70 * 0.2],
    "picks": [50 / 2 + 50, 70 / 2 + 70, 70 / 2 + 70],
    "work": [50 * 0.1 + 50 * 0.5, 70 * 0.6, 70 * 0.6],
}
# The simulator looks at positions before the day's sales: P is ordered on days 0, 5, 8, 11, 14, 17, 20; Q daily from
# day 3 on; F as above but 60 on day 14.
SIMULATED = {
    **EXPECTED,
    "orders": [2 + 5 + 1, 2 + 7 + 1, 3 + 7 + 1],
    "bought": [150 / 30 + 140 / 20 + 100 / 10, 60 / 30 + 70 / 20 + 100 / 10, 90 / 30 + 70 / 20 + 60 / 10],
    "receipts": [1 + 3 + 1, 3 + 7 + 1, 2 + 7 + 1],
    "moved": [0, 100 * 0.2, 60 * 0.2],
    "hall": [450 / 30 + 380 / 20 + 500 / 10, 570 / 30 + 490 / 20 + 500 / 10, 560 / 30 + 490 / 20 + 580 / 10],
}
SIZES = {
    "P": {"units_per_pallet": 30.0, "hours_per_unit": 0.1, "units_per_line": 2.0},
    "Q": {"units_per_pallet": 20.0, "hours_per_unit": 0.5, "units_per_line": 1.0},
    "F": {"units_per_pallet": 10.0, "hours_per_unit": 0.2, "units_per_line": 5.0},
}


def _tables(resources: dict[str, dict[str, Any]], sizes: dict[str, dict[str, Any]] = SIZES, **settings: Any) -> Tables:
    rows = [{"resource_id": name, "capacity": 1000.0, **row} for name, row in resources.items()]
    return instance(
        [item(name, node="week" if name == "F" else "site", **own) for name, own in sizes.items()],
        [offer(name, 2, pack_size=30 if name == "P" else 1) for name in sizes],
        [row for name in sizes for row in demand(name, 10.0, days=DAYS)],
        days=DAYS,
        settings={"terminal": "liquidate", **settings},
        lanes=LANES,
        resources=rows,
    )


@pytest.fixture(scope="module")
def made() -> Instance:
    return build_instance(_tables(RESOURCES), block_items=16, dtype=np.float32)


def _levels(made: Instance) -> BaseStock:
    """100 at `site`, and at `week` of the item that is sold there."""
    levels = [[100.0] * len(made.items), [100.0 if name == "F" else 0.0 for name in made.items]]
    return BaseStock(jnp.asarray(made.layout.cut(np.asarray([levels])), jnp.float32))


def _used(made: Instance) -> tuple[dict[str, list[float]], np.ndarray]:
    stock, outcome = lived(made, _levels(made))
    block = jax.tree.map(lambda leaf: leaf[0], made.catalog.block)
    used = np.asarray(usage(made.resources, outcome.flows, block).used, float)
    return dict(zip(made.ids.resources, used.T.tolist(), strict=True)), stock


def test_the_planner_counts_orders_receipts_and_shipments_and_parts_of_pallets_and_hours(made: Instance) -> None:
    used, stock = _used(made)
    for name, expected in EXPECTED.items():
        assert used[name] == pytest.approx(expected, rel=1e-5), name
    pallets = np.asarray([SIZES[name]["units_per_pallet"] for name in made.items])
    daily = (stock[:, made.ids.nodes.index("site")] / pallets).sum(1)
    assert used["hall"] == pytest.approx(daily.reshape(3, 7).sum(1).tolist(), rel=1e-5)


def test_the_simulator_counts_in_the_same_way(made: Instance) -> None:
    targets = pl.DataFrame(
        [*((name, "site", 100) for name in SIZES), ("F", "week", 100)],
        schema=["item_id", "node_id", "target_units"],
        orient="row",
    )
    sales = pl.DataFrame(
        [(name, "r_week" if name == "F" else "r_site", "s", day, 9.0, 10) for name in SIZES for day in range(DAYS)],
        schema=["item_id", "region_id", "speed_id", "day", "hour", "units"],
        orient="row",
    )
    options = Options(orders=sales, rounding="up", ordering="morning", inbound="measure", outbound="measure")
    found = simulate(made.tables, PlanTable(targets), options=options).capacity
    assert SIMULATED.keys() == RESOURCES.keys()
    for name, expected in SIMULATED.items():
        daily = found.filter(resource_id=name).sort("bucket")["usage"]
        assert [7 * used for used in daily] == pytest.approx(expected, rel=1e-6), name


def test_a_dock_that_takes_a_line_a_day_leaves_the_second_item_until_tomorrow() -> None:
    dock = {"dock": {"kind": "inbound", "node_id": "site", "measure": "lines", "capacity": 1.0}}
    tables = _tables(dock, {name: SIZES[name] for name in ("P", "Q")})
    targets = pl.DataFrame(
        {"item_id": ["P", "Q"], "node_id": ["site", "site"], "target_units": [90, 90]},
    )
    nothing = pl.DataFrame(
        schema={
            "item_id": pl.String,
            "region_id": pl.String,
            "speed_id": pl.String,
            "day": pl.Int64,
            "hour": pl.Float64,
        }
    )
    options = Options(orders=nothing, inbound="day", ordering="morning")
    outcome = simulate(tables, PlanTable(targets), options=options)
    site = outcome.stock.filter(node_id="site").sort("day")
    assert site["units"].to_list()[:4] == [0, 0, 90, 180]
    assert site["waiting_units"].to_list()[:4] == [0, 0, 90, 0]
    assert outcome.capacity.filter(bucket=0)["peak"].to_list() == [1.0]


def test_the_evening_before_counts_its_orders() -> None:
    # Evening orders: the first is made the evening before day 0, and P is ordered again on day 4, after its sales.
    made = build_instance(_tables(RESOURCES, ordering="evening"), block_items=16, dtype=np.float32)
    used, _ = _used(made)
    _, outcome = lived(made, _levels(made))
    orders = np.asarray(outcome.timing.lines, float)
    assert orders[0].sum() == 3.0
    assert sum(used["orders"]) == pytest.approx(orders.sum(), rel=1e-5)


def test_a_price_in_another_measure_charges_the_same(made: Instance) -> None:
    """Ten units on a pallet: a pallet at 30 is a unit at 3, for every item alike, in charges and in the ranking."""
    even = {name: {**own, "units_per_pallet": 10.0} for name, own in SIZES.items()}
    charged, ranked = [], []
    for measure, price in (("units", 3.0), ("pallets", 30.0)):
        row = {"out": {"kind": "outbound", "node_id": "site", "measure": measure}}
        one = build_instance(_tables(row, even), block_items=16, dtype=np.float32)
        block = jax.tree.map(lambda leaf: leaf[0], one.catalog.block)
        prices = jnp.full(one.resources.capacity.shape, price)
        _, outcome = lived(one, _levels(one))
        # The capacity itself is paid back: compare what is charged for use.
        free = usage(one.resources, outcome.flows, block).used * prices
        charged.append(np.asarray(free.sum()))
        at_group = outbound_price(one.resources, prices, block.group_volume, block.group_weight, block.group_sizes)
        ranked.append(np.asarray(at_group))
        assert np.isfinite(np.asarray(item_charge(one.resources, outcome.flows, block, prices))).all()
    np.testing.assert_allclose(charged[0], charged[1], rtol=1e-5)
    np.testing.assert_allclose(ranked[0], ranked[1], rtol=1e-5)
    assert ranked[0][:, made.ids.nodes.index("site")] == pytest.approx(3.0)


def test_without_such_capacities_nothing_is_counted() -> None:
    made = built(["A"], [], lanes=[])
    block = made.catalog.block
    assert block.sizes is None
    assert block.group_sizes is None
    assert not made.network.lines


@pytest.mark.parametrize(
    ("kind", "measure", "column", "remedy"),
    [
        ("storage", "pallets", "units_per_pallet", "how many units a full pallet holds"),
        ("inbound", "hours", "hours_per_unit", "the hours that one unit takes"),
    ],
)
def test_an_item_that_a_capacity_counts_needs_its_size(kind: str, measure: str, column: str, remedy: str) -> None:
    row = {"hall": {"kind": kind, "node_id": "site", "measure": measure}}
    bare = {**SIZES, "Q": {**SIZES["Q"], column: None}}
    with pytest.raises(InputError) as caught:
        _tables(row, bare)
    text = str(caught.value)
    assert all(part in text for part in ("items", "item_id=Q", column, f"hall counts {measure}", remedy)), text
    assert "item_id=P" not in text
    assert _tables({"hall": {"kind": kind, "node_id": "site", "measure": "units"}}, bare).items.height == 3


def test_hours_of_storage_are_refused() -> None:
    with pytest.raises(InputError, match="units, m3 or pallets for kind storage"):
        _tables({"hall": {"kind": "storage", "node_id": "site", "measure": "hours"}})


def test_measures_are_numbered_alike_in_tables_planner_and_simulator() -> None:
    """Each part that may not know the others has the list of its own; arrays hold the number of a measure."""
    assert MEASURES == resources.MEASURES == limits.MEASURES
    assert resources.MEASURES[-len(resources.SIZES) :] == resources.SIZES
