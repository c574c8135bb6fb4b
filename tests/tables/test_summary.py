"""The summary of an instance says what else was given, in the periods of the instance."""

from __future__ import annotations

import datetime

import polars as pl
from tiny import START, tiny_frames, tiny_settings

from meio_jax.tables import Tables
from meio_jax.tables.summary import daily_units, summary_of_tables


def test_owed_units_closed_days_and_items_phased_out_are_counted() -> None:
    frames = tiny_frames()
    later = START + datetime.timedelta(days=5)
    frames["items"] = frames["items"].with_columns(
        unmet=pl.Series(["backorder", "lost", "lost"]), phase_out=pl.Series([None, START, later])
    )
    frames["backlog"] = pl.DataFrame({"item_id": ["A", "A"], "units": [3.0, 4.0]})
    # Fourteen days from a Monday on have two Sundays.
    frames["calendar"] = pl.DataFrame({"node_id": ["fc1", "fc2"], "weekdays": ["sun", "sun"]})
    text = summary_of_tables(Tables.from_frames(tiny_settings(), **frames))
    assert "14 days from 2025-03-03" in text
    assert "owed to customers: 7 units, items: 1" in text
    assert "phased out: 2 items, 1 of them from the start on" in text
    assert "calendar: 2 nodes without receipts on some days (4 in all), 0 vendors" in text


def test_figures_of_weeks_are_by_the_week() -> None:
    """Two weeks of past sales, 14 and 28: 21 a week."""
    weeks = [START - datetime.timedelta(days=days) for days in (14, 7)]
    frames = tiny_frames("history")
    frames["forecast"] = pl.DataFrame(
        {"item_id": ["A", "A", "B", "C"], "ds": [*weeks, *weeks], "units": [14.0, 28.0, 1.0, 1.0]}
    )
    settings = tiny_settings("history").model_copy(update={"period": "week", "history_block": 1})
    tables = Tables.from_frames(settings, **frames)
    assert dict(daily_units(tables).iter_rows())["A"] == 21
    assert "units a week (history)" in summary_of_tables(tables)
    assert "14 weeks from" in summary_of_tables(tables)
