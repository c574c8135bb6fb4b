"""Collecting problems and warnings, and saying in which row of which file they are."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from meio_jax.errors import InputError, InputWarning, Note, Problem
from meio_jax.tables.columns import Table

ROW = "__row"
DETAILED = 50
"""Rows of one check that become a `Problem` each; further rows are only counted."""
FIRST = 5
"""Rows of one check told before those of the next; the rest come last, lest they crowd others out."""


@dataclass(frozen=True)
class Source:
    """Where the rows of a table come from.

    `label` is the file name (or the name of the table), `kind` csv, xlsx, parquet, frame or block (selected
    rows: their number in the file is not known); `parts` are the files of a partitioned table with the
    number of their first row.
    """

    label: str
    kind: str = "frame"
    parts: tuple[tuple[str, int], ...] = ()

    @property
    def whole(self) -> str:
        """Name of the file, or of the folder whose part it is; of what comes from elsewhere all of it."""
        return self.label if "://" in self.label or " (from " in self.label else self.label.split("/")[0]

    def place(self, row: int) -> tuple[str, str]:
        """File and row (or line) of the row numbered `row` from 0 over all parts."""
        name = self.label
        if self.parts:
            part = bisect_right([start for _, start in self.parts], row) - 1
            name, start = self.parts[part]
            row -= start
        if self.kind == "block":
            return name, ""
        if self.kind == "xlsx":
            return name, f"row {row + 2}"  # as the spreadsheet numbers it, below the header
        return name, f"line {row + 2}" if self.kind == "csv" else f"row {row + 1}"


@dataclass(frozen=True)
class View:
    """A table as read: its declaration, its rows (types cast) and where they come from."""

    table: Table
    source: Source
    frame: pl.DataFrame

    def rows(self, condition: pl.Expr) -> pl.DataFrame:
        """Rows in which `condition` is true (null counts as false), numbered in column `ROW`."""
        return self.frame.lazy().with_row_index(ROW).filter(condition).collect()

    def place(self, row: dict[str, Any]) -> tuple[str, str]:
        """File of a row that is numbered in `ROW`, and its place there: row or line, and its key."""
        names = self.table.key or ((self.table.item_column,) if self.table.item_column else ())
        file, place = self.source.place(row[ROW])
        keys = ", ".join(f"{name}={_short(row[name])}" for name in names if row.get(name) is not None)
        return file, f"{place} ({keys})" if place and keys else place or keys

    def numbered(self) -> pl.LazyFrame:
        """All rows, numbered in column `ROW`."""
        return self.frame.lazy().with_row_index(ROW)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


class Findings:
    """Problems and warnings found so far. Every check adds to it and none stops at the first.

    `assumed` says by name what was taken in place of tables that were left out.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[InputWarning] = []
        self.assumed: dict[str, str] = {}
        self.omitted = 0
        self._later: list[Problem] = []

    def add(self, file: str, where: str, column: str, value: object, expected: str, remedy: str) -> None:
        """Add one problem (fields as in `Problem`)."""
        self.problems.append(Problem(file, where, column, value, expected, remedy))

    def add_rows(
        self,
        view: View,
        bad: pl.DataFrame,
        column: str,
        expected: str,
        remedy: str,
        value: str = "",
        note: str = "",
        of: int | None = None,
    ) -> None:
        """Add a problem for each row of `bad`, a part of `view` numbered in `ROW`.

        The value shown is that of the column `value` of `bad`, or of `column`, or the text `note`; `note`,
        `expected` and `remedy` may name columns of `bad` in braces. Where all of several rows are bad (`of` is how many
        there are; those of the view if None), one problem says so.
        """
        whole = view.frame.height if of is None else of
        if 1 < bad.height == whole:
            self._add_all(view, bad, column, expected, remedy, value, note)
            return
        for number, row in enumerate(bad.sort(ROW).head(DETAILED).iter_rows(named=True)):
            file, where = view.place(row)
            found = Note(note.format_map(row)) if note else row.get(value or column)
            told = Problem(file, where, column, found, expected.format_map(row), remedy.format_map(row))
            (self.problems if number < FIRST else self._later).append(told)
        self.omitted += max(0, bad.height - DETAILED)

    def _add_all(
        self, view: View, bad: pl.DataFrame, column: str, expected: str, remedy: str, value: str, note: str
    ) -> None:
        row = bad.sort(ROW).row(0, named=True)
        file, where = view.place(row)
        found = Note(note.format_map(row)) if note else row.get(value or column)
        place = f"all {bad.height} rows that are filled, the first of them {where}"
        self.problems.append(Problem(file, place, column, found, expected.format_map(row), remedy.format_map(row)))

    def warn(self, kind: str, count: int, what: str, example: str, remedy: str) -> None:
        """Add a warning (fields as in `InputWarning`)."""
        self.warnings.append(InputWarning(kind, count, what, example, remedy))

    def warn_rows(self, view: View, bad: pl.DataFrame, kind: str, what: str, example: str, remedy: str) -> None:
        """Add one warning for all rows of `bad`, a part of `view` numbered in `ROW`; nothing where it is empty.

        `example` is said of the first row, after its place, and may name columns of `bad` in braces.
        """
        if bad.is_empty():
            return
        row = bad.sort(ROW).row(0, named=True)
        file, where = view.place(row)
        self.warn(kind, bad.height, what, f"{file}, {where}: {example.format_map(row)}", remedy)

    def add_keys(self, file: str, missing: pl.DataFrame, column: str, expected: str, remedy: str) -> None:
        """Add a problem for each row of `missing`: keys of something that is not there."""
        for number, row in enumerate(missing.head(DETAILED).iter_rows(named=True)):
            where = ", ".join(f"{name}={value}" for name, value in row.items())
            told = Problem(file, where, column, None, expected, remedy)
            (self.problems if number < FIRST else self._later).append(told)
        self.omitted += max(0, missing.height - DETAILED)

    def extend(self, error: InputError) -> None:
        """Take over the problems of an error raised elsewhere."""
        self.problems += error.problems
        self.omitted += error.omitted

    def merged_warnings(self) -> tuple[InputWarning, ...]:
        """The warnings, one a kind: those of several columns or files that say the same are counted together."""
        found: dict[tuple[str, str], InputWarning] = {}
        for one in self.warnings:
            known = found.get((one.kind, one.what))
            found[one.kind, one.what] = replace(known, count=known.count + one.count) if known else one
        return tuple(found.values())

    def raise_if_any(self) -> None:
        """Raise InputError with all problems; nothing where there are none."""
        if self.problems:
            raise InputError(self.problems + self._later, self.omitted)
