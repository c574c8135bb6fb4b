"""What became of a mutated input: refused with a message, accepted, or what must not happen."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import polars as pl

from meio_jax.config.settings import Config, load_config, make_config
from meio_jax.errors import InputError
from meio_jax.planner import plan
from meio_jax.results import Result
from meio_jax.tables import TABLE_NAMES, Tables, read_instance
from meio_jax.tables.summary import summary_of_tables

ANYTHING = (Exception, pl.exceptions.PanicException)
"""What is looked for: the panics of the table library are no `Exception`."""
SLOW = 20.0
"""Seconds of processor time that no validation of a few rows may take."""
BAD = ("traceback", "dropped", "unreadable message", "slow", "nan")


@dataclass(frozen=True)
class Verdict:
    """An outcome, and what was said."""

    outcome: str
    said: str = ""
    warnings: int = 0


def judge_folder(folder: Path, rows: dict[str, int]) -> tuple[Verdict, Tables | None]:
    """Validate an instance folder as `meio validate` does.

    Args:
        folder: The instance.
        rows: Rows of every table that was written as a frame.
    """
    started = time.process_time()
    try:
        tables = read_instance(folder)
        shown = "\n".join([*map(str, tables.warnings), summary_of_tables(tables)])
    except InputError as error:
        return _message(str(error), "refused", started), None
    except ANYTHING:
        return Verdict("traceback", traceback.format_exc(limit=-4)), None
    if lost := _dropped(folder, tables, rows):
        return Verdict("dropped", lost), None
    verdict = _message(shown, "accepted", started)
    return Verdict(verdict.outcome, verdict.said, len(tables.warnings)), tables


def judge_config(path: Path) -> tuple[Verdict, Config | None]:
    """Read a configuration as `meio solve` does."""
    started = time.process_time()
    try:
        config = load_config(path)
    except InputError as error:
        return _message(str(error), "refused", started), None
    except ANYTHING:
        return Verdict("traceback", traceback.format_exc(limit=-4)), None
    return Verdict("accepted"), config


def _message(text: str, outcome: str, started: float) -> Verdict:
    if time.process_time() - started > SLOW:
        return Verdict("slow", text[:300])
    if not text.replace("\n", "").isprintable() or len(text) > 30_000:
        return Verdict("unreadable message", repr(text[:300]))
    return Verdict(outcome, text[:300])


def _dropped(folder: Path, tables: Tables, rows: dict[str, int]) -> str:
    """A table that lies in the folder and was not read without a word, or of which rows are missing."""
    told = " ".join(one.example for one in tables.warnings if one.kind == "not read")
    for path in folder.iterdir():
        stem = path.name.split(".")[0].strip().lower()
        if stem in TABLE_NAMES and stem not in tables.read_from and path.name not in told:
            return f"{path.name} was not read"
    for name, count in rows.items():
        if name in tables.read_from and tables.frames()[name].height != count:
            return f"{name}: {tables.frames()[name].height} of {count} rows"
    return ""


def usual_config(*, slack: bool) -> Config:
    """Five steps, few scenarios; slack is most of the time of so short a search, and so a choice."""
    solve = {"max_steps": 5, "min_steps": 5, "check_every": 5, "feasibility_steps": 0, "devices": 1}
    return make_config(
        scenarios={"train": 8, "per_step": 4, "holdout": 4, "clairvoyant": 0},
        solve={**solve, "slack_items": 64 if slack else 0},
    )


def shortened(config: Config, *, slack: bool) -> Config:
    """A configuration with no more steps and scenarios than its choices need to be tried; slack as in the usual one."""
    least = lambda section, **most: section.model_copy(
        update={name: min(getattr(section, name), value) for name, value in most.items()}
    )
    solve = least(
        config.solve, max_steps=5, min_steps=5, check_every=5, feasibility_steps=5, slack_items=8 if slack else 0
    )
    scenarios = least(config.scenarios, train=16, per_step=8, holdout=16, clairvoyant=4, unit_values=4)
    return config.model_copy(update={"solve": solve, "scenarios": scenarios})


def judge_solve(tables: Tables, config: Config) -> Verdict:
    """A short search of what was accepted: no exception, and no figure that is none but where the result says so."""
    try:
        with jax.enable_x64(config.precision == "float64"):
            found = plan(tables, config)
    except InputError as error:
        return Verdict("refused", str(error)[:300])
    except ANYTHING:
        return Verdict("traceback", traceback.format_exc(limit=-6))
    if found.result is Result.NUMERICAL_FAILURE:
        return Verdict("told")
    figures = {"cost": found.certificate.holdout_cost, "slack": found.certificate.slack or 0.0}
    for name, frame in found.frames().items():
        for column, kind in frame.schema.items():
            if kind.is_float() and bool(frame.get_column(column).is_nan().any()):
                figures[f"{name}.{column}"] = float("nan")
    wrong = [name for name, value in figures.items() if value is None or not np.isfinite(value)]
    return Verdict("nan", ", ".join(wrong)) if wrong else Verdict("solved")


def rows_of(frames: dict[str, pl.DataFrame]) -> dict[str, int]:
    """Rows of every table."""
    return {name: frame.height for name, frame in frames.items()}
