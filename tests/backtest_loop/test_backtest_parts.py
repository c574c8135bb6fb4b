"""Parts of the closed loop by hand: customers, min/max tables, what changes between plans, differences of arms."""

import datetime
import io
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import polars as pl
import pytest
from loop_instance import ITEMS, START, loop_config, loop_tables, past_sales
from polars.testing import assert_frame_equal
from rich.console import Console

from meio_jax.backtest import Execution, PlanTable, read_world, window
from meio_jax.backtest.baselines import BASELINES
from meio_jax.backtest_loop.arms import baseline
from meio_jax.backtest_loop.compare import compare
from meio_jax.backtest_loop.customers import ground
from meio_jax.backtest_loop.live import live
from meio_jax.backtest_loop.min_max import MinMax, read_min_max
from meio_jax.backtest_loop.nervousness import Change, change_of
from meio_jax.backtest_loop.record import Record
from meio_jax.cli.backtest_text import backtest_text
from meio_jax.config.settings import BacktestPart, BaselineName
from meio_jax.errors import InputError


def test_names_of_baselines_are_those_of_the_settings() -> None:
    assert get_args(BaselineName) == tuple(BASELINES)


def test_the_last_days_of_a_history_are_lived_and_not_known(tmp_path: Path) -> None:
    tables = loop_tables()
    at = ground(tables, tmp_path, BacktestPart(days=7))
    assert at.customers == "history"
    first = START - datetime.timedelta(days=7)
    assert at.tables.settings.start_date == first
    assert at.tables.forecast["ds"].max() == first - datetime.timedelta(days=1)
    execution = Execution(at.tables, 7, options=at.options)
    for _ in range(7):
        execution.follow(PlanTable(pl.DataFrame({"item_id": ["a"], "node_id": ["dc"], "target": [1.0]})))
        execution.finish()
    sold = past_sales().filter(pl.col("ds") >= first).group_by("item_id").agg(pl.col("units").sum()).sort("item_id")
    assert execution.sales.sum(0).tolist() == sold["units"].to_list()
    # At the end all of the history is known again.
    assert_frame_equal(execution.morning().forecast.sort("item_id", "ds"), tables.forecast.sort("item_id", "ds"))


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (BacktestPart(customers="recorded"), "recorded sales"),
        (BacktestPart(actual=Path("nowhere.csv")), r"nowhere\.csv"),
        (BacktestPart(customers="history", days=100), "sales before"),
    ],
)
def test_customers_that_are_not_there_are_told(part: BacktestPart, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        ground(loop_tables(), tmp_path, part)


def test_min_and_max(tmp_path: Path) -> None:
    """10 in the store, 8 in the centre: a minimum of 9 asks the centre for nothing but the vendor for 12 more."""
    tables = loop_tables()
    rows = {"item_id": ["a", "a"], "node_id": ["store", "dc"], "min": [9, 8], "max": [14, 20]}
    execution = Execution(tables, 3)
    orders, transfers = execution.follow(MinMax(pl.DataFrame(rows))(execution.morning()))
    assert transfers.is_empty()
    assert orders.select("item_id", "node_id", "units").rows() == [("a", "dc", 12)]
    path = tmp_path / "levels.csv"
    pl.DataFrame({"item_id": ["a", "z"], "node_id": ["dc", "dc"], "min": [5, 1], "max": [4, 2]}).write_csv(path)
    with pytest.raises(InputError) as refused:
        read_min_max(path, tables)
    assert "min <= max" in str(refused.value)
    assert "z" in str(refused.value)


def planned(rows: list[tuple[int, int, float]], start: datetime.date) -> pl.DataFrame:
    """Planned orders of one item and node: day of the order, days until it is due, units."""
    day = lambda number: start + datetime.timedelta(days=number)
    found = [("a", "v", "dc", units, day(at), day(at + lead)) for at, lead, units in rows]
    columns = ["item_id", "vendor_id", "node_id", "units", "order_date", "due_date"]
    return pl.DataFrame(found, schema=columns, orient="row", schema_overrides={"units": pl.Float64})


def test_nervousness_of_planned_orders_by_hand() -> None:
    """Of the same due dates: 10 became 4 tomorrow, 8 moved from day 7 to day 8; what was ordered before is no plan."""
    then = loop_tables().settings
    now = then.model_copy(update={"start_date": then.start_date + datetime.timedelta(days=1)})
    old = planned([(0, 2, 99.0), (1, 2, 10.0), (8, 2, 8.0)], then.start_date)
    new = planned([(0, 2, 4.0), (8, 2, 8.0)], now.start_date)
    found = change_of(old, new, then, now)
    tomorrow, week, later = 1.0, 0.5, 0.5 ** (8 / 7)
    assert found.moved == pytest.approx(6 * tomorrow + 8 * week + 8 * later)
    assert found.planned == pytest.approx(4 * tomorrow + 8 * later)
    assert found.flips == pytest.approx(week + later)
    assert found.pairs == pytest.approx(tomorrow + week + later)
    # Days that one of the plans does not reach are not compared.
    beyond = planned([(then.periods, 2, 50.0)], then.start_date)
    assert change_of(pl.concat([old, beyond]), new, then, now) == found
    assert change_of(new, new, now, now).moved == 0


def test_change_of_plans() -> None:
    change = Change(moved=30.0, planned=120.0, flips=2.0, pairs=8.0)
    assert (change.quantities, change.orders) == (0.25, 0.25)
    assert Change(0.0, 0.0, 0.0, 0.0).quantities == 0.0


def test_an_arm_against_itself_makes_no_difference(tmp_path: Path) -> None:
    config = loop_config(tmp_path)
    at = ground(loop_tables(), tmp_path, config.backtest)
    arms = [baseline("echelon_formulas"), replace(baseline("echelon_formulas"), name="again")]
    lives = live(at, arms, 3, 1, Record(tmp_path), lambda *_: None)
    world = read_world(window(at.tables, 0, 3))
    for row in compare(*lives, world, 0):
        assert row.ours == row.baseline
        assert row.difference in (None, 0.0)
        assert row.low in (None, 0.0)
    total = next(row for row in compare(*lives, world, 0) if row.metric == "total")
    start = 5.0 * 18 * len(ITEMS)
    assert total.ours == pytest.approx(lives[0].outcome.cost + start)
    assert np.isfinite(total.ours)


def test_the_text_names_what_was_found() -> None:
    arm = {"total": 1234.0, "lost": 5.0, "promises_kept": 0.9, "fast_promises_kept": 0.8, "mean_stock": 10.0}
    arm |= {"days_of_cover": 4.0, "turns_per_year": None, "violation": {"storage": {"mean": 0.01, "worst_day": None}}}
    arm |= {"seconds": 3.0, "seconds_of_longest_day": 2.0, "nervousness_quantities": 0.125}
    arm |= {"nervousness_orders": 0.25}
    row = {"metric": "total", "ours": 1234.0, "baseline": 2000.0, "difference": -38.3, "low": -40.0, "high": -30.0}
    summary = {"days": 2, "start_date": "2025-06-02", "items": 3, "customers": "sampled", "every": 7, "ours": "meio"}
    summary |= {"arms": {"meio": arm, "old": arm}, "differences": {"old": [row]}}
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(backtest_text(summary, "here"))
    text = console.export_text()
    for part in ("1,234", "-38.30 %", "-40.00 .. -30.00", "12.5%", "infinite", "every 7 days", "here/results"):
        assert part in text, part
