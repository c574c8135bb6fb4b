"""What lies in the folder of an instance and is not read: told, lest a table be left out unseen."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from meio_jax.folders.marks import OWN
from meio_jax.tables.excel import WORKBOOK
from meio_jax.tables.findings import Findings
from meio_jax.tables.nearest import nearest
from meio_jax.tables.schema import TABLE_NAMES
from meio_jax.tables.settings import SETTINGS_FILE
from meio_jax.tables.sources import origins_of, workbook_sheets

_TABULAR = frozenset(
    {
        *("csv", "tsv", "tab", "psv", "parquet", "parq", "pq", "xls", "xlsx", "xlsm", "xlsb", "ods", "numbers"),
        *("gz", "bz2", "xz", "zst", "zip", "7z", "tar", "tgz", "snappy", "br", "lz4"),
        *("feather", "arrow", "ipc", "orc", "avro", "h5", "hdf", "hdf5", "db", "sqlite", "duckdb", "jsonl", "ndjson"),
    }
)
"""Endings of files that hold tables, or archives of them."""
_LEFT_BY_SYSTEMS = frozenset(
    {".DS_Store", "Thumbs.db", "desktop.ini", ".git", ".gitignore", ".gitattributes", ".dvc", "_SUCCESS", "_metadata"}
    | {"_common_metadata", "_committed", "_started"}
)
"""Entries that never hold data of the user: passed without a word."""


def check_strays(folder: Path, findings: Findings, names: Collection[str] = TABLE_NAMES) -> set[str]:
    """Tell of every entry of the folder that is not read.

    A table in a form that is not read, or under a name that is no table, is a problem; anything else is a warning.

    Args:
        folder: The instance.
        findings: Where problems and warnings go.
        names: Tables that may be in the folder.

    Returns:
        Names of tables that are there in a form that is not read.
    """
    others, unread = [], set()
    sources = _check_sources(folder, findings, names)
    for path in sorted(folder.iterdir()):
        name = path.name
        if os.path.realpath(path) in sources:
            continue
        if name == WORKBOOK and path.is_file():
            _check_sheets(path, findings, names)
            continue
        if name == SETTINGS_FILE or name in (*_LEFT_BY_SYSTEMS, *OWN) or _is_read(path, names):
            continue
        table = None if name[0] in "._~" else _tell_of_table(path, names, findings)
        if table is None:
            others.append(name)
        else:
            unread.add(table)
    if others:
        shown = ", ".join(repr(name) for name in others[:3]) + (", ..." if len(others) > 3 else "")
        remedy = "move them out of the folder if they were meant to be read (docs/format.md has the names of tables)"
        findings.warn("not read", len(others), "entries of the folder are not read", shown, remedy)
    return unread


def _check_sources(folder: Path, findings: Findings, names: Collection[str]) -> set[str]:
    """Tell of sources of tables that are not known; files and databases of the others."""
    found = set()
    for name, origin in origins_of(folder).items():
        if name not in names:
            near = nearest(name, names)
            remedy = f"did you mean {near}? rename or remove the key" if near else "rename or remove the key"
            findings.add(SETTINGS_FILE, f"key sources.{name}", "", "", "the name of a table", remedy)
        if "://" not in origin.place:
            found.add(os.path.realpath(folder / origin.place))
    return found


def _check_sheets(path: Path, findings: Findings, names: Collection[str]) -> None:
    """Tell of every sheet of the workbook that is not read: a problem where its name is like that of a table."""
    sheets, others = workbook_sheets(path, Findings()), []  # a workbook that cannot be read is told with its tables
    for sheet in (sheet for sheet in sheets if sheet not in names):
        stem = sheet.strip().lower().replace("-", "_").replace(" ", "_")
        like = stem if stem in names else nearest(stem, names)
        if like:
            remedy = f"rename the sheet to {like}, or move it out of the workbook"
            findings.add(path.name, f"sheet {sheet}", "", "", "only sheets named like tables", remedy)
        else:
            others.append(sheet)
    if others:
        shown = ", ".join(repr(sheet) for sheet in others[:3]) + (", ..." if len(others) > 3 else "")
        remedy = "name a sheet like its table if it was meant to be read (docs/format.md has the names of tables)"
        findings.warn("not read", len(others), f"sheets of {path.name} are not read", shown, remedy)


def check_parts(folder: Path, name: str, findings: Findings) -> None:
    """Tell of every file in the folder of a partitioned table that is not read."""
    others = []
    for path in sorted((folder / name).rglob("*")):
        inner = path.relative_to(folder / name)
        hidden = any(part[0] in "._" for part in inner.parts)
        if (path.suffix == ".parquet" and path.is_file() and not hidden) or (path.is_dir() and not path.is_symlink()):
            continue
        label = f"{name}/{inner.as_posix()}"
        if path.name in _LEFT_BY_SYSTEMS or path.name.endswith(".crc"):
            continue
        if hidden:
            others.append(label)
        else:
            remedy = "convert it to Parquet, rename it, or move it out of the folder"
            findings.add(label, "", "", "", "only parts `*.parquet` in the folder of a table", remedy)
    if others:
        remedy = "remove them; names that begin with . or _ are those of files that are being written"
        findings.warn("not read", len(others), f"files in {name}/ are not read", ", ".join(others[:3]), remedy)


def _is_read(path: Path, names: Collection[str]) -> bool:
    if path.name in names:
        return path.is_dir()
    return path.suffix in (".csv", ".parquet", ".xlsx") and path.stem in names and path.is_file()


def _tell_of_table(path: Path, names: Collection[str], findings: Findings) -> str | None:
    """Add a problem where the entry is, or looks like, a table; the name that it has then, else None."""
    name = path.name
    stem = name.split(".")[0].strip().lower().replace("-", "_").replace(" ", "_")
    endings = [part.strip(" ~").lower() for part in name.split(".")[1:]]
    known, tabular = stem in names, bool(endings) and endings[-1] in _TABULAR
    like = stem if known else nearest(stem, names)
    if not known and not tabular and not (path.is_dir() and like and _has_tables(path)):
        return None
    if known and path.is_symlink() and not path.exists():
        findings.add(name, "", "", "", "a file that is there", "mend the link: it leads nowhere")
    elif known and path.is_dir():
        remedy = f"rename the folder to {stem} (parts *.parquet) or put one file {stem}.parquet in its place"
        findings.add(f"{name}/", "", "", "", f"a file, or a folder {stem}/ of Parquet parts", remedy)
    elif known:
        remedy = f"save the table as {stem}.parquet, {stem}.csv or {stem}.xlsx, or move it out of the folder"
        expected = f"a file {stem}.parquet, {stem}.csv or {stem}.xlsx: other forms are not read"
        findings.add(name, "", "", "", expected, remedy)
    else:
        hint = f"did you mean {like}{path.suffix.lower()}? " if like else ""
        expected = "only files of known tables (" + ", ".join(names) + ")"
        findings.add(name, "", "", "", expected, f"{hint}rename the file or move it out of the folder")
    return stem


def _has_tables(path: Path) -> bool:
    return any(one.suffix.lower() in (".parquet", ".csv") for one in path.iterdir())
