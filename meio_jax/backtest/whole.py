"""Whole orders of a day: what vendors take of all lines that a node orders from them, what orders and trucks cost.

A vendor refuses an order below its least value, volume or weight, and one whose last truck is not full enough: by
itself it comes to nothing, and is asked for again at the next review. `small_orders: fill` fills it up instead, pack by
pack, with the items that stand lowest below their levels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from meio_jax.backtest.books import C_LINES, C_PURCHASED, INBOUND, ORDERING, PURCHASE, Clock
from meio_jax.backtest.lookup import frame, numbers, texts
from meio_jax.backtest.place import place_orders
from meio_jax.backtest.prices import unit_price
from meio_jax.backtest.supply import buys

MEASURES = ("value", "volume", "weight")


class Terms(NamedTuple):
    """What a vendor takes of a node: least value, volume and weight, what a truck takes of each (0: any), the least
    part of the last truck, and money per order and per truck."""

    least: tuple[float, ...]
    truck: tuple[float, ...]
    fill: float
    order_cost: float
    truck_cost: float

    def loaded(self, load: np.ndarray) -> float:
        """Trucks that a load fills."""
        return max((float(load[k] / size) for k, size in enumerate(self.truck) if size > 0), default=0.0)

    def takes(self, load: np.ndarray) -> bool:
        """Whether the vendor takes an order of so much."""
        if any(load[k] < least * (1 - 1e-9) for k, least in enumerate(self.least)):
            return False
        loaded = self.loaded(load)
        return loaded <= 0 or loaded - math.ceil(loaded - 1e-9) + 1 >= self.fill - 1e-6


Pair = tuple[int, int]
"""A vendor and a node."""


def read_terms(tables, vendors: list[str], nodes: list[str]) -> dict[Pair, Terms]:
    """What vendors take, of every vendor and node that the table `vendors` is about."""
    table = frame(tables, "vendors")
    if not table.height:
        return {}
    order_cost, truck_cost, fill = (numbers(table, name) for name in ("order_cost", "truck_cost", "truck_fill"))
    least = np.stack([numbers(table, f"min_order_{name}") for name in MEASURES], axis=1)
    truck = np.stack([np.zeros(table.height), numbers(table, "truck_volume"), numbers(table, "truck_weight")], axis=1)
    named: dict[Pair, Terms] = {}
    general: dict[Pair, Terms] = {}
    for row, (vendor, node) in enumerate(zip(texts(table, "vendor_id"), texts(table, "node_id"), strict=True)):
        if vendor not in vendors:
            continue
        terms = Terms(
            least=tuple(least[row].tolist()),
            truck=tuple(truck[row].tolist()),
            fill=float(fill[row]),
            order_cost=float(order_cost[row]),
            truck_cost=float(truck_cost[row]),
        )
        if node:
            named[vendors.index(vendor), nodes.index(node)] = terms
        else:
            general |= {(vendors.index(vendor), at): terms for at in range(len(nodes))}
    return general | named


@dataclass
class WholeOrders:
    """Whole orders of a simulation: what vendors take, what a plan waits for, and what has become of orders.

    Attributes:
        terms: What vendors take.
        usual: Units below which the plan postpones an order, and days after which it no longer does, by pair.
        small: What becomes of orders that are too small: `refuse`, or `fill`.
        waits: Days for which an order has been put off, by pair.
        counts: Orders, trucks, refused orders, and days on which the plan put an order off.
    """

    terms: dict[Pair, Terms]
    usual: dict[Pair, tuple[float, int]]
    small: str
    waits: dict[Pair, int] = field(default_factory=dict)
    counts: np.ndarray = field(default_factory=lambda: np.zeros(4, np.int64))


class _Order:
    """All lines that a node orders from a vendor today: offers and their units."""

    def __init__(self, simulation: Any, pair: Pair, lines: dict[int, int]) -> None:
        self.simulation, self.pair, self.lines = simulation, pair, lines
        self.first = dict(lines)

    def load(self) -> np.ndarray:
        """Value at purchase cost, volume and weight."""
        supply, catalog = self.simulation.supply_side[0], self.simulation.world.catalog
        total = np.zeros(3)
        for offer, units in self.lines.items():
            item = self.simulation.whole_items[offer]
            total += units * np.array([supply.offer_cost[offer], catalog.volume[item], catalog.weight[item]])
        return total


def settle(simulation: Any, outs: list, clock: Clock, make: Any, *, exact: bool = False) -> tuple[list, list[Pair]]:
    """Let vendors take the orders of a day; what was not taken is struck out of `outs`.

    Args:
        simulation: Whose orders.
        outs: Shipments of the day as they were written down.
        clock: The day.
        make: Makes room for so many further shipments.
        exact: Whether orders stand as they are: taken or refused, never filled up, cut back or put off.

    Returns:
        Further shipments (orders that were filled up), and the vendors and nodes whose orders were refused.
    """
    desk: WholeOrders = simulation.desk
    if not desk.terms:
        return [], []
    more, refused = [], []
    for pair, rows in _by_pair(simulation, outs).items():
        terms = desk.terms.get(pair)
        if terms is None:
            continue
        order = _Order(simulation, pair, {offer: int(out.units[k]) for out, k, offer in rows})
        kept, new = _taken(simulation, order, terms, clock, exact=exact)
        if not kept:
            refused.append(pair)
            _strike(simulation, rows, clock)
            continue
        if new:
            _strike(simulation, rows, clock)
            out = make(len(order.lines))
            offers = np.array(sorted(order.lines), np.int64)
            units = np.array([order.lines[offer] for offer in offers], np.int64)
            given = (simulation.whole_items[offers], simulation.supply_side[0].offer_node[offers], offers, units)
            place_orders(simulation.supply_side, (simulation.state, simulation.books, out), given, clock)
            more.append(out)
        _charge(simulation, order, terms, clock)
    return more, refused


def _by_pair(simulation: Any, outs: list) -> dict[Pair, list]:
    """Purchases by vendor and node: where each is written down, and its offer."""
    supply = simulation.supply_side[0]
    lanes = len(supply.lane_from)
    found: dict[Pair, list] = {}
    for out in outs:
        for k in range(int(out.filled[0])):
            offer = int(out.source[k]) - lanes
            if offer >= 0 and out.units[k] > 0:
                pair = int(supply.offer_vendor[offer]), int(out.node[k])
                found.setdefault(pair, []).append((out, k, offer))
    return found


def _taken(simulation: Any, order: _Order, terms: Terms, clock: Clock, *, exact: bool) -> tuple[bool, bool]:
    """Whether the order is placed, and whether its lines were changed for that."""
    desk: WholeOrders = simulation.desk
    load, wait = order.load(), desk.waits.get(order.pair, 0)
    usual, patience = desk.usual.get(order.pair, (0.0, 0))
    enough = terms.takes(load)
    # Full trucks go at once; what begins another one is asked for again.
    cut = not exact and not enough and _cut_back(order, terms, clock)
    enough = enough or cut
    if not exact and wait < patience and (not enough or sum(order.lines.values()) < usual):
        desk.waits[order.pair] = wait + 1
        desk.counts[3] += clock.charged
        return False, False
    desk.waits[order.pair] = 0
    if enough:
        return True, cut
    if not exact and desk.small == "fill" and _fill_up(simulation, order, terms, clock):
        return True, True
    desk.counts[2] += clock.charged
    return False, False


def _strike(simulation: Any, rows: list, clock: Clock) -> None:
    """Undo orders that were written down."""
    supply, state, books = simulation.supply_side[0], simulation.state, simulation.books
    for out, k, offer in rows:
        item, node, units, due = int(out.item[k]), int(out.node[k]), int(out.units[k]), int(out.due[k])
        state.on_order[item, node] -= units
        row = state.due_row[item, node] if state.due.shape[0] else -1
        if row >= 0 and due < state.due.shape[1]:
            state.due[row, due] -= units
        books.flow[item, 0] -= units
        if clock.charged:
            books.cost[item, PURCHASE] -= units * unit_price(supply, offer, units)
            books.cost[item, INBOUND] -= units * supply.offer_freight[offer]
            books.cost[item, ORDERING] -= supply.offer_fixed[offer]
            books.tally[item, C_PURCHASED] -= units
            books.tally[item, C_LINES] -= 1
        out.units[k] = 0


def _charge(simulation: Any, order: _Order, terms: Terms, clock: Clock) -> None:
    """Book the cost of the order and its trucks, by the units of its items."""
    if not clock.charged:
        return
    trucks = math.ceil(terms.loaded(order.load()) - 1e-9)
    cost, total = terms.order_cost + terms.truck_cost * trucks, sum(order.lines.values())
    for offer, units in order.lines.items():
        simulation.books.cost[simulation.whole_items[offer], ORDERING] += cost * units / total
    simulation.desk.counts[:2] += (1, trucks)


def _ratio(simulation: Any, order: _Order, offer: int, clock: Clock) -> float:
    """Stock on hand and on order, this order included, as a part of the level; infinite where there is no level."""
    item, node = simulation.whole_items[offer], order.pair[1]
    levels, state = simulation.levels, simulation.state
    level = levels.target[min(clock.bucket, levels.target.shape[0] - 1), item, node]
    owned = state.on_hand[item, node] + state.on_order[item, node] - state.waiting[item, node]
    added = order.lines.get(offer, 0) - order.first.get(offer, 0)
    return float((owned + added) / level) if level > 0 else math.inf


def _fill_up(simulation: Any, order: _Order, terms: Terms, clock: Clock) -> bool:
    """Add packs of the items that stand lowest below their levels until the vendor takes the order."""
    supply, catalog = simulation.supply_side[0], simulation.world.catalog
    vendor, node = order.pair
    mine = np.flatnonzero((supply.offer_vendor == vendor) & (supply.offer_node == node))
    open_ = [int(offer) for offer in mine if buys(supply, offer, node, clock.day)]
    load = order.load()
    while not terms.takes(load):
        ratios = [
            (_ratio(simulation, order, offer, clock), offer) for offer in open_ if _room(simulation, order, offer)
        ]
        least, offer = min(ratios, default=(math.inf, -1))
        if math.isinf(least):
            return False
        pack, item = int(supply.offer_pack[offer]), simulation.whole_items[offer]
        least_units = -(-int(supply.offer_least[offer]) // pack) * pack
        units = max(order.lines.get(offer, 0) + pack, least_units)
        load += (units - order.lines.get(offer, 0)) * np.array(
            [supply.offer_cost[offer], catalog.volume[item], catalog.weight[item]]
        )
        order.lines[offer] = units
    return True


def _room(simulation: Any, order: _Order, offer: int) -> bool:
    """Whether another pack may be in stock."""
    supply, state, item, node = (
        simulation.supply_side[0],
        simulation.state,
        simulation.whole_items[offer],
        order.pair[1],
    )
    added = order.lines.get(offer, 0) - order.first.get(offer, 0) + int(supply.offer_pack[offer])
    return bool(state.on_hand[item, node] + state.on_order[item, node] + added <= supply.most[item, node])


def _cut_back(order: _Order, terms: Terms, clock: Clock) -> bool:
    """Leave out of an order what begins a truck that it does not fill, of the items that then stand highest first."""
    simulation = order.simulation
    supply = simulation.supply_side[0]
    trucks = math.ceil(terms.loaded(order.load()) - 1e-9) - 1
    if trucks < 1:
        return False
    before = dict(order.lines)
    while terms.loaded(order.load()) > trucks * (1 + 1e-9):
        able = [offer for offer, units in order.lines.items() if units > 0]
        if not able:
            break
        _, offer = max((_ratio(simulation, order, offer, clock), offer) for offer in able)
        left = order.lines[offer] - int(supply.offer_pack[offer])
        order.lines[offer] = left if left >= supply.offer_least[offer] else 0
    order.lines = {offer: units for offer, units in order.lines.items() if units > 0}
    if terms.takes(order.load()):
        return True
    order.lines = before
    return False
