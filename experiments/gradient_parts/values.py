"""The objectives from their definitions, over the last axis of plain arrays.

Where an objective measures risk in units of the mean cost, that mean is a constant of the derivative: `size` keeps it
fixed while parameters move.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradient_parts.long_simulation import Books

_CARBON_PRICE, _CVAR_LEVEL, _ENTROPIC, _VARIANCE = 0.1, 0.8, 1.0, 0.5


def _tail(cost: np.ndarray) -> np.ndarray:
    """Mean of the worst share of the scenarios, the one at its edge in part."""
    count = cost.shape[-1]
    tail = (1 - _CVAR_LEVEL) * count
    whole = int(np.floor(tail + 1e-9))
    worst = np.sort(cost, axis=-1)[..., ::-1]
    total = worst[..., :whole].sum(-1)
    if whole < count:
        total = total + (tail - whole) * worst[..., whole]
    return total / tail


def _entropic(cost: np.ndarray, size: np.ndarray) -> np.ndarray:
    rate = _ENTROPIC / size
    return np.log(np.mean(np.exp(rate[..., None] * (cost - size[..., None])), axis=-1)) / rate + size


VALUES: dict[str, Callable[[Books, np.ndarray], np.ndarray]] = {
    "carbon_priced": lambda b, _: np.mean(b.total + _CARBON_PRICE * b.carbon, axis=-1),
    "cvar": lambda b, _: _tail(b.total),
    "entropic": lambda b, size: _entropic(b.total, size),
    "expected_cost": lambda b, _: np.mean(b.total, axis=-1),
    "expected_profit": lambda b, _: np.mean(b.total - b.lost_revenue - b.revenue, axis=-1),
    "mean_variance": lambda b, size: np.mean(b.total, axis=-1) + _VARIANCE * np.var(b.total, axis=-1) / size,
}


def values_of(books: Books, size: np.ndarray) -> np.ndarray:
    """Every objective `[objectives, ...]`, in the order of `VALUES`."""
    return np.stack([value(books, size) for value in VALUES.values()])
