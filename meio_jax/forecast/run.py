"""The work of `meio forecast`: sales in, a folder with sample paths and their calibration out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from meio_jax.errors import InputError, Problem, Refusal
from meio_jax.folders import Claim, check_claim, held, written_beside
from meio_jax.forecast.advice import Counts, advice
from meio_jax.forecast.judge import Calibration, Judged, calibration, judge_block
from meio_jax.forecast.model import Shared, fit, learn
from meio_jax.forecast.options import HELD_OUT, HORIZON, ForecastOptions
from meio_jax.forecast.panel import Panel
from meio_jax.forecast.paths import draw, generator
from meio_jax.forecast.regressors import Known
from meio_jax.forecast.sales import Source, open_source
from meio_jax.progress import AbstractProgress, Silent
from meio_jax.tables import write_settings, write_table, write_text
from meio_jax.tables.periods import PeriodLength
from meio_jax.tables.sources import instance_files, scan_file

CALIBRATION_FILE = "calibration.json"


@dataclass(frozen=True)
class Forecasted:
    """What was written: the folder, how many items and periods, the calibration (None where not asked for), and when
    the forecast should not be used (`advice`, sentences)."""

    folder: Path
    items: int
    periods: int
    paths: int
    start: str
    calibration: Calibration | None
    period: PeriodLength = "day"
    advice: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any] | None:
        """The content of `calibration.json`; None where nothing was held out."""
        return None if self.calibration is None else {**self.calibration.as_dict(), "advice": self.advice}


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


def _check_target(source: Path, out: Path, claim: Claim) -> None:
    """The folder to write is new, or an earlier forecast: nothing of the user's is overwritten."""
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise Refusal(Problem(str(out), "--out", "", "", "a folder outside the instance", "give another name"))
    check_claim(out, claim)


def _copy_instance(source: Path, folder: Path) -> None:
    """All tables of an instance but its forecast; those that are no files of their own become Parquet."""
    for files in instance_files(source).values():
        if files.name in ("forecast", "instance"):
            continue
        if not files.own:
            write_table(
                pl.concat(scan_file(files, file).collect() for file in files.paths), folder / f"{files.name}.parquet"
            )
            continue
        for file in files.paths:
            target = folder / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


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
        if value is not None and value < least
    ]
    problems = [
        Problem("meio forecast", "", f"--{name.replace('_', '-')}", value, f"{least} or more", "correct the option")
        for name, value, least in bad
    ]
    if problems:
        raise InputError(problems)


@dataclass(frozen=True)
class _Work:
    """What is forecast: horizon, paths, and the periods held out to judge it."""

    source: Source
    options: ForecastOptions
    periods: int
    paths: int
    held_out: int

    def panels(self) -> Iterator[Panel]:
        """Sales of all items, a block at a time."""
        return self.source.blocks(self.options.block_items, self.periods, self.options.history_days)


def _plan_work(source: Source, options: ForecastOptions) -> _Work:
    settings, length = source.settings, source.period
    periods = settings.periods if settings is not None else options.periods or HORIZON[length]
    held_out = HELD_OUT[length] if options.holdout is None else options.holdout
    return _Work(source, options, periods, options.path_count(len(source.items), periods), held_out)


def _write_paths(
    work: _Work, shared: Shared, before: Shared | None, folder: Path, progress: AbstractProgress
) -> tuple[list[Judged | None], Counts]:
    """Forecast block by block; one part each. `before`: what the catalog shared before the held-out periods."""
    judged: list[Judged | None] = []
    counts = Counts()
    for number, panel in enumerate(work.panels()):
        seed = work.options.seed
        if before is not None:
            judged += judge_block(panel, before, work.held_out, seed)
        found = fit(panel, shared)
        counts.add(panel, found)
        drawn = [(name, draw(found, item, work.paths, generator(seed, name))) for item, name in enumerate(panel.names)]
        write_table(paths_frame(drawn), folder / "forecast" / f"part-{number:05d}.parquet")
        progress.stage(f"forecast of {counts.items:,} of {len(work.source.items):,} items")
    return judged, counts


def _forecast(work: _Work, folder: Path, progress: AbstractProgress) -> tuple[Calibration | None, list[str]]:
    """Write the table `forecast` into a folder; its calibration, and when it should not be used."""
    sample = work.source.sample(work.periods, work.options.history_days)
    judge = 0 < work.held_out < sample.calendar.past
    before = learn(sample.cut(work.held_out)) if judge else None
    shared = learn(sample)
    judged, counts = _write_paths(work, shared, before, folder, progress)
    period = work.source.period
    if work.held_out and not judge:
        judged = [None] * counts.items
    found = calibration(judged, work.held_out, period) if work.held_out else None
    return found, advice(counts, shared, found, period)


def forecast_run(
    source: Path,
    out: Path,
    options: ForecastOptions | None = None,
    progress: AbstractProgress | None = None,
    *,
    events: Path | None = None,
    prices: Path | None = None,
    overwrite: bool = False,
) -> Forecasted:
    """Forecast all items of an instance or of a file of sales, and write a folder.

    Args:
        source: An instance folder with a forecast of form `history`, or a CSV or Parquet file `item_id, ds, units` and
            optionally `available`.
        out: Folder to write: the instance with sample paths in place of its sales, or for a file the table `forecast/`
            alone; and `calibration.json`.
        options: What to forecast with.
        progress: Where to report.
        events: File of events (`event, ds`, optionally `item_id`), past and to come.
        prices: File of selling prices (`item_id, ds, price`), past and to come.
        overwrite: Replace an earlier forecast in that folder, once this one is whole.

    Raises:
        InputError: If source, target or options cannot be used; then nothing is written.
    """
    options = ForecastOptions() if options is None else options
    progress = Silent() if progress is None else progress
    _check(options)
    claim = Claim("forecast", "--out", overwrite=overwrite)
    _check_target(source, out, claim)
    sales = open_source(source, options.period, Known.read(events, prices))
    work = _plan_work(sales, options)
    settings = sales.settings
    with held(out, "meio forecast"), written_beside(out, claim) as coming:
        if settings is not None:
            _copy_instance(source, coming)
            write_settings(settings.model_copy(update={"forecast": "paths"}), coming)
        calibrated, said = _forecast(work, coming, progress)
        start = sales.start.isoformat()
        found = Forecasted(out, len(sales.items), work.periods, work.paths, start, calibrated, sales.period, said)
        if calibrated is not None:
            write_text(json.dumps(found.as_dict(), indent=1), coming / CALIBRATION_FILE)
    return found
