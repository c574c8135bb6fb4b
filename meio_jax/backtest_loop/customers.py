"""Who buys during a backtest: recorded customers, the last days of the history, or sampled ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from meio_jax.backtest import Options, window
from meio_jax.backtest_loop.recorded import recorded_table
from meio_jax.config.settings import BacktestPart
from meio_jax.errors import InputError, Note, Problem
from meio_jax.tables import Tables

RECORDED = Path("actuals") / "actual.parquet"


@dataclass(frozen=True)
class Ground:
    """What a backtest is about.

    Attributes:
        tables: The instance on the morning of its first day.
        options: What the simulator enforces, and what was recorded.
        customers: `recorded`, `history` or `sampled`.
    """

    tables: Tables
    options: Options
    customers: str


def ground(tables: Tables, folder: Path, part: BacktestPart) -> Ground:
    """The first morning, and the customers who come.

    Args:
        tables: The instance of the configuration.
        folder: Where it is; recorded sales may lie in `actuals/actual.parquet`.
        part: Settings of the backtest.

    Raises:
        InputError: If customers are asked for that are not there, or a recorded file cannot be used.
    """
    kind = _kind(tables, folder, part)
    queues = tables.settings.docks == "queue"
    options = Options(
        storage=part.storage,
        inbound=part.inbound or ("day" if queues else "bucket"),
        outbound=part.outbound or ("queue" if queues else "bucket"),
        lead_times=_if_given(part.lead_times, "backtest.lead_times"),
        deliveries=_if_given(part.deliveries, "backtest.deliveries"),
        short_deliveries=(part.short_chance, part.short_share),
        detail=True,
    )
    if kind == "sampled":
        return Ground(tables, options, kind)
    if kind == "recorded":
        actual = recorded_table(part.actual or folder / RECORDED, "backtest.actual")
        return Ground(tables, _with_sales(options, actual), kind)
    first, sales = _held_back(tables, part.days)
    return Ground(first, _with_sales(options, sales), kind)


def _with_sales(options: Options, actual: pl.DataFrame | None) -> Options:
    return Options(**{**vars(options), "actual": actual})


def _kind(tables: Tables, folder: Path, part: BacktestPart) -> str:
    """Recorded sales where there are any, else the last days of a history, else customers by the forecast."""
    there = part.actual is not None or (folder / RECORDED).exists()
    history = tables.settings.forecast == "history"
    if part.customers == "auto":
        return "recorded" if there else "history" if history else "sampled"
    wrong = (part.customers == "recorded" and not there) or (part.customers == "history" and not history)
    if wrong:
        expected = "recorded sales" if part.customers == "recorded" else "an instance with past sales"
        remedy = f"give `backtest.actual`, or {folder / RECORDED}, or choose other customers"
        raise InputError([Problem(str(folder), "", "backtest.customers", part.customers, expected, remedy)])
    return part.customers


def _if_given(path: Path | None, key: str) -> pl.DataFrame | None:
    return None if path is None else recorded_table(path, key)


def _held_back(tables: Tables, days: int) -> tuple[Tables, pl.DataFrame]:
    """The instance as it stood `days` days before its start, and the sales of those days.

    Stock and goods under way of that day are not known; they are those of the instance.
    """
    first = window(tables, -days, tables.settings.periods)
    start = first.settings.start_date
    known = tables.forecast.filter(pl.col("ds") < start)
    sales = tables.forecast.filter(pl.col("ds") >= start).select("item_id", "ds", "units")
    oldest = tables.forecast["ds"].min()
    if not known.height:
        remedy = "shorten `backtest.days`, or give more past sales"
        found, expected = f"past sales from {oldest!s}", f"sales before {start}"
        raise InputError([Problem("forecast", "", "ds", Note(found), expected, remedy)])
    return first.replace(forecast=known), sales
