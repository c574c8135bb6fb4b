"""Past sales as people have them: returns, slips of a date, weekly rows, items that are new or gone."""

from __future__ import annotations

import datetime

import jax
import numpy as np
import polars as pl
import pytest
from folders import settings_content
from test_table_door import TINY, kinds, warned
from tiny import START, tiny_frames

from meio_jax.errors import InputError
from meio_jax.instance import build_instance
from meio_jax.tables import Tables
from meio_jax.tables.settings import settings_from_mapping
from meio_jax.tables.settle import net_returns, spread_rows
from meio_jax.tables.summary import daily_units

DAY = datetime.timedelta(days=1)


def history(sales: dict[str, dict[int, float]], **settings: object) -> Tables:
    """The tiny instance with these sales: by item, units by days before the start."""
    rows = [(item, START - back * DAY, units) for item, days in sales.items() for back, units in days.items()]
    frames = tiny_frames("history")
    content = {key: value for key, value in settings_content("history").items() if key != "period"}
    frames["forecast"] = pl.DataFrame(rows, schema=["item_id", "ds", "units"], orient="row")
    return Tables.from_frames(settings_from_mapping({**content, **settings}), **frames)


def daily(units: float, first: int = 60, last: int = 1) -> dict[int, float]:
    return dict.fromkeys(range(first, last - 1, -1), units)


def rate(tables: Tables, item: str) -> float:
    return dict(daily_units(tables).iter_rows())[item]


PLAIN = {"A": daily(8.0), "B": daily(3.0), "C": daily(1.0)}


def test_a_plain_history_has_no_warnings() -> None:
    tables = history(PLAIN)
    assert kinds(tables) == TINY
    assert rate(tables, "A") == 8.0


def test_a_slip_of_a_century_is_refused_and_one_of_years_is_told() -> None:
    """One row far back makes 8 a day 1.1 a day; the warning says both."""
    with pytest.raises(InputError, match=r"1900-01-01.*1950 to 2200"):
        history({**PLAIN, "A": {**daily(8.0), (START - datetime.date(1900, 1, 1)).days: 1.0}})
    with pytest.raises(InputError, match="7305 days before the start: history_limit"):
        history({**PLAIN, "A": {**daily(8.0), 8000: 1.0}})
    found = warned(history({**PLAIN, "A": {**daily(8.0), 425: 1.0}}), "gap in history")
    assert found.count == 1
    assert "item_id=A" in found.example
    assert "nothing for 365 days" in found.example
    assert "8.0 a day since then, 1.13 a day over all" in found.example


def test_a_slow_mover_is_no_gap() -> None:
    slow = dict.fromkeys(range(350, 0, -40), 1.0)
    assert "gap in history" not in kinds(history({**PLAIN, "C": slow}))


def test_an_item_whose_history_ended_is_told() -> None:
    found = warned(history({**PLAIN, "B": daily(3.0, 120, 40)}), "history ended")
    assert found.count == 1
    assert "item_id=B" in found.example
    assert "39 days between" in found.example
    assert "discontinued" in found.remedy


def test_a_table_that_ended_long_before_the_start_is_told_once() -> None:
    found = warned(history({item: daily(8.0, 300, 123) for item in "ABC"}), "history ended")
    assert found.count == 3
    assert "122 days between" in found.example
    assert "move start_date" in found.remedy


def test_an_item_with_a_short_history_or_none_is_planned_with_a_warning() -> None:
    tables = history({"A": daily(8.0), "B": {4: 6.0}})
    assert "4 days" in warned(tables, "short history").example
    assert "item_id=C" in warned(tables, "no history").example
    demand = build_instance(tables, block_items=3, bands=1).catalog.demand
    means = np.unique(np.asarray(jax.vmap(lambda block: block.mean_total())(demand)))
    np.testing.assert_allclose(means, [0.0, 1.5, 8.0])


def test_returns_are_taken_off_the_sales_before_them() -> None:
    tables = history({**PLAIN, "A": {4: 5.0, 3: 5.0, 2: -6.0, 1: 2.0, 60: 0.0}})
    found = warned(tables, "returns in history")
    assert found.count == 1
    assert tables.forecast.filter(pl.col("item_id") == "A").sort("ds")["units"].to_list() == [0.0, 4.0, 0.0, 0.0, 2.0]
    assert "left out" not in found.what
    assert (
        "3 units were returned that no earlier row sold"
        in warned(history({**PLAIN, "A": {**daily(8.0, 50), 60: -3.0}}), "returns in history").what
    )


@pytest.mark.parametrize("seed", range(3))
def test_netting_keeps_the_balance(seed: int) -> None:
    units = np.random.default_rng(seed).integers(-4, 8, 40).astype(float).tolist()
    net, left = net_returns(units)
    assert min(net) >= 0
    assert sum(net) - left == pytest.approx(sum(units))
    # No day is netted before its return: what is sold up to a day never exceeds what was sold until then.
    assert all(sum(net[: day + 1]) <= sum(u for u in units[: day + 1] if u > 0) for day in range(40))


WEEKLY = {item: {7 * week: 56.0 for week in range(26, 0, -1)} for item in "ABC"}


def test_weekly_rows_are_refused_with_advice() -> None:
    with pytest.raises(InputError, match=r"weekly rows: 26 rows.*history_row_days: 7"):
        history(WEEKLY)
    assert "weekly" not in "".join(kinds(history(WEEKLY, period="day")))
    with pytest.raises(InputError, match=r"monthly rows.*history_row_days: 30"):
        history({item: {30 * month: 240.0 for month in range(8, 0, -1)} for item in "ABC"})


def test_rows_of_weeks_are_spread_over_their_days() -> None:
    tables = history(WEEKLY, history_row_days=7)
    assert kinds(tables) == TINY
    assert tables.forecast.height == 3 * 26 * 7
    assert tables.forecast["units"].unique().to_list() == [8.0]
    assert tables.forecast["ds"].max() == START - DAY
    assert rate(tables, "B") == 8.0
    with pytest.raises(InputError, match="a day up to 2025-02-24"):
        history({**WEEKLY, "A": {6: 3.0}}, history_row_days=7)


def test_one_weekly_item_among_daily_ones_is_a_warning() -> None:
    found = warned(history({**PLAIN, "A": WEEKLY["A"]}), "weekly history")
    assert found.count == 1


def test_a_horizon_of_weeks_counts_in_weeks() -> None:
    tables = history(WEEKLY, period="week", history_block=4)
    assert kinds(tables) == TINY
    demand = build_instance(tables, block_items=3, bands=1).catalog.demand
    assert demand.history.shape[-2] == 26
    np.testing.assert_array_equal(np.asarray(demand.history), 56.0)
    ended = {item: {7 * week: 56.0 for week in range(26, 10, -1)} for item in "ABC"}
    assert "with 10 weeks between" in warned(history(ended, period="week", history_block=4), "history ended").example


def test_rows_that_overlap_when_spread_are_added() -> None:
    frame = pl.DataFrame({"item_id": ["A", "A"], "ds": [START, START + DAY], "units": [4.0, 2.0], "available": True})
    assert spread_rows(frame, 2)["units"].to_list() == [2.0, 3.0, 1.0]
