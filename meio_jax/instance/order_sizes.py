"""How large orders of an item usually are, where an order has a fixed cost or its price depends on its quantity.

Without prices by quantity that is the economic order quantity sqrt(2 K D / h) (Harris 1913): in a system that reorders
at a level under random demand it costs at most an eighth more than the best quantity (Zheng 1992; Axsaeter 1996), since
costs are flat there. Where all units of an order have the price of its quantity, the best of the quantities that each
price has is taken (Hadley and Whitin 1963).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class OrderRates:
    """What the size of orders depends on, by offer and item `[offers, items]`.

    Attributes:
        demand: Units that are bought through the offer, per period.
        holding: Cost of holding a unit where it is delivered, money per period.
        fixed: Cost of an order line, money.
        unit_cost: Price of the offer, money per unit.
        gap: Periods between the days on which orders can be made.
        most: Units beyond which no order is worth while whatever it saves.
    """

    demand: np.ndarray
    holding: np.ndarray
    fixed: np.ndarray
    unit_cost: np.ndarray
    gap: np.ndarray
    most: np.ndarray


def usual_orders(rates: OrderRates, from_units: np.ndarray, unit_cost: np.ndarray) -> np.ndarray:
    """Least units of an order line that pay `[offers, items]`; 0 where any size does.

    Args:
        rates: What it depends on.
        from_units: Least units of each price by quantity `[breaks, offers, items]`; infinite where there is none.
        unit_cost: These prices.
    """
    plain = np.minimum(economic_quantity(rates), rates.most)
    best, least = plain, cost_rate(rates, plain, rates.unit_cost)
    for start, price in zip(from_units, unit_cost, strict=True):
        size = np.maximum(plain, start)
        cost = np.where(size <= rates.most, cost_rate(rates, size, price), np.inf)
        best, least = np.where(cost < least, size, best), np.minimum(cost, least)
    return np.where((best > 1) & (rates.demand > 0), np.ceil(best - 1e-9), 0.0)


def economic_quantity(rates: OrderRates) -> np.ndarray:
    """Units at which fixed costs and holding costs together are least; infinite where holding costs nothing."""
    squared = 2 * rates.fixed * rates.demand
    free = (rates.holding <= 0) & (squared > 0)
    return np.where(free, np.inf, np.sqrt(squared / np.where(rates.holding > 0, rates.holding, 1)))


def cost_rate(rates: OrderRates, size: np.ndarray, price: np.ndarray) -> np.ndarray:
    """Money per period of orders of a size: units, lines and the stock between orders.

    An order is no smaller than what is sold between the days on which orders can be made.
    """
    size = np.maximum(np.maximum(size, rates.demand * rates.gap), 1e-9)
    return price * rates.demand + rates.fixed * rates.demand / size + rates.holding * size / 2
