"""Periods of a day, a week or a month: dates of period numbers, numbers of dates, and where in the year they fall."""

from __future__ import annotations

import calendar
import datetime
from typing import Literal

import numpy as np
from jaxtyping import Int, Shaped

PeriodLength = Literal["day", "week", "month"]

PERIODS_PER_CYCLE: dict[PeriodLength, int] = {"day": 7, "week": 1, "month": 1}
"""Periods after which the calendar repeats itself: weekdays; weeks and months have no shorter cycle than the year."""

PHASES: dict[PeriodLength, int] = {"day": 52, "week": 52, "month": 12}
"""Parts of the year that a yearly season tells apart: weeks, or months."""

PERIODS_PER_YEAR: dict[PeriodLength, int] = {"day": 364, "week": 52, "month": 12}

_WEEK = 7
_MIDDLE: dict[PeriodLength, int] = {"day": 0, "week": 3, "month": 14}


def period_date(start: datetime.date, number: int, length: PeriodLength = "day") -> datetime.date:
    """First day of a period.

    Args:
        start: First day of period 0.
        number: Which period; negative before `start`.
        length: Length of a period. A month begins on the day of the month of `start`, or the last day of a month
            that has no such day.
    """
    if length == "month":
        year, month = divmod(start.year * 12 + start.month - 1 + number, 12)
        last = calendar.monthrange(year, month + 1)[1]
        return datetime.date(year, month + 1, min(start.day, last))
    return start + datetime.timedelta(days=number * (_WEEK if length == "week" else 1))


def period_numbers(
    dates: Shaped[np.ndarray, " rows"], start: datetime.date, length: PeriodLength = "day"
) -> Int[np.ndarray, " rows"]:
    """Number of the period in which each date (`datetime64`) falls; negative before `start`."""
    days = dates.astype("datetime64[D]")
    if length != "month":
        return (days - np.datetime64(start, "D")).astype(np.int64) // (_WEEK if length == "week" else 1)
    months = days.astype("datetime64[M]")
    day = (days - months.astype("datetime64[D]")).astype(np.int64) + 1
    # A month without the day of `start` begins on its last day.
    lengths = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64)
    first = np.minimum(start.day, lengths)
    return (months - np.datetime64(start, "M")).astype(np.int64) - (day < first)


def year_phases(start: datetime.date, first: int, last: int, length: PeriodLength) -> Int[np.ndarray, " periods"]:
    """Part of the year (0 to `PHASES` - 1) of the periods `first` to `last` - 1, by the day in their middle."""
    found = []
    for number in range(first, last):
        day = period_date(start, number, length) + datetime.timedelta(days=_MIDDLE[length])
        week = (day - datetime.date(day.year, 1, 1)).days // _WEEK
        found.append(day.month - 1 if length == "month" else min(week, PHASES[length] - 1))
    return np.asarray(found, np.int64)
