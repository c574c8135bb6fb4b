"""Rows of some items only, found by id in the files of a table."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import polars as pl

from meio_jax.tables.clean_texts import SUSPECT, clean_text
from meio_jax.tables.findings import Findings, Source
from meio_jax.tables.sources import READ_ERRORS, Files, Part, drop_hive, scan_file, unreadable


def read_matching(files: Files, column: str, wanted: pl.Series, findings: Findings) -> list[Part] | None:
    """Rows of each file whose `column`, cleaned, is one of `wanted`; row groups without any are skipped unread.

    Cells come as they stand in the file; the number of a row in it is lost. None where a file cannot be read (then a
    problem is added).
    """
    parts = []
    for path in files.paths:
        label = files.part_label(path)
        try:
            frame = scan_file(files, path)
            schema = frame.collect_schema()
            if column not in schema:
                parts.append(Part(frame.head(0).collect(), Source(label, "block")))
                continue
            values = _as_they_stand(wanted, files, path, column)
            col = pl.col(column) if schema[column] == pl.String else pl.col(column).cast(pl.String)
            # the bounds let Parquet statistics rule out row groups where the catalog is sorted by item
            low, high = values.min() or "", values.max() or ""
            near = frame.filter((col >= low) & (col <= high) & col.is_in(values.implode()))
            parts.append(Part(drop_hive(files, near.collect()), Source(label, "block")))
        except READ_ERRORS as error:
            unreadable(files, label, error, findings)
            return None
    return parts


def _as_they_stand(wanted: pl.Series, files: Files, path: Path, column: str) -> pl.Series:
    """Ids with every other form that is read as one of them: with blanks around it, or invisible characters."""
    about = path.stat()
    others = _unclean(replace(files, paths=(path,)), column, about.st_mtime_ns, about.st_size)
    known = set(wanted) if others else set()
    more = [raw for raw, clean in others if clean in known]
    return pl.concat([wanted, pl.Series(wanted.name, more, pl.String)]) if more else wanted


@lru_cache(maxsize=1024)
def _unclean(files: Files, column: str, changed: int, size: int) -> tuple[tuple[str, str], ...]:
    """Ids in a single file that are read in another form, and that form; the rest tells its versions apart."""
    del changed, size
    ids = scan_file(files, files.paths[0]).select(pl.col(column).cast(pl.String))
    suspect = ids.filter(pl.col(column).str.contains(SUSPECT)).unique().collect().to_series()
    pairs = [(raw, clean_text(raw)) for raw in suspect]
    return tuple((raw, clean) for raw, clean in pairs if clean != raw)
