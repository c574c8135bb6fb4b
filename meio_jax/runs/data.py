"""What a finished run says: the tables of its folder, and the few tables of its instance that they refer to."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from meio_jax.errors import InputError, Note, Problem, Refusal, first_line
from meio_jax.runs.files import read_about, read_certificate, read_words
from meio_jax.tables import Tables, read_item_block, read_network
from meio_jax.tables.clean_texts import clean_series
from meio_jax.tables.digests import joint_digest
from meio_jax.tables.findings import Findings
from meio_jax.tables.own_files import damaged, read_own
from meio_jax.tables.sources import READ_ERRORS, find_files, instance_files, part_digest, scan_file

NEEDED = ("prices", "metrics", "plan/targets", "plan/orders", "plan/transfers") + tuple(
    f"plan/{name}" for name in ("expected", "expected_nodes", "expected_items")
)
"""Tables that every finished run has."""

OPTIONAL = (
    "plan/flows",
    "plan/service",
    "plan/planned_orders",
    "plan/planned_transfers",
    "plan/calendar",
    "plan/exceptions",
    "plan/overrides",
    "plan/vendor_orders",
    "plan/docks",
)
"""Tables that runs of earlier versions do not have."""

COLUMNS = {
    "prices": "resource_id kind bucket price usage capacity violation node_id to_node vendor_id region_group speed_id "
    "measure",
    "metrics": "step seconds cost lagrangian gap max_violation price_norm",
    "plan/targets": "item_id node_id bucket target",
    "plan/orders": "item_id vendor_id node_id units unit_cost cost order_date due_date",
    "plan/transfers": "item_id from_node to_node units",
    "plan/expected": "item_id node_id speed_id units outbound_cost handling_cost",
    "plan/expected_nodes": "item_id node_id on_hand received ordered",
    "plan/expected_items": "item_id demand shipped lost total_cost",
    "plan/flows": "kind from_id to_id speed_id units",
    "plan/service": "region_id speed_id bucket wanted promised",
    "plan/planned_orders": "item_id vendor_id node_id bucket units units_p10 units_p90 cost order_date due_date",
    "plan/planned_transfers": "item_id from_node to_node bucket units units_p10 units_p90 cost ship_date due_date",
    "plan/exceptions": "item_id node_id kind units money what mend",
    "plan/overrides": "override_id kind item_id node_id status expires units cost_a_week reason",
    "plan/vendor_orders": "vendor_id node_id status units",
    "plan/calendar": "date order_items order_units order_cost transfer_units",
    "plan/docks": "node_id direction bucket units waited_units mean_wait longest_wait largest_queue",
}
"""Columns of each table by which other commands work."""

_TOGETHER = {"plan/planned_transfers": "plan/planned_orders"}
"""Tables that are never there without another, which is read before."""

_LARGE = 2**28
_SMALL = {"instance", "nodes", "regions", "speeds", "lanes", "resources"}


@dataclass(frozen=True)
class RunData:
    """A finished run and its instance. Tables that grow with the catalog are lazy."""

    folder: Path
    instance: Path
    certificate: Mapping[str, Any]
    identity: Mapping[str, Any]
    config: str
    tables: Mapping[str, pl.LazyFrame]
    network: Tables
    notes: tuple[str, ...]

    def table(self, name: str) -> pl.DataFrame:
        """A table of the run in memory."""
        with damage_told(self.folder):
            return self.tables[name].collect()

    def optional(self, name: str) -> pl.DataFrame | None:
        """A table of the run, or None where the run has no such table."""
        return self.table(name) if name in self.tables else None

    @cached_property
    def items(self) -> pl.DataFrame:
        """Every item: `item_id, volume_m3, weight_kg, price, unit_cost`, one row each."""
        columns = ["volume_m3", "weight_kg", "price", "unit_cost"]
        return _column_read(self.instance, "items", ["item_id"], columns)

    @cached_property
    def item_names(self) -> pl.DataFrame:
        """What people call every item: `id, name`; empty texts where the instance says nothing."""
        return _column_read(self.instance, "items", ["item_id"], [], ["name"]).rename({"item_id": "id"})

    @cached_property
    def on_hand(self) -> pl.DataFrame:
        """Stock at the start: `item_id, node_id, units`; empty where the instance has none."""
        return _column_read(self.instance, "on_hand", ["item_id", "node_id"], ["units"])

    def item_block(self, items: list[str]) -> Tables:
        """All tables of a few items."""
        return read_item_block(self.instance, items, self.network)

    @property
    def currency(self) -> str:
        return self.network.settings.currency

    @property
    def days(self) -> int:
        """Charged periods of the horizon."""
        return max(self.network.settings.periods - self.network.settings.warmup_periods, 1)

    @property
    def period(self) -> str:
        """Length of a period, in a word: day, week or month."""
        return self.network.settings.period

    @property
    def bucket_word(self) -> str:
        """What a bucket is called: week or month where it is one, else bucket."""
        settings = self.network.settings
        named = {("day", 7): "week", ("week", 1): "week", ("month", 1): "month", ("day", 1): "day"}
        return named.get((settings.period, settings.bucket_periods), "bucket")

    @cached_property
    def buckets(self) -> list[tuple[datetime.date, int]]:
        """First day and number of charged periods of every bucket."""
        settings = self.network.settings
        starts = range(0, settings.periods, settings.bucket_periods)
        found = []
        for start in starts:
            end = min(start + settings.bucket_periods, settings.periods)
            charged = max(end - max(start, settings.warmup_periods), 0)
            found.append((settings.date_of(start), charged))
        return found


def _column_read(
    folder: Path, name: str, ids: list[str], numbers: list[str], words: Sequence[str] = ()
) -> pl.DataFrame:
    """A few columns of a table that grows with the catalog, read without the checks of a whole instance.

    Ids are cleaned as the checks clean them: the tables of a run have them so. Columns of `words` may be missing: then
    they are empty texts.
    """
    schema: dict[str, Any] = {**dict.fromkeys(ids, pl.String), **dict.fromkeys(numbers, pl.Float64)}
    spoken: dict[str, Any] = dict.fromkeys(words, pl.String)
    findings = Findings()
    files = find_files(folder, name, findings)
    findings.raise_if_any()
    if files is None:
        return pl.DataFrame(schema=schema | spoken)
    wanted = [pl.col(column).cast(kind) for column, kind in schema.items()]
    try:
        parts = [_with_words(scan_file(files, path), words).select(*wanted, *spoken).collect() for path in files.paths]
    except READ_ERRORS as error:
        problem = Problem(files.label, "", "", Note(first_line(error)), f"columns {', '.join(schema)}", "write it anew")
        raise InputError([problem]) from None
    frame = pl.concat(parts)
    return frame.with_columns(clean_series(frame.get_column(name))[0] for name in (*ids, *words))


def _with_words(rows: pl.LazyFrame, words: Sequence[str]) -> pl.LazyFrame:
    """Rows with these columns of texts, empty where they are missing."""
    there = rows.collect_schema().names() if words else []
    texts = [pl.col(name).cast(pl.String).fill_null("") if name in there else pl.lit("").alias(name) for name in words]
    return rows.with_columns(texts)


def read_table(folder: Path, name: str) -> pl.DataFrame:
    """A table of a finished run.

    Raises:
        InputError: If it is missing, damaged or of something else.
    """
    with damage_told(folder):
        return _scan(folder, (name,))[name].collect()


@contextmanager
def damage_told(folder: Path) -> Iterator[None]:
    """Tell which tables of a run are damaged where they end what is done with them.

    Tables that grow with the catalog are decoded when they are used, each by a query of its own, and an error of a
    query does not say in which file it is.

    Raises:
        InputError: If one of the tables cannot be decoded, or lacks a column.
    """
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        problems = [one for path in _table_files(folder) if (one := _damage(path)) is not None]
        if not problems and isinstance(error, pl.exceptions.ColumnNotFoundError):
            expected = "tables with the columns of a run"
            problems = [Problem(str(folder), "", "", Note(first_line(error)), expected, "solve anew")]
        if not problems:
            raise
        raise (Refusal(problems[0]) if len(problems) == 1 else InputError(problems)) from None


def _table_files(folder: Path) -> Iterator[Path]:
    """The files of all tables of a run, part by part."""
    for name in (*NEEDED, *OPTIONAL):
        path = folder / f"{name}.parquet"
        yield from [path] if path.is_file() else sorted((folder / name).glob("*.parquet"))


def _damage(path: Path) -> Problem | None:
    """What is wrong with a file, found by decoding all of it."""
    try:
        read_own(path)
    except Refusal as refusal:
        return refusal.problems[0]
    return None


def _scan(folder: Path, names: Sequence[str] = (*NEEDED, *OPTIONAL)) -> dict[str, pl.LazyFrame]:
    found, problems = {}, []
    for name in names:
        path = folder / f"{name}.parquet"
        # The tables by item of a streamed run are folders of parts.
        parts = sorted((folder / name).glob("*.parquet"))
        if not path.is_file() and not parts:
            if name in NEEDED or _TOGETHER.get(name) in found:
                problems.append(Problem(str(path), "", "", None, "a table of a finished run", "solve anew"))
            continue
        try:
            # Each file alone: a name that looks like a pattern is a name.
            found[name] = pl.scan_parquet(parts or path, glob=False, hive_partitioning=False)
            there = found[name].collect_schema().names()
        except READ_ERRORS as error:
            problems.append(damaged(path, error, "solve anew"))
            continue
        missing = [column for column in COLUMNS[name].split() if column not in there]
        if missing:
            note = Note(f"no column {', '.join(missing)}")
            problems.append(Problem(str(path), "", "", note, f"the table {name} of a run", "solve anew"))
    if problems:
        raise Refusal(problems[0]) if len(problems) == 1 else InputError(problems)
    return found


def instance_of(run: Path, identity: Mapping[str, Any], given: Path | None) -> Path:
    """The instance folder of a run: the one given, or where it was when the run was made.

    Raises:
        InputError: If there is no such folder.
    """
    folder = Path(str(identity.get("path", ""))) if given is None else given
    if not (folder / "instance.yaml").is_file():
        remedy = "say where the instance is now with --instance"
        problem = Problem(str(run / "instance.json"), "", "path", str(folder), "an instance folder", remedy)
        raise Refusal(problem)
    return folder


def instance_folder(run: Path, given: Path | None = None) -> Path:
    """The instance folder of a run.

    Raises:
        InputError: If the run does not say where it is, or it is not there.
    """
    return instance_of(run, read_about(run), given)


def changed_since(folder: Path, identity: Mapping[str, Any]) -> tuple[str, ...]:
    """A note if the tables of the instance are not those that were planned.

    Large tables that grow with the catalog are not looked at: reading them whole takes longer than what is asked.
    """
    known: Mapping[str, str] = identity.get("digests", {})
    if not known:
        return ()
    now = instance_files(folder)
    changed = [name for name in known if name not in now] + [name for name in now if name not in known]
    for name, files in now.items():
        large = sum(path.stat().st_size for path in files.paths) > _LARGE
        if name in known and (not large or files.name in _SMALL):
            parts = [part_digest(files, path) for path in files.paths]
            changed += [name] if joint_digest(parts) != known[name] else []
    if not changed:
        return ()
    return (f"The instance has changed since this plan was made: {', '.join(sorted(changed))}.",)


def read_run(folder: Path, instance: Path | None = None) -> RunData:
    """Read the folder of a finished run.

    Args:
        folder: A run folder.
        instance: Folder of its instance; None: where it was when the run was made.

    Raises:
        InputError: If the run has not ended, a table is missing or damaged, or the instance is gone.
    """
    certificate, identity = read_certificate(folder), read_about(folder)
    tables = _scan(folder)
    place = instance_of(folder, identity, instance)
    config = read_words(folder / "config.yaml")
    network = read_network(place)
    return RunData(folder, place, certificate, identity, config, tables, network, changed_since(place, identity))
