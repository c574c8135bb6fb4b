"""Order-up-to by the user's own table: a position at or below `min` is raised to `max`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from meio_jax.backtest import PlanTable
from meio_jax.backtest_loop.recorded import recorded_table
from meio_jax.errors import InputError, Note, Problem
from meio_jax.tables import Tables

_COLUMNS = ("item_id", "node_id", "min", "max")


@dataclass(frozen=True)
class MinMax:
    """The table as a baseline: a plan of the morning from stock, goods under way and backlog."""

    table: pl.DataFrame

    def __call__(self, morning: Tables) -> PlanTable:
        keys = ["item_id", "node_id"]
        parts = [morning.on_hand.select(*keys, "units"), morning.on_order.select(*keys, "units")]
        position = pl.concat(parts).group_by(keys).agg(pl.col("units").sum().alias("position"))
        joined = self.table.join(position, on=keys, how="left").with_columns(pl.col("position").fill_null(0.0))
        # A target of 0 orders nothing.
        target = pl.when(pl.col("position") <= pl.col("min")).then(pl.col("max")).otherwise(0.0)
        return PlanTable(joined.select(*keys, target.alias("target")), name="min_max")


def read_min_max(path: Path, tables: Tables) -> MinMax:
    """Read and check the table.

    Raises:
        InputError: If it cannot be read; else with every problem of the file: columns, ids that the instance lacks,
            `max` below `min`.
    """
    where, frame = str(path), recorded_table(path, "backtest.min_max")
    missing = [name for name in _COLUMNS if name not in frame.columns]
    if missing:
        expected = "the columns " + ", ".join(_COLUMNS)
        raise InputError([Problem(where, "", ", ".join(missing), Note("missing"), expected, "add the columns")])
    frame = frame.select(
        pl.col("item_id").cast(pl.String),
        pl.col("node_id").cast(pl.String),
        pl.col("min").cast(pl.Float64, strict=False),
        pl.col("max").cast(pl.Float64, strict=False),
    )
    problems = []
    for number, row in enumerate(frame.iter_rows(named=True), start=1):
        problems += _of_row(where, number, row, tables)
    if problems:
        raise InputError(problems)
    return MinMax(frame)


def _of_row(where: str, number: int, row: dict, tables: Tables) -> list[Problem]:
    found = []
    for name, known in (("item_id", tables.items["item_id"]), ("node_id", tables.nodes["node_id"])):
        if row[name] not in known:
            expected = f"a {name.removesuffix('_id')} of the instance"
            found.append(Problem(where, f"row {number}", name, row[name], expected, "correct or remove the row"))
    low, high = row["min"], row["max"]
    if low is None or high is None or not 0 <= low <= high:
        expected, remedy = "numbers with 0 <= min <= max", "correct the row"
        found.append(Problem(where, f"row {number}", "min, max", Note(f"{low}, {high}"), expected, remedy))
    return found
