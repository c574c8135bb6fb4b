"""Parquet files that this program wrote itself: whole ones are read, damaged ones are told in one line."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from meio_jax.errors import Note, Problem, Refusal, first_line
from meio_jax.tables.sources import READ_ERRORS


def read_own(path: Path, remedy: str = "solve anew") -> pl.DataFrame:
    """A table that this program wrote; the file alone, for a name that looks like a pattern is a name.

    Args:
        path: The file.
        remedy: What to do where it is damaged.

    Raises:
        InputError: If it is damaged, or no Parquet file.
    """
    try:
        return pl.read_parquet(path, glob=False, hive_partitioning=False)
    except READ_ERRORS as error:
        raise Refusal(damaged(path, error, remedy)) from None


def damaged(path: Path, error: BaseException, remedy: str) -> Problem:
    """What is said of a damaged file."""
    return Problem(str(path), "", "", Note(first_line(error)), "a whole Parquet file", remedy)
