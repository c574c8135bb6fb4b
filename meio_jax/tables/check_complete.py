"""Whether the forecast has a row for every period, and what the rows probably are where it has not."""

from __future__ import annotations

import itertools

import polars as pl

from meio_jax.errors import Note
from meio_jax.tables.context import Context
from meio_jax.tables.findings import DETAILED, View
from meio_jax.tables.settings import InstanceSettings

_ADD = "add the missing rows (with 0 where no demand is expected)"
_FEW = 2
"""Rows from which on their distance says something."""


def check_complete(context: Context, forecast: View, settings: InstanceSettings, numbered: pl.LazyFrame) -> None:
    """Every group (item, or item and path) has every period.

    Args:
        context: Where problems go.
        forecast: The table.
        settings: The horizon.
        numbered: Its rows with the number of their period in `period`.
    """
    groups = [name for name in forecast.table.key if name not in ("period", "ds")]
    inside = numbered.filter(pl.col("period").is_between(0, settings.periods - 1)).select(*groups, "period")
    found = inside.drop_nulls().group_by(groups, maintain_order=True).agg(pl.col("period").unique().sort()).collect()
    short = found.filter(pl.col("period").list.len() < settings.periods)
    if short.is_empty():
        return
    column = "ds" if settings.forecast == "quantiles" else "period"
    expected = f"a row for every period from 0 to {settings.periods - 1}"
    alike = 1 < short.height == found.height and short["period"].n_unique() == 1
    for row in short.head(1 if alike else DETAILED).iter_rows(named=True):
        note, remedy = _told(row["period"], settings)
        where = ", ".join(f"{name}={row[name]}" for name in groups)
        if alike:
            where = f"all {short.height} forecasts ({' and '.join(groups)}) alike, the first of them {where}"
        context.findings.add(forecast.source.label, where, column, Note(note), expected, remedy)
    if not alike:
        context.findings.omitted += max(0, short.height - DETAILED)


def _told(present: list[int], settings: InstanceSettings) -> tuple[str, str]:
    """What is missing, and how to mend it."""
    missing = sorted(set(range(settings.periods)) - set(present))
    first = f"the first of them {missing[0]} ({settings.date_of(missing[0])})"
    note, word = f"{len(missing)} of {settings.periods} periods missing, {first}", _rhythm(present, settings)
    if not word:
        return note, _ADD
    days = {"week": 7, "month": 30}[word]
    return (
        f"{note}: it has {len(present)} rows, probably of {word}s",
        f"set period: {word} and periods: {len(present)} in instance.yaml to plan by the {word}, or give each of the "
        f"{days} days that a row stands for its part of the row; {_ADD} if the rows are of days",
    )


def _rhythm(present: list[int], settings: InstanceSettings) -> str:
    """Whether rows of a daily forecast are weeks or months: by their distance, or numbered from 0 on."""
    if settings.period != "day" or len(present) < _FEW:
        return ""
    steps = {later - before for before, later in itertools.pairwise(present)}
    whole, count = present == list(range(len(present))), len(present)
    if steps == {7} or (whole and count == -(-settings.periods // 7)):
        return "week"
    if steps <= {28, 29, 30, 31} or (whole and count == round(settings.periods / 30.4)):
        return "month"
    return ""
