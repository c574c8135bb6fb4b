"""The work of `meio backtest`: a configuration in, a folder with the days and what they came to out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meio_jax.backtest import Execution, World, read_world, window
from meio_jax.backtest_loop.arms import CLAIRVOYANT, OURS, STEADY, AbstractArm, Baseline, Planner, baseline
from meio_jax.backtest_loop.customers import Ground, ground
from meio_jax.backtest_loop.folder import BACKTEST
from meio_jax.backtest_loop.issued import read_issued
from meio_jax.backtest_loop.knowledge import AbstractKnowledge, OwnForecast, PerfectForecast
from meio_jax.backtest_loop.live import Life, Step, live
from meio_jax.backtest_loop.measures import result_frames
from meio_jax.backtest_loop.min_max import read_min_max
from meio_jax.backtest_loop.record import Record
from meio_jax.backtest_loop.summary import summary_of
from meio_jax.config.settings import Config
from meio_jax.folders import held, keep_private
from meio_jax.progress import AbstractProgress, Silent
from meio_jax.runs.backtests import SUMMARY
from meio_jax.runs.beside import SAME_AGAIN, open_beside, take_over
from meio_jax.runs.resume import identity
from meio_jax.runs.run import ensure_instance
from meio_jax.tables import Tables, read_instance, write_table, write_text

_FILES = ("actual", "lead_times", "deliveries", "min_max", "forecasts")


@dataclass(frozen=True)
class Backtest:
    """A finished backtest: its folder, the days of every arm (ours first) and the summary."""

    folder: Path
    lives: list[Life]
    world: World
    summary: dict[str, Any]


def run_backtest(
    config: Config,
    folder: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: AbstractProgress | None = None,
    on_day: Callable[[int, int, float, list[Step]], None] = lambda day, days, spent, steps: None,
) -> Backtest:
    """Live the days of a configuration and write the folder.

    Args:
        config: The configuration; its part `backtest` says how.
        folder: Where to write.
        resume: Continue the backtest that the folder holds; days that are recorded are lived again by their record.
        overwrite: Replace the backtest that the folder holds; a finished one once this one is complete.
        progress: Where solves report, and where warnings about the input go.
        on_day: See `live`.

    Raises:
        InputError: If the configuration, the instance or a recorded table is wrong, or the folder may not be written.
    """
    progress = Silent() if progress is None else progress
    source = ensure_instance(config, progress)
    tables = read_instance(source)
    at = ground(tables, source, config.backtest)
    same = _identity(config, tables)
    for one in tables.warnings:
        progress.warning(str(one))
    with held(folder, "meio backtest"):
        if config.output.private:
            keep_private(folder)
        place = open_beside(folder, BACKTEST, same, resume=resume, overwrite=overwrite)
        progress.begun(folder, SAME_AGAIN)
        arms = _arms(config, place, at, progress)
        lives = live(at, arms, config.backtest.days, config.backtest.seed, Record(place), on_day)
        world = read_world(window(at.tables, 0, config.backtest.days))
        summary = _written(place, lives, world, at, config)
        take_over(folder, place, BACKTEST)
    return Backtest(folder, lives, world, summary)


def _arms(config: Config, folder: Path, at: Ground, progress: AbstractProgress) -> list[AbstractArm]:
    part = config.backtest
    known: AbstractKnowledge = OwnForecast() if part.forecasts is None else read_issued(part.forecasts, at.tables)
    arms: list[AbstractArm] = [Planner(config, folder, part.every, progress, knowledge=known)]
    if part.steady is not None:
        calm = config.model_copy(update={"warm": config.warm.model_copy(update={"hold": part.steady})})
        arms.append(Planner(calm, folder / "steady", part.every, progress, STEADY, known))
    if part.clairvoyant:
        coming = Execution(at.tables, part.days, seed=part.seed, options=at.options).coming()
        perfect = PerfectForecast(coming, known)
        arms.append(Planner(config, folder / "clairvoyant", part.every, progress, CLAIRVOYANT, perfect))
    arms += [baseline(name, known) for name in part.baselines]
    if part.min_max is not None:
        arms.append(Baseline("min_max", read_min_max(part.min_max, at.tables)))
    return arms


def _identity(config: Config, tables: Tables) -> dict[str, Any]:
    """What a continuation must agree with; the tables are those that were read, whatever the folder holds since."""
    part = config.backtest.model_dump(mode="json", exclude=set(_FILES))
    files = {name: getattr(config.backtest, name) for name in _FILES}
    digests = {
        name: hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        for name, path in files.items()
        if path is not None and path.is_file()
    }
    own = {f"backtest.{key}": value for key, value in {**part, **digests}.items()}
    return {**identity(config, dict(tables.digests)), **own}


def _written(folder: Path, lives: list[Life], world: World, at: Ground, config: Config) -> dict[str, Any]:
    """Write tables and summary; returns the summary."""
    for name, frame in result_frames(lives, world):
        write_table(frame, folder / "results" / f"{name}.parquet")
    about = {"customers": at.customers, "every": config.backtest.every, "ours": OURS}
    found = about | summary_of(lives, world, config.backtest.seed)
    write_text(json.dumps(found, indent=1, allow_nan=False), folder / SUMMARY)
    return found
