"""Writing tables of an instance so that a folder never holds half a table."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

from meio_jax.folders import writing


def write_frame(folder: Path, name: str, frame: pl.DataFrame, part: int | None = None) -> None:
    """Write a table, or one part of it, under a temporary name and rename it."""
    path = folder / f"{name}.parquet" if part is None else folder / name / f"part-{part:05d}.parquet"
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        frame.write_parquet(temporary)
        os.replace(temporary, path)


def write_text(path: Path, text: str) -> None:
    """Write a text file under a temporary name and rename it."""
    temporary = path.with_suffix(".tmp")
    with writing(path):
        try:
            temporary.write_text(text, encoding="utf-8")
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
