"""Transshipment: what is shipped and bought today by hand, and what pooling saves in closed form."""

from __future__ import annotations

from math import exp, factorial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from shops import LANES, item, lane, offer, shops

from meio_jax.config import make_config
from meio_jax.instance import Instance, build_instance
from meio_jax.planner.model import settings_of
from meio_jax.plans.decisions import decide, spare_of
from meio_jax.plans.spare_tables import spare_frame, spare_of_table
from meio_jax.policy.base_stock import BaseStock
from meio_jax.scenarios.sampling import Scenarios
from meio_jax.simulation.rollout import rollout
from meio_jax.solver.subproblem import block_lists

# Levels by item; nodes that are not named have none.
LEVELS = {
    "excess": {"a": 100, "b": 100},
    "shared": {"a": 100, "b": 100, "c": 50},
    "scarce": {"a": 100, "b": 100},
    "heavy": {"a": 100, "b": 100},
    "soon": {"a": 100, "b": 100},
    "over": {"d": 100, "b": 60},
    "bound": {"a": 100, "b": 100},
}
STOCK = {
    ("excess", "a"): 200, ("shared", "a"): 300, ("scarce", "a"): 20, ("heavy", "a"): 200, ("soon", "a"): 60,
    ("over", "a"): 60, ("over", "b"): 30, ("bound", "a"): 200,
}  # fmt: skip


def built(**more: object) -> Instance:
    names = list(LEVELS)
    items = [item(name, "b" if name == "over" else "both", weight_kg=1000.0 * (name == "heavy")) for name in names]
    offers = [offer(name, node) for name in names if name != "over" for node in ("a", "b")]
    offers += [offer("shared", "c"), offer("over", "d")]
    coming = [("soon", "a", 50), ("soon", "b", 110)]
    on_order = [{"item_id": i, "node_id": n, "units": u, "period_due": 5} for i, n, u in coming]
    most = [{"item_id": "bound", "node_id": "b", "stocked": True, "max_units": 25}]
    tables = shops(items, offers, stock=STOCK, on_order=on_order, assortment=most, **more)
    return build_instance(tables, block_items=16, dtype=np.float32)


def policy_of(made: Instance) -> BaseStock:
    levels = [[[LEVELS[name].get(node, 0) for name in made.items] for node in made.ids.nodes]]
    return BaseStock(jnp.asarray(made.layout.cut(np.asarray(levels, float)), jnp.float32))


@pytest.fixture(scope="module")
def today() -> dict[str, tuple[dict, dict]]:
    """Units moved by lane and bought by node, of every item."""
    made = built()
    found = decide(made, policy_of(made), spare_of(made, None))
    nodes, slots = made.ids.nodes, made.network.offer_node
    return {
        name: (
            {pair: int(found.moved[k, i]) for k, pair in enumerate(made.ids.lanes) if found.moved[k, i]},
            {nodes[n]: int(found.bought[k, i]) for k, n in enumerate(slots) if found.bought[k, i]},
        )
        for i, name in enumerate(made.items)
    }


def test_excess_goes_where_it_is_needed_and_less_is_bought(today: dict) -> None:
    """`a` has 190 after today's sales, 90 above its level. What it will sell in 5 days, 50, costs as much to keep as to
    ship: 40 go to `b`, which needs 100 and buys the other 60."""
    assert today["excess"] == ({("a", "b"): 40}, {"b": 60})


def test_what_is_scarce_is_shared_in_proportion(today: dict) -> None:
    """190 above the level, 50 kept: 140 for `b`, which sells 10 a day and has nothing, and for `c`.

    The first 15 keep `b` from running out; 85 and 50 are still needed, and the other 125 are shared in proportion.
    """
    moved, bought = today["shared"]
    assert moved == {("a", "b"): 15 + 79, ("a", "c"): 46}
    assert bought == {"b": 6, "c": 4}


def test_nobody_ships_what_its_own_customers_need(today: dict) -> None:
    """`a` has two days of sales, and nothing comes before a week is over."""
    assert today["scarce"] == ({}, {"a": 90, "b": 100})


def test_a_dear_lane_is_not_used(today: dict) -> None:
    """Half a money and 50 for the weight, where a unit costs 10 and a lost sale 50."""
    assert today["heavy"] == ({}, {"b": 100})


def test_a_shop_that_runs_out_is_helped_though_its_position_is_at_its_level(today: dict) -> None:
    """110 come in 5 days. Until 50 come to `a`, it sells 50 of its 60 units; it buys again what it gives away."""
    assert today["soon"] == ({("a", "b"): 10}, {"a": 10})


def test_what_a_shop_does_not_sell_any_more_goes_on_or_back(today: dict) -> None:
    """No customer asks `a` any more: `b` gets what it is short of, the rest goes back to the DC, which buys less."""
    assert today["over"] == ({("a", "b"): 50, ("a", "d"): 10}, {"d": 90})


def test_most_stock_holds_for_transshipment(today: dict) -> None:
    assert today["bound"][0] == {("a", "b"): 25}
    assert today["bound"][1] == {}


def test_the_rule_is_read_back_from_its_table() -> None:
    made = built()
    numbers = spare_of(made, None)
    again = spare_of_table(made, spare_frame(made, numbers), 0)
    ours, theirs = (decide(made, policy_of(made), one) for one in (numbers, again))
    np.testing.assert_array_equal(ours.moved, theirs.moved)
    np.testing.assert_array_equal(ours.bought, theirs.bought)


def test_prices_of_a_lane_act_on_the_rule() -> None:
    """A price of 2 a unit on the lane a -> b is 20 more days of holding: all that `a` has too much of stays."""
    cap = [{"resource_id": "r", "kind": "lane", "node_id": "a", "to_node": "b", "measure": "units", "capacity": 5.0}]
    made = built(resources=cap)
    free, dear = (np.full(made.resources.capacity.shape, price) for price in (0.0, 2.0))
    lane_at, item_at = made.ids.lanes.index(("a", "b")), made.items.index("excess")
    moved = [decide(made, policy_of(made), spare_of(made, price)).moved[lane_at, item_at] for price in (free, dear)]
    # What keeps `b` from running out is worth more than 2.
    assert moved == [40, 13]


def test_lists_without_the_rule_are_refused() -> None:
    made = built()
    with pytest.raises(ValueError, match="has its rule in the lists"):
        decide(made, policy_of(made), None)


# -- pooling: one order before the season, demand on day 1, what is left over is worth nothing

LAST, MOST, MEAN = 11, 24, 8.0
COST, WAIT, MOVE = 10.0, 3.0, 1.0


def chance() -> np.ndarray:
    """Poisson."""
    return np.asarray([exp(-MEAN) * MEAN**k / factorial(k) for k in range(MOST + 1)])


def season(lanes: list[dict]) -> Instance:
    """Customers wait; nothing is bought after day 0."""
    idle = {"unmet": "backorder", "backorder_cost": WAIT, "holding_cost": 1e-6, "phase_out": "2026-03-03"}
    items = pl.DataFrame([item("i", **idle)]).with_columns(pl.col("phase_out").str.to_date()).to_dicts()
    offers = [offer("i", node, lead_time_mean=1.0) for node in ("a", "b")]
    daily = [0.0, 2 * MEAN, *[0.0] * (LAST - 1)]
    tables = shops(
        items, offers, stock={("i", "c"): 1}, mean=daily, lanes=lanes, days=LAST + 1, settings={"bucket_periods": 1}
    )
    return build_instance(tables, block_items=1, dtype=np.float32)


@pytest.fixture(scope="module")
def costs() -> tuple[np.ndarray, np.ndarray]:
    """Expected cost of each level from 6 to 12, without and with lanes between the shops, by simulation."""
    every = []
    for lanes in ([LANES[0]], [LANES[0], *(lane(x, y, cost_per_unit=MOVE) for x, y in ("ab", "ba"))]):
        made = season(lanes)
        network, block = made.network, jax.tree.map(lambda leaf: leaf[0], made.catalog.block)
        lists = block_lists(
            network, made.resources, settings_of(make_config(), made), block, jnp.zeros_like(made.resources.capacity)
        )
        one, other = (side.ravel() for side in np.meshgrid(np.arange(MOST + 1), np.arange(MOST + 1)))
        wanted = np.zeros((network.horizon, 1, 1, 2, one.size), np.float32)
        wanted[1, 0, 0] = one, other
        lead = jnp.ones((network.horizon, network.offers, one.size), jnp.int32)
        moved = jnp.ones((network.horizon, network.lanes, one.size), jnp.int32)
        scenarios = Scenarios(jnp.asarray(wanted), lead, moved)
        run = eqx.filter_jit(rollout)
        weight = chance()[one] * chance()[other]
        nodes = [node in ("a", "b") for node in made.ids.nodes]
        found = []
        for level in range(6, 13):
            target = np.zeros((network.buckets, network.nodes, 1), np.float32)
            target[0, nodes] = level
            out = run(network, BaseStock(jnp.asarray(target)), block, scenarios, lists)
            found.append(float(np.asarray(out.costs.total, float) @ weight))
        every.append(np.asarray(found))
    return every[0], every[1]


def by_hand(level: int, *, pooled: bool) -> float:
    """Units bought; those who wait, for all days or (from the other shop) for two and a shipment."""
    waits = LAST * WAIT
    first, second = np.meshgrid(np.arange(MOST + 1), np.arange(MOST + 1))
    weight = np.outer(chance(), chance())
    short = np.maximum(first - level, 0) + np.maximum(second - level, 0)
    left = np.maximum(level - first, 0) + np.maximum(level - second, 0)
    moved = np.minimum(short, left) if pooled else 0 * short
    each = 2 * COST * level + waits * (short - moved) + (2 * WAIT + MOVE) * moved
    return float((weight * each).sum())


def test_simulated_pooling_is_that_of_the_formula(costs: tuple) -> None:
    for side, pooled in zip(costs, (False, True), strict=True):
        np.testing.assert_allclose(side, [by_hand(level, pooled=pooled) for level in range(6, 13)], rtol=1e-4)


def test_two_shops_that_help_each_other_are_between_none_and_one(costs: tuple) -> None:
    """Apart each holds the newsvendor quantity of its own demand, as one the one of the sum."""
    apart, together = (float(side.min()) for side in costs)
    law = np.convolve(chance(), chance())
    units = np.arange(law.size)
    one = min(COST * s + LAST * WAIT * float((np.maximum(units - s, 0) * law).sum()) for s in range(2 * MOST))
    assert one < together < apart - 1
