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


def read_own_table(run: Path, name: str) -> pl.DataFrame | None:
    """A table of a run by its name (`plan/targets`); None where it is not there.

    It is a file, or of a catalog in parts a folder of files.

    Raises:
        InputError: If a file is damaged.
    """
    path = run / f"{name}.parquet"
    if path.is_file():
        return read_own(path)
    parts = sorted((run / name).glob("*.parquet"))
    return pl.concat(map(read_own, parts)) if parts else None


def own_table(run: Path, name: str) -> pl.DataFrame:
    """A table that a run has, as `read_own_table`.

    Raises:
        InputError: If it is not there, or damaged.
    """
    found = read_own_table(run, name)
    if found is None:
        raise Refusal(Problem(str(run / f"{name}.parquet"), "", "", None, "a table of a finished run", "solve anew"))
    return found


def damaged(path: Path, error: BaseException, remedy: str) -> Problem:
    """What is said of a damaged file."""
    return Problem(str(path), "", "", Note(first_line(error)), "a whole Parquet file", remedy)
