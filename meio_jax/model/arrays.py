"""Formulas that are written once, for arrays of the host and of devices."""

from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def library(*arrays: Any) -> ModuleType:
    """JAX where any of the arrays is one of a device, else NumPy."""
    return jnp if any(isinstance(array, jax.Array) for array in arrays) else np


def plus_at(array: Any, rows: Any, values: Any) -> Any:
    """An array with values added to some of its rows, one after the other where a row is named twice.

    Args:
        array: Where to; it is not changed.
        rows: Number of one row, or a tuple of numbers.
        values: As many rows.
    """
    xp = library(array)
    at = xp.asarray(rows, int) if isinstance(rows, tuple) else rows
    if isinstance(array, jax.Array):
        return array.at[at].add(values)
    summed = array.copy()
    np.add.at(summed, at, values)
    return summed
