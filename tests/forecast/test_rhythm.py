"""Weekly and monthly rows are told from daily ones, and forecast in their own periods."""

import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from meio_jax.errors import InputError
from meio_jax.forecast import ForecastOptions, forecast_run
from meio_jax.forecast.rhythm import next_start, rhythm
from meio_jax.tables.periods import PeriodLength, period_date

START = datetime.date(2024, 1, 1)


def dates(period: PeriodLength, count: int, start: datetime.date = START) -> np.ndarray:
    return np.asarray([period_date(start, at, period) for at in range(count)], "datetime64[D]")


def test_the_rhythm_of_rows_is_recognised() -> None:
    assert rhythm(dates("day", 40)) == "day"
    assert rhythm(dates("week", 40)) == "week"
    assert rhythm(dates("week", 40)[[0, 1, 4, 5, 9, 12, 30]]) == "week"
    assert rhythm(dates("month", 12)) == "month"
    assert rhythm(dates("month", 12, datetime.date(2024, 2, 1)) - 1) == "month"
    assert rhythm(dates("week", 3)) == "day"
    assert rhythm(dates("day", 1)) == "day"


def test_the_horizon_begins_after_the_last_period() -> None:
    assert next_start(dates("day", 3), "day") == datetime.date(2024, 1, 4)
    assert next_start(dates("week", 10), "week") == datetime.date(2024, 3, 11)
    assert next_start(dates("day", 21), "week") == datetime.date(2024, 1, 22)
    assert next_start(dates("month", 12), "month") == datetime.date(2025, 1, 1)
    assert next_start(dates("month", 12, datetime.date(2024, 2, 1)) - 1, "month") == datetime.date(2025, 1, 1)


def _file(folder: Path, period: PeriodLength, units: float, count: int = 120) -> Path:
    rows = {"item_id": ["a"] * count, "ds": dates(period, count).tolist(), "units": [units] * count}
    pl.DataFrame(rows).write_csv(folder / "sales.csv")
    return folder / "sales.csv"


@pytest.mark.parametrize("period", ["week", "month"])
def test_rows_of_weeks_and_months_are_refused_as_days_and_forecast_as_what_they_are(
    tmp_path: Path, period: PeriodLength
) -> None:
    file = _file(tmp_path, period, 56.0)
    with pytest.raises(InputError, match=f"add --period {period}"):
        forecast_run(file, tmp_path / "out")
    options = ForecastOptions(periods=6, paths=100, period=period)
    found = forecast_run(file, tmp_path / "out", options)
    assert (found.period, found.start) == (period, period_date(START, 120, period).isoformat())
    table = pl.read_parquet(tmp_path / "out/forecast/*.parquet")
    assert table["units"].mean() == pytest.approx(56, rel=0.05)
    assert table.group_by("period").agg(pl.col("units").mean())["units"].std() < 3


def test_days_add_up_to_weeks(tmp_path: Path) -> None:
    found = forecast_run(_file(tmp_path, "day", 8.0, 700), tmp_path / "out", ForecastOptions(8, 50, period="week"))
    assert found.periods == 8
    assert pl.read_parquet(tmp_path / "out/forecast/*.parquet")["units"].mean() == pytest.approx(56, rel=0.05)


def test_who_says_that_rows_are_days_is_believed(tmp_path: Path) -> None:
    found = forecast_run(_file(tmp_path, "week", 8.0), tmp_path / "out", ForecastOptions(7, 20, period="day"))
    assert found.period == "day"
