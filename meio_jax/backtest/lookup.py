"""Small helpers between polars frames and numpy arrays."""

from typing import Any, TypeVar

import numpy as np
import polars as pl

from meio_jax.errors import InputError, Problem

Arrays = TypeVar("Arrays", bound=tuple)


def bad(file: str, where: str, column: str, expected: str, value: object = "", remedy: str = "") -> InputError:
    """An `InputError` with a single problem."""
    return InputError([Problem(file, where, column, value, expected, remedy or "correct the table")])


def frame(tables, name: str) -> pl.DataFrame:
    """A table of the instance; an optional table that is absent is an empty frame."""
    table = getattr(tables, name, None)
    if table is None:
        return pl.DataFrame()
    return table.collect() if isinstance(table, pl.LazyFrame) else table


def rows_of(column: pl.Series, ids: list[str], where: str = "") -> np.ndarray:
    """Positions of a column's values in `ids`, int64.

    Raises:
        InputError: If a value is not among them.
    """
    index = pl.DataFrame({"key": ids, "row": np.arange(len(ids))}, schema={"key": pl.String, "row": pl.Int64})
    keys = pl.DataFrame({"key": column.cast(pl.String)})
    found = keys.join(index, on="key", how="left", maintain_order="left")["row"]
    if found.null_count():
        line = int(found.is_null().arg_max() or 0)
        raise bad(where or "table", f"row {line + 1}", column.name, "an id of the instance", keys["key"][line])
    return found.to_numpy()


def optional_rows(column: pl.Series, ids: list[str]) -> np.ndarray:
    """Positions in `ids`; -1 where the value is null or empty."""
    blank = column.is_null() | (column.cast(pl.String) == "")
    out = np.full(len(column), -1, np.int64)
    given = (~blank).to_numpy()
    out[given] = rows_of(column.filter(~blank), ids)
    return out


def numbers(table: pl.DataFrame, name: str, default: float = 0.0) -> np.ndarray:
    """A float64 column; `default` where it is absent or null."""
    if name not in table.columns:
        return np.full(table.height, default)
    return table[name].cast(pl.Float64).fill_null(default).to_numpy().copy()


def integers(table: pl.DataFrame, name: str, default: int = 0) -> np.ndarray:
    """An int64 column; `default` where it is absent or null."""
    return np.round(numbers(table, name, float(default))).astype(np.int64)


def texts(table: pl.DataFrame, name: str, default: str = "") -> list[str]:
    """A text column; `default` where it is absent or null."""
    if name not in table.columns:
        return [default] * table.height
    return table[name].cast(pl.String).fill_null(default).to_list()


def compressed(owner: np.ndarray, owners: int) -> tuple[np.ndarray, np.ndarray]:
    """Compressed rows: `(start, order)` such that `order[start[k]:start[k + 1]]` belong to owner k."""
    order = np.argsort(owner, kind="stable").astype(np.int64)
    start = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=owners))]).astype(np.int64)
    return start, order


def solid(arrays: Arrays) -> Arrays:
    """The same named tuple with arrays of one kind each: contiguous, writable, 64 bits.

    Compiled code is made per kind of array; without this, tables that were read in another way would be
    compiled for again.
    """
    kinds = {"i": np.int64, "f": np.float64, "b": np.bool_, "u": np.uint64}

    def one(array: Any) -> Any:
        if not isinstance(array, np.ndarray):
            return array
        array = np.ascontiguousarray(array, kinds[array.dtype.kind])
        return array if array.flags.writeable else array.copy()

    return type(arrays)(*[one(array) for array in arrays])
