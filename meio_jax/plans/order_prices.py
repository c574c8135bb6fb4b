"""What a unit costs in an order of a size, where prices depend on the quantity."""

from __future__ import annotations

import numpy as np

from meio_jax.instance import Instance
from meio_jax.plans.decisions import joined


def price_of(instance: Instance, slot: np.ndarray, item: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Money per unit of orders through offer slots, each of so many units of an item."""
    block = instance.catalog.block
    price = joined(instance, block.offer_cost)[slot, item]
    if block.ordering is None:
        return price
    steps = (joined(instance, leaf) for leaf in (block.ordering.from_units, block.ordering.unit_cost))
    for least, cost in zip(*steps, strict=True):
        price = np.where(units >= least[slot, item], cost[slot, item], price)
    return price


def usual_prices(instance: Instance) -> np.ndarray:
    """Money per unit in an order of the usual size `[offers, items]`."""
    block = instance.catalog.block
    whole = joined(instance, block.offer_cost)
    if block.ordering is None:
        return whole
    at: np.ndarray = np.indices(whole.shape)
    return price_of(instance, at[0], at[1], joined(instance, block.ordering.usual))
