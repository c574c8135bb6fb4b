"""What the labs make of an instance: a longer horizon to plan on, a planner blind to cut-offs, days to judge on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from meio_jax.errors import InputError, Problem
from meio_jax.tables import Tables, read_instance
from meio_jax.tables.write import write_table

SETTINGS = "instance.yaml"


def longer(source: Path, target: Path, periods: int) -> Path:
    """A copy of an instance whose plan looks `periods` days ahead; sales history carries any horizon.

    A plan that ends with the days that it is judged on stops buying early, because goods still under way at the
    end earn nothing. Every other form of forecast keeps the horizon that it has.
    """
    shutil.copytree(source, target, dirs_exist_ok=True)
    settings = yaml.safe_load((target / SETTINGS).read_text(encoding="utf-8"))
    if settings["forecast"] == "history" and settings["periods"] < periods:
        settings["periods"] = periods
        (target / SETTINGS).write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return target


def without_cutoffs(source: Path, target: Path) -> Path:
    """A copy of an instance as a planner sees it who does not model cut-offs: every order comes before them.

    All demand of a day is moved to the first wave, which ends before every cut-off.

    Raises:
        InputError: If some cut-off is earlier than the end of the first wave.
    """
    tables = read_instance(source)
    first, least = tables.settings.wave_ends[0], float(np.min(tables.cutoffs["cutoff_hour"].to_numpy()))
    if least < first:
        expected = f"no cut-off before the end of the first wave, {first:g} h"
        problem = Problem(str(source / "cutoffs"), "", "cutoff_hour", least, expected, "end the first wave earlier")
        raise InputError([problem])
    shutil.copytree(source, target, dirs_exist_ok=True)
    wave = tables.shares.schema["wave"]
    merged = (
        tables.shares.with_columns(pl.lit(0).cast(wave).alias("wave"))
        .group_by("profile", "region_id", "speed_id", "wave", maintain_order=True)
        .agg(pl.col("share").sum())
    )
    for old in target.glob("shares*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    write_table(merged, target / "shares.parquet")
    return target


def first_days(tables: Tables, days: int) -> Tables:
    """The instance cut to its first days; the starting stock and the customers stay the same."""
    if days >= tables.settings.periods:
        return tables
    forecast = tables.forecast
    if "period" in forecast.columns:
        forecast = forecast.filter(pl.col("period") < days)
    settings = tables.settings.model_copy(update={"periods": days})
    resources = tables.resources
    if resources.height:
        buckets = -(-days // settings.bucket_periods)
        resources = resources.filter(pl.col("bucket").is_null() | (pl.col("bucket") < buckets))
    return tables.replace(settings=settings, forecast=forecast, resources=resources)


def recorded(folder: Path) -> pl.DataFrame | None:
    """Sales that were recorded after the history of the instance, if its folder has them."""
    path = folder / "actuals" / "actual.parquet"
    return pl.read_parquet(path) if path.exists() else None
