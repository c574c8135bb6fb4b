"""What can be said of the files of a catalog that is read in parts only once, over all of its rows."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from meio_jax.errors import Note
from meio_jax.tables.clean_texts import SUSPECT, clean_text
from meio_jax.tables.csv_text import csv_fits
from meio_jax.tables.findings import Findings
from meio_jax.tables.schema import ITEM_TABLES, table_schema
from meio_jax.tables.sources import READ_ERRORS, Files, find_files, scan_file
from meio_jax.tables.tables import Tables


def check_item_files(folder: Path, network: Tables) -> None:
    """Check that every row of the item tables can be found by the id of its item.

    Parts of a catalog are read by id: a row whose id has a blank at its end would be met in no part. In memory such ids
    are cleaned; here they are an error. One column of each table is read.

    Args:
        folder: The instance.
        network: What `read_network` gave.

    Raises:
        InputError: With every table that has such ids, and every CSV file with uneven rows.
    """
    findings = Findings()
    for name in ITEM_TABLES:
        files = find_files(folder, name, findings)
        if files is None:
            continue
        column = table_schema(name, network.settings.forecast).item_column
        for path in files.paths:
            if files.kind != "csv" or csv_fits(path.read_bytes(), files.part_label(path), findings):
                _check_ids(files, path, column, findings)
    findings.raise_if_any()


def _check_ids(files: Files, path: Path, column: str, findings: Findings) -> None:
    try:
        frame = scan_file(files, path)
        if column not in frame.collect_schema().names():
            return
        ids = frame.select(pl.col(column).cast(pl.String))
        suspect = ids.filter(pl.col(column).str.contains(SUSPECT)).unique().collect().to_series()
    except READ_ERRORS:
        return  # told when the part is read
    unclean = [text for text in suspect.to_list() if clean_text(text) != text]
    if unclean:
        more = f", and {len(unclean) - 1} more" if len(unclean) > 1 else ""
        expected = "ids without blanks around them and invisible characters, since the catalog is read in parts"
        found = Note(f"{unclean[0]!r}{more}")
        findings.add(files.part_label(path), "", column, found, expected, "clean the ids in the file")
