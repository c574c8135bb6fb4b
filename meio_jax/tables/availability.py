"""Past sales of periods in which an item was out of stock: what to draw in their place."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

_CYCLES = 4


def filled_sales(
    units: Float[np.ndarray, "past items"], available: Bool[np.ndarray, "past items"], cycle: int
) -> Float[np.ndarray, "past items"]:
    """Sales with those of periods out of stock raised to the mean of the periods around.

    The mean is over the same weekday of up to four weeks before and after (the periods around, where there are no
    weekdays), else over all periods in stock. What was sold is the least that demand can have been.

    Args:
        units: Recorded sales.
        available: False where the item was out of stock.
        cycle: Periods after which weekdays repeat: 7 for days, else 1.
    """
    if available.all():
        return units
    sold, count = np.where(available, units, 0.0), available.astype(float)
    around = np.zeros((2, *units.shape))
    for shift in (step * cycle for step in range(-_CYCLES, _CYCLES + 1) if step):
        for total, one in zip(around, (sold, count), strict=True):
            if shift > 0:
                total[shift:] += one[:-shift]
            else:
                total[:shift] += one[-shift:]
    every = sold.sum(0) / np.maximum(count.sum(0), 1)
    mean = np.where(around[1] > 0, around[0] / np.maximum(around[1], 1), every)
    return np.where(available, units, np.maximum(units, mean))
