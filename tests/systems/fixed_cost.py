"""One site with Poisson demand, lost sales and a fixed cost of orders: any rule lived through for many days."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

DAYS, WARMUP, COPIES = 1500, 100, 8

Rule = Callable[[np.ndarray], np.ndarray]
"""Units to order at the positions of all systems."""


@dataclass(frozen=True)
class System:
    """Demand a day, lead time, holding cost, cost of a lost sale and of an order."""

    mean: float = 4.0
    lead: int = 2
    holding: float = 1.0
    lost: float = 40.0
    fixed: float = 24.0


def cost_rates(system: System, rule: Rule, systems: int, seed: int = 1) -> np.ndarray:
    """Money a day of `systems` rules side by side on the same demand: orders are made after the day's sales."""
    demand = np.random.default_rng(seed).poisson(system.mean, (DAYS, COPIES, 1))
    stock = np.full((COPIES, systems), 20)
    coming = np.zeros((system.lead, COPIES, systems), int)
    total = np.zeros(systems)
    for day in range(DAYS):
        stock = stock + coming[0]
        coming = np.roll(coming, -1, axis=0)
        coming[-1] = 0
        sold = np.minimum(stock, demand[day])
        stock = stock - sold
        order = rule(stock + coming.sum(0))
        coming[-1] += order
        if day >= WARMUP:
            cost = system.holding * stock + system.lost * (demand[day] - sold) + system.fixed * (order > 0)
            total += cost.mean(0)
    return total / (DAYS - WARMUP)


def reorder(level: np.ndarray, up_to: np.ndarray) -> Rule:
    """(s, S): up to S as soon as the position is s or less."""
    return lambda position: np.where(position <= level, up_to - position, 0)


def lots(level: np.ndarray, size: float) -> Rule:
    """Ours: as soon as the position is below the level, the units that lack, and the size at least."""

    def units(position: np.ndarray) -> np.ndarray:
        wanted = np.ceil(level - position - 0.5)
        return np.where(wanted > 0, np.maximum(wanted, np.ceil(size)), 0).astype(int)

    return units


def best_reorder(system: System) -> float:
    """Least cost of all (s, S)."""
    level, more = (table.ravel() for table in np.meshgrid(np.arange(4, 20), np.arange(1, 36)))
    return float(cost_rates(system, reorder(level, level + more), level.size).min())
