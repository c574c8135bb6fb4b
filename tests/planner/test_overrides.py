"""Decisions of planners: right orders and right stock by hand, in one small network."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest
from lived import DAYS, LANES, bought, built, lived, policy_of
from one_node import START, demand, instance, item, offer

from meio_jax.errors import InputError
from meio_jax.instance import Instance
from meio_jax.tables import Tables


def row(name: str, kind: str, item: str, node: str = "site", **cells: Any) -> dict[str, Any]:
    """An override named `name`."""
    return {"override_id": name, "kind": kind, "item_id": item, "node_id": node, **cells}


def day(number: int) -> datetime.date:
    return START + datetime.timedelta(days=number)


def orders(made: Instance, level: float, *, whole: bool = True) -> dict[str, np.ndarray]:
    """Units bought on every day, by item, in one scenario of fixed demand."""
    _, found = lived(made, policy_of(made, level), whole=whole)
    assert found.timing is not None
    units = np.asarray(found.timing.daily)[:DAYS, : made.network.offers].sum(1)
    return {name: units[:, at] for at, name in enumerate(made.items)}


@pytest.fixture(scope="module")
def fixed() -> Instance:
    rows = [
        row("now", "order", "NOW", vendor_id="v", units=50, period=0),
        row("none", "order", "NONE", vendor_id="v", units=0, period=0),
        row("later", "order", "LATER", vendor_id="v", units=70, period=3),
        row("later too", "order", "LATER", vendor_id="v", units=5, period=4),
    ]
    return built(["NOW", "NONE", "LATER", "FREE"], [], overrides=rows)


@pytest.mark.parametrize("whole", [True, False])
def test_an_order_that_is_fixed_is_placed_on_its_day_and_counts(fixed: Instance, *, whole: bool) -> None:
    """Ten a day, lead time two, level 100; the position counts today's sales of the stock that is there (none today).

    FREE orders 100, nothing more before it is there, then ten a day. NOW orders 50 today and what is missing tomorrow.
    NONE orders nothing today. LATER orders 70 instead of the ten of day 3, and has enough until the surplus is sold.
    """
    found = orders(fixed, 100.0, whole=whole)
    assert found["FREE"][:5].tolist() == pytest.approx([100, 0, 10, 10, 10])
    assert found["NOW"][:5].tolist() == pytest.approx([50, 50, 10, 10, 10])
    assert found["NONE"][:5].tolist() == pytest.approx([0, 100, 0, 10, 10])
    # 60 more than is missing, and 5 of day 4 as they were fixed: the level is met again when 65 - 10 a day are sold.
    assert found["LATER"][:13].tolist() == pytest.approx([100, 0, 10, 70, 5, 0, 0, 0, 0, 0, 5, 10, 10])


def test_today_issues_what_is_fixed(fixed: Instance) -> None:
    assert bought(fixed, policy_of(fixed, 100.0)) == {"NOW": 50, "NONE": 0, "LATER": 100, "FREE": 100}


def test_an_order_of_the_evening_before_and_a_transfer(evening: Instance) -> None:
    """The first decision is that of period -1. The lane asks for seven units on a day without review."""
    made = evening
    policy = policy_of(made, 100.0)
    assert bought(made, policy) == {"A": 30, "B": 0}
    _, found = lived(made, policy)
    assert found.timing is not None
    daily = np.asarray(found.timing.daily)
    buys = daily[: DAYS + 1, : made.network.offers].sum(1)
    # The lane takes its part of B in the evenings of its reviews, and 7 on day 1.
    assert buys[:2, made.items.index("A")].tolist() == pytest.approx([30, 70])
    lane = daily[:, made.network.offers, made.items.index("B")]
    assert lane[2] == pytest.approx(7)


@pytest.fixture(scope="module")
def evening() -> Instance:
    rows = [
        row("before", "order", "A", vendor_id="v", units=30, period=-1),
        row("move", "order", "B", node="week", from_node="site", units=7, order_date=day(1)),
    ]
    here = [{"item_id": "B", "node_id": node, "units": 100.0} for node in ("site", "week")]
    return built(["A", "B"], [], lanes=LANES, on_hand=here, overrides=rows, settings={"ordering": "evening"})


@pytest.fixture(scope="module")
def excluded() -> Instance:
    """Two vendors by halves, and what is excluded of them."""
    rows = [
        row("w alone", "exclude", "W_ALONE", vendor_id="v"),
        row("w first", "exclude", "W_FIRST", vendor_id="v", expires=day(2)),
        row("rest", "exclude", "REST", expires=day(2)),
        row("by hand", "order", "BY_HAND", vendor_id="v", units=80, period=0),
        row("lane", "exclude", "LANE", node="week", from_node="site"),
        row("gone", "exclude", "GONE", expires=day(-1)),
    ]
    names = ["W_ALONE", "W_FIRST", "REST", "BY_HAND", "LANE", "GONE"]
    offers = [offer(name, 2, vendor=vendor, share=1.0) for name in names for vendor in "vw"]
    stock = [{"item_id": "LANE", "node_id": "week", "units": 5.0}]
    return built(names, [], lanes=LANES, offers=offers, on_hand=stock, overrides=rows)


def test_what_is_excluded_is_not_ordered_and_others_take_its_part(excluded: Instance) -> None:
    """Level 100, ten a day. The lane to `week` fills that node once, from what `site` has of each item."""
    _, found = lived(excluded, policy_of(excluded, 100.0, LANE=100.0))
    assert found.timing is not None
    daily, network = np.asarray(found.timing.daily), excluded.network
    vendor = np.asarray(excluded.catalog.block.offer_vendor)[0]
    names = excluded.ids.vendors

    def buys(item: str, which: str) -> np.ndarray:
        at = excluded.items.index(item)
        slots = [k for k in range(network.offers) if names[int(vendor[k, at])] == which]
        return daily[:, slots, at].sum(1)

    assert buys("W_ALONE", "v").sum() == 0
    assert buys("W_ALONE", "w")[0] == 100
    assert (buys("W_FIRST", "v")[:3].sum(), buys("W_FIRST", "w")[0]) == (0, 100)
    assert buys("W_FIRST", "v")[3:].sum() == pytest.approx(buys("W_FIRST", "w")[3:].sum(), rel=0.1)
    assert (buys("REST", "v") + buys("REST", "w"))[:4].tolist() == [0, 0, 0, 100]
    # 80 are fixed at v, and w is asked for what is missing of 100.
    assert (buys("BY_HAND", "v")[0], buys("BY_HAND", "w")[0]) == (80, 20)
    assert buys("GONE", "v")[0] + buys("GONE", "w")[0] == 100
    lane = daily[:, network.offers :, :].sum((0, 1))
    assert lane[excluded.items.index("LANE")] == 0
    assert lane[excluded.items.index("GONE")] > 0


@pytest.mark.parametrize("whole", [True, False])
def test_bounds_replace_those_of_the_assortment_until_they_expire(*, whole: bool) -> None:
    """Level 200: at most 25 until day 4, then 50 as the assortment says; ten a day, lead time two."""
    made = built(
        ["MOST", "LEAST"],
        [{"item_id": "MOST", "node_id": "site", "max_units": 50.0}],
        overrides=[
            row("most", "stock", "MOST", max_units=25.0, expires=day(4)),
            row("least", "stock", "LEAST", min_units=20.0),
        ],
    )
    policy = policy_of(made, 200.0, LEAST=0.0)
    assert bought(made, policy) == {"MOST": 25, "LEAST": 40}
    found = orders(made, 200.0, whole=whole)["MOST"]
    # 25 for days 0 to 2; sold on day 2, so that ten fit on day 3, and ten more on day 4; then up to 50.
    owned = np.cumsum(found)
    assert owned[:5].max() <= 25 + 10 * 2 + 1e-3
    assert found[5] >= 25 - 1e-3


def test_without_overrides_nothing_is_added() -> None:
    """No leaves, and so the same program as before; what lasts throughout needs none either."""
    for rows in ([], [row("x", "exclude", "A", node="week")], [row("x", "exclude", "A", expires=day(-1))]):
        made = built(["A"], [], overrides=rows)
        assert made.catalog.block.overrides is None
        assert made.catalog.block.bounds is None


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([row("x", "order", "A", vendor_id="v", units=5)], "column period: found nothing"),
        ([row("x", "order", "A", vendor_id="v", period=0)], "column units: found nothing"),
        ([row("x", "order", "A", units=5, period=0)], "a vendor, or from_node"),
        ([row("x", "order", "A", vendor_id="nobody", units=12, period=0)], "with an offer of A at site (there: v)"),
        ([row("x", "order", "A", from_node="week", units=5, period=0)], "a lane to site"),
        ([row("x", "order", "A", vendor_id="v", units=13, period=0)], "write 12 or 24"),
        (
            [row("x", "order", "A", vendor_id="v", units=12, period=3, expires=day(2))],
            "no day before that of the order",
        ),
        ([row("x", "order", "OUT", vendor_id="v", units=12, period=3)], "before the item's phase_out"),
        ([row("x", "order", "A", vendor_id="v", units=12, period=6)], "a day on which site orders"),
        ([row("x", "order", "A", vendor_id="v", units=12, period=0, max_units=5.0)], "an empty cell in a row of kind"),
        ([row("x", "stock", "A")], "a least or a most stock"),
        ([row("x", "stock", "A", min_units=5.0, max_units=4.0)], "at least min_units (5"),
        ([row("x", "stock", "A", max_units=4.0, vendor_id="v")], "an empty cell in a row of kind stock"),
        ([row("x", "stock", "A", min_units=400.0)], "at most max_units of table assortment (300"),
        ([row("x", "exclude", "A", vendor_id="v", from_node="week")], "not both"),
        ([row("x", "exclude", "A")], "or the override that excludes it"),
        ([row("x", "exclude", "A", vendor_id="v")], "or the override that excludes it"),
        ([row("x", "exclude", "A", node="nowhere")], "nowhere"),
        (
            [row(name, "order", "A", vendor_id="v", units=12, period=0) for name in "xy"],
            "row 2 (override_id=y), column override_id: found 'y'; expected one row of kind order",
        ),
        ([row(name, "stock", "A", max_units=9.0) for name in "xy"], "for the same item and node; x is another"),
        (
            [
                row("x", "exclude", "A", vendor_id="v", expires=day(2)),
                row("y", "order", "A", vendor_id="v", units=12, period=2),
            ],
            "x excludes it",
        ),
        (
            [row("x", "stock", "A", max_units=10.0), row("y", "order", "A", vendor_id="v", units=12, period=2)],
            "at most max_units of x (10",
        ),
        ([row("x", "exclude", "A", expires=day(9)), row("y", "stock", "A", min_units=1.0)], "x excludes it"),
    ],
)
def test_what_cannot_be_is_told_with_its_row(cells: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(InputError) as told:
        tables_with(cells)
    assert said in str(told.value)


def tables_with(rows: list[dict[str, Any]]) -> Tables:
    """Two items in packs of 12, one of them phased out on day 2; nobody orders on Sundays."""
    names = ["A", "OUT"]
    return instance(
        [item("A"), item("OUT", phase_out=day(2))],
        [offer(name, 2, pack_size=12) for name in names],
        [line for name in names for line in demand(name, 10.0, days=DAYS)],
        days=DAYS,
        assortment=[{"item_id": "A", "node_id": "site", "max_units": 300.0}],
        calendar=[{"activity": "orders", "weekdays": "sun"}],
        overrides=rows,
    )


def test_rows_that_do_not_apply_are_told() -> None:
    found = tables_with(
        [
            row("old", "stock", "A", max_units=1.0, expires=day(-1)),
            row("past", "order", "A", vendor_id="v", units=12, order_date=day(-3)),
            row("far", "order", "A", vendor_id="v", units=12, period=DAYS),
        ]
    )
    kinds = {one.kind: one.count for one in found.warnings if one.kind.startswith("overrides")}
    assert kinds == {"overrides expired": 1, "overrides before the start": 1, "overrides after the horizon": 1}
