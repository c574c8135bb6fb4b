"""Tables of a few items laid over those of a catalog: a changed forecast, stock or cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from meio_jax.errors import InputError, Problem
from meio_jax.tables.context import Scope
from meio_jax.tables.findings import Findings, Source, View
from meio_jax.tables.read import NETWORK_TABLES
from meio_jax.tables.schema import ITEM_TABLES, table_schema
from meio_jax.tables.sources import SUFFIXES, Part, find_files, read_parts, single_file, workbook_table
from meio_jax.tables.tables import Tables


def read_item_tables(path: Path) -> dict[str, pl.DataFrame]:
    """Read a folder of item tables, one file that is named like its table, or a workbook of such sheets.

    The rows are as they are in the files; `overlay` checks them.

    Raises:
        InputError: If there is no such table, or a file cannot be read.
    """
    findings = Findings()
    if path.is_dir():
        found = {name: find_files(path, name, findings) for name in ITEM_TABLES}
    elif path.is_file() and path.stem in ITEM_TABLES and path.suffix in SUFFIXES:
        found = {path.stem: single_file(path.stem, path, findings)}
    elif path.is_file() and path.suffix == ".xlsx":
        found = {name: workbook_table(path, name, findings) for name in ITEM_TABLES}
    else:
        found = {}
    findings.raise_if_any()
    frames = {}
    for name, files in found.items():
        parts = read_parts(files, findings) if files is not None else None
        if parts:
            frames[name] = pl.concat([part.frame for part in parts])
    findings.raise_if_any()
    if not frames:
        wanted = "a folder of item tables, or a file named " + ", ".join(f"{name}.csv" for name in ITEM_TABLES)
        wanted += " (or .parquet, .xlsx), or a workbook with sheets of these names"
        raise InputError([Problem(str(path), "", "", None, wanted, "give the tables of the items that changed")])
    return frames


def item_column(name: str, form: str) -> str:
    """The column of an item table that names the item."""
    return table_schema(name, form).item_column or "item_id"


def named_items(frames: Mapping[str, pl.DataFrame], form: str) -> list[str]:
    """Ids of all items that some tables name, in the order in which they are met."""
    columns = [
        frame[item_column(name, form)].cast(pl.String)
        for name, frame in frames.items()
        if item_column(name, form) in frame.columns
    ]
    return pl.concat(columns).unique(maintain_order=True).drop_nulls().to_list() if columns else []


def overlay(network: Tables, base: Tables, changes: Mapping[str, pl.DataFrame]) -> Tables:
    """Rows of some items, with those of the changed tables in place of the old ones, checked.

    Args:
        network: Tables of the network.
        base: Rows of the same items as they were; new items have none.
        changes: Tables that changed, each with all rows of the items that it names. Columns of `items` and `offers`
            that are left out keep their values.

    Raises:
        InputError: With all problems of the changed rows.
    """
    findings = Findings()
    form = network.settings.forecast
    parts = {}
    changed = [name for name in ITEM_TABLES if name in changes]
    for name in changed:
        old, column = base.frames()[name], item_column(name, form)
        new = _completed(name, changes[name], old, form)
        kept = old
        if column in new.columns:
            kept = old.filter(~pl.col(column).is_in(new[column].cast(pl.String).implode()))
        parts[name] = [*([Part(kept, Source(name))] if kept.height else []), Part(new, Source(name))]
    # Tables that did not change have the form of the schema already.
    frames = {name: network.frames()[name] for name in NETWORK_TABLES}
    frames |= {name: base.frames()[name] for name in ITEM_TABLES if name not in changed}
    views = {name: View(table_schema(name, form), Source(name), frame) for name, frame in frames.items()}
    return Tables.checked(network.settings, parts, Scope.BLOCK, findings, views)


def _completed(name: str, new: pl.DataFrame, old: pl.DataFrame, form: str) -> pl.DataFrame:
    """The new rows with the columns that they leave out as they were, where the old table has the row."""
    key = table_schema(name, form).key
    absent = [column for column in old.columns if column not in new.columns]
    if name not in ("items", "offers") or not absent or any(column not in new.columns for column in key):
        return new
    texts = new.with_columns(pl.col(column).cast(pl.String) for column in key)
    return texts.join(old.select(*key, *absent), on=list(key), how="left", maintain_order="left")
