"""Reading sheets of Excel workbooks: cells as text, as in CSV files, so that both are checked alike.

Of a cell with a formula the value is read that the spreadsheet program saved with it; a formula that failed (`#REF!`)
is an error.
"""

from __future__ import annotations

import logging
from typing import Any

import polars as pl

from meio_jax.errors import Note, first_line
from meio_jax.tables.extras import optional_library, panics_as_value_errors
from meio_jax.tables.findings import FIRST, Findings
from meio_jax.tables.workbook_size import check_size

WORKBOOK = "tables.xlsx"
"""Workbook of an instance folder with a sheet for each of several tables."""

_FAILURES = {
    "Div0": "#DIV/0!",
    "NA": "#N/A",
    "Name": "#NAME?",
    "Null": "#NULL!",
    "Num": "#NUM!",
    "Ref": "#REF!",
    "Value": "#VALUE!",
}
_LOG = "fastexcel.types.dtype"


def sheets_of(content: bytes, label: str) -> list[str]:
    """Names of the sheets of a workbook.

    Raises:
        InputError: If the library that reads workbooks is not installed.
        ValueError: If the bytes are no workbook, or one without any sheet.
    """
    names = list(_opened(content, label)[1].sheet_names)
    if not names:
        raise ValueError("a workbook without sheets")
    return names


def read_sheet(content: bytes, sheet: str, label: str, findings: Findings) -> pl.DataFrame | None:
    """The cells of a sheet as text; None where it is no table (then a problem is added).

    Whole numbers are written without a decimal point, dates as `2025-03-31 00:00:00`. Rows and columns without any
    value at the end are left out.

    Args:
        content: The bytes of the workbook.
        sheet: Name of the sheet.
        label: Name of the file and sheet, for messages.
        findings: Where problems go.

    Raises:
        InputError: If the library that reads workbooks is not installed.
        ValueError: If the bytes are no workbook.
    """
    library, reader = _opened(content, label)
    try:
        # Said by the library of every column without values; what that means is said by the checks.
        logging.getLogger(_LOG).setLevel(logging.ERROR)
        with panics_as_value_errors():
            loaded = reader.load_sheet(sheet, header_row=None, skip_rows=0, dtypes="string")
            cells, failed = loaded.to_arrow_with_errors()
    except library.FastExcelError as error:
        raise _unreadable(error) from None
    rows: Any = pl.from_arrow(cells)
    if failed is not None and failed.errors:
        _tell_failed(failed.errors, label, findings)
        return None
    rows = _without_empty_ends(rows)
    if rows.is_empty():
        findings.add(
            label, "", "", Note("an empty sheet"), "a table with a header in its first row", "fill in the sheet"
        )
        return None
    names = [None if name is None else name.strip() for name in rows.row(0)]
    if not _header_fits(names, label, findings):
        return None
    body = rows.slice(1)
    body.columns = [name or "" for name in names]
    return body


def _opened(content: bytes, label: str) -> tuple[Any, Any]:
    """The library, and the workbook."""
    library = optional_library("fastexcel", "excel", label, "to read Excel workbooks")
    check_size(content)
    try:
        with panics_as_value_errors():
            return library, library.read_excel(content)
    except library.FastExcelError as error:
        raise _unreadable(error) from None


def _unreadable(error: Exception) -> ValueError:
    return ValueError(first_line(error))


def _tell_failed(errors: Any, label: str, findings: Findings) -> None:
    """Cells whose formula failed, the first ones each and the others counted."""
    for one in errors[:FIRST]:
        row, column = one.position
        kind = one.detail.rpartition("Error(")[2].rstrip("')")
        found = Note(_FAILURES.get(kind, kind))
        findings.add(
            label,
            f"cell {_letters(column)}{row + 1}",
            "",
            found,
            "a value: the formula of the cell failed",
            "correct the formula and save the workbook",
        )
    findings.omitted += max(0, len(errors) - FIRST)


def _letters(column: int) -> str:
    """Name of a column in spreadsheets: 0 is A, 26 is AA."""
    name, rest = "", column + 1
    while rest:
        rest, last = divmod(rest - 1, 26)
        name = chr(ord("A") + last) + name
    return name


def _without_empty_ends(rows: pl.DataFrame) -> pl.DataFrame:
    """The cells up to the last row and the last column that hold anything."""
    if not rows.width or not rows.height:
        return rows.clear()
    rows = rows.with_columns(pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in rows.columns)
    filled = rows.select(pl.any_horizontal(pl.all().is_not_null())).to_series().arg_true()
    if not len(filled):
        return rows.clear()
    rows = rows.head(int(filled[-1]) + 1)
    columns = [at for at, name in enumerate(rows.columns) if rows[name].null_count() < rows.height]
    return rows[:, : columns[-1] + 1]


def _header_fits(names: list[str | None], label: str, findings: Findings) -> bool:
    """Whether the first row names every column, each by another name."""
    nameless = [_letters(number) for number, name in enumerate(names) if not name]
    if nameless:
        found = Note("an empty row" if len(nameless) == len(names) else f"no name for column {', '.join(nameless)}")
        expected, remedy = "a header in the first row, with a name for every column", "name the columns or remove them"
        findings.add(label, "row 1", "", found, expected, remedy)
    twice = [name for number, name in enumerate(names) if name and name in names[:number]]
    for name in twice:
        findings.add(label, "row 1", name, "", "every column once", "remove or rename one of the two")
    return not nameless and not twice
