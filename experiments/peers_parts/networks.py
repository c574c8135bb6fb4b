"""The two networks of the public suite: stock, costs and links, as published (OR-Gym; Perez et al. 2021; gym-invmgmt).

Node 0 is the market; goods flow from raw material through factories and distributors to the one retailer.
"""

from __future__ import annotations

from dataclasses import dataclass

MARKET = 0
PRICE, PENALTY = 2.0, 0.1
"""What a unit sells for at the retailer, and what a unit that is owed or lost costs in a period."""


@dataclass(frozen=True)
class Site:
    """A place that holds stock.

    Attributes:
        stock: Units at the start.
        holding: Cost of a unit left at the end of a period.
        most: Units that a factory can ship in a period; None: any number.
        operating: Cost of a unit shipped by a factory.
    """

    stock: int
    holding: float
    most: int | None = None
    operating: float = 0.0


@dataclass(frozen=True)
class Link:
    """Supply of `buyer` by `seller`: periods to arrival, price, and cost of a unit under way for a period."""

    seller: int
    buyer: int
    lead: int
    price: float
    under_way: float


@dataclass(frozen=True)
class PeerNetwork:
    """Sites by number and links in the order in which requests are granted; the site that sells to the market."""

    name: str
    sites: dict[int, Site]
    links: tuple[Link, ...]
    retailer: int = 1

    def bought(self, link: Link) -> bool:
        """Whether the link brings raw material, of which there is always enough."""
        return link.seller not in self.sites


DIVERGENT = PeerNetwork(
    "divergent",
    {
        1: Site(100, 0.030),
        2: Site(110, 0.020),
        3: Site(80, 0.015),
        4: Site(400, 0.012, 90, 0.010),
        5: Site(350, 0.013, 90, 0.015),
        6: Site(380, 0.011, 80, 0.012),
    },
    (
        Link(2, 1, 5, 1.50, 0.010),
        Link(3, 1, 3, 1.60, 0.015),
        Link(4, 2, 8, 1.00, 0.008),
        Link(4, 3, 10, 0.80, 0.006),
        Link(5, 2, 9, 0.70, 0.005),
        Link(6, 2, 11, 0.75, 0.007),
        Link(6, 3, 12, 0.80, 0.004),
        Link(7, 4, 0, 0.15, 0.000),
        Link(7, 5, 1, 0.05, 0.005),
        Link(8, 5, 2, 0.07, 0.002),
        Link(8, 6, 0, 0.20, 0.000),
    ),
)

SERIAL = PeerNetwork(
    "serial",
    {1: Site(100, 0.030), 2: Site(100, 0.020), 3: Site(200, 0.010, 100, 0.010)},
    (Link(2, 1, 4, 1.50, 0.010), Link(3, 2, 4, 1.00, 0.005), Link(4, 3, 0, 0.50, 0.000)),
)

NETWORKS = {one.name: one for one in (DIVERGENT, SERIAL)}
