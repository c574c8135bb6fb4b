"""Forecasts by date of issue: on every morning the planner knows the latest one, and none that came later."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import polars as pl

from meio_jax.backtest.window import moved_forecast
from meio_jax.backtest_loop.knowledge import AbstractKnowledge
from meio_jax.backtest_loop.recorded import recorded_table
from meio_jax.errors import InputError, Note, Problem
from meio_jax.tables import Tables

KEY, ISSUED = "backtest.forecasts", "issue_date"
_ITEM = {"mean": "item_id", "paths": "item_id", "quantiles": "unique_id"}


@dataclass(frozen=True)
class Issue:
    """One forecast: the day it was made, its form, and its rows as a checked instance has them."""

    date: datetime.date
    form: str
    frame: pl.DataFrame


@dataclass(frozen=True)
class IssuedForecasts(AbstractKnowledge):
    """Forecasts in the order in which they were issued."""

    issues: tuple[Issue, ...]

    def seen(self, day: int, morning: Tables) -> Tables:
        del day
        today, periods = morning.settings.start_date, morning.settings.periods
        latest = [issue for issue in self.issues if issue.date <= today][-1]
        made = _at(morning, latest)
        age = int(made.settings.periods_of(pl.Series([today]).to_numpy())[0])
        settings = morning.settings.model_copy(update={"forecast": latest.form})
        return morning.replace(settings=settings, forecast=moved_forecast(made, age, periods))


def read_issued(path: Path, first: Tables) -> IssuedForecasts:
    """Read and check forecasts by date of issue.

    Args:
        path: CSV or Parquet: `issue_date`, and the columns of a form of the forecast (docs/format.md) with dates `ds`.
        first: The instance on the first morning.

    Raises:
        InputError: If a column is missing, an issue is no forecast of all items, or none is known on that morning.
    """
    table = _with_names(recorded_table(path, KEY), path)
    start = first.settings.start_date
    known = table.filter(pl.col(ISSUED) <= start)[ISSUED]
    if not known.len():
        expected = f"a forecast that was issued on {start} or before, the first morning of the backtest"
        remedy = "add an earlier forecast, or start the backtest later"
        raise InputError([Problem(str(path), "", ISSUED, table[ISSUED].min(), expected, remedy)])
    used = table.filter(pl.col(ISSUED) >= known.max())
    return IssuedForecasts(tuple(_issues(used, path, first)))


def _issues(table: pl.DataFrame, path: Path, first: Tables) -> Iterator[Issue]:
    form = _form(table)
    for (date,), rows in sorted(table.partition_by(ISSUED, as_dict=True).items()):
        frame = rows.drop(ISSUED)
        settings = first.settings.model_copy(update={"start_date": date})
        ahead = settings.periods_of(frame["ds"].to_numpy())
        if ahead.min() < 0:
            expected = f"days from the date of issue on, {date}"
            remedy = "leave out days that lie before it"
            raise InputError([Problem(str(path), f"issue_date={date}", "ds", frame["ds"].min(), expected, remedy)])
        _check_every_item(frame[_ITEM[form]], date, path, first)
        if form != "quantiles":
            frame = frame.with_columns(period=pl.Series(ahead)).drop("ds")
        yield _checked(Issue(date, form, frame), path, first)


def _check_every_item(given: pl.Series, date: datetime.date, path: Path, first: Tables) -> None:
    items = first.items["item_id"]
    absent = items.filter(~items.is_in(given.unique().implode()))
    if absent.len():
        found = Note(f"nothing of {absent.len()} items, the first of them {absent[0]}")
        expected, remedy = "a forecast of every item", "add the rows, with a mean of 0 where no demand is expected"
        raise InputError([Problem(str(path), f"issue_date={date}", "item_id", found, expected, remedy)])


def _checked(issue: Issue, path: Path, first: Tables) -> Issue:
    """The issue, checked as the forecast of an instance whose horizon it covers, and that of the first morning."""
    made = _at(first, issue)
    days = issue.frame["ds"] if issue.form == "quantiles" else None
    last = issue.frame["period"].max() if days is None else made.settings.periods_of(days.to_numpy()).max()
    periods = max(int(cast(int, last)) + 1, first.settings.periods)
    long = made.replace(settings=made.settings.model_copy(update={"periods": periods}))
    try:
        whole = long.replace(forecast=moved_forecast(long, 0, periods))
        others = {name: frame for name, frame in whole.frames().items() if name in _NEEDED}
        checked = Tables.from_frames(long.settings, **others)
    except InputError as error:
        told = [replace(one, file=str(path), where=f"issue_date={issue.date}, {one.where}") for one in error.problems]
        raise InputError(told, error.omitted) from None
    return replace(issue, frame=checked.forecast)


_NEEDED = (
    "items", "nodes", "lanes", "regions", "speeds", "transit", "cutoffs", "offers", "forecast", "shares", "lead_times",
)  # fmt: skip


def _at(tables: Tables, issue: Issue) -> Tables:
    """The instance as if its horizon began on the day of the issue."""
    settings = tables.settings.model_copy(update={"start_date": issue.date, "forecast": issue.form})
    return tables.replace(settings=settings, forecast=issue.frame)


def _with_names(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    """The table with the names and dates that its form has."""
    missing = [name for name in (ISSUED, "ds") if name not in table.columns]
    if missing or not {"item_id", "unique_id"} & set(table.columns):
        lacking = missing or ["item_id"]
        expected = "`issue_date`, `item_id`, `ds`, and the columns of a form of the forecast"
        raise InputError([Problem(str(path), "", ", ".join(lacking), Note("missing"), expected, "add the columns")])
    form = _form(table)
    names: dict[str, str] = {
        name: _ITEM[form] for name in ("item_id", "unique_id") if name in table.columns and name != _ITEM[form]
    }
    table = table.rename(names)
    for name in (ISSUED, "ds"):
        dates = _as_dates(table[name])
        if dates.null_count():
            row = int(dates.is_null().arg_max() or 0)
            expected, remedy = "a date (YYYY-MM-DD)", "correct the row"
            raise InputError([Problem(str(path), f"row {row + 1}", name, table[name][row], expected, remedy)])
        table = table.with_columns(dates.alias(name))
    return table.with_columns(pl.col(_ITEM[form]).cast(pl.String))


def _as_dates(column: pl.Series) -> pl.Series:
    """Dates of a column of dates or texts; null where there is none."""
    if column.dtype == pl.String:
        return column.str.to_date("%Y-%m-%d", strict=False)
    if column.dtype.is_temporal():
        return column.cast(pl.Date, strict=False)
    return pl.Series(column.name, [None] * column.len(), dtype=pl.Date)


def _form(table: pl.DataFrame) -> str:
    """The form of the forecast, by its columns."""
    return "mean" if "mean" in table.columns else "paths" if "path" in table.columns else "quantiles"
