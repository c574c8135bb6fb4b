"""One site with lost sales and a lead time: the exact cost of a base-stock level from its Markov chain.

**Derivation.** A base-stock policy orders at the end of a period exactly what was sold in it, so stock and what is on
its way always add up to S. An order placed at the end of period t arrives at the start of t + L, so the state at the
start of a period, after the arrival, is the stock and the L - 1 orders under way. Demand is served as far as it goes,
what was sold becomes the newest order, and the oldest one arrives. All parts are whole numbers with sum S: the chain is
finite, and its stationary distribution gives the mean stock left and the mean lost demand (Zipkin 2008, whose tables
have the same costs).

The derivative in S is not a closed form: with a level between whole numbers stock is fractional. Cost at whole levels
and its differences are what is compared.
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy import stats


def cost(mean: float, lead: int, level: int, holding: float, penalty: float) -> float:
    """Mean cost of a period with Poisson(mean) demand."""
    # Stock at the start of a period after the arrival, then the orders due in 1 ... L - 1 periods.
    states = [state for state in itertools.product(range(level + 1), repeat=lead) if sum(state) == level]
    place = {state: row for row, state in enumerate(states)}
    most = int(stats.poisson.isf(1e-12, mean)) + 1
    chance = stats.poisson.pmf(np.arange(most + 1), mean)
    moves, charge = np.zeros((len(states), len(states))), np.zeros(len(states))
    for row, (stock, *due) in enumerate(states):
        for demand, probability in enumerate(chance):
            sold = min(stock, demand)
            charge[row] += probability * (holding * (stock - sold) + penalty * (demand - sold))
            coming = [*due, sold]
            after = (stock - sold + coming[0], *coming[1:])
            moves[row, place[after]] += probability
    balance = np.vstack([moves.T - np.eye(len(states)), np.ones(len(states))])
    share = np.linalg.lstsq(balance, np.append(np.zeros(len(states)), 1.0), rcond=None)[0]
    return float(share @ charge)
