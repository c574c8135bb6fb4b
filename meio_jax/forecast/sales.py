"""Sales history in, panels of some items out."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from meio_jax.errors import InputError, Note, Problem
from meio_jax.forecast.panel import Calendar, Panel, make_panel
from meio_jax.forecast.regressors import Known, read_table
from meio_jax.forecast.rhythm import check_rhythm, next_start
from meio_jax.tables import InstanceSettings, Tables, read_item_block, read_network, scan_item_ids, table_schema
from meio_jax.tables.periods import PeriodLength, period_numbers
from meio_jax.tables.settings import SETTINGS_FILE

_HISTORY = "history"
_DAYS: dict[PeriodLength, float] = {"day": 1.0, "week": 7.0, "month": 30.5}

LEARNED_FROM = 2000
"""Items that say what all items share: as many tell a season as well as all do."""


@dataclass(frozen=True)
class Source:
    """Where sales come from: an instance folder (`network` is there, rows are read by block) or a table in memory."""

    path: Path
    start: datetime.date
    period: PeriodLength
    items: list[str]
    network: Tables | None
    table: pl.DataFrame | None
    known: Known = field(default_factory=Known)

    @property
    def settings(self) -> InstanceSettings | None:
        return None if self.network is None else self.network.settings

    def panel(self, names: list[str], horizon: int, history_days: int) -> Panel:
        """Sales of some items.

        Args:
            names: Ids of the items.
            horizon: Periods to forecast.
            history_days: Most recent days that are used.
        """
        if self.network is not None:
            rows = read_item_block(self.path, names, self.network).forecast
        else:
            assert self.table is not None  # one of the two is there
            rows = self.table.filter(pl.col("item_id").is_in(pl.Series(names).implode()))
        number = period_numbers(rows["ds"].to_numpy(), self.start, self.period)
        past = min(int(-number.min(initial=-1)), int(history_days // _DAYS[self.period]))
        recent = number >= -past
        place = {name: at for at, name in enumerate(names)}
        item = np.asarray([place[name] for name in rows["item_id"].to_list()], int)[recent]
        at = (item, number[recent] + past)
        units, available = np.zeros((len(names), past)), np.ones((len(names), past), bool)
        np.add.at(units, at, rows["units"].to_numpy()[recent])
        np.logical_and.at(available, at, rows["available"].to_numpy()[recent])
        calendar = Calendar(self.period, self.start, past, horizon)
        return make_panel(names, units, available, calendar, self.known.of(names, calendar))

    def blocks(self, size: int, horizon: int, history_days: int) -> Iterator[Panel]:
        """Panels of all items, `size` at a time."""
        for first in range(0, len(self.items), size):
            yield self.panel(self.items[first : first + size], horizon, history_days)

    def sample(self, horizon: int, history_days: int) -> Panel:
        """Panel of up to `LEARNED_FROM` items, chosen by their ids: the same whatever the order of the catalog."""
        names = self.items
        if len(names) > LEARNED_FROM:
            names = sorted(names, key=lambda name: hashlib.blake2b(name.encode(), digest_size=8).digest())
        return self.panel(sorted(names[:LEARNED_FROM]), horizon, history_days)


def open_source(path: Path, period: PeriodLength | None = None, known: Known | None = None) -> Source:
    """An instance folder whose forecast is of form `history`, or a CSV or Parquet file with its columns.

    The horizon begins on the start date of the instance, or after the last period of the file.

    Args:
        path: The folder or file.
        period: Length of a period of a file; None: a day.
        known: Events and prices.

    Raises:
        InputError: If there is no such thing, or its rows cannot be used.
    """
    known = Known() if known is None else known
    if path.is_dir() and (path / SETTINGS_FILE).is_file():
        return _open_instance(path, period, known)
    if not path.is_file() or path.suffix not in (".csv", ".parquet"):
        expected = "an instance folder, or a CSV or Parquet file of sales (item_id, ds, units)"
        found = Note("no such table") if not path.is_dir() else Note(f"a folder without {SETTINGS_FILE}")
        raise InputError([Problem(str(path), "", "", found, expected, "check the path")])
    table = read_table(path, table_schema("forecast", _HISTORY), "at least one day of sales")
    dates = table["ds"].to_numpy()
    if period is None:
        check_rhythm(str(path), dates, "day", "add --period {period}; or --period day if sales really are that rare")
    length: PeriodLength = period or "day"
    items = table["item_id"].unique(maintain_order=True).to_list()
    return Source(path, next_start(dates, length), length, items, None, table, known)


def _open_instance(path: Path, period: PeriodLength | None, known: Known) -> Source:
    network = read_network(path)
    settings = network.settings
    label = str(path / SETTINGS_FILE)
    if settings.forecast != _HISTORY:
        expected = "an instance whose forecast is its past sales (form history)"
        raise InputError([Problem(label, "", "forecast", settings.forecast, expected, "give the sales")])
    if period not in (None, settings.period):
        expected = f"the period of the instance ({settings.period})"
        raise InputError(
            [Problem("meio forecast", "", "--period", period, expected, f"leave it out, or change {label}")]
        )
    source = Source(path, settings.start_date, settings.period, scan_item_ids(path).to_list(), network, None, known)
    if "period" not in settings.model_fields_set and source.items:
        first = read_item_block(path, source.items[:LEARNED_FROM], network).forecast
        remedy = (
            f"write `period: {{period}}` into {SETTINGS_FILE} (lead times, reviews and prices are then by {{period}})"
        )
        remedy += ", or `period: day` if sales really are that rare"
        check_rhythm("forecast", first["ds"].to_numpy(), "day", remedy)
    return source
