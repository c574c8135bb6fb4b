"""The table `calendar` by period: which rows count, and what waits for an open day."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from meio_jax.tables import InstanceSettings
from meio_jax.tables.open_days import longest_pause, next_open, open_days, postponed
from meio_jax.tables.schema import CALENDAR

START = datetime.date(2026, 3, 2)
"""A Monday."""


def day(number: int) -> datetime.date:
    return START + datetime.timedelta(days=number)


def table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    defaults = {"activity": "all", "status": "closed", "weekdays": ""}
    full = [{name: {**defaults, **row}.get(name) for name in CALENDAR.column_names} for row in rows]
    return pl.DataFrame(full, schema=CALENDAR.empty().schema)


def closed(rows: list[dict[str, Any]], what: str, place: int = 0, periods: int = 14, period: str = "day") -> list[int]:
    """Periods in which node `n` (place 0) or `m` (1) does not do something."""
    settings = InstanceSettings(
        name="a", start_date=START, periods=periods, period=period, wave_ends=[24.0], forecast="mean"
    )
    found = open_days(table(rows), settings, ["n", "m"], periods)
    assert found is not None
    return np.flatnonzero(~getattr(found, what)[..., place]).tolist()


def taken(rows: list[dict[str, Any]], vendor: str, place: int = 0) -> list[int]:
    """Days on which a vendor takes orders of node `n` (place 0) or `m` (1)."""
    settings = InstanceSettings(name="a", start_date=START, periods=14, wave_ends=[24.0], forecast="mean")
    found = open_days(table(rows), settings, ["n", "m"], 14)
    assert found is not None
    return np.flatnonzero(found.taken[:, found.calendars([vendor])[0], place]).tolist()


SUNDAYS = {"node_id": "n", "weekdays": "Sun"}


@pytest.mark.parametrize(
    ("rows", "days"),
    [
        ([SUNDAYS], [6, 13]),
        ([{"node_id": "n", "weekdays": "sat; sun"}], [5, 6, 12, 13]),
        ([{"node_id": "n", "date": day(3)}], [3]),
        ([{"node_id": "n", "date": day(3), "last_date": day(5)}], [3, 4, 5]),
        ([{"node_id": "n", "date": day(0), "last_date": day(9), "weekdays": "sun"}], [6]),
        ([{"date": day(3)}], [3]),
        ([{"node_id": "m", "date": day(3)}], []),
        ([{"node_id": "n", "weekdays": "tue;fri", "status": "only"}], [0, 2, 3, 5, 6, 7, 9, 10, 12, 13]),
        # Dates count before weekdays.
        ([SUNDAYS, {"date": day(6), "status": "open"}], [13]),
        # What names more counts before what names less.
        ([{"date": day(3)}, {"node_id": "n", "date": day(3), "status": "open"}], []),
        # The shorter time counts, then `open`.
        ([{"date": day(2), "last_date": day(4)}, {"date": day(3), "status": "open"}], [2, 4]),
        ([{"date": day(3)}, {"date": day(3), "status": "open"}], []),
    ],
)
def test_which_rows_count(rows: list[dict[str, Any]], days: list[int]) -> None:
    for what in ("receipts", "orders", "shipments"):
        assert closed(rows, what) == days


def test_one_activity_alone() -> None:
    rows = [{**SUNDAYS, "activity": "receipts"}]
    assert closed(rows, "receipts") == [6, 13]
    assert closed(rows, "orders") == closed(rows, "shipments") == []


def test_vendors_take_orders() -> None:
    order_days = {"vendor_id": "v", "weekdays": "mon;thu", "status": "only"}
    assert taken([order_days], "v") == [0, 3, 7, 10]
    assert taken([order_days], "w") == list(range(14))
    # A holiday of everybody is one of vendors; closed nodes are not.
    assert taken([order_days, {"date": day(7)}, {"node_id": "n", "date": day(0)}], "v") == [0, 3, 10]
    # Days for one node replace those for all.
    own = {"vendor_id": "v", "node_id": "n", "weekdays": "wed", "status": "only"}
    assert (taken([order_days, own], "v"), taken([order_days, own], "v", 1)) == ([2, 9], [0, 3, 7, 10])


def test_a_week_is_closed_if_all_its_days_are() -> None:
    rows = [{"node_id": "n", "date": day(5), "last_date": day(20)}]
    assert closed(rows, "orders", periods=4, period="week") == [1, 2]


def test_what_waits_for_an_open_day() -> None:
    open_ = np.asarray([True, False, False, True, True, False])
    assert next_open(open_).tolist() == [0, 3, 3, 3, 4, 6]
    assert postponed(np.asarray([False, True, True, False, False, True]), open_).tolist() == [0, 0, 0, 1, 0, 0]
    assert longest_pause(open_[:, None]).tolist() == [2]
