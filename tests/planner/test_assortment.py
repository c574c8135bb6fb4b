"""Where items may be kept, and bounds on their stock: right orders and right stock by hand, in one small network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lived import LANES, bought, built, lived, policy_of
from one_node import offer

from meio_jax.errors import InputError
from meio_jax.policy.base import View
from meio_jax.simulation.bounded import within_bounds


@dataclass(frozen=True)
class Single:
    """Items at one node: today's orders, and the stock of every evening in whole units and in fractions."""

    bought: dict[str, int]
    whole: dict[str, np.ndarray]
    fractions: dict[str, np.ndarray]


@pytest.fixture(scope="module")
def single() -> Single:
    bounds: dict[str, dict[str, float]] = {
        "LEAST": {"min_units": 20.0},
        "DAYS": {"min_days": 2.0},
        "ABOVE": {"min_units": 20.0},
        "NONE": {},
        "MOST": {"max_units": 25.0},
        "MOST_DAYS": {"max_days": 2.5},
        "BOTH": {"min_units": 25.0, "max_units": 25.0},
        "PACK": {"max_units": 25.0},
        "BIG_PACK": {"max_units": 25.0},
        "LEAST_ORDER": {"max_units": 25.0},
        "FREE": {},
    }
    lots = {"PACK": {"pack_size": 12}, "BIG_PACK": {"pack_size": 40}, "LEAST_ORDER": {"min_order": 30}}
    rows = [{"item_id": name, "node_id": "site", **terms} for name, terms in bounds.items() if terms]
    made = built(
        list(bounds),
        rows,
        offers=[offer(name, 2, **lots.get(name, {})) for name in bounds],
        on_hand=[{"item_id": "MOST", "node_id": "site", "units": 10.0}],
    )
    policy = policy_of(made, 200.0, LEAST=0.0, DAYS=0.0, NONE=0.0, ABOVE=45.0)

    def stock(*, whole: bool) -> dict[str, np.ndarray]:
        table, _ = lived(made, policy, whole=whole)
        return {name: table[:, 0, at] for at, name in enumerate(made.items)}

    return Single(bought(made, policy), stock(whole=True), stock(whole=False))


@pytest.mark.parametrize("name", ["LEAST", "DAYS"])
def test_least_stock_is_there_when_the_next_order_arrives(single: Single, name: str) -> None:
    """Ten a day, lead time two, level 0: with a least stock of 20, or two days, 20 are left on every evening.

    Today's order is 20 and the demand of the two days until the order of tomorrow arrives; what an empty shelf cannot
    sell before it is there is left over on the first evening.
    """
    for stock in (single.whole[name], single.fractions[name]):
        assert stock[:3].tolist() == pytest.approx([0, 0, 30])
        assert stock[3:] == pytest.approx(20)
    assert single.bought[name] == 40


def test_levels_that_are_higher_and_items_without_bounds_stay(single: Single) -> None:
    assert (single.bought["ABOVE"], single.bought["NONE"], single.bought["FREE"]) == (45, 0, 200)
    assert single.whole["NONE"] == pytest.approx(0)


@pytest.mark.parametrize(
    ("name", "today"),
    [("MOST", 15), ("MOST_DAYS", 25), ("BOTH", 25), ("PACK", 24), ("BIG_PACK", 0), ("LEAST_ORDER", 0)],
)
def test_most_stock_is_never_exceeded(single: Single, name: str, today: int) -> None:
    """A level of 200 and room for 25 (or 2.5 days) in all: two packs of 12 fit, a pack of 40 or a lot of 30 does not.

    15 is what is missing of 25 where ten are there. In the morning before sales there is at most 25.
    """
    assert single.bought[name] == today
    for stock in (single.whole[name], single.fractions[name]):
        assert stock.max() + 10 * (stock.max() > 0) <= 25 + 1e-3
        assert (stock.max() > 0) == (today > 0)


def test_a_node_that_may_not_stock_an_item_orders_none_and_sells_off() -> None:
    """`week` is fed by `site`: item X may not be kept there, so nothing is sent; what lies there is sold first."""
    rows = [{"item_id": "X", "node_id": "week", "stocked": False}]
    here = [{"item_id": name, "node_id": "week", "units": 30.0} for name in "XY"]
    made = built(["X", "Y"], rows, profile="week", lanes=LANES, on_hand=here)
    stock, found = lived(made, policy_of(made, 50.0))
    x, y = (made.items.index(name) for name in "XY")
    lane = np.asarray(found.flows.lane)
    assert lane[..., x].sum() == 0
    assert lane[..., y].sum() > 0
    assert stock[:3, 1, x].tolist() == [20, 10, 0]
    assert float(found.units.shipped[x]) == 30


def test_least_stock_upstream_counts_what_is_passed_on() -> None:
    """All demand is at `week`; two days of it at `site` are 20 units there, though nobody asks `site` itself."""
    rows = [{"item_id": "A", "node_id": "site", "min_days": 2.0}]
    made = built(["A"], rows, profile="week", lanes=LANES)
    bounds = made.catalog.block.bounds
    assert bounds is not None
    # 20, and what is passed on in the two days until tomorrow's order is there.
    assert float(bounds.least[0, 0, 0, 0]) == pytest.approx(40)
    assert np.isinf(np.asarray(bounds.most)).all()


def test_without_bounds_nothing_is_added() -> None:
    """Without bounds, and with eligibility alone, there are no leaves for them: the same program as before."""
    assert built(["A"], []).catalog.block.bounds is None
    rows = [{"item_id": "A", "node_id": "week", "stocked": False}]
    assert built(["A"], rows).catalog.block.bounds is None


def test_orders_have_a_slope_where_there_is_no_bound() -> None:
    """Five units wanted: without a bound a unit more is ordered, above the most stock of three none."""
    one = lambda value: jnp.full((1, 2), value)
    view = View(
        position=one(0.0),
        echelon_position=one(0.0),
        net_stock=one(0.0),
        arriving_soon=one(0.0),
        has_expedited=one(False),
        source_share=one(1.0),
        source_expedited=jnp.zeros(1, bool),
        source_row=(0,),
        source_index=(0,),
        rows=(0,),
    )
    most = jnp.asarray([[jnp.inf, 3.0]])

    def ordered(wanted: jax.Array) -> jax.Array:
        return within_bounds(view, wanted, one(0.0), one(0.0), most, one(True))

    assert ordered(one(5.0)).tolist() == [[5.0, 3.0]]
    slope = jax.grad(lambda wanted: ordered(wanted).sum())(one(5.0))
    assert slope.tolist() == [[1.0, pytest.approx(0.0, abs=1e-6)]]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"min_units": 30.0, "max_units": 20.0}, "at least min_units (30"),
        ({"min_days": 3.0, "max_days": 2.0}, "at least min_days (3"),
        ({"stocked": False, "min_units": 3.0}, "true where there is a bound"),
        ({"stocked": False}, "an offer at a node that may stock it"),
        ({"node_id": "nowhere"}, "nowhere"),
    ],
)
def test_what_does_not_agree_is_told(row: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as told:
        built(["A"], [{"item_id": "A", "node_id": "site", **row}])
    assert said in str(told.value)


def test_customers_out_of_reach_by_eligibility_are_told() -> None:
    rows = [{"item_id": "A", "node_id": "week", "stocked": False}]
    with pytest.raises(InputError, match="brought to some customer"):
        built(["A"], rows, profile="week", lanes=LANES)
