"""Units owed to customers at the start: ordered for, served first, and paid for while they wait."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from lived import DAYS, bought, built, lived, policy_of
from one_node import demand, instance, item, offer

from meio_jax.backtest import Options, PlanTable, simulate
from meio_jax.errors import InputError
from meio_jax.instance import Instance, build_instance
from meio_jax.tables.owed import apportioned, owed_units


def made(mean: float, backlog: list[dict[str, Any]], **terms: Any) -> Instance:
    """Item A at `site`, lead time two, whose unmet demand waits at a cost of 5 a day."""
    waits = {"unmet": "backorder", "backorder_cost": 5.0, "lost_sale_cost": 0.0, **terms}
    tables = instance(
        [item("A", **waits)], [offer("A", 2)], demand("A", mean, days=DAYS), days=DAYS,
        settings={"terminal": "liquidate"}, backlog=backlog,
    )  # fmt: skip
    return build_instance(tables, block_items=4, dtype=np.float32)


OWED = [{"item_id": "A", "units": 10.0}]


def test_what_is_owed_is_ordered_for() -> None:
    """Base-stock level 20 and ten units owed: 30 are ordered, as from a stock of -10; with ten a day sold 40."""
    assert bought(made(0.0, OWED), policy_of(made(0.0, OWED), 20.0)) == {"A": 30}
    assert bought(made(0.0, []), policy_of(made(0.0, []), 20.0)) == {"A": 20}
    assert bought(made(10.0, OWED), policy_of(made(10.0, OWED), 20.0)) == {"A": 40}


def test_it_is_served_first_and_costs_until_then() -> None:
    """Thirty arrive on day 2: ten go to those who waited for two days, and 20 stay; the simulator says the same."""
    instance = made(0.0, OWED)
    stock, outcome = lived(instance, policy_of(instance, 20.0))
    assert stock[:4, 0, 0].tolist() == [0, 0, 20, 20]
    assert float(outcome.costs.backorder[0]) == pytest.approx(2 * 10 * 5.0)
    plan = PlanTable(pl.DataFrame({"item_id": ["A"], "node_id": ["site"], "target": [20]}))
    simulated = simulate(instance.tables, plan, options=Options(ordering="morning"))
    assert simulated.items["backorder"].sum() == pytest.approx(2 * 10 * 5.0)
    assert simulated.stock.filter(pl.col("node_id") == "site").sort("day")["units"].to_list()[:4] == [0, 0, 20, 20]
    assert (simulated.items["purchased"].sum(), simulated.items["demand"].sum()) == (30, 0)


def test_the_evening_before_orders_for_it_as_well() -> None:
    tables = made(0.0, OWED).tables
    evening = tables.replace(settings=tables.settings.model_copy(update={"ordering": "evening"}))
    instance = build_instance(evening, block_items=4, dtype=np.float32)
    assert bought(instance, policy_of(instance, 20.0)) == {"A": 30}


def test_rows_are_split_as_demand_is() -> None:
    assert apportioned(7.0, np.asarray([0.5, 0.3, 0.2])).tolist() == [4, 2, 1]
    assert apportioned(0.5, np.asarray([1.0, 3.0])).tolist() == [0.125, 0.375]
    items = pl.DataFrame({"item_id": ["A"], "profile": ["p"]})
    shares = pl.DataFrame(
        {
            "profile": ["p"] * 3,
            "region_id": ["e", "e", "w"],
            "speed_id": ["s", "t", "s"],
            "share": [0.25, 0.25, 0.5],
        }
    )
    rows = [("A", None, None, 8.0), ("A", "w", None, 3.0), ("A", "n", None, 4.0), ("A", "e", "t", 1.0)]
    backlog = pl.DataFrame(rows, schema=["item_id", "region_id", "speed_id", "units"], orient="row")
    found = {row[1:3]: row[3] for row in owed_units(backlog, items, shares).iter_rows()}
    assert found == {("e", "s"): 2, ("e", "t"): 3, ("w", "s"): 7, ("n", "s"): 3, ("n", "t"): 1}


def test_demand_that_is_lost_cannot_be_owed() -> None:
    with pytest.raises(InputError, match="whose unmet demand waits"):
        made(0.0, OWED, unmet="lost")
    with pytest.raises(InputError, match="table `backlog`"):
        built(["A"], [], on_hand=[{"item_id": "A", "node_id": "site", "units": -10.0}])


def test_without_a_backlog_nothing_is_added() -> None:
    assert made(0.0, []).catalog.block.owed is None
