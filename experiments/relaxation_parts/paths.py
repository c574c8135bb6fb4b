"""Paths of a reference policy, and what units cost along them: exactly, from the chain under the policy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meio_jax.certify.order_penalties import AbstractApproximation
from relaxation_parts.chain import Chain

# Slopes of one unit more, and of the last unit.
_SIDES = (0, -1)


@dataclass(frozen=True)
class Paths:
    """Paths of a policy.

    Attributes:
        demand: Units asked for, `[periods, scenarios]`.
        orders: Units ordered, `[periods, scenarios]`.
        states: Number of the state at the beginning of each period, `[periods + 1, scenarios]`.
    """

    demand: np.ndarray
    orders: np.ndarray
    states: np.ndarray


def start(chain: Chain) -> tuple[int, ...]:
    """The state that all episodes begin in: about mean demand under way each period, half as much again on hand."""
    mean = int(chain.system.mean)
    return (2 * mean, *[mean] * (chain.lead - 1))


def simulate(chain: Chain, policy: np.ndarray, scenarios: int, seed: int) -> Paths:
    """Play a policy.

    Args:
        chain: The system.
        policy: Order of every period and state.
        scenarios: Number of paths.
        seed: Of the demand.

    Raises:
        ValueError: If stock outgrows the grid.
    """
    periods = len(policy)
    draws = np.random.default_rng(seed).random((periods, scenarios))
    demand = np.minimum(np.searchsorted(np.cumsum(chain.chance), draws, side="right"), chain.size - 1)
    row = [np.full(scenarios, part) for part in start(chain)]
    states = np.zeros((periods + 1, scenarios), np.int64)
    orders = np.zeros((periods, scenarios))
    for period in range(periods):
        states[period] = np.ravel_multi_index(row, chain.shape)
        orders[period] = order = policy[period].reshape(-1)[states[period]].astype(int)
        coming = [*row[1:], order]
        stock = np.maximum(row[0] - demand[period], 0) + coming[0]
        if stock.max() >= chain.size:
            raise ValueError(f"stock of {stock.max()} is beyond the grid of {chain.size - 1}")
        row = [stock, *coming[1:]]
    states[periods] = np.ravel_multi_index(row, chain.shape)
    return Paths(demand, orders, states)


class ExactValues(AbstractApproximation):
    """The cost to go of the reference policy, from the chain under it."""

    def __init__(self, chain: Chain, policy: np.ndarray, paths: Paths, near: int) -> None:
        self.near = max(min(near, chain.lead - 1), 1)
        self._chain, self._paths = chain, paths
        self._cost = chain.costs_of(policy)
        self._orders = paths.orders.astype(int)

    def _state(self, period: int) -> np.ndarray:
        return np.stack(np.unravel_index(self._paths.states[period], self._chain.shape))

    def worth(self, period: int) -> np.ndarray:
        cost, at = self._cost[period], self._state(period)
        free = [slice(None)] * (1 + self.near)
        if cost.ndim > 1 + self.near:
            return cost[(*free, *at[1 + self.near :])]
        shape = (*cost.shape, *[1] * (2 + self.near - cost.ndim))
        receipts = [self._chain.orders] * self.near
        return np.broadcast_to(cost.reshape(shape), (len(cost), *receipts, at.shape[1]))

    def surprise(self, period: int) -> np.ndarray:
        orders, lead = self._orders[period], self._chain.lead
        more, less = (self._expected(period, lead - 1, side) for side in _SIDES)
        # The mixture of both slopes that expects nothing of a unit when it is ordered: whole orders are at a kink.
        part = np.where(orders == 0, 1.0, np.clip(-less / np.where(more > less, more - less, 1.0), 0, 1))
        news = np.zeros(len(orders))
        for passed in range(1, lead - self.near):
            for side, weight in zip(_SIDES, (part, 1 - part), strict=True):
                news += weight * self._news(period + passed - 1, lead - passed, side)
        return news * (np.arange(self._chain.orders)[:, None] - orders)

    def _news(self, period: int, due: int, side: int) -> np.ndarray:
        """Slope of the next period in units due so many periods after it begins, less its expectation."""
        after = _slope(self._cost[period + 1], self._state(period + 1), due, side)
        return after - self._expected(period, due, side)

    def _expected(self, period: int, due: int, side: int) -> np.ndarray:
        """Expected slope of the next period, given state and order of this one."""
        chain, cost = self._chain, self._cost[period + 1]
        stock, *others = self._state(period)
        coming = [*others, self._orders[period]]
        mean = np.zeros(len(stock))
        for left in range(chain.size):
            chance = chain.left[stock, left]
            if chance.any():
                after = np.minimum(left + coming[0], chain.size - 1)
                mean += chance * _slope(cost, np.stack([after, *coming[1:]]), due, side)
        return mean


def _slope(cost: np.ndarray, at: np.ndarray, due: int, side: int) -> np.ndarray:
    """Change of the cost to go by one unit more (side 0) or the last unit (side -1) that is due in so many periods."""
    low = list(at)
    low[due] = np.clip(at[due] + side, 0, cost.shape[due] - 2)
    high = list(low)
    high[due] = low[due] + 1
    return cost[tuple(high)] - cost[tuple(low)]
