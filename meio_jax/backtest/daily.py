"""What a single day added to the books."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meio_jax.backtest.books import COUNTS, TERMS
from meio_jax.backtest.simulation import Simulation

PROMISES = ("demand", "on_time", "downgraded", "backordered", "lost")


@dataclass(frozen=True)
class Day:
    """Costs and units of a day, all items together.

    Attributes:
        day: Number of the day, from 0.
        cost: Money by term.
        units: By name: `demand, shipped, on_time, late, lost, downgraded, backordered, purchased, received,
            transferred, waited` and `held` (unit-days), `wasted`.
        promises: By speed asked for, `[speeds, 5]`: see `PROMISES`.
        usage: Of every resource, in the measure of its capacity, `[resources]`; spend: money of the day; service: 0.
        stock: Units on hand at the end of the day, `[nodes]`.
        stock_value: Their replacement cost, money.
        on_order: Units under way at the end of the day.
    """

    day: int
    cost: dict[str, float]
    units: dict[str, int]
    promises: np.ndarray
    usage: np.ndarray
    stock: np.ndarray
    stock_value: float
    on_order: int


class Ledger:
    """Sums of the books up to the last day that was closed.

    Args:
        simulation: Whose books.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._before = self._sums()

    def _sums(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        books = self._simulation.books
        return books.cost.sum(0), books.tally.sum(0), books.promise.copy()

    def close(self, day: int) -> Day:
        """What was added since the last call."""
        now, state, catalog = self._sums(), self._simulation.state, self._simulation.world.catalog
        cost, units, promise = (new - old for new, old in zip(now, self._before, strict=True))
        self._before = now
        return Day(
            day=day,
            cost=dict(zip(TERMS, cost.tolist(), strict=True)),
            units=dict(zip(COUNTS, units.tolist(), strict=True)),
            promises=promise,
            usage=self._simulation.used.today.copy(),
            stock=state.on_hand.sum(0),
            stock_value=float(state.on_hand.sum(1) @ catalog.unit_cost),
            on_order=int(state.on_order.sum()),
        )
