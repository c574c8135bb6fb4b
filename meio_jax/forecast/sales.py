"""Sales history in, items with their daily sales out, a block at a time."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from meio_jax.errors import InputError, Note, Problem
from meio_jax.tables import (
    InstanceSettings,
    Tables,
    read_item_block,
    read_network,
    scan_item_ids,
    table_schema,
)
from meio_jax.tables.check_keys import check_keys
from meio_jax.tables.conform import conform
from meio_jax.tables.context import Context, Scope
from meio_jax.tables.findings import Findings
from meio_jax.tables.settings import SETTINGS_FILE
from meio_jax.tables.sources import Files, read_parts

_HISTORY = "history"


@dataclass(frozen=True)
class Source:
    """Where sales come from: an instance folder (`network` is there, rows are read by block) or a table in memory."""

    path: Path
    start: datetime.date
    items: list[str]
    network: Tables | None
    table: pl.DataFrame | None

    @property
    def settings(self) -> InstanceSettings | None:
        return None if self.network is None else self.network.settings

    def blocks(self, size: int) -> Iterator[list[tuple[str, np.ndarray]]]:
        """Items and their sales by day, `[days]` from the first day known to the day before the horizon."""
        for first in range(0, len(self.items), size):
            names = self.items[first : first + size]
            if self.network is not None:
                rows = read_item_block(self.path, names, self.network).forecast
            else:
                assert self.table is not None  # one of the two is there
                rows = self.table.filter(pl.col("item_id").is_in(pl.Series(names).implode()))
            by_item = {key[0]: own for key, own in rows.group_by("item_id")}
            yield [(name, self._daily(by_item[name])) for name in names]

    def _daily(self, rows: pl.DataFrame) -> np.ndarray:
        """Sales by day; a day without a row is one without sales."""
        back = (pl.lit(self.start) - pl.col("ds")).dt.total_days()
        days = rows.select(back).to_series().to_numpy()
        units = np.zeros(int(days.max()))
        units[units.size - days] = rows["units"].to_numpy()
        return units


def open_source(path: Path) -> Source:
    """An instance folder whose forecast is of form `history`, or a CSV or Parquet file with its columns.

    The horizon begins on the start date of the instance, or the day after the last day of the file.

    Raises:
        InputError: If there is no such thing, or its rows cannot be used.
    """
    if path.is_dir() and (path / SETTINGS_FILE).is_file():
        network = read_network(path)
        form = network.settings.forecast
        if form != _HISTORY:
            expected = "an instance whose forecast is its past sales (form history)"
            raise InputError([Problem(str(path / SETTINGS_FILE), "", "forecast", form, expected, "give the sales")])
        return Source(path, network.settings.start_date, scan_item_ids(path).to_list(), network, None)
    if not path.is_file() or path.suffix not in (".csv", ".parquet"):
        expected = "an instance folder, or a CSV or Parquet file of sales (item_id, ds, units)"
        found = Note("no such table") if not path.is_dir() else Note(f"a folder without {SETTINGS_FILE}")
        raise InputError([Problem(str(path), "", "", found, expected, "check the path")])
    table = _read_table(path)
    last = table["ds"].to_list()[table["ds"].arg_max() or 0]
    return Source(
        path, last + datetime.timedelta(days=1), table["item_id"].unique(maintain_order=True).to_list(), None, table
    )


def _read_table(path: Path) -> pl.DataFrame:
    """A file of sales by the rules of the table `forecast` in form history."""
    findings, schema = Findings(), table_schema("forecast", _HISTORY)
    parts = read_parts(Files("forecast", path.suffix[1:], (path,)), findings)
    findings.raise_if_any()
    assert parts is not None  # else there were findings
    view, _ = conform(schema, parts[0].source, parts[0].frame, findings)
    findings.raise_if_any()
    check_keys(Context({"forecast": view}, None, Scope.BLOCK, findings))
    if view.frame.is_empty():
        findings.add(parts[0].source.label, "", "", Note("no rows"), "at least one day of sales", "fill in the table")
    findings.raise_if_any()
    return view.frame
