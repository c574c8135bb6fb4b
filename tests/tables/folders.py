"""Writing instance folders as they are, faults and all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from tiny import tiny_frames, tiny_settings

Frames = dict[str, pl.DataFrame]


def settings_content(form: str) -> dict[str, Any]:
    """What instance.yaml of the tiny instance holds."""
    content = tiny_settings(form).model_dump()
    return content | {"wave_ends": list(content["wave_ends"])}


def write_raw(folder: Path, frames: Frames, content: object, suffix: str = "parquet") -> Path:
    """Write frames and settings unchecked."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        path = folder / f"{name}.{suffix}"
        if suffix == "csv":
            frame.write_csv(path)
        else:
            frame.write_parquet(path)
    (folder / "instance.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder


def put(table: str, row: int, **values: object) -> Callable[[Frames], None]:
    """A damage: overwrite cells of one row."""

    def damage(frames: Frames) -> None:
        frame = frames[table]
        for column, value in values.items():
            cells = frame.get_column(column).to_list()
            cells[row] = value
            frame = frame.with_columns(pl.Series(column, cells, strict=False))
        frames[table] = frame

    return damage


def column(table: str, name: str, values: Any) -> Callable[[Frames], None]:
    """A damage: replace a whole column."""

    def damage(frames: Frames) -> None:
        frames[table] = frames[table].with_columns(pl.Series(name, values))

    return damage


def add(table: str, **values: object) -> Callable[[Frames], None]:
    """A damage: append a copy of the first row with some cells changed."""

    def damage(frames: Frames) -> None:
        frame = frames[table]
        row = frame.head(1).with_columns(
            [pl.lit(value, dtype=frame.schema[name]).alias(name) for name, value in values.items()]
        )
        frames[table] = pl.concat([frame, row])

    return damage


def drop_row(table: str, condition: pl.Expr) -> Callable[[Frames], None]:
    """A damage: remove rows."""

    def damage(frames: Frames) -> None:
        frames[table] = frames[table].filter(~condition)

    return damage


def rename(table: str, old: str, new: str) -> Callable[[Frames], None]:
    """A damage: rename a column."""

    def damage(frames: Frames) -> None:
        frames[table] = frames[table].rename({old: new})

    return damage


def damaged(tmp_path: Path, damage: Callable[[Frames], None], form: str, suffix: str = "parquet") -> Path:
    """The tiny instance with a damage, as a folder."""
    frames = tiny_frames(form)
    damage(frames)
    return write_raw(tmp_path / "instance", frames, settings_content(form), suffix)
