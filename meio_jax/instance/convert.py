"""Numpy arrays of the tables to JAX arrays of the precision asked for, and ids to positions in them."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import polars as pl

# Up to here a dictionary is faster than a join.
_FEW = 2000


def to_jax(value: Any, dtype: Any) -> Any:
    """Floats become `dtype`, 64-bit integers become 32-bit, everything that is no array stays as it is."""
    if not isinstance(value, np.ndarray | np.generic):
        return value
    # Converted by numpy: on a device each shape would be a program of its own, compiled or read for one call.
    array = np.asarray(value)
    if np.issubdtype(array.dtype, np.floating):
        return jax.device_put(array.astype(dtype, copy=False))
    return jax.device_put(array.astype(np.int32) if array.dtype == np.int64 else array)


def arrays(dtype: Any, **values: Any) -> dict[str, Any]:
    """Keyword arguments of a module, converted one by one."""
    return {name: to_jax(value, dtype) for name, value in values.items()}


def positions(column: pl.Series, names: list[str]) -> np.ndarray:
    """Position of every entry of a column in a list of names, -1 where it is null or unknown."""
    if len(column) + len(names) < _FEW:
        place = {name: at for at, name in enumerate(names)}
        return np.asarray([place.get(name, -1) for name in column.cast(pl.String).to_list()], np.int64)
    frame = pl.DataFrame({"name": pl.Series(names, dtype=pl.String), "at": np.arange(len(names), dtype=np.int64)})
    joined = pl.DataFrame({"name": column.cast(pl.String)}).join(frame, on="name", how="left", maintain_order="left")
    return joined["at"].fill_null(-1).to_numpy()
