"""Items with floors of service whose levels and prices follow from the Poisson law, in one instance.

Nodes order in the evening and everything comes in the morning, so that the stock of every morning is the level S, and

    cost of a day = h E(S - D)+ + p E(D - S)+,   fill rate = E min(D, S) / E D,   in-stock rate = P(D <= S - 1).

Between the whole numbers k - 1 and k the cost rises by h P(D <= k - 1) - p P(D >= k) a unit and the units served by
P(D >= k); from k - 1 to k the in-stock rate rises by P(D = k - 1). The price of a floor is what a unit of it costs.
"""

from __future__ import annotations

from typing import Any

from one_node import demand, instance, item, offer
from scipy import stats

from meio_jax.tables import Tables

MEAN, HOLDING, PENALTY, DAYS = 4.0, 1.0, 0.5, 15


def floors(items: dict[str, str], resources: list[dict[str, Any]], lead: int = 1) -> Tables:
    """Items (with their classes) sold at `site`, whose group is `front`; the first day is not counted."""
    nodes = [
        {"node_id": "site", "kind": "fc", "node_group": "front"},
        {"node_id": "week", "kind": "fc", "node_group": "back"},
    ]
    settings = {"ordering": "evening", "warmup_periods": 1, "bucket_periods": DAYS, "stationary_targets": True}
    costs = {"holding_cost": HOLDING, "lost_sale_cost": PENALTY}
    return instance(
        [item(name, item_class=kind, **costs) for name, kind in items.items()],
        [offer(name, lead) for name in items],
        [row for name in items for row in demand(name, MEAN, "negative_binomial", DAYS)],
        DAYS,
        nodes=nodes,
        resources=resources,
        settings=settings,
    )


def fill_rate(level: float) -> float:
    """Share of Poisson demand that a level serves; linear between whole numbers."""
    whole = int(level)
    at = lambda k: sum(stats.poisson.sf(j, MEAN) for j in range(k)) / MEAN
    return float(at(whole) + (level - whole) * (at(whole + 1) - at(whole)))


def level_of_fill(rate: float) -> float:
    """Least level, between whole numbers too, that serves so much."""
    k = next(k for k in range(1, 99) if fill_rate(k) >= rate)
    low = fill_rate(k - 1)
    return k - 1 + (rate - low) / (fill_rate(k) - low)


def level_in_stock(rate: float) -> int:
    """Least whole level at which a unit is left at the end of so large a share of days."""
    return next(k for k in range(1, 99) if stats.poisson.cdf(k - 1, MEAN) >= rate)


def cost_of_a_unit(k: int) -> float:
    """What the level k costs more a day than k - 1."""
    return float(HOLDING * stats.poisson.cdf(k - 1, MEAN) - PENALTY * stats.poisson.sf(k - 1, MEAN))


def price_of_fill(k: int) -> float:
    """Price of a unit served where the level is between k - 1 and k."""
    return cost_of_a_unit(k) / float(stats.poisson.sf(k - 1, MEAN))


def price_in_stock(k: int) -> float:
    """Price of a day in stock from k - 1 to k."""
    return cost_of_a_unit(k) / float(stats.poisson.pmf(k - 1, MEAN))


def in_stock_rate(k: int) -> float:
    """Share of days that end with a unit left at a whole level."""
    return float(stats.poisson.cdf(k - 1, MEAN))
