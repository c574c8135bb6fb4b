"""Names of quantile columns: from the spellings of forecasting libraries to `q` and the level."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from meio_jax.tables.columns import MOST, Column

_PLAIN = re.compile(r"^q(0?\.\d+)$")
_BAND = re.compile(r"^(?P<model>.+)-(?P<side>lo|hi)-(?P<width>\d+(?:\.\d+)?)$")
_MEDIAN = re.compile(r"^(?P<model>.+)-median$")


@dataclass(frozen=True)
class QuantileNames:
    """What the columns of a quantile table mean.

    `rename` maps a column to its name `q<level>`, `ignored` are point forecasts of the model, `twice` are
    columns whose level another column has too, and `models` the models named.
    """

    rename: dict[str, str]
    ignored: tuple[str, ...]
    twice: tuple[str, ...]
    models: tuple[str, ...]


def quantile_name(level: float) -> str:
    """The column name of a level, such as `q0.05`."""
    return f"q{round(level, 6):g}"


def quantile_level(name: str) -> float | None:
    """The level in (0, 1) that a column named in any accepted spelling holds; None where it is no quantile
    column.
    """
    if plain := _PLAIN.match(name):
        level = float(plain[1])
    elif band := _BAND.match(name):
        half = float(band["width"]) / 200
        level = 0.5 - half if band["side"] == "lo" else 0.5 + half
    elif _MEDIAN.match(name):
        level = 0.5
    else:
        return None
    return round(level, 6) if 0 < level < 1 else None


def interpret(columns: Iterable[str]) -> QuantileNames:
    """Sort out the columns of a quantile table."""
    columns = list(columns)
    models: list[str] = []
    rename: dict[str, str] = {}
    twice: list[str] = []
    for name in columns:
        level = quantile_level(name)
        if level is None:
            continue
        found = _BAND.match(name) or _MEDIAN.match(name)
        if found and found["model"] not in models:
            models.append(found["model"])
        target = quantile_name(level)
        if target in rename.values():
            twice.append(name)
        else:
            rename[name] = target
    ignored = tuple(name for name in columns if name in models)
    return QuantileNames(rename, ignored, tuple(twice), tuple(models))


def quantile_levels(frame: pl.DataFrame) -> tuple[float, ...]:
    """Levels of a quantile forecast as read (columns `q<level>`), ascending."""
    return tuple(sorted(level for name in frame.columns if (level := quantile_level(name)) is not None))


def quantile_columns(levels: Iterable[float]) -> tuple[Column, ...]:
    """Declarations of the columns of these levels, ascending."""
    return tuple(
        Column(quantile_name(level), "float", f"quantile {level:g} of demand", "units per day", ge=0, le=MOST)
        for level in sorted(levels)
    )
