"""Reviews, orders, packs, shares, scarcity, dual sourcing."""

import numpy as np
import polars as pl
import pytest
from backtest_instances import ITEM, NODE, instance, orders, single_node, targets

from meio_jax.backtest import Options, PlanTable, simulate
from meio_jax.errors import InputError

NOTHING = Options(orders=orders())


def depot(stock: float, asked: dict[str, int], *, depot_row: dict | None = None, **tables: list[dict]):
    """A depot `D` with some stock and sites that ask for `asked`; nobody buys and nobody sells."""
    rows = {
        "items": [{"item_id": "i"} | ITEM],
        "nodes": [{"node_id": "D"} | NODE | {"kind": "dc"} | (depot_row or {})]
        + [{"node_id": name} | NODE for name in asked],
        "lanes": [{"from_node": "D", "to_node": name, "lead_time": 1} for name in asked],
        "regions": [{"region_id": "r"}],
        "speeds": [{"speed_id": "s", "promise_days": 2, "deliver_by_hour": 24.0}],
        "transit": [{"node_id": name, "region_id": "r", "hours": 1.0, "cost_per_unit": 0.0} for name in asked],
        "cutoffs": [{"node_id": name, "speed_id": "s", "cutoff_hour": 24.0} for name in asked],
        "shares": [{"profile": "p", "region_id": "r", "speed_id": "s", "wave": 0, "share": 1.0}],
        "forecast": [{"item_id": "i", "period": t, "mean": 0.0} for t in range(2)],
        "on_hand": [{"item_id": "i", "node_id": "D", "units": stock}] if stock else [],
    }
    tables = instance({"periods": 2}, **(rows | tables))
    plan = PlanTable(targets(*[("i", name, units) for name, units in asked.items()]))
    outcome = simulate(tables, plan, options=NOTHING)
    sent = outcome.transfers.group_by("to_node").agg(pl.col("units").sum())
    return dict(zip(sent["to_node"], sent["units"], strict=True))


def test_scarce_stock_is_shared_in_proportion_by_largest_remainder() -> None:
    assert depot(10.0, {"a": 10, "b": 5, "c": 5}) == {"a": 5, "b": 2, "c": 3} or depot(
        10.0, {"a": 10, "b": 5, "c": 5}
    ) == {"a": 5, "b": 3, "c": 2}
    assert depot(7.0, {"a": 9, "b": 3, "c": 2}) == {"a": 4, "b": 2, "c": 1}
    assert depot(20.0, {"a": 10, "b": 5}) == {"a": 10, "b": 5}


def test_a_node_that_may_not_stock_an_item_is_sent_none() -> None:
    closed = [{"item_id": "i", "node_id": "a", "stocked": False}]
    assert depot(20.0, {"a": 10, "b": 5}, assortment=closed) == {"a": 0, "b": 5}


@pytest.mark.parametrize(("pack", "least", "bought"), [(1, 0, 25), (12, 0, 24), (40, 0, 0), (1, 30, 0)])
def test_no_order_exceeds_the_most_stock(pack: int, least: int, bought: int) -> None:
    """A target of 200, room for 25, and nobody buys: what arrives is 25, or the whole packs that fit."""
    tables = single_node(
        0.0,
        assortment=[{"item_id": "i", "node_id": "n", "max_units": 25.0}],
        offers=[
            {"item_id": "i", "vendor_id": "v", "node_id": "n", "unit_cost": 0.0, "lead_time_mean": 1.0}
            | {"pack_size": pack, "min_order": least}
        ],
    )
    outcome = simulate(tables, PlanTable(targets(("i", "n", 200))), options=NOTHING)
    assert outcome.purchases["units"].sum() == bought


def test_lower_tiers_first_where_the_depot_gives_priority() -> None:
    """`b` supplies `c`, so the lane to `c` serves the lower tier; both draw on the depot."""
    lanes = [
        {"from_node": "D", "to_node": "b", "lead_time": 1},
        {"from_node": "D", "to_node": "c", "lead_time": 1, "share": 1.0},
        {"from_node": "b", "to_node": "c", "lead_time": 1, "share": 0.0},
    ]
    sent = depot(6.0, {"b": 6, "c": 4}, depot_row={"allocation": "priority"}, lanes=lanes)
    assert sent["c"] == 4
    assert sent["b"] == 2


def test_shares_over_sources_hold_on_average_for_single_units() -> None:
    items = 3000
    tables = single_node(
        0.0,
        items=items,
        settings={"periods": 1},
        offers=[
            {
                "item_id": f"i{k}",
                "vendor_id": v,
                "node_id": "n",
                "unit_cost": 0.0,
                "lead_time_mean": 1.0,
                "share": w,
            }
            for k in range(items)
            for v, w in (("v", 3.0), ("w", 1.0))
        ],
    )
    plan = PlanTable(targets(*[(f"i{k}", "n", 1) for k in range(items)]))
    bought = simulate(tables, plan, options=NOTHING).purchases
    units = dict(zip(bought["vendor_id"], bought["units"], strict=True))
    assert units["v"] + units["w"] == items
    assert units["v"] / items == pytest.approx(0.75, abs=0.025)  # three standard errors


@pytest.mark.parametrize(
    ("pack", "least", "target", "rounding", "units"),
    [
        (6, 0, 10, "nearest", 12),
        (6, 0, 8, "nearest", 6),
        (6, 0, 8, "up", 12),
        (6, 0, 2, "nearest", 6),  # nothing is left: never starve
        (5, 12, 9, "nearest", 15),
        (1, 20, 11, "nearest", 20),
        (1, 20, 3, "up", 20),
    ],
)
def test_packs_and_least_orders(pack: int, least: int, target: int, rounding: str, units: int) -> None:
    offer = {"item_id": "i", "vendor_id": "v", "node_id": "n", "unit_cost": 1.0, "lead_time_mean": 1.0}
    tables = single_node(0.0, settings={"periods": 1}, offers=[offer | {"pack_size": pack, "min_order": least}])
    outcome = simulate(
        tables, PlanTable(targets(("i", "n", target))), options=Options(orders=orders(), rounding=rounding)
    )
    assert outcome.metrics()["purchased"] == units


def test_reviews_only_on_review_days_and_never_above_the_cap() -> None:
    tables = single_node(0.0, settings={"periods": 7}, node={"review_period": 3, "review_offset": 1})
    plan = PlanTable(targets(("i", "n", 10)).with_columns(order_cap=pl.lit(4.0)))
    outcome = simulate(tables, plan, options=Options(orders=orders()))
    # days 1 and 4: 4 + 4 (each arrives the next day); the next review would be day 7
    assert outcome.metrics()["purchased"] == 8
    assert outcome.stock["units"].to_list() == [0, 0, 4, 4, 4, 8, 8]


def test_dual_index_buys_fast_for_the_near_and_slow_for_the_far() -> None:
    offers = [
        {"item_id": "i", "vendor_id": "slow", "node_id": "n", "unit_cost": 1.0, "lead_time_mean": 4.0},
        {"item_id": "i", "vendor_id": "fast", "node_id": "n", "unit_cost": 2.0, "lead_time_mean": 1.0},
    ]
    tables = single_node(0.0, settings={"periods": 6}, offers=offers)
    plan = PlanTable(targets(("i", "n", 10)).with_columns(fast_target=pl.lit(3.0)))
    rows = orders(("i", "r", "s", 2, 9.0), ("i", "r", "s", 2, 10.0))
    outcome = simulate(tables, plan, options=Options(orders=rows))
    bought = outcome.purchases.group_by("vendor_id").agg(pl.col("units").sum())
    units = dict(zip(bought["vendor_id"], bought["units"], strict=True))
    # day 0: fast 3 (due day 1), slow 7 (due day 4); day 2: 2 sold, none due by day 3 -> fast 2
    assert units == {"fast": 5, "slow": 7}
    assert outcome.stock["units"].to_list() == [0, 3, 1, 3, 10, 10]


def test_lead_times_follow_their_law() -> None:
    items = 4000
    rows = [
        {"item_id": f"i{k}", "vendor_id": "v", "node_id": "n", "unit_cost": 0.0, "lead_time_mean": 6.0,
         "lead_time_sd": 2.0, "lead_time_law": law}
        for k, law in zip(range(items), ["gamma", "empirical"] * (items // 2), strict=True)
    ]  # fmt: skip
    tables = single_node(
        0.0,
        items=items,
        settings={"periods": 40},
        offers=rows,
        lead_times=[
            {"vendor_id": "v", "days": 2, "weight": 1.0},
            {"vendor_id": "v", "days": 10, "weight": 3.0},
        ],
    )
    plan = PlanTable(targets(*[(f"i{k}", "n", 1) for k in range(items)]))
    holding = simulate(tables, plan, options=NOTHING).items["holding"].to_numpy()
    lead = 40 - holding  # a unit bought on day 0 is held from its arrival to the end
    assert lead[::2].mean() == pytest.approx(6.0, abs=0.15)
    assert lead[::2].std() == pytest.approx(np.sqrt(4 + 1 / 12), abs=0.15)
    assert set(lead[1::2]) == {2.0, 10.0}
    assert (lead[1::2] == 10).mean() == pytest.approx(0.75, abs=0.03)


def test_recorded_lead_times_are_used() -> None:
    tables = single_node(0.0, lead=1, settings={"periods": 7})
    record = pl.DataFrame({"vendor_id": ["v"], "day": [0], "days": [5]})
    options = Options(orders=orders(), lead_times=record)
    outcome = simulate(tables, PlanTable(targets(("i", "n", 2))), options=options)
    assert outcome.stock["units"].to_list() == [0, 0, 0, 0, 0, 2, 2]


def test_a_plan_may_change_at_every_review() -> None:
    tables = single_node(0.0, settings={"periods": 5})
    seen = []

    def planner(snapshot):
        seen.append((snapshot.day, int(snapshot.on_hand.sum())))
        return PlanTable(targets(("i", "n", snapshot.day)))

    outcome = simulate(tables, planner, options=NOTHING)
    assert seen == [(0, 0), (1, 0), (2, 0), (3, 1), (4, 2)]
    assert outcome.metrics()["purchased"] == 4


def test_shares_of_a_plan_replace_those_of_the_data() -> None:
    """Two vendors and a depot: the plan gives the second vendor 30 % and the depot 70 %, from the second day on."""
    items = 2000
    offer = {"node_id": "n", "unit_cost": 0.0, "lead_time_mean": 1.0}
    tables = single_node(
        0.0,
        items=items,
        settings={"periods": 2, "bucket_periods": 1},
        nodes=[{"node_id": "n"} | NODE, {"node_id": "D"} | NODE],
        lanes=[{"from_node": "D", "to_node": "n", "lead_time": 1, "share": 1e-9}],
        on_hand=[{"item_id": f"i{k}", "node_id": "D", "units": 5.0} for k in range(items)],
        offers=[{"item_id": f"i{k}", "vendor_id": v} | offer for k in range(items) for v in ("v", "w")],
    )
    levels = pl.DataFrame([(f"i{k}", "n", b, b + 1) for k in range(items) for b in range(2)], orient="row").rename(
        {"column_0": "item_id", "column_1": "node_id", "column_2": "bucket", "column_3": "target_units"}
    )
    shares = pl.DataFrame(
        [
            (f"i{k}", "n", source, name, 1, share)
            for k in range(items)
            for source, name, share in (("vendor", "w", 0.3), ("node", "D", 0.7))
        ],
        schema=["item_id", "node_id", "source", "source_id", "bucket", "share"],
        orient="row",
    )
    ours = PlanTable(levels, shares=shares)
    outcome = simulate(tables, ours, options=NOTHING)
    bought = {(row["vendor_id"], row["bucket"]): row["units"] for row in outcome.purchases.iter_rows(named=True)}
    sent = dict(zip(outcome.transfers["bucket"], outcome.transfers["units"], strict=True))
    error = 4 * np.sqrt(items * 0.7 * 0.3)
    assert bought.get(("v", 1), 0) == 0
    assert bought["w", 1] == pytest.approx(0.3 * items, abs=error)
    assert sent[1] == pytest.approx(0.7 * items, abs=error)

    half = [f"i{k}" for k in range(0, items, 2)]
    mixed = simulate(tables, PlanTable(levels).mixed(ours, half), options=NOTHING)
    sent = dict(zip(mixed.transfers["bucket"], mixed.transfers["units"], strict=True))
    # The other half follows the data: three sources of equal share.
    assert sent[1] == pytest.approx((0.7 + 1 / 3) * items / 2, abs=error)


def test_shares_of_unknown_sources_are_refused() -> None:
    shares = pl.DataFrame(
        [("i", "n", "vendor", "nobody", 1.0)],
        schema=["item_id", "node_id", "source", "source_id", "share"],
        orient="row",
    )
    with pytest.raises(InputError, match=r"shares, row 1, column source_id: found 'nobody'"):
        simulate(single_node(1.0), PlanTable(targets(("i", "n", 1)), shares=shares))
