"""The suite's transition: order, ship, receive, sell, account; written from its description.

In a period requests are granted first, link by link, from the stock that sellers had when it began (and, at factories,
within what they can ship); then what is due arrives, then customers ask. What they do not get is owed or lost. Sales
between sites change hands at a price that one site earns and the other pays, so that only raw material and the market
move money in or out of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from peers_parts.demand import PERIODS, Demand, goodwill_after
from peers_parts.networks import PENALTY, PRICE, PeerNetwork


@dataclass(frozen=True)
class Setting:
    """A scenario of the suite."""

    network: PeerNetwork
    demand: Demand
    backlog: bool
    goodwill: bool = False


@dataclass
class World:
    """One episode.

    Attributes:
        period: The period that begins.
        stock: Units at every site when it begins.
        owed: Units owed to customers.
        feeling: Factor of goodwill on demand.
        ordered: Units granted, `[periods, links]`.
        asked, sold, missing, profit: By period.
    """

    setting: Setting
    seed: int
    period: int = 0
    stock: dict[int, float] = field(init=False)
    owed: float = 0.0
    feeling: float = 1.0

    def __post_init__(self) -> None:
        network = self.setting.network
        self.stock = {number: float(site.stock) for number, site in network.sites.items()}
        self.ordered = np.zeros((PERIODS, len(network.links)))
        self.asked, self.sold, self.missing, self.profit = (np.zeros(PERIODS) for _ in range(4))
        self._generator = np.random.default_rng(self.seed)

    def due(self, link: int) -> dict[int, float]:
        """Units under way on a link, by periods from now to the one in which they arrive."""
        lead = self.setting.network.links[link].lead
        sent = range(max(0, self.period - lead), self.period)
        return {at + lead - self.period: float(self.ordered[at, link]) for at in sent if self.ordered[at, link]}

    def means(self) -> np.ndarray:
        """Mean demand of this period and of all that follow, at today's goodwill: what an informed agent is told."""
        return self.setting.demand.means()[self.period :] * self.feeling

    def step(self, wanted: np.ndarray) -> None:
        """Live a period.

        Args:
            wanted: Units asked of the seller of every link.
        """
        network, now = self.setting.network, self.period
        self.ordered[now] = self._granted(wanted)
        for number, link in enumerate(network.links):
            if link.seller in self.stock:
                self.stock[link.seller] -= self.ordered[now, number]
            if now >= link.lead:
                self.stock[link.buyer] += self.ordered[now - link.lead, number]
        self._sell()
        self.profit[now] = self._profit()
        self.period += 1

    def _granted(self, wanted: np.ndarray) -> np.ndarray:
        left, room = dict(self.stock), {key: site.most for key, site in self.setting.network.sites.items()}
        granted = np.maximum(wanted, 0.0)
        for number, link in enumerate(self.setting.network.links):
            if link.seller in left:
                most = room[link.seller]
                units = min(granted[number], left[link.seller], np.inf if most is None else most)
                left[link.seller] -= units
                if most is not None:
                    room[link.seller] = most - units
                granted[number] = units
        return granted

    def _sell(self) -> None:
        setting, now, shop = self.setting, self.period, self.setting.network.retailer
        if setting.goodwill and now:
            self.feeling = goodwill_after(self.feeling, self.missing[now - 1])
        self.asked[now] = setting.demand.drawn(setting.demand.means()[now] * self.feeling, self._generator)
        open_demand = self.asked[now] + self.owed
        self.sold[now] = min(open_demand, self.stock[shop])
        self.stock[shop] -= self.sold[now]
        self.missing[now] = open_demand - self.sold[now]
        self.owed = self.missing[now] if setting.backlog else 0.0

    def _profit(self) -> float:
        network, now = self.setting.network, self.period
        earned = PRICE * self.sold[now] - PENALTY * self.missing[now]
        kept = sum(site.holding * self.stock[number] for number, site in network.sites.items())
        moved = 0.0
        for number, link in enumerate(network.links):
            first = max(0, now - link.lead + 1)
            moved += link.under_way * self.ordered[first : now + 1, number].sum() if link.lead else 0.0
            if network.bought(link):
                moved += link.price * self.ordered[now, number]
            else:
                moved += network.sites[link.seller].operating * self.ordered[now, number]
        return float(earned - kept - moved)
