"""Newsvendor items whose demand moves as one: item i sells m_i W of a factor W that all of them share.

**Room held in a share of worlds.** What is left of the season, sum_i (q_i - m_i W)+, falls in W. It is at most K in a
share `a` of worlds if and only if it is at most K where W is at its quantile w of 1 - a. At the best purchases all
q_i >= m_i w there, so that the constraint is sum_i (q_i - m_i w) <= K, and at its price v each item is a newsvendor of
its own with v added to the cost of a unit:

    q_i = m_i F^-1((p_i - v) / (p_i + h_i)),   with v such that sum_i q_i = K + w sum_i m_i   (F the law of W).

On average, instead, E sum_i (q_i - m_i W)+ <= K is charged as v E(q - D)+, that is, h_i becomes h_i + v.

**CVaR of the total.** The costs h (q - m W)+ + p (m W - q)+ of items with the same h and p are those of one item with
the demand sum_i m_i W, if all q_i are the same multiple of m_i. Its CVaR at level b is least (Gotoh and Takano 2007,
theorem 2, without a profit margin) at

    q = [h F^-1(p (1 - b) / (h + p)) + p F^-1((h b + p) / (h + p))] / (h + p).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats


@dataclass(frozen=True)
class Shared:
    """An item with a mean demand, and costs of a unit left over and of a unit short."""

    mean: float
    holding: float
    penalty: float


def factor(cv: float) -> stats.rv_continuous:
    """The factor that all items share: lognormal of mean 1."""
    spread = np.sqrt(np.log1p(cv**2))
    return stats.lognorm(spread, scale=np.exp(-(spread**2) / 2))


def held(items: Sequence[Shared], law: stats.rv_continuous, room: float, share: float) -> tuple[float, np.ndarray]:
    """Price of room held in a share of worlds, and the best purchases."""
    low = float(law.ppf(1 - share))

    def bought(price: float) -> np.ndarray:
        return np.array([i.mean * law.ppf(max(i.penalty - price, 0) / (i.penalty + i.holding)) for i in items])

    over = lambda price: float(np.maximum(bought(price) - low * np.array([i.mean for i in items]), 0).sum()) - room
    price = float(optimize.brentq(over, 0.0, max(i.penalty for i in items)))
    return price, bought(price)


def least_cvar(item: Shared, law: stats.rv_continuous, level: float) -> float:
    """The purchase of least CVaR."""
    both = item.holding + item.penalty
    low, high = law.ppf(item.penalty * (1 - level) / both), law.ppf((item.holding * level + item.penalty) / both)
    return float(item.mean * (item.holding * low + item.penalty * high) / both)


def cost(item: Shared, purchase: float, world: np.ndarray) -> np.ndarray:
    """Cost of the season in worlds."""
    left = purchase - item.mean * world
    return np.where(left > 0, item.holding * left, -item.penalty * left)


def cvar(item: Shared, purchase: float, law: stats.rv_continuous, level: float) -> float:
    """CVaR of the cost of a purchase: the least over t of t + E(cost - t)+ / (1 - level), by quadrature."""
    place = (np.arange(200_000) + 0.5) / 200_000
    costs = np.sort(cost(item, purchase, law.ppf(place)))
    return float(costs[int(level * costs.size) :].mean())


def entropic(item: Shared, purchase: float, law: stats.rv_continuous, rate: float) -> float:
    """Certainty equivalent of the cost, by quadrature.

    Exponential moments of a lognormal variable do not exist; the outermost of the 200,000 parts bounds it, as those of
    the scenarios do.
    """
    place = (np.arange(200_000) + 0.5) / 200_000
    return float(np.log(np.mean(np.exp(rate * cost(item, purchase, law.ppf(place))))) / rate)
