"""What a node orders from a vendor today, all items together, by the rules that the vendor has for whole orders.

An order that is too small is postponed, or filled up where waiting costs more: with the units that would be ordered
next anyway, those first whose early arrival costs least for the room that they fill. An order that does not fill its
trucks is filled up, cut back or left as it is, whichever costs least. The costs of waiting, and of units that come
early, are estimates: expected demand that finds no stock, and holding of a unit until it would have been ordered.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from meio_jax.tables.vendor_rules import MINIMA, TRUCKS

NONE, PLACED, FILLED, POSTPONED, TOO_SMALL = "", "placed", "filled up", "postponed", "too small"
"""What becomes of an order; too small: there are not enough items to fill it up with."""

_HAIR = 1e-9


@dataclass(frozen=True)
class Lines:
    """The items that a vendor offers to a node, arrays `[lines]`.

    Attributes:
        units: What each is to be ordered without rules.
        fixed: What of it stands, whatever the rules: decisions of planners.
        pack: Units per pack.
        smallest: Units of the smallest order, in whole packs.
        room: Units that may be ordered in all.
        position: Stock on hand and on order less what customers wait for, before the order.
        rate: Mean demand that is bought through the offer, units per period.
        variance: Variance of the node's demand of a period.
        lead: Lead time, periods.
        holding: Cost of holding a unit for a period, money.
        penalty: Cost of a unit of demand that finds no stock, money.
        sizes: What a unit takes: value, volume and weight.
        from_units: Least units of each price by quantity, from the smallest up; infinite where there is none.
        prices: These prices; below the least quantity a unit costs its value.
    """

    units: Float[np.ndarray, " lines"]
    fixed: Float[np.ndarray, " lines"]
    pack: Float[np.ndarray, " lines"]
    smallest: Float[np.ndarray, " lines"]
    room: Float[np.ndarray, " lines"]
    position: Float[np.ndarray, " lines"]
    rate: Float[np.ndarray, " lines"]
    variance: Float[np.ndarray, " lines"]
    lead: Float[np.ndarray, " lines"]
    holding: Float[np.ndarray, " lines"]
    penalty: Float[np.ndarray, " lines"]
    sizes: dict[str, Float[np.ndarray, " lines"]]
    from_units: Float[np.ndarray, "breaks lines"]
    prices: Float[np.ndarray, "breaks lines"]

    def price(self, units: Float[np.ndarray, " lines"]) -> Float[np.ndarray, " lines"]:
        """Money per unit in lines of so many units."""
        price = self.sizes["value"]
        for least, cost in zip(self.from_units, self.prices, strict=True):
            price = np.where(units >= least, cost, price)
        return price

    def load(self) -> dict[str, float]:
        """What the whole order is worth and takes."""
        return {name: float(self.units @ size) for name, size in self.sizes.items()}

    def short(self, periods: int) -> Float[np.ndarray, " lines"]:
        """Units of demand expected to find no stock until so many periods after the lead time (normal demand)."""
        span = self.lead + periods
        spread = np.sqrt(np.maximum(self.variance * span, _HAIR))
        z = (self.rate * span - self.position - self.units) / spread
        return spread * (z * _above(z) + _density(z))


@dataclass(frozen=True)
class Rules:
    """What a vendor takes, in the columns of the table `vendors`.

    Attributes:
        least: Least value, volume and weight.
        trucks: Volume and weight that a truck takes, where it is limited.
        order_cost: Of an order, money.
        truck_cost: Of each truck, money.
        fill: Least part of the last truck.
        usual: Units below which an order is better postponed, if it can be.
        gap: Periods from one review of the node to the next.
        every: Reviews from one order to the next.
    """

    least: dict[str, float]
    trucks: dict[str, float]
    order_cost: float
    truck_cost: float
    fill: float
    usual: float
    gap: int
    every: int

    @classmethod
    def of(cls, row: dict, *, usual: float, gap: int, every: int) -> Rules:
        """From a row of the table."""
        least = {name: row[column] for name, column in MINIMA.items() if row[column]}
        trucks = {name: row[column] for name, column in TRUCKS.items() if row[column]}
        return cls(least, trucks, row["order_cost"], row["truck_cost"], row["truck_fill"], usual, gap, every)

    def loaded(self, load: dict[str, float]) -> float:
        """Trucks that an order fills, parts of one as parts; 0 where the vendor has none."""
        return max((load[name] / size for name, size in self.trucks.items()), default=0.0)

    def count(self, load: dict[str, float]) -> int:
        """Trucks of an order."""
        return math.ceil(self.loaded(load) - _HAIR)

    def takes(self, load: dict[str, float]) -> bool:
        """Whether the vendor takes an order."""
        if any(load[name] < least - _HAIR for name, least in self.least.items()):
            return False
        loaded = self.loaded(load)
        return loaded <= 0 or loaded - (self.count(load) - 1) >= self.fill - 1e-6


def whole_order(lines: Lines, rules: Rules) -> tuple[np.ndarray, str]:
    """Units of every line by the rules, and what became of the order."""
    if not lines.units.any():
        return lines.units, NONE
    enough = _least_load(lines, rules) <= 1 + _HAIR
    forced = bool(lines.fixed.any())
    if enough and (forced or lines.units.sum() >= rules.usual or _wait(lines, rules) > _saved(lines, rules)):
        return _trucked(lines, rules)
    filled = _filled(lines, rules.least)
    if filled is None:
        return (lines.units, TOO_SMALL) if forced else (0 * lines.units, TOO_SMALL)
    if forced or (not enough and _wait(lines, rules) > _early(lines, filled)):
        units, status = _trucked(replace(lines, units=filled), rules)
        if status == TOO_SMALL:
            # No number of trucks suits it: what was to fill it up helps nothing.
            return (lines.units if forced else 0 * lines.units), TOO_SMALL
        return units, FILLED if units.any() else POSTPONED
    return 0 * lines.units, POSTPONED


def _least_load(lines: Lines, rules: Rules) -> float:
    """The largest of what is needed over what is there; 1 or less where the least order is reached."""
    load = lines.load()
    return max((least / load[name] if load[name] > 0 else math.inf for name, least in rules.least.items()), default=0.0)


def _wait(lines: Lines, rules: Rules) -> float:
    """Money that ordering a review later costs: demand that finds no stock in between."""
    empty = replace(lines, units=lines.fixed)
    return float(lines.penalty @ (empty.short(rules.gap) - empty.short(0)))


def _saved(lines: Lines, rules: Rules) -> float:
    """Money that ordering a review later saves: the part of a review in the fixed cost of the order so far."""
    periods = lines.units.sum() / max(float(lines.rate.sum()), _HAIR)
    return (rules.order_cost + rules.truck_cost * rules.count(lines.load())) * rules.gap / max(periods, rules.gap)


def _early(lines: Lines, filled: np.ndarray) -> float:
    """Money for holding what comes early until it would have been ordered: half the time that its demand takes."""
    more = filled - lines.units
    return float(np.sum(lines.holding * np.where(more > 0, more**2 / (2 * np.maximum(lines.rate, _HAIR)), 0)))


def _dearer(lines: Lines, units: np.ndarray) -> float:
    """Money that the units which are ordered in any case cost more, or less (below 0), for the size of their lines."""
    both = np.minimum(units, lines.units)
    return float(both @ (lines.price(units) - lines.price(lines.units)))


def _filled(lines: Lines, wanted: dict[str, float]) -> np.ndarray | None:
    """The order filled up, pack by pack, until it reaches what is wanted in every measure; None where it cannot."""
    units, load = lines.units.copy(), lines.load()
    for name, least in wanted.items():
        size = lines.sizes[name]
        use = (size > 0) & (lines.rate > 0)
        queue = [(_next(lines, units, size, k), k) for k in np.flatnonzero(use).tolist()]
        heapq.heapify(queue)
        while load[name] < least - _HAIR and queue:
            _, k = heapq.heappop(queue)
            more = lines.pack[k] if units[k] > 0 else lines.smallest[k]
            if units[k] + more > lines.room[k]:
                continue
            units[k] += more
            for other, each in lines.sizes.items():
                load[other] += more * each[k]
            heapq.heappush(queue, (_next(lines, units, size, k), k))
        if load[name] < least - _HAIR:
            return None
    return units


def _next(lines: Lines, units: np.ndarray, size: np.ndarray, k: int) -> tuple[float, float]:
    """What the next pack of a line costs for the room that it fills; of equal ones that with the least cover."""
    more = lines.pack[k] if units[k] > 0 else lines.smallest[k]
    early = units[k] - lines.units[k] + more / 2
    cover = (lines.position[k] + units[k]) / lines.rate[k]
    return float(lines.holding[k] * early / (lines.rate[k] * size[k])), float(cover)


def _trucked(lines: Lines, rules: Rules) -> tuple[np.ndarray, str]:
    """The order filled up to whole trucks, cut back to one less, or as it is: the cheapest that the vendor takes."""
    load = lines.load()
    loaded, count = rules.loaded(load), rules.count(load)
    part = loaded - (count - 1)
    if loaded <= 0 or part > 1 - 1e-6:
        return lines.units, PLACED
    choices = []
    if part >= rules.fill - 1e-6:
        choices.append((rules.truck_cost * (1 - part), 0, lines.units, PLACED))
    for wanted, wasted in {(count, 0.0), (count - 1 + max(rules.fill, part), 1 - max(rules.fill, part))}:
        # Every measure that limits a truck would be full: the one that is fullest now is filled up.
        name = max(rules.trucks, key=lambda one: load[one] / rules.trucks[one])
        full = _filled(lines, {name: wanted * rules.trucks[name]})
        # A last pack may not fit into the truck any more.
        fits = None if full is None else rules.loaded(replace(lines, units=full).load()) <= count + 1e-6
        if full is not None and not fits:
            full = _cut(replace(lines, units=full), rules, count)
        if full is not None and full.any() and rules.takes(replace(lines, units=full).load()):
            cost = _early(lines, full) + rules.truck_cost * wasted + _dearer(lines, full)
            choices.append((cost, 1, full, FILLED))
    if count > 1:
        less = _cut(lines, rules, count - 1)
        if rules.takes(replace(lines, units=less).load()):
            late = replace(lines, units=less).short(rules.gap * rules.every) - lines.short(rules.gap * rules.every)
            cost = float(lines.penalty @ late) + _dearer(lines, less)
            choices.append((cost, 2, less, PLACED if less.any() else POSTPONED))
    if not choices:
        return (lines.units if lines.fixed.any() else 0 * lines.units), TOO_SMALL
    _, _, units, status = min(choices, key=lambda one: one[:2])
    return units, status


def _cut(lines: Lines, rules: Rules, count: int) -> np.ndarray:
    """The order with packs left out, those of the longest cover first, until it fits into so many trucks."""
    units = lines.units.copy()
    cover = lambda k: (lines.position[k] + units[k]) / max(float(lines.rate[k]), _HAIR)
    queue = [(-cover(k), k) for k in np.flatnonzero(units > lines.fixed + _HAIR).tolist()]
    heapq.heapify(queue)
    while queue and rules.loaded(replace(lines, units=units).load()) > count + _HAIR:
        _, k = heapq.heappop(queue)
        left = units[k] - lines.pack[k]
        units[k] = left if left >= lines.smallest[k] else lines.fixed[k]
        if units[k] > lines.fixed[k] + _HAIR:
            heapq.heappush(queue, (-cover(k), k))
    return units


def _density(z: np.ndarray) -> np.ndarray:
    return np.exp(-np.square(z) / 2) / math.sqrt(2 * math.pi)


def _above(z: np.ndarray) -> np.ndarray:
    """Probability that a standard normal is below z."""
    return np.asarray([0.5 * math.erfc(-value / math.sqrt(2)) for value in z])
