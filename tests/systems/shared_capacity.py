"""Newsvendor items that share a capacity, at its price.

**Derivation.** Item i is bought to q_i for a season with demand D_i, left-over cost h, shortage cost p, volume v:

    min sum_i C_i(q_i)  subject to  sum_i v_i q_i <= V,    C_i(q) = h E(q - D)+ + p E(D - q)+.

The problem is convex. At the price w of the capacity each item is a newsvendor of its own with w v added to the cost
of a unit: C_i'(q_i) = -w v_i or q_i = 0, that is q_i = F_i^-1((p - w v) / (p + h)) where this is above zero (Hadley and
Whitin 1963, section 6.3). The use of the capacity falls in w, so the price is found by bisection; by strong
duality sum C_i(q_i) + w (sum v_i q_i - V) is the optimum, and w = -dC*/dV.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats


@dataclass(frozen=True)
class Season:
    """Gamma demand with a mean and standard deviation, costs of left-over and shortage, volume."""

    mean: float
    sd: float
    holding: float
    penalty: float
    volume: float

    @property
    def law(self) -> stats.rv_continuous:
        shape = (self.mean / self.sd) ** 2
        return stats.gamma(shape, scale=self.mean / shape)

    def bought(self, price: float) -> float:
        """The best purchase at a price of the capacity."""
        fractile = (self.penalty - price * self.volume) / (self.penalty + self.holding)
        return float(self.law.ppf(fractile)) if fractile > 0 else 0.0


def use(seasons: Sequence[Season], price: float) -> float:
    """Volume that all items take at a price."""
    return sum(season.volume * season.bought(price) for season in seasons)


def price_of(seasons: Sequence[Season], capacity: float) -> float:
    """The price at which the capacity is just used; 0 where it does not bind."""
    if use(seasons, 0.0) <= capacity:
        return 0.0
    most = max(season.penalty / season.volume for season in seasons)
    return float(optimize.brentq(lambda price: use(seasons, price) - capacity, 0.0, most, xtol=1e-12))


def bought(seasons: Sequence[Season], price: float) -> np.ndarray:
    """Purchases at a price."""
    return np.array([season.bought(price) for season in seasons])
