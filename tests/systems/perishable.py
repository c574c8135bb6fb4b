"""One site, lost sales, units that can be sold on two days: base-stock levels and the optimum from its Markov chain.

**Derivation.** Orders are placed in the evening, after the day's sales and after what expired was disposed of. A unit
is sold on the day of its arrival or on the next; the older ones go first. What is in stock in the evening is therefore
one day old, all of it, and the state is that number and what is due the next morning (lead time 2; with lead time 1
nothing is due: what is ordered now is what arrives). With `old` and `fresh` units in the morning and demand d,

    wasted = (old - d)+,    left = (fresh - (d - old)+)+,    short = (d - old - fresh)+,

and `left` is the stock of the evening. A base-stock level fixes what is ordered in every state, so its cost is that of
the stationary distribution of a finite chain; the least cost of any policy comes from value iteration (Nahmias and
Pierskalla 1973 on a product of two periods; Puterman 1994, section 8.5). Ordering in the morning before the demand with
a lead time of L days is ordering in the evening before with L + 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Costs:
    """Money per unit: bought, short, wasted, and in stock in the evening."""

    purchase: float
    short: float
    waste: float
    holding: float


def poisson(mean: float) -> np.ndarray:
    """Probabilities of 0, 1, ... units; what is cut off is below 1e-10."""
    return stats.poisson.pmf(np.arange(int(stats.poisson.isf(1e-10, mean)) + 1), mean)


def rounded_gamma(mean: float, variation: float, most: int) -> np.ndarray:
    """A gamma demand, rounded to the nearest unit and cut off at `most`."""
    shape = 1 / variation**2
    edges = stats.gamma.cdf([0, *(np.arange(most + 1) + 0.5)], shape, scale=mean / shape)
    chance = np.diff(edges)
    chance[-1] += 1 - chance.sum()
    return chance


@dataclass(frozen=True)
class Chain:
    """The system: demand probabilities, lead time of an evening's order (1 or 2), costs, most units of an order."""

    demand: np.ndarray
    lead: int
    costs: Costs
    most: int

    def day(self, old: np.ndarray, fresh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Expected cost of a day, without the order, and probabilities of what is left, for numbers of units."""
        units, chance = np.arange(len(self.demand)), self.demand
        wasted = np.maximum(old[..., None] - units, 0)
        left = np.maximum(fresh[..., None] - np.maximum(units - old[..., None], 0), 0)
        short = np.maximum(units - (old + fresh)[..., None], 0)
        c = self.costs
        cost = (c.short * short + c.waste * wasted + c.holding * left) @ chance
        ends = np.zeros((*old.shape, self.most + 1))
        for number, probability in enumerate(chance):
            np.add.at(ends.reshape(-1, self.most + 1), (np.arange(old.size), left[..., number].ravel()), probability)
        return cost, ends

    def states(self) -> tuple[np.ndarray, np.ndarray]:
        """Units in stock in the evening, and due in the morning (with lead time 1: none)."""
        due = self.most + 1 if self.lead == 2 else 1
        old, due = np.divmod(np.arange((self.most + 1) * due), due)
        return old, due

    def moves(self, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Expected cost of each state until the next evening, and probabilities of the states there."""
        old, due = self.states()
        cost, ends = self.day(old, due if self.lead == 2 else order)
        cost = cost + self.costs.purchase * order
        to = np.zeros((old.size, self.most + 1, self.most + 1 if self.lead == 2 else 1))
        at = order if self.lead == 2 else np.zeros_like(order)
        to[np.arange(old.size), :, at] = ends
        return cost, to.reshape(old.size, -1)

    def cost_of_level(self, level: int) -> float:
        """Mean cost of a day where stock and what is due are raised to a level every evening."""
        old, due = self.states()
        cost, to = self.moves(np.minimum(np.maximum(level - old - due, 0), self.most))
        share = np.full(old.size, 1 / old.size)
        for _ in range(20_000):
            after = share @ to
            if np.abs(after - share).sum() < 1e-13:
                break
            share = after
        return float(share @ cost)

    def optimum(self, discount: float = 1.0) -> tuple[float, np.ndarray]:
        """Least mean cost of a day (without a discount), and the best order in every state."""
        old, _ = self.states()
        every = [self.moves(np.full(old.size, units)) for units in range(self.most + 1)]
        value = np.zeros(old.size)
        for _ in range(20_000):
            choices = np.stack([cost + discount * (to @ value) for cost, to in every])
            after = choices.min(0)
            change = after - value
            value = after - (after[0] if discount == 1.0 else 0.0)
            if np.ptp(change) < 1e-10:
                break
        return float(change.mean()), choices.argmin(0)
