"""Policies: what to order after a week, from forecasts of the next weeks.

Weeks are counted from the one that has just been seen: an order is sold from in week 3 on. `paths` are sample paths of
the sales of weeks 1, 2, 3, ... `[paths, items, weeks]`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vn2_parts.rules import HELD, LEAD, LOST, Policy, Seen

CRITICAL = LOST / (LOST + HELD)
_SEASON, _MEAN_WEEKS, _COVER = 52, 13, 4
_LEVEL, _NEED = 0.9, 0.75
_LATER, _TRIED = 4, 8
"""Weeks after the third that are costed, and how many smaller orders are tried."""

Paths = Callable[[Seen], np.ndarray]
"""Sample paths of the weeks to come, given what is known."""


def benchmark(seen: Seen) -> np.ndarray:
    """The official benchmark: mean of 13 weeks without season, with season again; four weeks' cover of it.

    The season is that of the total of all items, by weeks of the year counted back from the last week seen.
    """
    known = seen.in_stock.astype(float)
    sold = np.where(seen.in_stock, seen.sales, 0.0)
    weeks = sold.shape[1]
    phase = (np.arange(weeks) - weeks) % _SEASON
    level = sold.sum(0) / np.maximum(known.sum(0), 1)
    season = np.asarray([level[phase == at].mean() for at in range(_SEASON)])
    season = season / season.mean()
    count = np.maximum(known[:, -_MEAN_WEEKS:].sum(1), 1)
    recent = (sold[:, -_MEAN_WEEKS:] / season[phase[-_MEAN_WEEKS:]]).sum(1) / count
    foretold = recent[:, None] * season[np.arange(_COVER) % _SEASON]
    position = seen.state.stock + sum(seen.state.due)
    return np.maximum(np.rint(foretold.sum(1)) - position, 0)


def _quantile(values: np.ndarray) -> np.ndarray:
    return np.quantile(values, CRITICAL, axis=0, method="inverted_cdf")


def order_up_to(paths: Paths) -> Policy:
    """Inventory position up to the critical quantile of demand until the order has been sold from: weeks 1 to 3."""

    def order(seen: Seen) -> np.ndarray:
        level = _quantile(paths(seen)[:, :, :LEAD].sum(2))
        return np.maximum(level - seen.state.stock - sum(seen.state.due), 0)

    return order


def projected_mean(paths: Paths) -> Policy:
    """Expected stock at arrival, by mean sales of weeks 1 and 2, up to the critical quantile of week 3."""

    def order(seen: Seen) -> np.ndarray:
        drawn = paths(seen)
        mean = drawn.mean(0)
        stock = seen.state.stock
        for week, due in enumerate(seen.state.due):
            stock = np.maximum(stock + due - mean[:, week], 0)
        return np.maximum(_quantile(drawn[:, :, LEAD - 1]) - stock, 0)

    return order


def at_arrival(seen: Seen, drawn: np.ndarray) -> np.ndarray:
    """Stock at the end of week 2 on every path, `[paths, items]`: what the order is added to."""
    stock = np.broadcast_to(seen.state.stock, drawn.shape[:2])
    for week, due in enumerate(seen.state.due):
        stock = np.maximum(stock + due - drawn[:, :, week], 0)
    return stock


def projected_level(paths: Paths) -> Policy:
    """Projected inventory level (van Jaarsveld and Arts): mean stock at arrival on paths with lost sales, up to the
    critical quantile of week 3."""

    def order(seen: Seen) -> np.ndarray:
        drawn = paths(seen)
        return np.maximum(_quantile(drawn[:, :, LEAD - 1]) - at_arrival(seen, drawn).mean(0), 0)

    return order


def least_cost(paths: Paths) -> Policy:
    """The order of least expected cost on the paths, stock at arrival and later sales together.

    The best order for week 3 alone is the critical quantile of what that week lacks. Stock that it leaves is in the way
    of later orders where these would be smaller: so less is tried as well, and costed over the weeks that later orders
    reach, each of which brings stock up to the critical quantile of its week.
    """

    def order(seen: Seen) -> np.ndarray:
        drawn = paths(seen)
        arrival = at_arrival(seen, drawn)
        most = np.maximum(_quantile(drawn[:, :, LEAD - 1] - arrival), 0)
        later = min(_LATER, seen.left)
        levels = [_quantile(drawn[:, :, LEAD + week]) for week in range(later)]
        best, least = most, np.full(len(most), np.inf)
        for tried in range(_TRIED):
            units = np.maximum(most - tried * np.maximum(np.ceil(most / 12), 1), 0)
            cost = _cost(arrival + units, drawn[:, :, LEAD - 1 :], levels)
            better = cost < least - 1e-9
            best, least = np.where(better, units, best), np.where(better, cost, least)
        return best

    return order


def blended(paths: Paths) -> Policy:
    """Mean of two orders: the projected level at one quantile of week 3, and a quantile of what week 3 lacks.

    The first acts on expected stock alone and saves stock; the second keeps what paths say of stock and sales together,
    and saves lost sales where sales grow. Both quantiles were set on the windows of the history.
    """

    def order(seen: Seen) -> np.ndarray:
        drawn = paths(seen)
        arrival = at_arrival(seen, drawn)
        sales = drawn[:, :, LEAD - 1]
        level = np.maximum(np.quantile(sales, _LEVEL, axis=0) - arrival.mean(0), 0)
        need = np.maximum(np.quantile(sales - arrival, _NEED, axis=0, method="inverted_cdf"), 0)
        return np.rint((level + need) / 2)

    return order


def _cost(stock: np.ndarray, sales: np.ndarray, levels: list[np.ndarray]) -> np.ndarray:
    """Mean cost of every item from a stock at the start of week 3 on, `[items]`."""
    cost = np.zeros(stock.shape[1])
    for week in range(len(levels) + 1):
        cost += (
            LOST * np.maximum(sales[:, :, week] - stock, 0) + HELD * np.maximum(stock - sales[:, :, week], 0)
        ).mean(0)
        stock = np.maximum(stock - sales[:, :, week], 0)
        if week < len(levels):
            stock = np.maximum(stock, levels[week])
    return cost
