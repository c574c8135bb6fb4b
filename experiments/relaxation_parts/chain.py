"""A lost-sales system as a finite chain: expectations a period ahead over all states at once.

A state is stock on hand, this period's receipt included, and the L - 1 orders under way; the order of period t arrives
in period t + L. Demand above the largest stock of the grid counts as that much.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from projected_parts.optimum import GRIDS, System, chances

HOLDING = 1.0


class Chain:
    """States of a system on its grid; arrays over states have axes stock, order due next, ..., newest order."""

    def __init__(self, system: System) -> None:
        self.system, grid = system, GRIDS[system.demand]
        self.size, self.orders, self.lead = grid.stock + 1, grid.order + 1, system.lead_time
        self.shape = (self.size, *[self.orders] * (self.lead - 1))
        self.chance = chances(system, grid.stock)

    @cached_property
    def left(self) -> np.ndarray:
        """Probability of the stock that is left, `[before, after]`."""
        moves = np.zeros((self.size, self.size))
        stock = np.arange(self.size)
        for units, probability in enumerate(self.chance):
            moves[stock, np.maximum(stock - units, 0)] += probability
        return moves

    @cached_property
    def expected_cost(self) -> np.ndarray:
        """Mean cost of a period by stock, with the axes of states."""
        stock = np.arange(self.size)
        kept = self.left @ stock
        cost = HOLDING * kept + self.system.penalty * (self.chance @ stock - (stock - kept))
        return cost.reshape(-1, *[1] * (self.lead - 1))

    def ahead(self, values: np.ndarray, order: int, moves: np.ndarray) -> np.ndarray:
        """`moves` applied to values a period later, if `order` units are ordered now; over all states."""
        due = values[..., order] if self.lead > 1 else values
        if self.lead == 1:
            return moves @ due[np.minimum(np.arange(self.size) + order, self.size - 1)]
        stock = np.minimum(np.arange(self.size)[:, None] + np.arange(self.orders), self.size - 1)
        moved = due[stock]
        return (moves @ moved.reshape(self.size, -1)).reshape(self.shape)

    def under(self, policy: np.ndarray, values: np.ndarray, moves: np.ndarray) -> np.ndarray:
        """`ahead` for the order that a policy gives in each state."""
        found = np.zeros(self.shape)
        for order in range(self.orders):
            chosen = policy == order
            if chosen.any():
                found[chosen] = self.ahead(values, order, moves)[chosen]
        return found

    def optimal(self, periods: int) -> tuple[np.ndarray, np.ndarray]:
        """Least expected cost from every state over so many periods, and the best order of each period and state."""
        value = np.zeros(self.shape)
        policy = np.zeros((periods, *self.shape), np.uint8)
        for period in range(periods - 1, -1, -1):
            best = self.ahead(value, 0, self.left)
            for order in range(1, self.orders if period + self.lead < periods else 1):
                fresh = self.ahead(value, order, self.left)
                better = fresh < best - 1e-12
                policy[period][better] = order
                best = np.where(better, fresh, best)
            value = best + self.expected_cost
        return value, policy

    def expected_at_arrival(self) -> np.ndarray:
        """Expected stock in the period in which an order of now arrives, that order not counted."""
        value = self.left @ np.arange(self.size)
        stock = np.minimum(np.arange(self.size)[:, None] + np.arange(self.orders), self.size - 1)
        for _ in range(self.lead - 1):
            coming = value[stock]
            value = (self.left @ coming.reshape(self.size, -1)).reshape(coming.shape)
        return value

    def projected_level(self, level: float, periods: int) -> np.ndarray:
        """Orders of the projected inventory level, in whole units; none that would arrive after the last period."""
        wish = np.rint(np.maximum(level - self.expected_at_arrival(), 0)).astype(np.uint8)
        policy = np.broadcast_to(np.minimum(wish, self.orders - 1), (periods, *self.shape)).copy()
        policy[max(periods - self.lead, 0) :] = 0
        return policy

    def costs_of(self, policy: np.ndarray) -> np.ndarray:
        """Expected cost to go of a policy by period, the one after the last included, and state."""
        cost = np.zeros((len(policy) + 1, *self.shape), np.float32)
        for period in range(len(policy) - 1, -1, -1):
            cost[period] = self.under(policy[period], cost[period + 1], self.left) + self.expected_cost
        return cost
