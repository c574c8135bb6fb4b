"""Frozen periods: orders that stand as they were planned, by hand, in one small network."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest
from lived import DAYS, bought, built, lived, policy_of
from one_node import START, demand, instance, item, offer

from meio_jax.backtest.window import window
from meio_jax.errors import InputError
from meio_jax.instance import Instance


def planned(name: str, number: int, units: float, vendor: str = "v") -> dict[str, Any]:
    """A row as a run writes it, with columns that are not read."""
    placed = START + datetime.timedelta(days=number)
    more = {"unit_cost": 1.0, "due_date": placed + datetime.timedelta(days=2), "item_name": ""}
    return {"item_id": name, "vendor_id": vendor, "node_id": "site", "units": units, "order_date": placed, **more}


@pytest.fixture(scope="module")
def frozen() -> Instance:
    """Three frozen days, for FREE none; ten sold a day, lead time two."""
    rows = [
        planned("STANDS", 1, 40.3),
        planned("STANDS", 3, 99.0),
        planned("STANDS", -2, 99.0),
        planned("PACK", 0, 31.0),
        planned("PACK", 1, 5.0),
        planned("PACK", 2, 6.0),
        planned("FIXED", 1, 40.0),
        planned("SHUT", 1, 40.0),
        planned("FREE", 1, 40.0),
    ]
    overrides = [
        {"override_id": "x", "kind": "order", "item_id": "FIXED", "vendor_id": "v", "units": 7, "period": 1},
        {"override_id": "y", "kind": "exclude", "item_id": "SHUT", "vendor_id": "v", "expires": START},
        {"override_id": "z", "kind": "exclude", "item_id": "SHUT", "expires": START + datetime.timedelta(days=1)},
    ]
    names = ["STANDS", "PACK", "FIXED", "SHUT", "FREE"]
    more = {"PACK": {"pack_size": 12}, "FREE": {"frozen_periods": 0}}
    return built(
        names,
        [],
        offers=[offer(name, 2, **more.get(name, {})) for name in names],
        overrides=[{**row, "node_id": "site"} for row in overrides],
        planned_orders=rows,
        settings={"frozen_periods": 3},
    )


def test_frozen_orders_stand_and_nothing_new_is_ordered(frozen: Instance) -> None:
    """40.3 are 40 units; packs of 12: 31 are three (36), 5 none, 6 one. The level of 100 is met from day 3 on.

    On day 3 STANDS has 40 on hand, of which ten will be sold today; 70 are missing.
    """
    _, found = lived(frozen, policy_of(frozen, 100.0))
    assert found.timing is not None
    daily = np.asarray(found.timing.daily)[:DAYS, : frozen.network.offers].sum(1)
    buys = {name: daily[:4, at].tolist() for at, name in enumerate(frozen.items)}
    assert buys["STANDS"] == pytest.approx([0, 40, 0, 70])
    assert buys["PACK"][:3] == pytest.approx([36, 0, 12])
    assert buys["FIXED"][:3] == pytest.approx([0, 7, 0])
    assert buys["SHUT"] == pytest.approx([0, 0, 0, 100])
    assert buys["FREE"][:2] == pytest.approx([100, 0])
    assert bought(frozen, policy_of(frozen, 100.0)) == {"STANDS": 0, "PACK": 36, "FIXED": 0, "SHUT": 0, "FREE": 100}


def test_frozen_offers_without_orders_and_orders_without_offers_are_told() -> None:
    tables = instance(
        [item("A"), item("B")],
        [offer(name, 2) for name in "AB"],
        [row for name in "AB" for row in demand(name, 10.0, days=DAYS)],
        days=DAYS,
        settings={"frozen_periods": 3},
        planned_orders=[planned("A", 1, 40.0), planned("A", 1, 40.0, vendor="gone")],
    )
    kinds = {one.kind: one.count for one in tables.warnings}
    assert kinds["planned orders without offers"] == 1
    assert kinds["frozen without orders"] == 1


def test_planned_orders_that_change_nothing_are_told() -> None:
    parts = [item("A")], [offer("A", 2)], demand("A", 10.0, days=DAYS)
    tables = instance(*parts, days=DAYS, planned_orders=[planned("A", 1, 40.0), planned("A", 2, 40.0)])
    assert {one.kind: one.count for one in tables.warnings}["nothing is frozen"] == 2


def test_frozen_days_of_a_backtest_pass() -> None:
    tables = instance(
        [item("A")],
        [offer("A", 2, frozen_periods=2)],
        demand("A", 10.0, days=DAYS),
        days=DAYS,
        settings={"frozen_periods": 3},
        planned_orders=[planned("A", 1, 40.0)],
    )
    later = window(tables, 1, 7)
    assert (later.settings.frozen_periods, later.offers["frozen_periods"].to_list()) == (2, [1])
    assert later.planned_orders["period"].to_list() == [0]
    assert window(tables, 5, 7).settings.frozen_periods == 0


@pytest.mark.parametrize(
    ("units", "pack", "told"), [(1e39, 1, "planned_orders, row 1"), (4.0, 0, "offers, row 1")], ids=["units", "pack"]
)
def test_orders_that_no_vendor_takes_are_one_message(units: float, pack: int, told: str) -> None:
    """What stands is worked out for a warning, of tables that are refused anyway."""
    with pytest.raises(InputError, match=told):
        instance(
            [item("A")],
            [offer("A", 2, pack_size=pack)],
            demand("A", 1.0),
            planned_orders=[planned("A", 1, units)],
            settings={"frozen_periods": 3},
        )


def test_a_word_that_is_no_weekday_is_told_beside_a_fixed_order() -> None:
    """The check of a fixed order asks the calendar for the days on which its vendor works."""
    order = {"override_id": "x", "kind": "order", "item_id": "A"}
    with pytest.raises(InputError, match=r"calendar, row 1.*weekdays: found '-1'"):
        instance(
            [item("A")],
            [offer("A", 2)],
            demand("A", 1.0),
            calendar=[{"node_id": "site", "activity": "orders", "weekdays": "-1"}],
            overrides=[{**order, "node_id": "site", "vendor_id": "v", "units": 7, "period": 1}],
        )
