"""Finding the files of a table and reading them as they are, without a judgement of their content."""

from __future__ import annotations

import io
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from meio_jax.errors import Note
from meio_jax.tables.csv_text import read_csv_bytes
from meio_jax.tables.digests import file_digest
from meio_jax.tables.findings import Findings, Source
from meio_jax.tables.schema import TABLE_NAMES, table_columns
from meio_jax.tables.settings import SETTINGS_FILE

READ_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError)
"""What polars may raise on a damaged file. PanicException is no Exception and must be named."""


@dataclass(frozen=True)
class Part:
    """The rows of one file (or frame) as they are, where they come from, and the digest of the file."""

    frame: pl.DataFrame
    source: Source
    digest: str = ""


@dataclass(frozen=True)
class Files:
    """The files of one table: `kind` csv or parquet; `folder` where they are parts of one."""

    name: str
    kind: str
    paths: tuple[Path, ...]
    folder: Path | None = None

    @property
    def label(self) -> str:
        """Name for messages."""
        return f"{self.folder.name}/" if self.folder else self.paths[0].name

    def part_label(self, path: Path) -> str:
        """Name of one of the files for messages."""
        return path.relative_to(self.folder.parent).as_posix() if self.folder else path.name


def find_files(folder: Path, name: str, findings: Findings) -> Files | None:
    """The files of table `name`; None where there are none or several forms (then a problem is added)."""
    single = [path for suffix in ("parquet", "csv") if (path := folder / f"{name}.{suffix}").is_file()]
    parts = folder / name
    forms = [path.name for path in single] + ([f"{name}/"] if parts.is_dir() else [])
    if len(forms) > 1:
        findings.add(" and ".join(forms), "", "", "", f"table {name} in one form only", "remove all but one of them")
        return None
    if parts.is_dir():
        paths = tuple(sorted(path for path in parts.rglob("*.parquet") if _visible(path, parts)))
        if not paths:
            findings.add(
                f"{name}/",
                "",
                "",
                Note("a folder without Parquet files"),
                "parts `*.parquet`",
                "add the parts",
            )
            return None
        return Files(name, "parquet", paths, parts)
    if single:
        return Files(name, single[0].suffix[1:], (single[0],))
    return None


def instance_files(folder: Path) -> dict[str, tuple[Path, ...]]:
    """All files of an instance that are read: by name in the folder, the parts of a table in order of their names."""
    found = [find_files(folder, name, Findings()) for name in TABLE_NAMES]
    tables = {(files.folder or files.paths[0]).name: files.paths for files in found if files is not None}
    settings = folder / SETTINGS_FILE
    return {**tables, **({SETTINGS_FILE: (settings,)} if settings.is_file() else {})}


def stamps(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Size, time of change and number of every file that is read, by path: they differ once a file was written."""
    found = {}
    for file in (file for files in instance_files(folder).values() for file in files):
        status = file.stat()
        found[str(file)] = (status.st_size, status.st_mtime_ns, status.st_ino)
    return found


def _visible(path: Path, root: Path) -> bool:
    # names that start with . or _ are temporary or belong to the writer, as is the habit of Spark and Arrow
    return path.is_file() and not any(part[0] in "._" for part in path.relative_to(root).parts)


def scan_file(files: Files, path: Path) -> pl.LazyFrame:
    """Lazy rows of one file; CSV cells are text, and hive folders `name=value` are columns."""
    if files.kind == "csv":
        return pl.scan_csv(path, glob=False, infer_schema=False, low_memory=True)
    frame = pl.scan_parquet(path, hive_partitioning=False, glob=False)
    if files.folder is None:
        return frame
    return frame.with_columns(_hive_columns(files, path, frame.collect_schema().names()))


def _hive_columns(files: Files, path: Path, inside: Collection[str]) -> list[pl.Expr]:
    """What the names of the folders `name=value` say, as columns of the part that lies in them."""
    if files.folder is None:
        return []
    pairs = [part.split("=", 1) for part in path.relative_to(files.folder).parts[:-1] if "=" in part]
    return [pl.lit(value).alias(key) for key, value in pairs if key not in inside]


def hive_keys(files: Files) -> set[str]:
    """Names of the hive folders of a partitioned table."""
    if files.folder is None:
        return set()
    parts = {part for path in files.paths for part in path.relative_to(files.folder).parts[:-1]}
    return {part.split("=", 1)[0] for part in parts if "=" in part}


def read_parts(files: Files, findings: Findings) -> list[Part] | None:
    """Rows of each file as they are; None where a file cannot be read (then a problem is added)."""
    parts = [_read_file(files, path, findings) for path in files.paths]
    return None if None in parts else [part for part in parts if part is not None]


def _read_file(files: Files, path: Path, findings: Findings) -> Part | None:
    """The rows of a file, parsed from the very bytes that are digested."""
    label = files.part_label(path)
    try:
        content = path.read_bytes()
        if not content:
            findings.add(label, "", "", Note("an empty file"), "a table with a header", "write the table anew")
            return None
        if files.kind == "csv":
            frame = read_csv_bytes(content, label, findings)
        else:
            frame = pl.read_parquet(io.BytesIO(content), hive_partitioning=False)
            frame = frame.with_columns(_hive_columns(files, path, frame.columns))
    except READ_ERRORS as error:
        unreadable(files, label, error, findings)
        return None
    if frame is None:
        return None
    return Part(drop_hive(files, frame), Source(label, files.kind), file_digest(label, content))


def drop_hive(files: Files, frame: pl.DataFrame) -> pl.DataFrame:
    """The rows of a part without the columns that only the names of its folders say."""
    # folders such as `block=3` only group the parts; where their name is a column of the table it is kept
    known = table_columns(files.name)
    return frame.drop([key for key in hive_keys(files) if key not in known and key in frame.columns])


def first_line(error: BaseException) -> str:
    """What an error says, without the hints that follow."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def unreadable(files: Files, label: str, error: BaseException, findings: Findings) -> None:
    """Add the problem of a file that cannot be read."""
    kind = "a CSV file with a header and equally long rows" if files.kind == "csv" else "a whole Parquet file"
    findings.add(label, "", "", Note(first_line(error)), kind, "write the file anew; it may have been cut off")
