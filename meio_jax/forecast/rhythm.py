"""Rows that come once a week or once a month: told from daily ones by their dates alone."""

from __future__ import annotations

import datetime

import numpy as np
from jaxtyping import Shaped

from meio_jax.errors import InputError, Note, Problem
from meio_jax.tables.periods import PeriodLength, period_date

_WEEKS, _MONTHS = 6, 4
"""Different dates that a rhythm is told from."""


def rhythm(dates: Shaped[np.ndarray, " rows"]) -> PeriodLength:
    """Shortest time between rows that their dates (`datetime64`) allow: all on one weekday, or on one day of months."""
    days = np.unique(dates.astype("datetime64[D]"))
    if days.size < 2:
        return "day"
    months = days.astype("datetime64[M]")
    first = days - months.astype("datetime64[D]")
    last = (months + 1).astype("datetime64[D]") - days
    same_day = bool((first == first[0]).all() or (last == last[0]).all())
    if days.size >= _MONTHS and same_day and np.unique(months).size == days.size:
        return "month"
    gaps = np.diff(days).astype(int)
    return "week" if days.size >= _WEEKS and (gaps % 7 == 0).all() else "day"


def check_rhythm(label: str, dates: Shaped[np.ndarray, " rows"], period: PeriodLength, remedy: str) -> None:
    """Refuse rows that are longer than the periods they are taken for.

    Args:
        label: File or table that is named in the message.
        dates: Days of the rows.
        period: What the rows are taken for.
        remedy: What to change where they are not.

    Raises:
        InputError: If the rows come less often.
    """
    found = rhythm(dates)
    order = ("day", "week", "month")
    if order.index(found) <= order.index(period):
        return
    days = np.unique(dates.astype("datetime64[D]"))
    every = f"all on a {days[0].item().strftime('%A')}" if found == "week" else "one a month"
    note = Note(f"{days.size} different dates from {days[0]} to {days[-1]}, {every}")
    expected = f"a row for every {period} with sales, since `period` is {period}"
    raise InputError([Problem(label, "", "ds", note, expected, remedy.format(period=found))])


def next_start(dates: Shaped[np.ndarray, " rows"], period: PeriodLength) -> datetime.date:
    """First day after the last period of a file of sales.

    Rows of weeks or months name a day of their period: the next period begins a week or a month later. A file of daily
    rows for longer periods ends with its last day.
    """
    last = dates.astype("datetime64[D]").max().item()
    if period == "day" or rhythm(dates) != period:
        return last + datetime.timedelta(days=1)
    if period == "month" and (last + datetime.timedelta(days=1)).day == 1:
        return last + datetime.timedelta(days=1)
    return period_date(last, 1, period)
