"""Files of object stores (`s3://`, `gs://`), and Delta tables. Who may read them is known from the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from meio_jax.errors import InputError, Note, Problem, first_line
from meio_jax.tables.extras import optional_library, panics_as_value_errors
from meio_jax.tables.origins import CLOUD, without_secrets
from meio_jax.tables.plain_rows import sorted_rows

_SUFFIXES = (".parquet", ".csv", ".xlsx")


def fetch_objects(url: str, into: Path, label: str, secrets: tuple[str, ...] = ()) -> list[tuple[str, Path]]:
    """Copy objects to files.

    Args:
        url: Path of an object that ends in `.parquet`, `.csv` or `.xlsx`, or a pattern with `*` of Parquet objects.
        into: Folder to write to.
        label: What they are, for messages.
        secrets: What no message may show.

    Returns:
        Name of every object and its file, in order of the names.

    Raises:
        InputError: If there is no such object, or it cannot be read.
    """
    module = CLOUD[url.split("://")[0]][0]
    library = optional_library(module, "cloud", label, f"to read {url.split('://')[0]}:// paths")
    suffix = Path(url.split("?")[0]).suffix
    if suffix not in _SUFFIXES or ("*" in url and suffix != ".parquet"):
        expected = "a name that ends in .parquet, .csv or .xlsx; of a pattern with *, in .parquet"
        raise InputError([Problem(label, "", "path", without_secrets(url, secrets), expected, "correct the path")])
    try:
        store = _store(library, module)
        names = sorted(store.glob(url)) if "*" in url else [store._strip_protocol(url)]
        written = []
        for number, name in enumerate(names):
            target = into / f"part-{number:05d}{suffix}"
            store.get_file(name, str(target))
            written.append((str(name), target))
    except _errors(module) as error:
        said = without_secrets(first_line(error), secrets)
        remedy = "check the path, and the credentials in the environment (docs/in_and_out.md)"
        raise InputError([Problem(label, "", "path", Note(said), "an object that can be read", remedy)]) from None
    if not written:
        remedy = "check the pattern"
        raise InputError([Problem(label, "", "path", Note("no object"), "at least one object", remedy)])
    return written


def _store(library: Any, module: str) -> Any:
    """The file system of a store; nothing that it once listed is remembered."""
    kind = {"s3fs": "S3FileSystem", "gcsfs": "GCSFileSystem"}[module]
    return getattr(library, kind)(skip_instance_cache=True, use_listings_cache=False)


def _errors(module: str) -> tuple[type[BaseException], ...]:
    """What the libraries of a store raise where something cannot be read."""
    import aiohttp

    found: tuple[type[BaseException], ...] = (OSError, ValueError, RuntimeError, aiohttp.ClientError)
    if module == "s3fs":
        from botocore.exceptions import BotoCoreError, ClientError

        return (*found, BotoCoreError, ClientError)
    from gcsfs.retry import HttpError
    from google.auth.exceptions import GoogleAuthError

    return (*found, HttpError, GoogleAuthError)


def delta_rows(place: str, version: int | None, label: str, secrets: tuple[str, ...] = ()) -> tuple[pl.DataFrame, int]:
    """Rows of a Delta table, sorted by their columns, and the version that was read.

    Args:
        place: Its folder, or its path in an object store.
        version: Which version; None: the newest.
        label: What it is, for messages.
        secrets: What no message may show.

    Raises:
        InputError: If there is no such table or version.
    """
    library = optional_library("deltalake", "delta", label, "to read Delta tables")
    ours = (OSError, ValueError, TypeError, NotImplementedError, pl.exceptions.PolarsError)
    errors = (library.exceptions.DeltaError, *ours)
    try:
        with panics_as_value_errors():
            table = library.DeltaTable(place, version=version)
            frame = pl.DataFrame(pl.read_delta(table))
        return sorted_rows(frame, label, "delta"), table.version()
    except errors as error:
        said = without_secrets(first_line(error), secrets)
        remedy = "check the path and the version, and the credentials in the environment"
        raise InputError([Problem(label, "", "delta", Note(said), "a Delta table that can be read", remedy)]) from None
