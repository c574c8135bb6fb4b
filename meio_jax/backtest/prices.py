"""What a unit costs through an offer, where prices depend on the quantity of the order line."""

from __future__ import annotations

import numpy as np
import polars as pl

from meio_jax.backtest.compiled import compiled
from meio_jax.backtest.lookup import frame, integers, numbers, texts


def read_steps(tables, offers: pl.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prices by quantity of offers: where those of each begin `[offers + 1]`, least units ascending, and prices.

    Args:
        tables: The instance.
        offers: Its offers in the order of the simulator.
    """
    table = frame(tables, "price_breaks")
    found: dict[tuple[str, str, str], list[tuple[int, float]]] = {}
    if table.height:
        keys = zip(texts(table, "item_id"), texts(table, "vendor_id"), texts(table, "node_id"), strict=True)
        for key, least, price in zip(keys, integers(table, "from_units"), numbers(table, "unit_cost"), strict=True):
            found.setdefault(key, []).append((int(least), float(price)))
    start, units, costs = [0], [], []
    names = (texts(offers, "item_id"), texts(offers, "vendor_id"), texts(offers, "node_id"))
    for item, vendor, node in zip(*names, strict=True):
        steps = found.get((item, vendor, node)) or found.get((item, vendor, ""), [])
        for least, price in sorted(steps):
            units.append(least)
            costs.append(price)
        start.append(len(units))
    return np.array(start, np.int64), np.array(units, np.int64), np.array(costs, np.float64)


@compiled
def unit_price(supply, offer, units):
    """Money per unit of an order line of so many units."""
    price = supply.offer_cost[offer]
    for k in range(supply.step_start[offer], supply.step_start[offer + 1]):
        if units >= supply.step_units[k]:
            price = supply.step_cost[k]
    return price


def unit_prices(supply, offer: np.ndarray, units: np.ndarray) -> np.ndarray:
    """The same of several order lines."""
    return np.array([unit_price(supply, o, u) for o, u in zip(offer, units, strict=True)], np.float64)
