"""Finding the files of a table and reading them as they are, without a judgement of their content."""

from __future__ import annotations

import io
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import polars as pl

from meio_jax.errors import InputError, Note, Problem, first_line
from meio_jax.tables.csv_text import read_csv_bytes
from meio_jax.tables.digests import file_digest, rows_digest, stream_digest
from meio_jax.tables.excel import WORKBOOK, read_sheet, sheets_of
from meio_jax.tables.findings import Findings, Source
from meio_jax.tables.origins import Origin, filled
from meio_jax.tables.schema import TABLE_NAMES, table_columns
from meio_jax.tables.settings import SETTINGS_FILE, read_settings
from meio_jax.tables.snapshots import Fetched, snapshot

READ_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError)
"""What polars may raise on a damaged file. PanicException is no Exception and must be named."""
SUFFIXES = (".parquet", ".csv", ".xlsx")
"""Endings of files that hold one table."""
_ANEW = "write the file anew; it may have been cut off"
_WHOLE = {
    "csv": ("a CSV file with a header and equally long rows", _ANEW),
    "parquet": ("a whole Parquet file", _ANEW),
    "xlsx": ("an Excel workbook (.xlsx)", "save the workbook anew, as .xlsx; clear cells far from the table"),
}
"""What a file of each kind should be, and what to do if it is not."""


@dataclass(frozen=True)
class Part:
    """The rows of one file (or frame) as they are, where they come from, and the digest of the file."""

    frame: pl.DataFrame
    source: Source
    digest: str = ""


@dataclass(frozen=True)
class Files:
    """The files of one table: `kind` csv, parquet or xlsx; `folder` where they are parts of one.

    `sheet` is that of a workbook; `shared` says that other tables are in the workbook as well. Of a table from
    elsewhere `kind_of_origin` says where from, `labels` are names of the files for messages, and `digests` those of
    rows that came in no file.
    """

    name: str
    kind: str
    paths: tuple[Path, ...]
    folder: Path | None = None
    sheet: str = ""
    shared: bool = False
    kind_of_origin: str = ""
    labels: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()

    @property
    def own(self) -> bool:
        """Whether the files lie in the folder of the instance and hold nothing else."""
        return not self.shared and not self.kind_of_origin

    @property
    def label(self) -> str:
        """Name for messages."""
        return f"{self.folder.name}/" if self.folder else self.part_label(self.paths[0])

    @property
    def key(self) -> str:
        """Name under which the digest of the table is kept: that of the table, a dot, and where it is from."""
        if self.kind_of_origin:
            return f"{self.name}.{self.kind_of_origin}"
        return f"{self.name}.sheet" if self.shared else self.label.rstrip("/")

    def part_label(self, path: Path) -> str:
        """Name of one of the files for messages."""
        if self.labels:
            return self.labels[self.paths.index(path)]
        if self.shared:
            return f"{path.name}, sheet {self.sheet}"
        return path.relative_to(self.folder.parent).as_posix() if self.folder else path.name


def find_files(folder: Path, name: str, findings: Findings) -> Files | None:
    """The files of table `name`; None where there are none or several forms (then a problem is added)."""
    single = [path for suffix in SUFFIXES if (path := folder / f"{name}{suffix}").is_file()]
    parts = folder / name
    book = workbook_table(folder / WORKBOOK, name, findings)
    origin = origins_of(folder).get(name)
    forms = [path.name for path in single] + ([f"{name}/"] if parts.is_dir() else [])
    forms += [f"sheet {book.sheet} of {WORKBOOK}"] if book else []
    forms += [f"sources.{name} of {SETTINGS_FILE}"] if origin else []
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
        return single_file(name, single[0], findings)
    return files_of(folder, name, origin, findings) if origin else book


def files_of(folder: Path, name: str, origin: Origin, findings: Findings) -> Files | None:
    """The files of a table from elsewhere, fetched if need be; None where they cannot be had (a problem is added)."""
    try:
        if origin.kind == "path":
            place, _ = filled(origin.place, f"{name} (from {origin.shown})")
            found = Fetched((folder / place,), (f"{name} (from {origin.shown})",))
        else:
            found = snapshot(folder, name, origin)
    except InputError as error:
        findings.extend(error)
        return None
    path = found.paths[0]
    if path.suffix not in SUFFIXES or not path.is_file():
        expected = "a file that ends in .parquet, .csv or .xlsx; the path is relative to the folder of the instance"
        findings.add(f"{name} (from {origin.shown})", "", "path", None, expected, "correct the path")
        return None
    file = single_file(name, path, findings, origin.sheet)
    if file is None:
        return None
    return replace(file, paths=found.paths, kind_of_origin=origin.kind, labels=found.labels, digests=found.digests)


def origins_of(folder: Path) -> dict[str, Origin]:
    """Where tables are that do not lie in the folder; what is wrong with that is told with the settings."""
    path = folder / SETTINGS_FILE
    try:
        status = path.stat()
        return _origins(path, status.st_size, status.st_mtime_ns)
    except OSError:
        return {}


@lru_cache(maxsize=64)
def _origins(path: Path, size: int, changed: int) -> dict[str, Origin]:
    del size, changed  # they tell the versions of a file apart
    # A file that is refused is remembered as well: it is asked for once a table, and some take long to be refused.
    try:
        return read_settings(path.parent).sources
    except InputError:
        return {}


def single_file(name: str, path: Path, findings: Findings, wanted: str | None = None) -> Files | None:
    """A file as the only one of table `name`; None where it is a workbook without the sheet (a problem is added).

    Args:
        name: The table.
        path: The file.
        findings: Where problems go.
        wanted: Sheet of a workbook; None: the one that is called like the table, or the only one.
    """
    kind = path.suffix[1:]
    if kind != "xlsx":
        return Files(name, kind, (path,))
    sheets = workbook_sheets(path, findings)
    if wanted is not None and sheets and wanted not in sheets:
        found = Note(f"sheets {', '.join(sheets[:5])}")
        findings.add(path.name, "", "sheet", found, f"a sheet {wanted}", "correct the name of the sheet")
        return None
    if wanted is not None and sheets:
        return Files(name, kind, (path,), None, wanted)
    if len(sheets) > 1 and name not in sheets:
        found = Note(f"sheets {', '.join(sheets[:5])}")
        findings.add(path.name, "", "", found, f"one sheet, or a sheet {name}", f"name the sheet of the table {name}")
        return None
    return Files(name, kind, (path,), None, name if name in sheets else sheets[0]) if sheets else None


def workbook_table(path: Path, name: str, findings: Findings) -> Files | None:
    """The sheet of table `name` in a workbook of several tables; None where there is none."""
    there = path.is_file() and name in workbook_sheets(path, findings)
    return Files(name, "xlsx", (path,), None, name, True) if there else None


def workbook_sheets(path: Path, findings: Findings) -> tuple[str, ...]:
    """Names of the sheets of a workbook; none where it cannot be read (then a problem is added, once a file)."""
    try:
        status = path.stat()
        found = _sheets(path, status.st_size, status.st_mtime_ns)
        if isinstance(found, Exception):
            raise found
        return found
    except READ_ERRORS as error:
        problem = Problem(path.name, "", "", Note(first_line(error)), *_WHOLE["xlsx"])
        if problem not in findings.problems:
            findings.problems.append(problem)
    except InputError as error:
        findings.problems += [one for one in error.problems if one not in findings.problems]
    return ()


@lru_cache(maxsize=64)
def _sheets(path: Path, size: int, changed: int) -> tuple[str, ...] | Exception:
    """Names of the sheets, or why they cannot be read, which is remembered as well."""
    del size, changed  # they tell the versions of a file apart
    try:
        return tuple(sheets_of(path.read_bytes(), path.name))
    except (*READ_ERRORS, InputError) as error:
        return error


def instance_files(folder: Path) -> dict[str, Files]:
    """All files of an instance that are read, the settings among them, by the name under which digests are kept."""
    found = [find_files(folder, name, Findings()) for name in TABLE_NAMES]
    tables = {files.key: files for files in found if files is not None}
    settings = folder / SETTINGS_FILE
    return {**tables, **({SETTINGS_FILE: Files("instance", "yaml", (settings,))} if settings.is_file() else {})}


def part_digest(files: Files, path: Path) -> str:
    """Digest of one of the files of a table as it is now: of its bytes, or of rows that are no file of their own."""
    if files.digests:
        return files.digests[files.paths.index(path)]
    if files.shared:
        part = _read_file(files, path, findings := Findings())
        findings.raise_if_any()
        assert part is not None  # else there were findings
        return part.digest
    with path.open("rb") as content:
        return stream_digest(files.part_label(path), content)


def stamps(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Size, time of change and number of every file that is read, by path: they differ once a file was written."""
    found = {}
    for file in (file for files in instance_files(folder).values() for file in files.paths):
        status = file.stat()
        found[str(file)] = (status.st_size, status.st_mtime_ns, status.st_ino)
    return found


def _visible(path: Path, root: Path) -> bool:
    # names that start with . or _ are temporary or belong to the writer, as is the habit of Spark and Arrow
    return path.is_file() and not any(part[0] in "._" for part in path.relative_to(root).parts)


def scan_file(files: Files, path: Path) -> pl.LazyFrame:
    """Lazy rows of one file; cells of CSV and Excel are text, and hive folders `name=value` are columns."""
    if files.kind == "xlsx":
        status = path.stat()
        return _sheet_rows(path, files.sheet, status.st_size, status.st_mtime_ns).lazy()
    if files.kind == "csv":
        return pl.scan_csv(path, glob=False, infer_schema=False, low_memory=True)
    frame = pl.scan_parquet(path, hive_partitioning=False, glob=False)
    if files.folder is None:
        return frame
    return frame.with_columns(_hive_columns(files, path, frame.collect_schema().names()))


@lru_cache(maxsize=8)
def _sheet_rows(path: Path, sheet: str, size: int, changed: int) -> pl.DataFrame:
    """The rows of a sheet. ValueError where it is no table."""
    del size, changed  # they tell the versions of a file apart
    findings = Findings()
    frame = read_sheet(path.read_bytes(), sheet, path.name, findings)
    if frame is None:
        raise ValueError(str(findings.problems[0]))
    return frame


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
        elif files.kind == "xlsx":
            frame = read_sheet(content, files.sheet, label, findings)
        else:
            frame = pl.read_parquet(io.BytesIO(content), hive_partitioning=False)
            frame = frame.with_columns(_hive_columns(files, path, frame.columns))
    except READ_ERRORS as error:
        unreadable(files, label, error, findings)
        return None
    except InputError as error:
        findings.extend(error)
        return None
    if frame is None:
        return None
    digest = rows_digest(files.key, frame) if files.shared else file_digest(label, content)
    digest = files.digests[files.paths.index(path)] if files.digests else digest
    return Part(drop_hive(files, frame), Source(label, files.kind), digest)


def drop_hive(files: Files, frame: pl.DataFrame) -> pl.DataFrame:
    """The rows of a part without the columns that only the names of its folders say."""
    # folders such as `block=3` only group the parts; where their name is a column of the table it is kept
    known = table_columns(files.name)
    return frame.drop([key for key in hive_keys(files) if key not in known and key in frame.columns])


def unreadable(files: Files, label: str, error: BaseException, findings: Findings) -> None:
    """Add the problem of a file that cannot be read."""
    findings.add(label, "", "", Note(first_line(error)), *_WHOLE[files.kind])
