"""Reading CSV files as spreadsheets and people write them: what does not fit is told by line."""

from __future__ import annotations

import csv
import io

import polars as pl

from meio_jax.errors import Note
from meio_jax.tables.findings import Findings

_MARKS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_BOM = b"\xef\xbb\xbf"


def read_csv_bytes(content: bytes, label: str, findings: Findings) -> pl.DataFrame | None:
    """The cells of a CSV file as text; None where it is no table (then a problem is added).

    Rows without any value at the end of the file are left out: spreadsheets leave them behind.

    Args:
        content: The bytes of the file.
        label: Its name, for messages.
        findings: Where problems go.
    """
    content = content.removeprefix(_BOM)
    if not csv_fits(content, label, findings):
        return None
    frame = pl.read_csv(io.BytesIO(content), infer_schema=False)
    filled = frame.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
    rows = filled.arg_true()
    return frame.head(int(rows[-1]) + 1 if len(rows) else 0)


def csv_fits(content: bytes, label: str, findings: Findings) -> bool:
    """Whether the bytes are UTF-8 text with a header and rows of its length; what is wrong goes to `findings`."""
    content = content.removeprefix(_BOM)
    text = _is_text(content, label, findings) and _header_fits(content, label, findings)
    return text and _rows_fit(content, label, findings)


def _is_text(content: bytes, label: str, findings: Findings) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found, remedy = Note("bytes that are not UTF-8"), "save the file as UTF-8"
        findings.add(label, f"line {line}", "", found, "UTF-8 text", remedy)
        return False
    if b"\n" not in content and b"\r" in content:
        found, remedy = Note("lines that end with a carriage return alone"), "save the file with usual line ends"
        findings.add(label, "", "", found, "lines that end with a line feed", remedy)
        return False
    return True


def _header_fits(content: bytes, label: str, findings: Findings) -> bool:
    """Whether the first line is a header of cells parted by commas, each with a name of its own."""
    first = content.lstrip(b"\r\n").split(b"\n", 1)[0].decode("utf-8").strip("\r")
    expected = "a header of column names parted by commas"
    if first.strip('"').lower().startswith("sep="):
        remedy = "remove the line, part the cells by commas, and write numbers with a decimal point"
        findings.add(label, "line 1", "", first, expected, remedy)
        return False
    mark = next((mark for mark in _MARKS if mark in first), "")
    if "," not in first and mark:
        remedy = "save the file with commas between cells and a decimal point in numbers (1.5, not 1,5)"
        found = Note(f"cells parted by {_MARKS[mark]}")
        findings.add(label, "line 1", "", found, "cells parted by commas", remedy)
        return False
    names = [name.strip() for name in next(csv.reader([first]), [])]
    nameless = [str(number) for number, name in enumerate(names, start=1) if not name]
    twice = [name for number, name in enumerate(names) if name and name in names[:number]]
    if nameless:
        found = Note(f"no name for column {', '.join(nameless)} of {len(names)}")
        findings.add(label, "line 1", "", found, "a name for every column", "name the column or remove it")
    for name in twice:
        findings.add(label, "line 1", name, "", "every column once", "remove or rename one of the two")
    return not nameless and not twice


def _rows_fit(content: bytes, label: str, findings: Findings) -> bool:
    """Whether every line has as many cells as the header; lines without anything pass."""
    try:
        width, wrong = _uneven(content)
    except csv.Error as error:
        findings.add(label, "", "", Note(error), "cells with balanced quotes", "correct the quotes")
        return False
    if not wrong:
        return True
    line, cells = wrong[0]
    more = f"; {len(wrong) - 1} more such lines" if len(wrong) > 1 else ""
    remedy = 'correct the line; put text that holds a comma in quotes ("a,b"), and write 1.5 for 1,5'
    findings.add(label, f"line {line}", "", Note(f"{cells} cells{more}"), f"{width} cells, as in the header", remedy)
    return False


def _uneven(content: bytes) -> tuple[int, list[tuple[int, int]]]:
    """Cells of the header, and of every line that has another number: (line, cells)."""
    if b'"' in content:
        reader = csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True)
        counts = [(reader.line_num, len(cells)) for cells in reader]
    else:
        counts = [
            (number, line.count(b",") + 1 if line.strip(b"\r") else 0)
            for number, line in enumerate(content.split(b"\n"), start=1)
        ]
    width = next((cells for _, cells in counts if cells), 0)
    return width, [(line, cells) for line, cells in counts if cells not in (0, width)]
