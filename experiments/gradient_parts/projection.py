"""Stock that a node expects at the start of the day on which an order of this evening arrives, path by path.

Written from the model page: each evening in between, stock less demand is taken to be normal, and what is short is
lost, or waits.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

_LEAST_VARIANCE = 1e-6


def expected_stock(stock: np.ndarray, receipts: list[np.ndarray], mean: float, *, lost: bool) -> np.ndarray:
    """Mean stock after the last receipt.

    Args:
        stock: Units now, net of demand that waits.
        receipts: Units that arrive in the morning of each day from tomorrow to the day of arrival.
        mean: Mean of the day's Poisson demand; that of today is over.
        lost: Whether demand that meets no stock is lost.
    """
    expected, variance = stock + receipts[0], np.zeros_like(stock)
    for arrives in receipts[1:]:
        spread = np.sqrt(np.maximum(variance + mean, _LEAST_VARIANCE))
        expected, variance = expected - mean, spread**2
        if lost:
            z = expected / spread
            over = z * stats.norm.cdf(z) + stats.norm.pdf(z)
            square = (z * z + 1) * stats.norm.cdf(z) + z * stats.norm.pdf(z)
            expected, variance = spread * over, spread**2 * np.maximum(square - over**2, 0)
        expected = expected + arrives
    return expected
