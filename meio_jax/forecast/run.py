"""The work of `meio forecast`: sales in, a folder with sample paths and their calibration out."""

from __future__ import annotations

import json
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from meio_jax.errors import InputError, Note, Problem
from meio_jax.forecast.judge import Calibration, Judged, calibration, judge_item
from meio_jax.forecast.options import ForecastOptions
from meio_jax.forecast.paths import sample_paths
from meio_jax.forecast.rates import require_library
from meio_jax.forecast.sales import Source, open_source
from meio_jax.progress import AbstractProgress, Silent
from meio_jax.tables import remove_table, write_settings, write_table, write_text

CALIBRATION_FILE = "calibration.json"


@dataclass(frozen=True)
class Forecasted:
    """What was written: the folder, how many items and days, and the calibration (None where not asked for)."""

    folder: Path
    items: int
    periods: int
    paths: int
    start: str
    calibration: Calibration | None


def paths_frame(drawn: list[tuple[str, np.ndarray]]) -> pl.DataFrame:
    """Rows of the table `forecast` in form paths, of paths `[paths, periods]` by item."""
    sizes = [paths.size for _, paths in drawn]
    path, period = (np.concatenate([table.reshape(-1) for table in tables]) for tables in _indices(drawn))
    return pl.DataFrame(
        {
            "item_id": pl.Series([name for name, _ in drawn], dtype=pl.String).gather(
                np.repeat(np.arange(len(drawn)), sizes)
            ),
            "path": path,
            "period": period,
            "units": np.concatenate([paths.reshape(-1) for _, paths in drawn]).astype(np.float64),
        }
    )


def _indices(drawn: list[tuple[str, np.ndarray]]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    pairs = [np.indices(paths.shape) for _, paths in drawn]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _check_target(source: Path, out: Path) -> None:
    """The folder to write is new: nothing of the user's is overwritten."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        found = Note("a file" if not out.is_dir() else "a folder with content")
        raise InputError([Problem(str(out), "", "--out", found, "a new or empty folder", "give another name")])
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise InputError([Problem(str(out), "", "--out", "", "a folder outside the instance", "give another name")])


def _check(options: ForecastOptions) -> None:
    bad = [
        (name, value, least)
        for name, value, least in (
            ("periods", options.periods, 1),
            ("paths", options.paths, 2),
            ("history_days", options.history_days, 28),
            ("holdout", options.holdout, 0),
            ("block_items", options.block_items, 1),
        )
        if value < least
    ]
    problems = [
        Problem("meio forecast", "", f"--{name.replace('_', '-')}", value, f"{least} or more", "correct the option")
        for name, value, least in bad
    ]
    if problems:
        raise InputError(problems)


def _write_paths(
    source: Source, periods: int, folder: Path, options: ForecastOptions, progress: AbstractProgress
) -> list[Judged | None]:
    """Forecast block by block; one Parquet part each."""
    judged: list[Judged | None] = []
    done = 0
    for number, block in enumerate(source.blocks(options.block_items)):
        drawn = []
        for name, units in block:
            if options.holdout:
                judged.append(judge_item(units, name, options))
            recent = units[-options.history_days :]
            drawn.append((name, sample_paths(recent, name, periods, options.paths, options.seed)))
        write_table(paths_frame(drawn), folder / "forecast" / f"part-{number:05d}.parquet")
        done += len(block)
        progress.stage(f"forecast of {done:,} of {len(source.items):,} items")
    return judged


def forecast_run(
    source: Path, out: Path, options: ForecastOptions | None = None, progress: AbstractProgress | None = None
) -> Forecasted:
    """Forecast all items of an instance or of a file of sales, and write a folder.

    Args:
        source: An instance folder with a forecast of form `history`, or a CSV or Parquet file `item_id, ds, units`.
        out: Folder to write: the instance with sample paths in place of its sales, or for a file the table `forecast/`
            alone; and `calibration.json`.
        options: What to forecast with.
        progress: Where to report.

    Raises:
        InputError: If statsforecast is missing, or source, target or options cannot be used; then nothing is written.
    """
    options = ForecastOptions() if options is None else options
    progress = Silent() if progress is None else progress
    _check(options)
    require_library()
    _check_target(source, out)
    sales = open_source(source)
    settings = sales.settings
    periods = options.periods if settings is None else settings.periods
    unfinished = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        unfinished.mkdir(parents=True)
        if settings is not None:
            shutil.copytree(source, unfinished, dirs_exist_ok=True)
            remove_table(unfinished, "forecast")
            write_settings(settings.model_copy(update={"forecast": "paths"}), unfinished)
        judged = _write_paths(sales, periods, unfinished, options, progress)
        found = calibration(judged, options) if options.holdout else None
        if found is not None:
            write_text(json.dumps(found.as_dict(), indent=1), unfinished / CALIBRATION_FILE)
        if out.exists():
            out.rmdir()
        unfinished.rename(out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return Forecasted(out, len(sales.items), periods, options.paths, sales.start.isoformat(), found)
