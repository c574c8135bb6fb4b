"""What an episode could have earned if its demand had been known: one linear programme over all periods."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import lil_array

from peers_parts.demand import PERIODS
from peers_parts.networks import PENALTY, PRICE
from peers_parts.world import Setting


def best_profit(setting: Setting, asked: np.ndarray) -> float:
    """Largest profit, orders in fractions of units.

    Args:
        setting: A scenario whose demand does not depend on service.
        asked: Units asked for, by period.

    Raises:
        ValueError: If demand depends on service, or the programme has no solution.
    """
    if setting.goodwill:
        raise ValueError("demand of a scenario with goodwill depends on what is done")
    programme = _Programme(setting)
    for period in range(PERIODS):
        programme.add_period(period, float(asked[period]))
    return programme.solve()


class _Programme:
    """Columns are flows by link, sales, stock by site and missing units, of every period."""

    def __init__(self, setting: Setting) -> None:
        self.setting, self.network = setting, setting.network
        self.sites = sorted(self.network.sites)
        self.width = len(self.network.links) + len(self.sites) + 2
        self.equal: list[tuple[dict[int, float], float]] = []
        self.least: list[tuple[dict[int, float], float]] = []
        self.value = np.zeros(PERIODS * self.width)

    def flow(self, period: int, link: int) -> int:
        return period * self.width + link

    def stock(self, period: int, site: int) -> int:
        return period * self.width + len(self.network.links) + self.sites.index(site)

    def sold(self, period: int) -> int:
        return (period + 1) * self.width - 2

    def missing(self, period: int) -> int:
        return (period + 1) * self.width - 1

    def add_period(self, period: int, asked: float) -> None:
        self._account(period)
        for site in self.sites:
            self._balance(period, site)
        row, right = {self.missing(period): 1.0, self.sold(period): 1.0}, asked
        if self.setting.backlog and period:
            row[self.missing(period - 1)] = -1.0
        self.equal.append((row, right))

    def _account(self, period: int) -> None:
        self.value[self.sold(period)], self.value[self.missing(period)] = PRICE, -PENALTY
        for site in self.sites:
            self.value[self.stock(period, site)] = -self.network.sites[site].holding
        for number, link in enumerate(self.network.links):
            own = link.price if self.network.bought(link) else self.network.sites[link.seller].operating
            self.value[self.flow(period, number)] = -own - link.under_way * min(link.lead, PERIODS - period)

    def _balance(self, period: int, site: int) -> None:
        network, row = self.network, {self.stock(period, site): 1.0}
        out = {self.flow(period, n): 1.0 for n, link in enumerate(network.links) if link.seller == site}
        row |= out
        for number, link in enumerate(network.links):
            if link.buyer == site and period >= link.lead:
                row[self.flow(period - link.lead, number)] = -1.0
        if site == network.retailer:
            row[self.sold(period)] = 1.0
        right = 0.0 if period else float(network.sites[site].stock)
        before = {self.stock(period - 1, site): -1.0} if period else {}
        self.equal.append((row | before, right))
        if out:
            # What is shipped was there when the period began.
            self.least.append((out | before, right))
        if network.sites[site].most is not None:
            self.least.append((out, float(network.sites[site].most or 0)))

    def solve(self) -> float:
        found = linprog(-self.value, *_rows(self.least, self.value.size), *_rows(self.equal, self.value.size))
        if not found.success:
            raise ValueError(f"the programme of an episode has no solution: {found.message}")
        return -float(found.fun)


def _rows(rows: list[tuple[dict[int, float], float]], width: int) -> tuple[lil_array, np.ndarray]:
    matrix = lil_array((len(rows), width))
    for number, (row, _) in enumerate(rows):
        for column, value in row.items():
            matrix[number, column] = value
    return matrix.tocsr(), np.array([right for _, right in rows])
