"""What the folder of a service-cost curve holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from meio_jax.errors import Problem, Refusal
from meio_jax.runs.files import read_json
from meio_jax.tables.own_files import read_own

KIND, IDENTITY, TABLE = "curve", "curve.json", "curve.parquet"
ANEW = "write it anew with `meio curve CONFIG --service LOW:HIGH --overwrite`"
"""What to do where something in it is damaged."""


def read_curve(folder: Path) -> tuple[dict[str, Any], pl.DataFrame]:
    """What was asked, and a row for every point.

    Raises:
        InputError: If the folder holds no finished curve, or one that is damaged.
    """
    path, remedy = folder / TABLE, "finish it with `meio curve CONFIG --service LOW:HIGH --resume`"
    if not path.exists():
        raise Refusal(Problem(str(path), "", "", None, "the table of a finished curve", remedy))
    return read_json(folder / IDENTITY, "what a curve began with", ANEW), read_own(path, remedy)
