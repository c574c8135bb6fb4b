"""Rows of some items only, found by id in the files of a table."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import polars as pl

from meio_jax.tables.clean_texts import SUSPECT, clean_text
from meio_jax.tables.findings import Findings, Source
from meio_jax.tables.sources import READ_ERRORS, Files, Part, drop_hive, scan_file, unreadable

# Sorts behind every text that it is put after.
_LAST = "\U0010ffff"


def read_matching(
    files: Files, column: str, wanted: pl.Series, findings: Findings, *, consecutive: bool = False
) -> list[Part] | None:
    """Rows of each file whose `column`, cleaned, is one of `wanted`; row groups without any are skipped unread.

    Cells come as they stand in the file; the number of a row in it is lost. None where a file cannot be read (then a
    problem is added).

    Args:
        files: The table.
        column: Its column of ids.
        wanted: Clean ids.
        findings: Where problems are added.
        consecutive: Whether they are consecutive items of the catalog, of which there are many ranges: ids that need
            cleaning are then looked for in row groups near them and in those that begin or end with such an id, not in
            the ids of the whole catalog.
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
            values = _as_they_stand(wanted, files, path, column, consecutive=consecutive)
            col = pl.col(column) if schema[column] == pl.String else pl.col(column).cast(pl.String)
            # the bounds let Parquet statistics rule out row groups where the catalog is sorted by item
            low, high = values.min() or "", values.max() or ""
            near = frame.filter((col >= low) & (col <= high) & col.is_in(values.implode()))
            parts.append(Part(drop_hive(files, near.collect()), Source(label, "block")))
        except READ_ERRORS as error:
            unreadable(files, label, error, findings)
            return None
    return parts


def _as_they_stand(wanted: pl.Series, files: Files, path: Path, column: str, *, consecutive: bool) -> pl.Series:
    """Ids with every other form that is read as one of them: with blanks around it, or invisible characters."""
    about, one = path.stat(), replace(files, paths=(path,))
    if consecutive:
        others = _unclean_near(one, column, str(wanted.min() or ""), str(wanted.max() or ""))
    else:
        others = _unclean(one, column, about.st_mtime_ns, about.st_size)
    known = set(wanted) if others else set()
    more = [raw for raw, clean in others if clean in known]
    return pl.concat([wanted, pl.Series(wanted.name, more, pl.String)]) if more else wanted


def _unclean_near(files: Files, column: str, low: str, high: str) -> tuple[tuple[str, str], ...]:
    """As `_unclean`, of ids that sort near a range, or before or behind all that is printable ASCII."""
    col = pl.col(column)
    near = ((col >= low) & (col <= high + _LAST)) | (col < "!") | (col > "~" + _LAST)
    return _changed(scan_file(files, files.paths[0]).select(col.cast(pl.String)).filter(near), column)


@lru_cache(maxsize=1024)
def _unclean(files: Files, column: str, changed: int, size: int) -> tuple[tuple[str, str], ...]:
    """Ids in a single file that are read in another form, and that form; the rest tells its versions apart."""
    del changed, size
    ids = scan_file(files, files.paths[0]).select(pl.col(column).cast(pl.String))
    return _changed(ids, column)


def _changed(ids: pl.LazyFrame, column: str) -> tuple[tuple[str, str], ...]:
    suspect = ids.filter(pl.col(column).str.contains(SUSPECT)).unique().collect().to_series()
    pairs = [(raw, clean_text(raw)) for raw in suspect]
    return tuple((raw, clean) for raw, clean in pairs if clean != raw)
