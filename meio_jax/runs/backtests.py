"""What the folder of a finished backtest holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from meio_jax.errors import Problem, Refusal
from meio_jax.runs.files import read_json
from meio_jax.tables.own_files import read_own

KIND, SUMMARY = "backtest", "summary.json"
ANEW = "write it anew with `meio backtest CONFIG --resume`"
"""What to do where something in it is damaged."""


def read_summary(folder: Path) -> dict[str, Any]:
    """The summary of a finished backtest.

    Raises:
        InputError: If there is none, or it is damaged.
    """
    path = folder / SUMMARY
    if not path.exists():
        remedy = "finish it with `meio backtest CONFIG --resume`"
        raise Refusal(Problem(str(path), "", "", None, "the summary of a finished backtest", remedy))
    return read_json(path, "the summary of a finished backtest", ANEW)


def read_results(folder: Path) -> dict[str, pl.DataFrame]:
    """The result tables of a finished backtest, by name.

    Raises:
        InputError: If one is damaged.
    """
    return {path.stem: read_own(path, ANEW) for path in sorted((folder / "results").glob("*.parquet"))}
