"""Events and prices that the user knows for past and horizon: two files, read by the rules of the instance's tables."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float

from meio_jax.errors import InputError, Note, Problem
from meio_jax.forecast.panel import Calendar, Regressors
from meio_jax.tables.check_keys import check_keys
from meio_jax.tables.columns import Column, Table
from meio_jax.tables.conform import conform
from meio_jax.tables.context import Context, Scope
from meio_jax.tables.findings import Findings
from meio_jax.tables.periods import period_date, period_numbers
from meio_jax.tables.sources import Files, read_parts

EVENTS = Table(
    "events",
    "Days on which something moves demand, in the past and in the horizon.",
    (
        Column("event", "string", "name of the event: days of one name have one effect"),
        Column("ds", "date", "the day"),
        Column("item_id", "string", "item that it concerns; empty: all items", nullable=True),
    ),
)

PRICES = Table(
    "prices",
    "Selling prices, from a day on until the item's next row.",
    (
        Column("item_id", "string", "the item"),
        Column("ds", "date", "first day of the price"),
        Column("price", "float", "selling price", "money per unit", gt=0),
    ),
    key=("item_id", "ds"),
)


def read_table(path: Path, schema: Table, rows: str) -> pl.DataFrame:
    """Read a CSV or Parquet file by a schema.

    Args:
        path: The file.
        schema: Its columns.
        rows: What it must have at least one row of, in words.

    Raises:
        InputError: If there is no such file, or its rows cannot be used.
    """
    if not path.is_file() or path.suffix not in (".csv", ".parquet"):
        columns = ", ".join(schema.column_names)
        expected = f"a CSV or Parquet file ({columns})"
        raise InputError([Problem(str(path), "", "", Note("no such table"), expected, "check the path")])
    findings = Findings()
    parts = read_parts(Files(schema.name, path.suffix[1:], (path,)), findings)
    findings.raise_if_any()
    assert parts is not None  # else there were findings
    view, _ = conform(schema, parts[0].source, parts[0].frame, findings)
    findings.raise_if_any()
    check_keys(Context({schema.name: view}, None, Scope.BLOCK, findings))
    if "units" in view.frame.columns:
        remedy = "take returns off the sales before them, or give an instance folder: there this is done"
        findings.add_rows(view, view.rows(pl.col("units") < 0), "units", "a number >= 0", remedy)
    if view.frame.is_empty():
        findings.add(parts[0].source.label, "", "", Note("no rows"), rows, "fill in the table")
    findings.raise_if_any()
    return view.frame


@dataclass(frozen=True)
class Known:
    """Tables of events and prices as read; None where there is none."""

    events: pl.DataFrame | None = None
    prices: pl.DataFrame | None = None

    @classmethod
    def read(cls, events: Path | None, prices: Path | None) -> Known:
        """Read the files that are given.

        Raises:
            InputError: If one cannot be used.
        """
        return cls(
            None if events is None else read_table(events, EVENTS, "at least one day of an event"),
            None if prices is None else read_table(prices, PRICES, "at least one price"),
        )

    def of(self, names: list[str], calendar: Calendar) -> Regressors:
        """Regressors of some items."""
        events = {}
        if self.events is not None:
            for (name,), rows in self.events.group_by("event", maintain_order=True):
                events[str(name)] = _where(rows, names, calendar)
        return Regressors(events, None if self.prices is None else _log_price(self.prices, names, calendar))


def _where(rows: pl.DataFrame, names: list[str], calendar: Calendar) -> np.ndarray:
    """Periods of an event, `[items or 1, all]`."""
    at = period_numbers(rows["ds"].to_numpy(), calendar.start, calendar.length) + calendar.past
    inside = (at >= 0) & (at < calendar.past + calendar.horizon)
    items = rows["item_id"]
    everywhere = items.is_null().to_numpy()
    found = np.zeros((1 if everywhere.all() else len(names), calendar.past + calendar.horizon), bool)
    found[:, at[inside & everywhere]] = True
    place = {name: number for number, name in enumerate(names)}
    for item, period in zip(items.to_list(), at, strict=True):
        if item in place and 0 <= period < found.shape[1]:
            found[place[item], period] = True
    return found


def _log_price(prices: pl.DataFrame, names: list[str], calendar: Calendar) -> Float[np.ndarray, "items all"]:
    """Logarithm of price over the median price of the past; a price holds until the next, 0 before the first."""
    periods = calendar.past + calendar.horizon
    found = np.zeros((len(names), periods))
    rows = prices.filter(pl.col("item_id").is_in(pl.Series(names).implode())).sort("ds")
    ends = np.asarray(
        [_end(calendar, number) for number in range(1 - calendar.past, calendar.horizon + 1)], "datetime64[D]"
    )
    place = {name: number for number, name in enumerate(names)}
    for (name,), own in rows.group_by("item_id"):
        last = np.searchsorted(own["ds"].to_numpy().astype("datetime64[D]"), ends, side="left") - 1
        log = np.log(own["price"].to_numpy())[np.maximum(last, 0)]
        past = last[: calendar.past] >= 0
        usual = np.median(log[: calendar.past][past]) if past.any() else log[0]
        found[place[str(name)]] = np.where(last >= 0, log - usual, 0.0)
    return found


def _end(calendar: Calendar, number: int) -> datetime.date:
    return period_date(calendar.start, number, calendar.length)
