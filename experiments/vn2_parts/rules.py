"""The VN2 competition's rules: what is seen, when an order arrives, what a week costs.

After week X has been seen an order is placed; it arrives at the start of week X + 3. Week 0 is the last week before the
window; six orders are placed, after weeks 0 to 5, and eight weeks are sold. A unit of lost sales costs 1.0, a unit left
at the end of a week 0.2; what is under way costs nothing. The first two weeks cannot be changed by any order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LOST, HELD = 1.0, 0.2
WEEKS, ORDERS, LEAD = 8, 6, 3
FREE = 2
"""Weeks of a window that no order reaches."""


@dataclass(frozen=True)
class State:
    """Stock at the end of the last week seen, and what is due at the start of the next two, `[items]`."""

    stock: np.ndarray
    due: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Seen:
    """What is known when an order is placed: sales and flags of the weeks so far `[items, weeks]`, nothing later.

    `left` is how many orders are still to come after this one.
    """

    sales: np.ndarray
    in_stock: np.ndarray
    state: State
    left: int


Policy = Callable[[Seen], np.ndarray]
"""Units to order of every item, given what is known."""


@dataclass(frozen=True)
class Played:
    """Costs of a window by week `[weeks]`: lost sales and stock; and the orders `[orders, items]`."""

    lost: np.ndarray
    held: np.ndarray
    orders: np.ndarray

    @property
    def cost(self) -> float:
        """Cost of the weeks that orders reach."""
        return float((self.lost + self.held)[FREE:].sum())


def play(
    sales: np.ndarray, in_stock: np.ndarray, origin: int, state: State, policy: Policy, weeks: int = WEEKS
) -> Played:
    """Live through a window.

    Args:
        sales: Demand of all weeks, `[items, weeks]`: recorded sales.
        in_stock: Where the item was on the shelf.
        origin: First week of the window (week 1 of the competition).
        state: What is there before it.
        policy: Who orders.
        weeks: Length of the window.
    """
    stock, due = state.stock.astype(float), [one.astype(float) for one in state.due]
    lost, held, orders = np.zeros(weeks), np.zeros(weeks), []
    for week in range(weeks):
        now = origin + week
        if week < weeks - LEAD + 1:
            seen = Seen(sales[:, :now], in_stock[:, :now], State(stock, (due[0], due[1])), weeks - LEAD - week)
            order = np.maximum(np.rint(policy(seen)), 0)
            orders.append(order)
        else:
            order = np.zeros(len(stock))
        ready = stock + due[0]
        demand = sales[:, now]
        lost[week] = LOST * np.maximum(demand - ready, 0).sum()
        stock = np.maximum(ready - demand, 0)
        held[week] = HELD * stock.sum()
        # The order after week X joins at the start of week X + 3: two weeks are due before it.
        due = [due[1], order]
    return Played(lost, held, np.asarray(orders))


def state_before(sales: np.ndarray, in_stock: np.ndarray, origin: int, policy: Policy, weeks: int = 13) -> State:
    """Stock and goods under way before a window, as a policy would have left them.

    The policy has ordered since `weeks` weeks before, from four weeks of recent sales on the shelf. The same state is
    given to whoever plays the window.
    """
    first = origin - weeks
    stock = np.rint(4 * sales[:, first - 13 : first].mean(1))
    due = [np.zeros(len(stock)), np.zeros(len(stock))]
    for now in range(first, origin):
        seen = Seen(sales[:, :now], in_stock[:, :now], State(stock, (due[0], due[1])), WEEKS)
        order = np.maximum(np.rint(policy(seen)), 0)
        stock = np.maximum(stock + due[0] - sales[:, now], 0)
        due = [due[1], order]
    return State(stock, (due[0], due[1]))


def clairvoyant(sales: np.ndarray, origin: int, state: State, weeks: int = WEEKS) -> float:
    """Cost of whoever knows the sales: each order is what its week lacks, since stock is never better bought early."""
    stock, due = state.stock.astype(float), state.due
    cost = 0.0
    for week in range(weeks):
        ready = stock + (due[week] if week < FREE else 0.0)
        demand = sales[:, origin + week]
        short = np.maximum(demand - ready, 0) if week < FREE else 0.0
        stock = np.maximum(ready - demand, 0)
        if week >= FREE:
            cost += float(LOST * np.sum(short) + HELD * stock.sum())
    return cost
