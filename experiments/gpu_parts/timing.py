"""Seconds of calls on the device at hand, and the bandwidth that a triad reaches there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_TRIAD, _REPEATS = 2**27, 20


def seconds_of(call: Callable[[], Any], repeats: int) -> np.ndarray:
    """Seconds of each of some calls, which are waited for one by one, after one that is not timed."""
    jax.block_until_ready(call())
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        jax.block_until_ready(call())
        taken.append(time.perf_counter() - begun)
    return np.asarray(taken)


def triad() -> float:
    """Bytes a second of a triad: two reads and a write."""
    a, b = jnp.ones(_TRIAD, jnp.float32), jnp.full(_TRIAD, 2, jnp.float32)
    run = jax.jit(lambda a, b: a + 3 * b)
    return 12 * _TRIAD / float(np.median(seconds_of(lambda: run(a, b), _REPEATS)))
