"""Columns before they are checked: those of the user's own are left out, and dates become numbers of periods."""

from __future__ import annotations

import polars as pl

from meio_jax.tables.columns import Column, Table
from meio_jax.tables.conform import conform
from meio_jax.tables.findings import Findings, View
from meio_jax.tables.settings import InstanceSettings
from meio_jax.tables.sources import Part


def without_own_columns(table: Table, part: Part, settings: InstanceSettings | None) -> Part:
    """A part without the columns that the instance may have besides those that are declared."""
    declared = {*table.column_names, *(column.or_date for column in table.columns)}
    own = [name for name in part.frame.columns if name not in declared]
    kept = lambda name: name.startswith("x_") or name in table.unread or (settings is not None and settings.keeps(name))
    own = [name for name in own if kept(name)]
    return Part(part.frame.drop(own), part.source, part.digest) if own else part


def with_periods(table: Table, part: Part, settings: InstanceSettings | None, findings: Findings) -> Part:
    """A part with the numbers of the periods in which the days of its date columns lie.

    Args:
        table: What the part is to have; columns with `or_date` number periods.
        part: Rows as read. A row gives a number or a date.
        settings: Where period 0 begins; None: not known, and then dates are left out, since that is told already.
        findings: Where dates that cannot be read, and rows that give both, are told.
    """
    for column in table.columns:
        if column.or_date and column.or_date in part.frame.columns:
            part = _numbered(table, column, part, settings, findings)
    return part


def _numbered(table: Table, column: Column, part: Part, settings: InstanceSettings | None, findings: Findings) -> Part:
    frame, name = part.frame, column.or_date
    dates = Table(table.name, table.meaning, (Column(name, "date", "a day of the period", nullable=True),))
    view, _ = conform(dates, part.source, frame.select(name), findings)
    days = view.frame.get_column(name)
    numbers = pl.Series(column.name, [None] * len(days), dtype=pl.Int64)
    if settings is not None and days.null_count() < len(days):
        known = days.is_not_null()
        found = settings.periods_of(days.filter(known).to_numpy().astype("datetime64[D]"))
        numbers = numbers.scatter(known.arg_true(), pl.Series(found, dtype=pl.Int64))
    # A date that cannot be read has been told: its row does not lack a number as well.
    written = frame.get_column(name).cast(pl.String).fill_null("").str.strip_chars() != ""
    numbers = numbers.scatter((written & numbers.is_null()).arg_true(), 0)
    rest = frame.drop(name)
    if column.name in frame.columns:
        given = frame.get_column(column.name).cast(pl.String)
        filled = given.is_not_null() & (given != "")
        both = View(dates, part.source, view.frame).rows(pl.col(name).is_not_null() & pl.lit(filled))
        expected = f"a {name} or a {column.name}, not both"
        findings.add_rows(view, both, name, expected, "empty one of the two")
        numbers = pl.select(pl.when(filled).then(given).otherwise(numbers.cast(pl.String))).to_series()
    return Part(rest.with_columns(numbers.alias(column.name)), part.source, part.digest)
