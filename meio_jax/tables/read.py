"""Reading an instance: from a folder, from frames, or a block of items at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from meio_jax.errors import InputError, Note, Problem, first_line
from meio_jax.tables.assemble import parts_of
from meio_jax.tables.context import Scope
from meio_jax.tables.digests import file_digest, joint_digest
from meio_jax.tables.excel import WORKBOOK
from meio_jax.tables.findings import Findings, Source, View
from meio_jax.tables.frames import Frame
from meio_jax.tables.matching import read_matching
from meio_jax.tables.schema import ITEM_TABLES, TABLE_NAMES, table_schema
from meio_jax.tables.settings import SETTINGS_FILE, InstanceSettings, read_settings_bytes
from meio_jax.tables.snapshots import mark_read, renew
from meio_jax.tables.sources import (
    READ_ERRORS,
    Files,
    Part,
    find_files,
    read_parts,
    scan_file,
    stamps,
)
from meio_jax.tables.strays import check_parts, check_strays
from meio_jax.tables.tables import Tables

NETWORK_TABLES = tuple(name for name in TABLE_NAMES if name not in ITEM_TABLES)


def read_instance(folder: Path | str) -> Tables:
    """Read and check all tables of an instance folder; those that come from elsewhere are fetched anew.

    Args:
        folder: the instance.

    Returns:
        All tables; what is probably not meant is in `warnings`.

    Raises:
        InputError: with every problem of every table.

    Example:
        >>> read_instance("shop").items["item_id"].to_list()
        ['kettle', 'toaster']
    """
    renew(Path(folder))
    found = _read_folder(Path(folder), TABLE_NAMES, Scope.ALL)
    mark_read(Path(folder))
    return found


def read_network(folder: Path | str) -> Tables:
    """Read and check the tables that do not grow with the catalog; those that do are empty.

    With `scan_item_ids` and `read_item_block`, for catalogs larger than memory.

    Args:
        folder: the instance.

    Returns:
        The network; tables of items have their columns and no rows.

    Raises:
        InputError: with every problem of these tables.

    Example:
        >>> network = read_network("shop")
        >>> network.nodes["node_id"].to_list(), network.items.height
        (['east', 'west'], 0)
    """
    return _read_folder(Path(folder), NETWORK_TABLES, Scope.NETWORK)


def read_item_block(
    folder: Path | str, item_ids: Iterable[str], network: Tables | None = None, *, consecutive: bool = False
) -> Tables:
    """Read and check the rows of some items only; other rows are skipped while reading.

    Args:
        folder: the instance.
        item_ids: which items. The rows come in the order of the files.
        network: what `read_network` gave; read anew where None.
        consecutive: whether they are consecutive items of the catalog, as `scan_item_ids` gives them: then files that
            hold none of them are left unread. An id with an invisible character inside it, in a file that its clean
            form does not belong to, is not found then.

    Returns:
        Tables with the network of `network`, and items, offers, forecast, on_hand and on_order of the
        items asked for.

    Raises:
        InputError: with every problem of these rows, and for items that are not in the folder.

    Example:
        >>> read_item_block("shop", ["toaster"]).offers["item_id"].unique().to_list()
        ['toaster']
    """
    folder = Path(folder)
    network = read_network(folder) if network is None else network
    wanted = pl.Series("item_id", list(item_ids), dtype=pl.String).unique(maintain_order=True)
    findings = Findings()
    parts: dict[str, Sequence[Part] | None] = {}
    for name in ITEM_TABLES:
        known = len(findings.problems)
        files = find_files(folder, name, findings)
        if files is not None:
            column = table_schema(name, network.settings.forecast).item_column
            parts[name] = read_matching(files, column, wanted, findings, consecutive=consecutive)
            if name == "forecast" and len(likes := like_items(parts.get("items"), wanted)):
                parts[name] = [*(parts[name] or []), *(read_matching(files, column, likes, findings) or [])]
        elif len(findings.problems) > known:
            parts[name] = None
    tables = Tables.checked(network.settings, parts, Scope.BLOCK, findings, _network_views(network))
    lost = wanted.filter(~wanted.is_in(tables.items.get_column("item_id").implode()))
    for item in lost:
        findings.add("items", "", "item_id", item, "an item of the catalog", "ask for items of the catalog only")
    findings.raise_if_any()
    return tables


def like_items(parts: Sequence[Part] | None, known: pl.Series) -> pl.Series:
    """Items, besides those known, whose forecast some rows of the table `items` ask for."""
    columns = [part.frame["like_item"].cast(pl.String) for part in parts or [] if "like_item" in part.frame.columns]
    found = pl.concat(columns).drop_nulls().unique() if columns else known.clear()
    return found.filter((found != "") & ~found.is_in(known.implode()))


def scan_item_ids(folder: Path | str, first: int = 0, count: int | None = None) -> pl.Series:
    """The ids of items, in the order of the files; reads that one column only.

    Args:
        folder: the instance.
        first: number of the first item that is wanted, from 0.
        count: how many are wanted; None: all that follow. Files that hold none of them are left unread.

    Raises:
        InputError: where the items table is missing or unreadable.
    """
    files = _item_files(folder)
    found, before = [pl.Series("item_id", [], pl.String)], 0
    end = None if count is None else first + count
    try:
        for path in files.paths:
            ids = scan_file(files, path).select(pl.col("item_id").cast(pl.String))
            rows = ids.select(pl.len()).collect().item()
            low, high = max(first - before, 0), rows if end is None else min(end - before, rows)
            if low < high:
                found.append(ids.slice(low, high - low).collect().to_series())
            before += rows
    except READ_ERRORS as error:
        raise _no_ids(files.label, error) from None
    return pl.concat(found)


def count_item_rows(folder: Path | str) -> int:
    """Number of items; reads no more than the footers of Parquet files.

    Raises:
        InputError: where the items table is missing or unreadable.
    """
    files = _item_files(folder)
    try:
        return sum(scan_file(files, path).select(pl.len()).collect().item() for path in files.paths)
    except READ_ERRORS as error:
        raise _no_ids(files.label, error) from None


def _item_files(folder: Path | str) -> Files:
    findings = Findings()
    files = find_files(Path(folder), "items", findings)
    findings.raise_if_any()
    if files is None:
        raise InputError(
            [Problem("items", "", "", None, "a table items.parquet, items.csv or items.xlsx", "add the table")]
        )
    return files


def _no_ids(label: str, error: BaseException) -> InputError:
    found = Note(first_line(error))
    return InputError([Problem(label, "", "item_id", found, "a readable column of item ids", "write the table anew")])


def network_from_frames(settings: InstanceSettings, frames: Mapping[str, Frame]) -> Tables:
    """The network of an instance from data frames, without items; as `read_network`.

    Raises:
        InputError: with every problem of all tables.
    """
    findings = Findings()
    return Tables.checked(settings, parts_of(frames, findings), Scope.NETWORK, findings)


def item_block_from_frames(network: Tables, frames: Mapping[str, Frame]) -> Tables:
    """Some items on a network that is checked already, from data frames; as `read_item_block`.

    Raises:
        InputError: with every problem of these rows.
    """
    findings = Findings()
    return Tables.checked(network.settings, parts_of(frames, findings), Scope.BLOCK, findings, _network_views(network))


def _network_views(network: Tables) -> dict[str, View]:
    """The tables of a checked network, as checks see them."""
    frames, form = network.frames(), network.settings.forecast
    return {name: View(table_schema(name, form), Source(name), frames[name]) for name in NETWORK_TABLES}


def _read_folder(folder: Path, names: Iterable[str], scope: Scope) -> Tables:
    if not folder.is_dir():
        raise InputError(
            [Problem(str(folder), "", "", "", "a folder with the tables of an instance", "check the path")]
        )
    findings = Findings()
    settings, digests = None, {}
    try:
        settings, content = read_settings_bytes(folder)
        digests[SETTINGS_FILE] = file_digest(SETTINGS_FILE, content)
    except InputError as error:
        findings.extend(error)
    before = stamps(folder)
    unread = _list_folder(folder, findings)
    parts: dict[str, Sequence[Part] | None] = {}
    for name in names:
        known = len(findings.problems)
        files = find_files(folder, name, findings)
        if files is not None:
            if files.folder is not None:
                check_parts(folder, name, findings)
            parts[name] = found = read_parts(files, findings)
            if found:
                digests[files.key] = joint_digest([part.digest for part in found])
        elif len(findings.problems) > known or name in unread or _is_book_damaged(findings):
            parts[name] = None
    if stamps(folder) != before:
        remedy = "try again when it is written"
        findings.add(str(folder), "", "", Note("files that changed"), "an instance that stays as it is", remedy)
    return replace(Tables.checked(settings, parts, scope, findings), digests=digests)


def _is_book_damaged(findings: Findings) -> bool:
    """Whether the workbook of several tables, or a sheet of it, could not be told: any table may be there then."""
    return any(one.file == WORKBOOK for one in findings.problems)


def _list_folder(folder: Path, findings: Findings) -> set[str]:
    """What is in the folder and not read is told; names of tables that are there in a form that is not read."""
    try:
        return check_strays(folder, findings)
    except OSError as error:
        found, remedy = Note(first_line(error)), "see who may read it"
        findings.add(str(folder), "", "", found, "a folder that can be listed", remedy)
        return set()
