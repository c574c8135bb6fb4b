"""Mutations of tables as frames, and of the files that hold them. Each says in words what it did."""

from __future__ import annotations

import gzip
import os
import random
from pathlib import Path

import polars as pl

from fuzz_parts.values import hostile

Frames = dict[str, pl.DataFrame]

_CASTS = (pl.String, pl.Int32, pl.Float32, pl.Int64, pl.Float64, pl.Categorical, pl.Boolean, pl.UInt8, pl.Binary)

_FILES = ("cut", "flip", "name", "name", "empty", "folder", "link", "gz", "csv", "csv", "csv", "gone", "text")
_NAMES = ("{}.PARQUET", "{}.CSV", "{}.xlsx", "{}.parq", "{}s.parquet", "{} .parquet", "{}_old.parquet")
_SLIPS = (
    *("plain", "comma", "less", "quote", "semicolon", "sep", "bom", "crlf", "cr", "nul", "latin", "blank", "tail"),
)


def mutate_cells(frames: Frames, name: str, dice: random.Random) -> str:
    """One to three cells of a column."""
    frame = frames[name]
    column = dice.choice(frame.columns)
    cells = frame.get_column(column).to_list()
    told = []
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        row = dice.randrange(len(cells))
        cells[row] = hostile(frame.schema[column], frame.get_column(column), dice)
        told.append(f"row {row} = {cells[row]!r:.40}")
    frames[name] = frame.with_columns(pl.Series(column, cells, dtype=frame.schema[column], strict=False))
    return f"{name}.{column}: {', '.join(told)}"


def mutate_column(frames: Frames, name: str, dice: random.Random) -> str:
    """A whole column: dropped, renamed, of another type, one value, scaled, shuffled, or negative."""
    frame = frames[name]
    column = dice.choice(frame.columns)
    kind, series = frame.schema[column], frame.get_column(column)
    how = dice.choice(("drop", "rename", "cast", "cast", "constant", "scale", "shuffle", "negate", "extra", "list"))
    if how == "drop":
        frames[name] = frame.drop(column)
    elif how == "rename":
        frames[name] = frame.rename({column: dice.choice((column.upper(), column + " ", "x", "", column[:-1]))})
    elif how == "cast":
        target = dice.choice(_CASTS)
        try:
            frames[name] = frame.with_columns(series.cast(target, strict=False))
        except pl.exceptions.PolarsError:
            return f"{name}.{column}: no cast to {target}"
        how = f"cast to {target}"
    elif how == "constant":
        value = hostile(kind, series, dice)
        frames[name] = frame.with_columns(pl.lit(value, dtype=kind, allow_object=False).alias(column))
        how = f"all {value!r:.40}"
    elif how == "extra":
        frames[name] = frame.with_columns(series.alias(column + "_2"))
    elif how == "list":
        frames[name] = frame.with_columns(pl.concat_list(column).alias(column))
    elif how == "shuffle":
        frames[name] = frame.with_columns(series.shuffle(dice.randrange(2**31)))
    elif kind.is_numeric():
        factor = -1.0 if how == "negate" else dice.choice((1e-12, 1e-3, 1e3, 1e6, 1e12))
        frames[name] = frame.with_columns((series.cast(pl.Float64) * factor).alias(column))
        how = f"times {factor:g}"
    else:
        how = "as it was"
    return f"{name}.{column}: {how}"


def mutate_rows(frames: Frames, name: str, dice: random.Random) -> str:
    """Rows: dropped, repeated, shuffled, all but one gone, or none left."""
    frame = frames[name]
    how = dice.choice(("drop one", "drop half", "repeat one", "repeat all", "shuffle", "one left", "none", "reverse"))
    row = dice.randrange(max(frame.height, 1))
    kept = pl.Series([dice.random() < 0.5 for _ in range(frame.height)], dtype=pl.Boolean)
    rows = {
        "drop one": lambda: pl.concat([frame.head(row), frame.slice(row + 1)]),
        "drop half": lambda: frame.filter(kept),
        "repeat one": lambda: pl.concat([frame, frame.slice(row, 1)]),
        "repeat all": lambda: pl.concat([frame, frame]),
        "shuffle": lambda: frame.sample(fraction=1.0, shuffle=True, seed=dice.randrange(2**31)),
        "one left": lambda: frame.slice(row, 1),
        "none": lambda: frame.clear(),
        "reverse": lambda: frame.reverse(),
    }
    frames[name] = rows[how]()
    return f"{name}: {how}"


def mutate_file(folder: Path, name: str, frame: pl.DataFrame, dice: random.Random) -> str:
    """The file of a table: cut off, flipped bits, under another name, a folder, a link, or CSV with a slip."""
    path = folder / f"{name}.parquet"
    whole = path.read_bytes()
    how = dice.choice(
        ("cut", "flip", "name", "name", "empty", "folder", "link", "gz", "csv", "csv", "csv", "gone", "text")
    )
    path.unlink()
    if how == "cut":
        path.write_bytes(whole[: dice.randrange(len(whole))])
    elif how == "flip":
        content = bytearray(whole)
        for _ in range(dice.choice((1, 3, 20))):
            content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        path.write_bytes(bytes(content))
    elif how == "name":
        how = dice.choice(
            ("{}.PARQUET", "{}.CSV", "{}.xlsx", "{}.parq", "{}s.parquet", "{} .parquet", "{}_old.parquet")
        )
        (folder / how.format(name)).write_bytes(whole)
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "folder":
        how = dice.choice(("{}.parquet", "{}", "{}.csv", "{}/deep"))
        (folder / how.format(name)).mkdir(parents=True)
        (folder / how.format(name) / dice.choice(("part-0.parquet", "part-0.PARQUET", "_part.parquet"))).write_bytes(
            whole
        )
        how = f"folder {how}"
    elif how == "link":
        os.symlink(folder / "nowhere", path)
    elif how == "gz":
        (folder / f"{name}.csv.gz").write_bytes(gzip.compress(frame.write_csv().encode()))
    elif how == "text":
        path.write_bytes(b"not a table\n" * 3)
    elif how == "csv":
        how = f"csv {_csv(folder / f'{name}.csv', frame, dice)}"
    return f"{name}: {how}"


def _csv(path: Path, frame: pl.DataFrame, dice: random.Random) -> str:
    """The table as CSV with one slip of those that spreadsheets, editors and people make."""
    text = frame.write_csv()
    lines = text.split("\n")
    at = dice.randrange(1, max(len(lines) - 1, 2))
    how = dice.choice(
        ("plain", "comma", "less", "quote", "semicolon", "sep", "bom", "crlf", "cr", "nul", "latin", "blank", "tail")
    )
    if how == "comma":
        lines[at] += ",x"
    elif how == "less":
        lines[at] = lines[at].rsplit(",", 1)[0]
    elif how == "quote":
        lines[at] = '"' + lines[at]
    elif how == "nul":
        lines[at] = lines[at][:3] + "\x00" + lines[at][3:]
    elif how == "blank":
        lines.insert(at, dice.choice(("", ",,,", "   ")))
    elif how == "tail":
        lines += ["", ",,,,", ""]
    text = "\n".join(lines)
    text = {
        "semicolon": lambda: text.replace(",", ";").replace(".", ","),
        "sep": lambda: "sep=,\n" + text,
        "bom": lambda: "\ufeff" + text,
        "crlf": lambda: text.replace("\n", "\r\n"),
        "cr": lambda: text.replace("\n", "\r"),
        "latin": lambda: text.replace("a", "\u00e4", 1),
    }.get(how, lambda: text)()
    path.write_bytes(text.encode("latin-1" if how == "latin" else "utf-8", "replace"))
    return how
