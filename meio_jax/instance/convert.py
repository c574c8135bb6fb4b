"""Numpy arrays of the tables to JAX arrays of the precision asked for."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np


def to_jax(value: Any, dtype: Any) -> Any:
    """Floats become `dtype`, 64-bit integers become 32-bit, everything that is no array stays as it is."""
    if not isinstance(value, np.ndarray | np.generic):
        return value
    array = np.asarray(value)
    if np.issubdtype(array.dtype, np.floating):
        return jnp.asarray(array, dtype)
    return jnp.asarray(array, np.int32) if array.dtype == np.int64 else jnp.asarray(array)


def arrays(dtype: Any, **values: Any) -> dict[str, Any]:
    """Keyword arguments of a module, converted one by one."""
    return {name: to_jax(value, dtype) for name, value in values.items()}
