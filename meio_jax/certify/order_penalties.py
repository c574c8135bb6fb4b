"""Information relaxation with martingale penalties: a lower bound on every policy of a site with lost sales.

Whoever knows all demand pays less than any policy, and the clairvoyant bound says no more. A penalty takes away what
that knowledge is worth (Brown, Smith and Sun 2010; Brown and Smith 2014). With any approximation V of the cost to go,
period t is charged its cost and what V says of the next state, less the expectation of both before the demand of the
period was known. For decisions that use only what is known when they are made these charges are zero on average, so
that the expected least cost with them is still a lower bound: whatever V is, and the tighter the better it is.

V is taken around the path of a reference policy. It depends in any way on the stock and the next receipts (one or
two), with the other orders under way as they are on that path, and is linear in those. The inner problem of a scenario
is then a shortest path through time whose state is the stock and these receipts, however long the lead time.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class LostSales:
    """A site whose unmet demand is lost; an order of a period arrives `1 + len(due)` periods later.

    Attributes:
        holding: Cost of a unit left at the end of a period.
        penalty: Cost of a lost sale.
        on_hand: Units on hand in period 0, its receipt included.
        due: Receipts of periods 1, 2, ..., already under way.
        most_ordered: Largest order.
        chance: Probability of each demand from 0 to the largest stock; the last holds all above.
    """

    holding: float
    penalty: float
    on_hand: int
    due: tuple[int, ...]
    most_ordered: int
    chance: Float[np.ndarray, " stock"]

    @property
    def lead(self) -> int:
        """Periods from an order to its arrival."""
        return 1 + len(self.due)

    def expected_cost(self) -> Float[np.ndarray, " stock"]:
        """Mean cost of a period by the stock with which it begins."""
        stock = np.arange(self.chance.size)
        kept = self.left() @ stock
        return self.holding * kept + self.penalty * (self.chance @ stock - (stock - kept))

    def left(self) -> Float[np.ndarray, "before after"]:
        """Probability of what is left of a stock at the end of a period."""
        stock = np.arange(self.chance.size)
        moves = np.zeros((stock.size, stock.size))
        for units, probability in enumerate(self.chance):
            moves[stock, np.maximum(stock - units, 0)] += probability
        return moves


class AbstractApproximation(abc.ABC):
    """V along the reference path of every scenario; `near` next receipts enter it in any way, later ones linearly."""

    near: int

    @abc.abstractmethod
    def worth(self, period: int) -> Float[np.ndarray, "..."]:
        """V when a period begins, `[stock, receipt, ..., receipt, scenarios]`, the other orders being the reference's.

        It may depend on what was known before the demand of the period before, and on nothing later. With a lead time
        of one period it is the same for all receipts.
        """

    @abc.abstractmethod
    def surprise(self, period: int) -> Float[np.ndarray, "receipt scenarios"]:
        """What units ordered in a period change of V while they are not among the near receipts, less expectations.

        For each period that they are under way so: what so many units change of V when the next period begins, less
        the expectation of that at the reference state and order. That the expectation is exact makes the bound valid.
        """


def penalised_least_costs(
    site: LostSales, demand: Int[np.ndarray, "periods scenarios"], by: AbstractApproximation
) -> Float[np.ndarray, " scenarios"]:
    """Least cost of each scenario with its penalties, all demand known: a shortest path through stock and receipts.

    Args:
        site: Costs, start and law of demand.
        demand: Units asked for.
        by: V, from whose surprises penalties are made.

    Returns:
        Money by scenario. The mean estimates the bound without bias.
    """
    periods, scenarios = demand.shape
    left, near, size = site.left().astype(np.float32), by.near, site.chance.size
    shape = (size, *[site.most_ordered + 1] * near, scenarios)
    cost = site.expected_cost().astype(np.float32).reshape(-1, *[1] * (near + 1))
    later = np.broadcast_to(cost, shape)
    for period in range(periods - 2, -1, -1):
        following, placed = _following(site, period, periods, near), period + near + 1 - site.lead
        worth = by.worth(period + 1)[..., following, :]
        gain = later[..., following, :] - worth
        if placed >= 0 and site.lead > near + 1:
            gain = gain - by.surprise(placed)[following].astype(np.float32)
        later = cost + _after_receipts(left, demand[period], gain, worth, shape)
    if site.lead == 1:
        return later[site.on_hand].min(0)
    return later[(site.on_hand, *site.due[:near])]


def clairvoyant_costs(site: LostSales, demand: Int[np.ndarray, "periods scenarios"]) -> Float[np.ndarray, " scenarios"]:
    """Least cost of each scenario without any penalty."""
    stock, periods = np.arange(site.chance.size)[:, None], len(demand)
    later = np.zeros((stock.size, demand.shape[1]))
    for period in range(periods - 1, -1, -1):
        rest = np.maximum(stock - demand[period], 0)
        if period + 1 < site.lead:
            later = later[np.minimum(stock[:, 0] + site.due[period], stock.size - 1)]
        elif period + 1 < periods:
            # Orders cost nothing: from every stock the best higher one can be reached.
            later = np.minimum.accumulate(later[::-1], axis=0)[::-1]
        cost = site.holding * rest + site.penalty * np.maximum(demand[period] - stock, 0)
        later = cost + np.take_along_axis(later, rest, axis=0)
    return later[site.on_hand]


def _after_receipts(
    left: np.ndarray, demand: np.ndarray, gain: np.ndarray, worth: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Least cost to go after a period, less the penalty, by stock and next receipts."""
    size = shape[0]
    rest = np.maximum(np.arange(size)[:, None] - demand, 0)
    found: np.ndarray = np.full(shape, np.inf, np.float32)
    for units in range(shape[1]):
        coming = worth[np.minimum(np.arange(size) + units, size - 1)]
        expected = (left @ coming.reshape(size, -1)).reshape(coming.shape)
        at = np.minimum(rest + units, size - 1).reshape(size, *[1] * (gain.ndim - 2), -1)
        best = (np.take_along_axis(gain, at, axis=0) + expected).min(-2)
        room = (rest + units < size).reshape(size, *[1] * (best.ndim - 2), -1)
        found[:, units] = np.where(room, best, np.inf)
    return found


def _following(site: LostSales, period: int, periods: int, near: int) -> np.ndarray:
    """Receipts that may follow the near ones: a given one, any that can be ordered, or none after the last period."""
    arrival = period + near + 1
    if arrival < site.lead:
        return np.array([site.due[arrival - 1]])
    return np.arange(site.most_ordered + 1) if arrival < periods else np.zeros(1, int)
