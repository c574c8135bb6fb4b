"""Writing Excel workbooks: a sheet a table, texts as texts, whatever they begin with."""

from __future__ import annotations

import datetime
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from meio_jax.tables.extras import optional_library
from meio_jax.tables.write import FORMULA, renamed

SHEET_ROWS = 1_048_575
"""Rows of a sheet below its header: what spreadsheet programs hold."""

_NAME_LENGTH = 31
_WIDEST = 60
_LOOKED_AT = 1000


def write_workbook(sheets: Iterable[tuple[str, pl.DataFrame]], path: Path) -> Path:
    """Write tables as sheets of a workbook, under a temporary name beside it that takes its place at the end.

    Texts are written as texts and never as formulas or links; those that a spreadsheet would take for a formula once
    somebody edits the cell are marked as text as well. A table longer than a sheet goes on in further ones, `NAME (2)`.

    Args:
        sheets: Name of each sheet, and its table.
        path: The file.

    Raises:
        InputError: If the library that writes workbooks is not installed.
        OSError: If the file cannot be written; it is then what it was.
    """
    library = optional_library("xlsxwriter", "excel", str(path), "to write Excel workbooks")
    with renamed(path) as temporary:
        # Rows go to disk one by one: a table of a million rows does not stand in memory twice. The packed workbook,
        # which is much smaller, does: on a full disk the library would leave an archive that cannot be closed.
        packed = io.BytesIO()
        book = library.Workbook(packed, {"constant_memory": True})
        try:
            styles = {
                "header": book.add_format({"bold": True, "bottom": 1}),
                "date": book.add_format({"num_format": "yyyy-mm-dd"}),
                "text": book.add_format({"quote_prefix": True}),
            }
            for name, frame in _fitting(sheets):
                _write_sheet(book.add_worksheet(name), frame, styles)
        finally:
            book.close()
        temporary.write_bytes(packed.getbuffer())
    return path


def _fitting(sheets: Iterable[tuple[str, pl.DataFrame]]) -> Iterator[tuple[str, pl.DataFrame]]:
    """The tables in pieces that a sheet holds."""
    for name, frame in sheets:
        for number, start in enumerate(range(0, max(frame.height, 1), SHEET_ROWS), start=1):
            end = f" ({number})" if number > 1 else ""
            yield name[: _NAME_LENGTH - len(end)] + end, frame.slice(start, SHEET_ROWS)


def _write_sheet(sheet: Any, frame: pl.DataFrame, styles: dict[str, Any]) -> None:
    formulas = {name: frame[name].str.contains(FORMULA) for name, kind in frame.schema.items() if kind == pl.String}
    sheet.freeze_panes(1, 0)
    for column, name in enumerate(frame.columns):
        sheet.set_column(column, column, _width(frame[name]))
    for column, name in enumerate(frame.columns):
        sheet.write_string(0, column, name, styles["header"])
    for row, values in enumerate(frame.iter_rows(), start=1):
        for column, value in enumerate(values):
            if isinstance(value, str):
                guarded = formulas[frame.columns[column]][row - 1]
                sheet.write_string(row, column, value, styles["text"] if guarded else None)
            else:
                _write_value(sheet, row, column, value, styles)


def _write_value(sheet: Any, row: int, column: int, value: object, styles: dict[str, Any]) -> None:
    """A value that is no text; what is no number, and no value, leaves the cell empty."""
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, int | float):
        if value == value and abs(value) != float("inf"):
            sheet.write_number(row, column, value)
    elif isinstance(value, datetime.date):
        sheet.write_datetime(row, column, value, styles["date"])
    elif value is not None:
        sheet.write_string(row, column, str(value), styles["text"])


def _width(column: pl.Series) -> int:
    """Characters of the widest of the first values."""
    texts = column.head(_LOOKED_AT).cast(pl.String, strict=False)
    if column.dtype.is_float():
        return max(len(column.name), 12)
    longest = int(texts.str.len_chars().max() or 0)  # type: ignore[arg-type]
    return min(max(longest, len(column.name)) + 1, _WIDEST)
