"""Rows of a SQL query: of a DuckDB or SQLite file, or of a database server."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl

from meio_jax.errors import InputError, Note, Problem, first_line
from meio_jax.tables.extras import optional_library, panics_as_value_errors
from meio_jax.tables.origins import without_secrets
from meio_jax.tables.plain_rows import sorted_rows

_SQLITE = b"SQLite format 3\x00"
_MEMORY = ":memory:"


def query_rows(database: str, query: str, folder: Path, label: str, secrets: tuple[str, ...] = ()) -> pl.DataFrame:
    """The rows of a query, in an order that does not depend on the database: sorted by their columns.

    Args:
        database: Path of a DuckDB or SQLite file, relative to the folder; `:memory:` (DuckDB without a file, for
            queries of files); or the URL of a server, such as `postgresql://host/name`.
        query: SQL that reads: files are opened for reading only, and no statement that writes elsewhere is run.
        folder: The instance.
        label: What the rows are, for messages.
        secrets: What no message may show.

    Raises:
        InputError: If there is no such database, or the query fails.
    """
    if "://" in database:
        frame = _of_server(database, query, label, secrets)
    elif database == _MEMORY or not _is_sqlite(folder / database, label):
        frame = _of_duckdb(database, query, folder, label)
    else:
        frame = _of_sqlite(folder / database, query, label)
    return sorted_rows(frame, label, "query")


def _is_sqlite(path: Path, label: str) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError as error:
        expected, remedy = "a DuckDB or SQLite file", "check the path; it is relative to the folder of the instance"
        found = Note(error.strerror or error)
        raise InputError([Problem(label, "", "database", found, f"{expected} {path.name}", remedy)]) from None


def _of_sqlite(path: Path, query: str, label: str) -> pl.DataFrame:
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
            connection.set_authorizer(_without_attaching)
            found = connection.execute(query)
            names = _names([] if found.description is None else [column[0] for column in found.description], label)
            # A column of SQLite holds values of any kind: of numbers and texts together texts are made.
            return pl.DataFrame(found.fetchall(), names, orient="row", infer_schema_length=None, strict=False)
    except (sqlite3.Error, pl.exceptions.PolarsError) as error:
        raise _failed(error, label) from None


def _without_attaching(action: int, *about: str | None) -> int:
    """Refuses ATTACH, and with it VACUUM INTO: they make files, also where the database itself is only read."""
    del about
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH else sqlite3.SQLITE_OK


def _of_duckdb(database: str, query: str, folder: Path, label: str) -> pl.DataFrame:
    library = optional_library("duckdb", "sql", label, "to query DuckDB")
    place = database if database == _MEMORY else str(folder / database)
    try:
        with panics_as_value_errors(), library.connect(place, read_only=place != _MEMORY) as connection:
            connection.execute("SET file_search_path = $1", [str(folder.resolve())])
            _check_reads(library, connection.extract_statements(query), label)
            found = connection.sql(query)
            _names([] if found is None else list(found.columns), label)
            return pl.DataFrame(pl.from_arrow(found.to_arrow_table()))
    except (library.Error, pl.exceptions.PolarsError, ValueError, TypeError, NotImplementedError) as error:
        raise _failed(error, label) from None


def _check_reads(library: Any, statements: list[Any], label: str) -> None:
    """Refuse what is no single SELECT: COPY, ATTACH, INSTALL and others write files, whatever is opened how."""
    kinds = [statement.type for statement in statements]
    if kinds != [library.StatementType.SELECT]:
        found = Note(" and ".join(kind.name for kind in kinds) or "no statement")
        raise InputError([Problem(label, "", "query", found, "one SELECT", "let the query read, and nothing else")])


def _of_server(url: str, query: str, label: str, secrets: tuple[str, ...]) -> pl.DataFrame:
    optional_library("connectorx", "sql", label, "to query a database server")
    try:
        with panics_as_value_errors():
            return pl.read_database_uri(query, url, engine="connectorx")
    except (RuntimeError, ValueError, OSError, TypeError, pl.exceptions.PolarsError) as error:
        raise _failed(error, label, secrets) from None


def _names(names: list[str], label: str) -> list[str]:
    """The columns of a result, each by another name."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        found = Note(f"column {', '.join(twice)} twice" if twice else "no columns")
        remedy = "name every column of the query once (`AS name`)"
        raise InputError([Problem(label, "", "query", found, "a query that gives a table", remedy)])
    return names


def _failed(error: BaseException, label: str, secrets: tuple[str, ...] = ()) -> InputError:
    said: Any = without_secrets(first_line(error), secrets)
    return InputError(
        [Problem(label, "", "query", Note(said), "a query that runs", "correct the query or the database")]
    )
