"""The plain bootstrap that a forecast must beat: pieces of the past, put together (Kunsch 1989)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def block_paths(
    units: Float[np.ndarray, " past"],
    horizon: int,
    paths: int,
    rng: np.random.Generator,
    block: int = 7,
    cycle: int = 7,
) -> Float[np.ndarray, "paths horizon"]:
    """Paths pieced together of blocks of the past that begin on the weekday they stand for.

    Args:
        units: Sales by period, at least one.
        horizon: Periods of a path.
        paths: How many.
        rng: Random numbers.
        block: Periods of a block, whole cycles; fewer where the past is shorter.
        cycle: Periods after which weekdays repeat: 7 for days, 1 for weeks and months.
    """
    past = units.size
    length = min(block, past // cycle * cycle) or past
    choices = (past - length) // cycle + 1
    count = -(-horizon // length)
    start = past - length - cycle * rng.integers(0, choices, (paths, count))
    at = start[:, :, None] + np.arange(length)
    return units[at].reshape(paths, -1)[:, :horizon]
