"""Writing tables so that a reader never meets half a table."""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import polars as pl
import yaml

from meio_jax.folders import Claim, check_claim, held, writing, written_beside
from meio_jax.tables.schema import table_schema
from meio_jax.tables.settings import SETTINGS_FILE, InstanceSettings
from meio_jax.tables.tables import Tables

ROW_GROUP_ROWS = 100_000
"""Rows per Parquet row group: small enough that reading a block of items skips most of a table sorted by
item.
"""


def write_table(frame: pl.DataFrame, path: Path | str) -> Path:
    """Write one table (`.parquet` or `.csv` by suffix) under a temporary name beside it, then rename.

    Raises:
        ValueError: for another suffix.
        OSError: if it cannot be written; the file is then what it was.
    """
    path = Path(path)
    if path.suffix not in (".parquet", ".csv"):
        raise ValueError(f"{path.name}: expected a name ending in .parquet or .csv")
    with renamed(path) as temporary:
        if path.suffix == ".parquet":
            frame.write_parquet(temporary, row_group_size=ROW_GROUP_ROWS)
        else:
            frame.write_csv(temporary)
    return path


FORMULA = r"^[=+\-@\t\r\n\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]"
"""Beginnings of texts that spreadsheets take for formulas."""


def guard_cells(frame: pl.DataFrame) -> pl.DataFrame:
    """Texts that a spreadsheet would run as a formula with an apostrophe before them; numbers stay as they are.

    An id such as `=HYPERLINK(...)` comes from whoever made the catalog and is opened by somebody else.
    """
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    return frame.with_columns(
        pl.when(pl.col(name).str.contains(FORMULA)).then("'" + pl.col(name)).otherwise(pl.col(name)).alias(name)
        for name in texts
    )


@contextmanager
def renamed(path: Path) -> Iterator[Path]:
    """A temporary name beside a file, which takes its place at the end.

    Raises:
        OSError: If it cannot be written; the file is then what it was.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex[:8]}.tmp")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def write_text(text: str, path: Path | str) -> Path:
    """Write a text file (UTF-8) under a temporary name beside it, then rename."""
    path = Path(path)
    with renamed(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def write_settings(settings: InstanceSettings, folder: Path | str) -> Path:
    """Write `instance.yaml`, for a folder in which all tables lie."""
    content = settings.model_dump(mode="python", exclude={"sources"})
    content["wave_ends"] = list(settings.wave_ends)
    return write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), Path(folder) / SETTINGS_FILE)


def write_instance(
    tables: Tables,
    folder: Path | str,
    format: Literal["parquet", "csv"] = "parquet",
    partition_rows: int | None = None,
    *,
    overwrite: bool = False,
) -> Path:
    """Write an instance folder (made if missing).

    Args:
        tables: what to write. Empty optional tables are left out.
        folder: where to.
        format: parquet or csv.
        partition_rows: with parquet, tables that grow with the catalog and are longer than this become a
            folder of parts of about so many rows; an item's rows never straddle two parts where they are
            together in the table.
        overwrite: replace an instance that was written there before, once this one is whole.

    Returns:
        The folder.

    Raises:
        Refusal: If the folder holds anything that may not be replaced; then nothing is written.

    Example:
        >>> from meio_jax.tables import read_instance, write_instance
        >>> write_instance(tables, "shop-in-csv", "csv").name
        'shop-in-csv'
        >>> read_instance("shop-in-csv").items.equals(tables.items)
        True
    """
    folder = Path(folder)
    claim = Claim("instance", "", overwrite=overwrite)
    check_claim(folder, claim)
    with held(folder, "write_instance"), written_beside(folder, claim) as coming:
        _write_tables(tables, coming, format, partition_rows)
    return folder


def _write_tables(tables: Tables, folder: Path, format: Literal["parquet", "csv"], partition_rows: int | None) -> None:
    for name, frame in tables.frames().items():
        table = table_schema(name, tables.settings.forecast)
        if table.optional and frame.height == 0:
            continue
        if format == "parquet" and partition_rows and table.item_column and frame.height > partition_rows:
            for number, part in enumerate(_parts(frame, table.item_column, partition_rows)):
                write_table(part, folder / name / f"part-{number:05d}.parquet")
        else:
            write_table(frame, folder / f"{name}.{format}")
    write_settings(tables.settings, folder)


def _parts(frame: pl.DataFrame, item_column: str, rows: int) -> list[pl.DataFrame]:
    starts = frame.get_column(item_column).rle_id()
    cuts = [0]
    while cuts[-1] < frame.height:
        cut = cuts[-1] + rows
        if cut < frame.height:
            cut = starts.search_sorted(starts[cut - 1], side="right")
        cuts.append(min(int(cut), frame.height))
    return [frame.slice(low, high - low) for low, high in itertools.pairwise(cuts)]
