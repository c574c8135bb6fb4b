"""Rows that a library fetched, as rows of a table can be: plain values, in an order of their own."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from meio_jax.errors import InputError, Note, Problem, first_line
from meio_jax.tables.digests import rows_digest
from meio_jax.tables.extras import panics_as_value_errors

_EXPECTED, _REMEDY = "numbers, texts, dates or flags", "cast the column, or leave it out"


def sorted_rows(frame: pl.DataFrame, label: str, place: str) -> pl.DataFrame:
    """The rows sorted by their columns: the order in which they came says nothing.

    Args:
        frame: The rows as they came.
        label: What they are, for messages.
        place: What gave them, for messages: query or delta.

    Raises:
        InputError: Of columns whose values no cell of a table can be: lists, structures, bytes, 39 digits.
    """
    problems = [
        Problem(label, place, name, found, _EXPECTED, _REMEDY) for name in frame.columns if (found := _odd(frame[name]))
    ]
    if problems:
        raise InputError(problems)
    return frame.sort(frame.columns, nulls_last=True) if frame.width else frame


def _odd(column: pl.Series) -> Note | None:
    """What a column holds that no cell can be; None where it holds nothing of that kind."""
    kind = column.dtype
    if kind.is_nested() or kind in (pl.Binary, pl.Object):
        return Note(f"values of type {kind}")
    # Databases have whole numbers of 39 digits, of which the table library panics.
    if isinstance(kind, pl.Decimal) and (column.cast(pl.Float64).abs() > 0.999 * 10.0 ** (38 - kind.scale)).any():
        return Note("a number of 39 digits")
    return None


def write_rows(frame: pl.DataFrame, path: Path, key: str, label: str) -> str:
    """Write fetched rows to a Parquet file; their digest.

    Args:
        frame: The rows.
        path: The file.
        key: Under which the digest is kept.
        label: What they are, for messages.

    Raises:
        InputError: If a value cannot be written, for example because a library panics.
        OSError: If the file cannot be written.
    """
    try:
        with panics_as_value_errors():
            frame.write_parquet(path)
            return rows_digest(key, frame)
    except (pl.exceptions.PolarsError, ValueError) as error:
        found = Note(first_line(error))
        raise InputError([Problem(label, "", "", found, _EXPECTED, _REMEDY)]) from None
