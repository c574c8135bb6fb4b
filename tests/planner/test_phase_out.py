"""Items that are phased out: no orders from a day on, stock sold off and moved to where it sells; orders by hand."""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl
import pytest
from lived import DAYS, LANES, bought, lived, policy_of
from one_node import START, demand, instance, item, offer

from meio_jax.backtest import Options, PlanTable, simulate
from meio_jax.instance import Instance, build_instance


def made(last: dict[str, int], *, node: str = "site", **more: object) -> Instance:
    """Items of ten a day, bought two days ahead; those named are phased out on a day."""
    names = ["A", "B"]
    days = {name: START + datetime.timedelta(days=number) for name, number in last.items()}
    tables = instance(
        [item(name, node=node, phase_out=days.get(name)) for name in names],
        [offer(name, 2, unit_cost=5.0) for name in names],
        [row for name in names for row in demand(name, 10.0, days=DAYS)],
        days=DAYS,
        settings={"terminal": more.pop("terminal", "liquidate")},
        **more,
    )
    return build_instance(tables, block_items=4, dtype=np.float32)


def daily(outcome: object, at: int) -> list[float]:
    return np.asarray(outcome.timing.daily)[:DAYS, :, at].sum(1).tolist()  # type: ignore[attr-defined]


def test_nothing_is_bought_from_the_day_on_and_what_there_is_is_sold() -> None:
    """Level 100: 100 on day 0, ten on day 2, when the first ten are sold; nothing from day 3 on. 110 last 11 days."""
    instance = made({"A": 3})
    stock, outcome = lived(instance, policy_of(instance, 100.0))
    a, b = (instance.items.index(name) for name in "AB")
    assert daily(outcome, a) == pytest.approx([100, 0, 10, *[0] * (DAYS - 3)])
    assert daily(outcome, b)[3:6] == pytest.approx([10, 10, 10])
    assert stock[[2, 11, 12, 13], 0, a].tolist() == [90, 10, 0, 0]


def test_the_simulator_stops_on_the_same_day() -> None:
    """By levels that do not foresee the day's sales: 100 on day 0, ten on day 3, when ten are sold, and no more."""
    plan = PlanTable(pl.DataFrame({"item_id": ["A", "B"], "node_id": ["site"] * 2, "target": [100, 100]}))
    actual = pl.DataFrame(
        {"item_id": ["A", "B"] * DAYS, "period": np.repeat(np.arange(DAYS), 2), "units": [10] * 2 * DAYS}
    )
    options = Options(ordering="morning", actual=actual)
    for day, units in ((3, 100), (4, 110), (0, 0)):
        bought_in_all = simulate(made({"A": day}).tables, plan, options=options).items.filter(pl.col("item_id") == "A")
        assert bought_in_all["purchased"].sum() == units


def test_today_nothing_is_ordered_of_what_is_phased_out_and_stock_moves_on() -> None:
    there = [{"item_id": name, "node_id": "site", "units": 30.0} for name in "AB"]
    instance = made({"A": 0}, node="week", lanes=LANES, on_hand=there)
    policy = policy_of(instance, 50.0)
    assert bought(instance, policy)["A"] == 0
    assert bought(instance, policy)["B"] > 0
    _, outcome = lived(instance, policy)
    offers = instance.network.offers
    moved = np.asarray(outcome.timing.daily)[:DAYS, offers:, instance.items.index("A")]  # type: ignore[union-attr]
    assert moved.sum() == 30


def test_what_is_left_at_the_end_is_worth_nothing() -> None:
    """Where business goes on a unit left saves buying one, five; not of an item that is not bought again."""
    block = made({"A": 3}, terminal="continue").catalog.block
    value = np.asarray(block.end_value)[0, 0]
    assert value[:2].tolist() == [0, 5]
    late = made({"A": 3000}, terminal="continue").catalog.block
    assert np.asarray(late.end_value)[0, 0, :2].tolist() == [5, 5]


def test_without_such_items_nothing_is_added() -> None:
    assert made({}).catalog.block.bought_until is None
