"""One site, one vendor, backorders: base-stock level S, lead time L, holding cost h, backorder cost p per period.

**Derivation.** An order placed at the end of period t arrives at the start of t + L. Everything ordered up to then has
arrived, so the net stock at the end of t + L is S - D with D the demand of L periods, whatever happened before, and

    C(S) = h E(S - D)+ + p E(D - S)+,        C'(S) = (h + p) P(D <= S) - p.

For whole demand C is linear between whole numbers, and C' is its slope there (Zipkin 2000, section 6.2; Hadley and
Whitin 1963). The least C is at the fractile p / (p + h) of D; with a continuous D the slope is zero there.

**Random lead times.** Orders arrive independently of each other, each after a time of its own, so they cross. What
was ordered in the period k days ago is still under way with probability P(L > k). Demands of different periods are
independent, hence so are these outstanding orders, and the net stock is S minus their sum: D is replaced by
sum_k B_k D_k with P(B_k = 1) = P(L > k) (order crossover: Robinson, Bradley and Thomas 2001; with Poisson demand the
discrete relative of Palm's theorem). Its distribution is the convolution of those of its terms.

Here `law` is the distribution of D: a frozen distribution with `cdf` and `expect`, or `Whole` for a table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import integrate, stats


@dataclass(frozen=True)
class Whole:
    """A distribution on 0, 1, 2 ..."""

    probability: np.ndarray

    def cdf(self, x: float) -> float:
        return float(self.probability[: max(int(np.floor(x)) + 1, 0)].sum())

    def over(self, x: float) -> float:
        """E(x - D)+."""
        units = np.arange(len(self.probability))
        return float(np.maximum(x - units, 0) @ self.probability)

    @property
    def mean(self) -> float:
        return float(np.arange(len(self.probability)) @ self.probability)


@dataclass(frozen=True)
class Continuous:
    """A continuous distribution above 0."""

    law: stats.rv_continuous

    def cdf(self, x: float) -> float:
        return float(self.law.cdf(x))

    def over(self, x: float) -> float:
        """E(x - D)+, the integral of the distribution function."""
        return float(integrate.quad(self.law.cdf, 0, x, epsabs=1e-10)[0])

    @property
    def mean(self) -> float:
        return float(self.law.mean())


def poisson(mean: float) -> Whole:
    """Poisson demand; what is cut off is below 1e-14."""
    return Whole(stats.poisson.pmf(np.arange(int(stats.poisson.isf(1e-14, mean)) + 2), mean))


def outstanding(mean: float, leads: list[int]) -> Whole:
    """Units under way where each period's Poisson(mean) order takes one of `leads` periods, all equally likely."""
    total = np.ones(1)
    for days_ago in range(max(leads)):
        under_way = float(np.mean([lead > days_ago for lead in leads]))
        term = under_way * poisson(mean).probability
        term[0] += 1 - under_way
        total = np.convolve(total, term)
    return Whole(total)


def cost(demand: Whole | Continuous, level: float, holding: float, penalty: float) -> float:
    """Expected cost of a period at a level."""
    over = demand.over(level)
    return holding * over + penalty * (over - level + demand.mean)


def slope(demand: Whole | Continuous, level: float, holding: float, penalty: float) -> float:
    """Derivative of the cost in the level (from the right at whole numbers of whole demand)."""
    return (holding + penalty) * demand.cdf(level) - penalty
