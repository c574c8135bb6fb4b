"""The least cost of a cycle with full knowledge of its demand, and how far above it a rule is."""

from __future__ import annotations

import numpy as np
from solvers.fulfilment import assign


def least_cost(stock: np.ndarray, demand: np.ndarray, parcel: np.ndarray, lost: float) -> np.ndarray:
    """Cost of the best assignment of a cycle in which nothing arrives: a transportation problem for every column.

    Args:
        stock: Units `[nodes, batch]`.
        demand: Units asked for in the cycle `[regions, batch]`.
        parcel: Cost of a parcel `[regions, nodes]`.
        lost: Cost of a unit that nobody ships.

    Returns:
        Money `[batch]`.
    """
    batch = stock.shape[1]
    unit = np.broadcast_to(parcel[None, ..., None], (1, *parcel.shape, batch))
    allowed = np.ones((1, *parcel.shape), bool)
    paid, missed = assign(stock, demand[None], unit, np.full(batch, lost), allowed)
    return paid + lost * missed


def regret(cost: np.ndarray, best: np.ndarray) -> tuple[float, float]:
    """Percent by which the sum of `cost` is above that of `best`, and half of its 95 % interval over items.

    Args:
        cost, best: Money by item (of every seed) `[items, worlds]`.
    """
    share = float(cost.sum() / best.sum() - 1)
    beyond = (cost - (1 + share) * best).sum(1)
    half = 1.96 * float(np.sqrt(beyond.size) * beyond.std(ddof=1) / best.sum())
    return 100 * share, 100 * half
