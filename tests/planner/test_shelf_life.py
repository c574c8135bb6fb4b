"""Shelf life from the tables to the plan, against the order-by-order simulator and by hand."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from lived import DAYS, LANES, lived, policy_of
from one_node import START, instance, item, offer

import meio_jax as mj
from meio_jax.backtest import Execution, Options, PlanTable, simulate
from meio_jax.instance import Instance, build_instance
from meio_jax.tables import Tables

NODES = [{"node_id": name, "kind": "fc", "review_period": 1} for name in ("site", "week")]
# Units asked for on each day: many and few, so that stock piles up and runs out.
BUSY = [9, 14, 3, 0, 0, 21, 2, 6, 6, 0, 0, 0, 17, 30, 4, 1, 0, 8, 11, 2, 5]


def forecast(name: str, units: list[int]) -> list[dict[str, Any]]:
    return [
        {"item_id": name, "period": day, "mean": float(u), "dispersion": 0.0, "law": "fixed"}
        for day, u in enumerate(units)
    ]


def made(lives: dict[str, int | None], units: list[int] = BUSY, node: str = "site", **more: Any) -> Instance:
    """Items with these lives, bought at `site` two days ahead; `week` is fed by a lane of a day."""
    settings = {"terminal": "liquidate", **more.pop("settings", {})}
    tables = instance(
        [item(name, node=node, shelf_life=life, waste_cost=2.0) for name, life in lives.items()],
        more.pop("offers", [offer(name, 2, unit_cost=5.0) for name in lives]),
        [row for name in lives for row in forecast(name, units)],
        days=DAYS,
        settings=settings,
        nodes=NODES,
        **more,
    )
    return build_instance(tables, block_items=4, dtype=np.float32)


def lot(name: str, node: str, units: float, **when: Any) -> dict[str, Any]:
    return {"item_id": name, "node_id": node, "units": units, **when}


def simulated(one: Instance, units: list[int], ordering: str, **levels: float):
    """The simulator at levels by node, with the same customers."""
    rows = [(name, node, level) for name in one.items for node, level in levels.items()]
    plan = PlanTable(pl.DataFrame(rows, schema=["item_id", "node_id", "target"], orient="row"))
    actual = pl.DataFrame(
        {
            "item_id": np.repeat(one.items, DAYS),
            "period": list(range(DAYS)) * len(one.items),
            "units": units * len(one.items),
        }
    )
    return simulate(one.tables, plan, options=Options(ordering=ordering, actual=actual))


def by_day(outcome: Any, nodes: int = 2) -> np.ndarray:
    """Stock at the end of every day, all items together `[days, nodes]`."""
    return outcome.stock.sort("day", "node_id")["units"].to_numpy().reshape(DAYS, nodes)


def wasted(outcome: Any, items: int) -> np.ndarray:
    return np.asarray(outcome.units.wasted).reshape(items, -1).mean(-1)


def agree(one: Instance, stock: np.ndarray, outcome: Any, other: Any) -> None:
    """Stock of every day, and what was bought, sold, wasted and charged for it."""
    np.testing.assert_allclose(stock.sum(-1), by_day(other), atol=1e-3)
    ours = {
        "wasted": wasted(outcome, len(one.items)),
        "shipped": np.asarray(outcome.units.shipped),
        "waste": np.asarray(outcome.costs.waste),
        "lost_sale": np.asarray(outcome.costs.lost_sale),
        "holding": np.asarray(outcome.costs.holding),
    }
    theirs = {row["item_id"]: row for row in other.items.iter_rows(named=True)}
    for name, values in ours.items():
        np.testing.assert_allclose(values, [theirs[i][name] for i in one.items], rtol=1e-4, atol=1e-3, err_msg=name)
    left = other.balance.row(0, named=True)
    assert left["start"] + left["purchased"] == left["shipped"] + left["wasted"] + left["end"]


def test_one_node_lives_as_in_the_simulator() -> None:
    """Evening orders; the first evening finds every item at its level, so both begin with the first day."""
    lives = {"A": 1, "B": 3, "C": None, "D": 6}
    there = [lot(name, "site", 40.0) for name in lives]
    old = [lot("B", "site", 12.0, last_date=START), lot("D", "site", 5.0, last_period=1)]
    one = made(lives, settings={"ordering": "evening"}, on_hand=there, expiries=old)
    stock, outcome = lived(one, policy_of(one, 40.0))
    assert wasted(outcome, 4)[[one.items.index(name) for name in "ABD"]].min() > 10
    assert wasted(outcome, 4)[one.items.index("C")] == 0
    agree(one, stock, outcome, simulated(one, BUSY, "evening", site=40, week=0))


def test_age_goes_on_between_nodes_as_in_the_simulator() -> None:
    """`site` ages what it keeps for `week`, and ships what will still be good."""
    lives = {"A": 2, "B": 3, "C": 5}
    there = [lot(name, node, 30.0) for name in lives for node in ("site", "week")]
    one = made(lives, node="week", lanes=LANES, settings={"ordering": "evening"}, on_hand=there)
    stock, outcome = lived(one, policy_of(one, 30.0))
    other = simulated(one, BUSY, "evening", site=30, week=30)
    agree(one, stock, outcome, other)
    assert other.items["transferred"].min() > 0
    assert other.items["wasted"].min() > 0


def test_what_expires_under_way_is_disposed_of_on_arrival() -> None:
    """Twenty units between nodes have two days and come on day 3. Six that come on day 1 are sold then."""
    coming = [
        {"item_id": "A", "node_id": "week", "period_due": 3, "units": 20.0},
        {"item_id": "A", "node_id": "week", "period_due": 1, "units": 6.0},
    ]
    units = [0, 6, 0, 10, *[0] * (DAYS - 4)]
    one = made({"A": 2}, units, node="week", lanes=LANES, settings={"ordering": "evening"}, on_order=coming)
    stock, outcome = lived(one, policy_of(one, 0.0))
    assert wasted(outcome, 1).tolist() == [20]
    agree(one, stock, outcome, simulated(one, units, "evening", site=0, week=0))


def test_in_the_morning_a_hundred_fresh_units_sell_for_three_days() -> None:
    """Ten a day: 30 are sold and 70 wasted in the evening of the third day, whoever counts."""
    units = [10] * DAYS
    one = made({"A": 3}, units, on_hand=[lot("A", "site", 100.0)])
    stock, outcome = lived(one, policy_of(one, 0.0))
    assert stock[:4, 0, 0].tolist() == [90, 80, 0, 0]
    assert wasted(outcome, 1).tolist() == [70]
    assert np.asarray(outcome.costs.waste).tolist() == [140]
    other = simulated(one, units, "morning", site=0, week=0)
    assert by_day(other)[:4, 0].tolist() == [90, 80, 0, 0]
    assert other.items.select("wasted", "waste").row(0) == (70, 140)


def test_bread_is_bought_anew_every_day() -> None:
    """A life of a day: what comes in the morning is sold or wasted by the evening, and none of it is shipped on."""
    units = [6] * DAYS
    one = made({"A": 1}, units, node="site", lanes=LANES, on_hand=[lot("A", "site", 10.0)])
    stock, outcome = lived(one, policy_of(one, 16.0))
    assert (stock == 0).all()
    assert np.asarray(outcome.flows.lane).sum() == 0
    ordered = np.asarray(outcome.flows.offer).sum()
    sold, left = float(np.asarray(outcome.units.shipped).sum()), float(np.asarray(outcome.final.on_order).sum())
    assert 10 + ordered == pytest.approx(sold + wasted(outcome, 1)[0] + left)


def test_the_planner_of_the_morning_is_told_how_old_the_stock_is() -> None:
    """Forty fresh units with four days, ten sold a day: on the third morning twenty that have two days left."""
    units = [10] * DAYS
    one = made({"A": 4}, units, on_hand=[lot("A", "site", 40.0)])
    world = Execution(one.tables, days=5, options=Options(ordering="morning", actual=_actual(units)))
    nothing = pl.DataFrame(
        schema={"item_id": pl.String, "vendor_id": pl.String, "node_id": pl.String, "units": pl.Int64}
    )
    moves = pl.DataFrame(schema={"item_id": pl.String, "from_node": pl.String, "to_node": pl.String, "units": pl.Int64})
    for _ in range(2):
        world.execute(nothing, moves)
        world.finish()
    morning = world.morning()
    assert morning.on_hand["units"].to_list() == [20]
    assert morning.expiries.rows() == [("A", "site", 1, 20.0)]
    assert Tables.from_frames(morning.settings, **morning.frames()).expiries.height == 1


def _actual(units: list[int]) -> pl.DataFrame:
    return pl.DataFrame({"item_id": ["A"] * DAYS, "period": list(range(DAYS)), "units": units})


def plan_of(tables: Tables, **search: Any) -> Any:
    options = {"max_steps": 12, "min_steps": 12, "slack_items": 0, "confirm": 0, **search}
    return mj.plan(
        tables,
        policy=mj.BaseStock(),
        scenarios=mj.ScenarioOptions(train=32, per_step=16, holdout=32, clairvoyant=8),
        search=mj.SearchOptions(**options),
    )


def poisson(name: str, mean: float) -> list[dict[str, Any]]:
    return [
        {"item_id": name, "period": day, "mean": mean, "dispersion": 0.0, "law": "negative_binomial"}
        for day in range(DAYS)
    ]


@pytest.mark.slow
def test_a_plan_says_what_will_be_wasted() -> None:
    tables = instance(
        [item("A", shelf_life=3, waste_cost=2.0), item("B")],
        [offer(name, 2, unit_cost=5.0) for name in "AB"],
        [row for name in "AB" for row in poisson(name, 4.0)],
        days=DAYS,
        settings={"terminal": "continue"},
        on_hand=[lot("A", "site", 30.0), lot("B", "site", 30.0)],
        expiries=[lot("A", "site", 20.0, last_date=START + datetime.timedelta(days=1))],
    )
    found = plan_of(tables)
    frames, terms = found.frames(), found.certificate.cost_terms
    items = frames["plan/expected_items"].sort("item_id")
    # Thirty units and four asked for a day: of the twenty that have two days most expire.
    assert 8 < items["wasted"][0] < 40
    assert items["wasted"][1] == 0
    assert items["waste_cost"].sum() == pytest.approx(terms["waste"], rel=1e-5)
    assert items["waste_cost"][0] == pytest.approx(2 * items["wasted"][0], rel=1e-5)
    nodes = frames["plan/expected_nodes"]
    assert nodes["wasted"].sum() == pytest.approx(items["wasted"].sum(), rel=1e-5)
    assert found.certificate.clairvoyant_bound <= found.certificate.holdout_cost
    assert sum(terms.values()) == pytest.approx(found.certificate.holdout_cost, rel=1e-5)
    kept = plan_of(
        tables.replace(
            items=tables.items.with_columns(shelf_life=pl.lit(None, pl.Int64)), expiries=tables.expiries.clear()
        )
    )
    assert "waste" not in kept.certificate.cost_terms
    assert "wasted" not in kept.frames()["plan/expected_items"].columns
