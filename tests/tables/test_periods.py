"""Periods of days, weeks and months, against the calendar itself."""

import datetime

import numpy as np
import pytest

from meio_jax.tables.periods import PeriodLength, period_date, period_numbers, year_phases

DAY = datetime.timedelta(days=1)


@pytest.mark.parametrize("period", ["day", "week", "month"])
@pytest.mark.parametrize("start", [datetime.date(2024, 2, 29), datetime.date(2025, 1, 6), datetime.date(2025, 1, 31)])
def test_every_day_is_in_one_period_and_periods_follow_each_other(period: PeriodLength, start: datetime.date) -> None:
    days = np.arange(np.datetime64(start, "D") - 400, np.datetime64(start, "D") + 400)
    numbers = period_numbers(days, start, period)
    assert (np.diff(numbers) >= 0).all()
    for day, number in zip(days.tolist(), numbers.tolist(), strict=True):
        assert period_date(start, number, period) <= day < period_date(start, number + 1, period)
    assert period_date(start, 0, period) == start


def test_dates_are_those_of_the_calendar() -> None:
    monday = datetime.date(2025, 3, 3)
    assert period_date(monday, 3, "week") == datetime.date(2025, 3, 24)
    assert period_date(monday, -2, "week") == datetime.date(2025, 2, 17)
    assert period_date(monday, 10, "month") == datetime.date(2026, 1, 3)
    assert period_date(datetime.date(2025, 1, 31), 1, "month") == datetime.date(2025, 2, 28)


def test_the_same_date_has_the_same_part_of_the_year_in_every_year() -> None:
    """A Monday in the week of Christmas, three years running, lies in one part of the year, or the next."""
    found = [int(year_phases(datetime.date(year, 12, 25), 0, 1, "day")[0]) for year in (2022, 2023, 2024)]
    assert len(set(found)) == 1
    weeks = year_phases(datetime.date(2024, 4, 15), -104, 52, "week")
    assert weeks.min() == 0
    assert weeks.max() == 51
    assert np.abs((weeks[52:104] - weeks[:52] + 26) % 52 - 26).max() <= 1
    assert year_phases(datetime.date(2025, 1, 1), -1, 2, "month").tolist() == [11, 0, 1]
