"""The same instance with a horizon of H days, 2 H and 3 H: what is known of the days that remain is the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from meio_jax.config.settings import make_config
from meio_jax.generate import GenerateOptions, generate_instance
from meio_jax.progress import Silent
from meio_jax.runs.run import ensure_instance
from meio_jax.tables import Tables, read_instance

SHAPES = ("local", "national", "global", "us_small")
SITES = {"local": (1, 4, 2), "national": (2, 5, 0), "global": (3, 4, 0)}


def longest(shape: str, items: int, days: int, home: Path, data: Path) -> Tables:
    """The instance with the longest horizon.

    Args:
        shape: One of `SHAPES`.
        items: Number of items of a generated instance.
        days: Days of the longest horizon.
        home: Where the instance is written.
        data: Folder of the public data from which the US instance is made.
    """
    folder = home / shape
    if shape == "us_small":
        options = {"data": data, "size": "small", "periods": days}
        ensure_instance(make_config(instance={"path": folder, "us": options}, run=home / "unused"), Silent())
        return read_instance(folder)
    options = {"shape": shape, "items": items, "nodes_per_tier": SITES[shape], "regions": 4, "speeds": 2, "waves": 2}
    generate_instance(GenerateOptions.model_validate({**options, "periods": days}), folder)
    return read_instance(folder)


def cut(tables: Tables, days: int) -> Tables:
    """The instance with the first `days` days of its horizon only."""
    last = -(-days // tables.settings.bucket_periods)
    keep: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
        "forecast": lambda frame: frame.filter(pl.col("period") < days) if "period" in frame.columns else frame,
        "resources": lambda frame: frame.filter(pl.col("bucket").is_null() | (pl.col("bucket") < last)),
    }
    changed = {name: change(tables.frames()[name]) for name, change in keep.items() if name in tables.frames()}
    return _with(tables, periods=days, **changed)


def free(tables: Tables) -> Tables:
    """The instance without capacities."""
    return _with(tables, resources=tables.resources.clear())


def constant(tables: Tables) -> Tables:
    """The instance with each item's mean demand on every day."""
    mean = pl.col("mean").mean().over("item_id")
    return _with(tables, forecast=tables.forecast.with_columns(mean))


def _with(tables: Tables, periods: int | None = None, **frames: pl.DataFrame) -> Tables:
    settings = tables.settings if periods is None else tables.settings.model_copy(update={"periods": periods})
    return Tables.from_frames(settings, **{**tables.frames(), **frames})
