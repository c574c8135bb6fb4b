"""Tables that were recorded, or forecast, elsewhere, as they are in their files."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from meio_jax.errors import InputError, Note, Problem, first_line


def recorded_table(path: Path, key: str) -> pl.DataFrame:
    """Read a CSV or Parquet file that a key of the configuration names. Ids are text: 007 is not 7.

    Raises:
        InputError: If it is not there, of another kind, or cannot be read.
    """
    remedy = f"correct `{key}`"
    if not path.is_file() or path.suffix not in (".csv", ".parquet"):
        raise InputError([Problem(str(path), "", key, None, "a CSV or Parquet file", remedy)])
    try:
        return pl.read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        found = Note(first_line(error))
        raise InputError([Problem(str(path), "", key, found, "a readable table", remedy)]) from None


def _read_csv(path: Path) -> pl.DataFrame:
    ids = {name: pl.String for name in pl.read_csv(path, n_rows=0).columns if name.endswith("_id")}
    return pl.read_csv(path, try_parse_dates=True, schema_overrides=ids)
