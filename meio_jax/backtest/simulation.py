"""One world lived through: its state, and the steps of a day.

A day runs: receive, serve the orders in the sequence of their hours, order and ship (on review days), account; under
`ordering: morning` nodes order and ship before customers are served.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from meio_jax.backtest import draws
from meio_jax.backtest.books import (
    C_PURCHASED,
    INBOUND,
    PURCHASE,
    Clock,
    State,
    blank_held,
    close_day,
    empty_books,
    opened,
)
from meio_jax.backtest.deliveries import Deliveries
from meio_jax.backtest.depart import depart
from meio_jax.backtest.limits import unused
from meio_jax.backtest.lookup import bad, solid
from meio_jax.backtest.lots import expire
from meio_jax.backtest.lots_at_start import first_last_days, lots_at_start, most_transfers
from meio_jax.backtest.network import World
from meio_jax.backtest.options import Options
from meio_jax.backtest.orders import Orders, blank_orders, joined
from meio_jax.backtest.outcome import Run
from meio_jax.backtest.plan import Levels, PlanSource, PlanTable, Snapshot
from meio_jax.backtest.plan_shares import offer_items
from meio_jax.backtest.prices import unit_prices
from meio_jax.backtest.receive import receive, turns
from meio_jax.backtest.review import NEAREST, UP, Rules, Shipments, blank_desk, review
from meio_jax.backtest.serve import serve
from meio_jax.backtest.supply import Supply, with_recorded
from meio_jax.backtest.unit_values import look_ahead
from meio_jax.backtest.whole import WholeOrders, settle

Shipment = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Item, node, units, the day promised and the last day of sale (-1: counted from the receipt) of what is under way."""


class Missing(NamedTuple):
    """What orders that arrive on a day lack: arrays of item, node, units, the day promised, offer, and unit price."""

    item: np.ndarray
    node: np.ndarray
    units: np.ndarray
    promised: np.ndarray
    offer: np.ndarray
    price: np.ndarray


def no_shipment() -> Shipment:
    """Nothing under way."""
    item, node, units, promised, last = (np.zeros(0, np.int64) for _ in range(5))
    return item, node, units, promised, last


class Simulation:
    """One replication: the state of the world and the order of events.

    Args:
        world: The instance.
        plan: Who decides: a plan, a function that may give a new one on every review day, or None where the caller
            takes the steps of a day by himself.
        options: What to enforce, what to keep, recorded data.
        seed: Random state of the replication.
    """

    def __init__(self, world: World, plan: PlanSource | None, options: Options, seed: np.uint64):
        self.world, self.options = world, options
        self.planner: Callable | None = None
        self.levels: Levels | None = None
        if isinstance(plan, PlanTable):
            self.levels = plan.levels(world)
        else:
            self.planner = plan
        supply = world.supply
        if options.lead_times is not None:
            supply = solid(with_recorded(supply, options.lead_times, world.vendors, world.periods))
        rules = Rules(
            _below(world),
            UP if options.rounding == "up" else NEAREST,
            int(world.pipeline_holding),
            seed,
            int(options.ordering == "morning"),
        )
        self.supply_side = (supply, rules)
        resources = len(world.limits.kind)
        self.used = unused(world.limits)
        self.limited = (world.limits, self.used)
        usual = plan.usual(world) if isinstance(plan, PlanTable) else {}
        self.desk = WholeOrders(world.terms, usual, options.small_orders)
        self.whole_items = offer_items(supply)
        self.books = empty_books(
            len(world.items),
            len(world.nodes),
            len(world.regions),
            len(world.speeds),
            (world.periods, world.buckets),
            options.detail,
            len(world.limits.floors.row),
        )
        self.usage = np.zeros((2, resources, world.buckets))
        self.flows = np.zeros((len(supply.lane_from) + len(supply.offer_node), world.buckets), np.int64)
        self.backlog = _owed_orders(world, seed)
        self.queue = no_shipment()
        self.held = blank_held(0).used()
        self.due: dict[int, list[Shipment]] = {}
        self.under_way: list[list[Shipment]] = []
        self.deliveries = Deliveries(world, options, seed)
        self.missing: dict[int, list[Missing]] = {}
        self.state = self._start(seed)
        self.orders_served = 0
        self.seconds = 0.0

    def _start(self, seed: np.uint64) -> State:
        """Stock at the start; storage in use follows from it."""
        world = self.world
        on_order = np.zeros_like(world.on_hand)
        item, node, units, due = world.on_order
        np.add.at(on_order, (item, node), units)
        self.schedule((item, node, units, due, first_last_days(world)), due)
        rows, due_row = _due_rows(world, self.levels, self.planner is not None)
        ahead = np.zeros((rows, world.periods + world.supply.limit if rows else 0), np.int64)
        if rows:
            row = due_row[item, node]
            np.add.at(ahead, (row[row >= 0], np.minimum(due[row >= 0], ahead.shape[1] - 1)), units[row >= 0])
        leaving = np.zeros(world.on_hand.shape if self.options.outbound == "queue" else (0, 0), np.int64)
        state = State(world.on_hand.copy(), on_order, _waiting(world), ahead, due_row, *lots_at_start(world), leaving)
        scratch = empty_books(len(world.items), len(world.nodes), 1, 1, (1, 1), False)
        close_day((world.catalog, world.sites), self.limited, (state, scratch), Clock(0, 0, 0))
        return state

    def run(self, source: Callable[[int], Orders]) -> Run:
        """All days; returns the books."""
        began = time.perf_counter()
        for day in range(self.world.periods):
            self.day(source, day)
        self.seconds = time.perf_counter() - began
        return self.finished()

    def finished(self) -> Run:
        """The books, with the credit for what is left."""
        left = self.state.on_hand + self.state.on_order
        owed = np.zeros(len(self.world.items), np.int64)
        np.add.at(owed, self.backlog.item, self.backlog.units)
        credit = self.world.terminal_credit * self.world.catalog.unit_cost * (left.sum(1) - owed)
        self.books.cost[:, -1] = -credit
        served, seconds = self.orders_served, self.seconds
        return Run(self.books, self.state, self.usage, self.flows, owed, served, seconds, self.desk.counts)

    def day(self, source: Callable[[int], Orders], day: int) -> None:
        """One day by the simulation's own plan."""
        clock = self.open(day)
        if self.options.ordering == "morning":
            self.receive(clock)
            self._replan(clock)
            self.review(clock)
            self.serve(source(day), clock)
        else:
            self._replan(clock)
            self.receive(clock)
            self.serve(source(day), clock)
            self.review(clock)
        self.close(clock)

    def open(self, day: int) -> Clock:
        """Start a day: the room of every capacity is as the day has it."""
        world = self.world
        clock = Clock(day, day // world.bucket_periods, int(day >= world.warmup))
        modes = (self.options.storage, self.options.inbound, self.options.outbound)
        opened(self.used, world.limits, modes, clock, world.periods, world.bucket_periods)
        return clock

    def close(self, clock: Clock) -> None:
        """End a day: stock is charged, and use of capacities is booked."""
        close_day((self.world.catalog, self.world.sites), self.limited, (self.state, self.books), clock)
        if clock.charged:
            self.usage[0, :, clock.bucket] += self.used.today
            self.usage[1, :, clock.bucket] = np.maximum(self.usage[1, :, clock.bucket], self.used.today)

    def _replan(self, clock: Clock) -> None:
        if self.planner is None:
            return
        if self.levels is not None and not ordering_nodes(self.world, clock.day).any():
            return
        plan = self.planner(Snapshot(clock.day, self.state.on_hand.copy(), self.state.on_order.copy(), self.world))
        if plan is None and self.levels is None:
            raise bad("plan", "", "", "a plan on the first day", None, "return a PlanTable for day 0")
        if plan is not None:
            self.levels = plan.levels(self.world)
            self.desk.usual = plan.usual(self.world)

    def schedule(self, shipment: Shipment, due: np.ndarray) -> None:
        """Put shipments under way on the calendar, by the day on which they will arrive."""
        order = np.argsort(due, kind="stable")
        days, first = np.unique(due[order], return_index=True)
        for day, rows in zip(days.tolist(), np.split(order, first[1:]), strict=False):
            item, node, units, promised, last = (column[rows] for column in shipment)
            self.due.setdefault(day, []).append((item, node, units, promised, last))

    def receive(self, clock: Clock) -> None:
        """Unload what has arrived, as far as there is room."""
        for lacking in self.missing.pop(clock.day, []):
            self._take_back(lacking, clock)
        parts = [self.queue, *self._in_turn(self.due.pop(clock.day, []), clock)]
        item, node, units, promised, last = (np.concatenate([part[k] for part in parts]) for k in range(5))
        if len(item):
            network, arrivals = (self.world.catalog, self.world.sites), (item, node, units, last)
            receive(network, self.limited, (self.state, self.books), arrivals, clock, self._closed(clock.day))
        waits = units > 0
        self.queue = (item[waits], node[waits], units[waits], promised[waits], last[waits])
        self.under_way = [[self.queue], *(list(parts) for parts in self.due.values())]

    def _in_turn(self, parts: list[Shipment], clock: Clock) -> list[Shipment]:
        """What arrives today in a random order: where a dock is full no item is always the last one."""
        if not parts or not len(self.world.limits.member):
            return parts
        item, node, units, promised, last = (np.concatenate([part[k] for part in parts]) for k in range(5))
        turn = np.zeros(len(item))
        state = draws.derived(self.supply_side[1].seed, draws.UNLOAD, clock.day)
        turns(state, self.world.catalog.key, item, turn)
        order = np.argsort(turn, kind="stable")
        return [(item[order], node[order], units[order], promised[order], last[order])]

    def _closed(self, day: int) -> np.ndarray:
        """Nodes that receive nothing on a day."""
        received = self.supply_side[0].received
        if day < received.shape[0]:
            return received[day] > day
        return np.zeros(len(self.world.nodes), np.bool_)

    def serve(self, fresh: Orders, clock: Clock) -> None:
        """Serve those who wait and the day's orders, one by one; then what can be sold no longer is disposed of."""
        world = self.world
        self._depart(clock)
        self._look_ahead(clock)
        self.orders_served += len(fresh.item)
        orders = joined(self.backlog, fresh) if len(self.backlog.item) else fresh
        if len(self.backlog.item):
            self.state.waiting[:] = 0
        room = int((world.catalog.backorders[orders.item] * np.minimum(orders.units, len(world.speeds))).sum())
        waits = blank_orders(room)
        waits.late[:] = True
        network = (world.catalog, world.sites, world.reach)
        splits = int(np.minimum(orders.units, len(world.nodes) * len(world.speeds)).sum())
        held = blank_held(splits if self.options.outbound == "queue" else 0)
        filled = serve(network, self.limited, (self.state, self.books, waits, held), self.levels, orders, clock)
        self.backlog = Orders(*[column[:filled] for column in waits])
        item, node, units = (np.concatenate(both) for both in zip(self.held, held.used(), strict=True))
        self.held = (item, node, units)
        expire((world.catalog, world.sites), self.limited, (self.state, self.books), clock)

    def _depart(self, clock: Clock) -> None:
        """What waits to leave does so, as far as the docks can take it."""
        item, node, units = self.held
        if len(item):
            depart(self.world.catalog, self.limited, self.state, (item, node, units))
            waits = units > 0
            self.held = (item[waits], node[waits], units[waits])

    def _look_ahead(self, clock: Clock) -> None:
        """What nodes expect from this morning on, where a plan says what units are worth.

        What is ordered today is no part of it.
        """
        levels = self.levels
        if levels is None or not levels.has_values:
            return
        value = levels.value[min(clock.bucket, len(levels.value) - 1)]
        parts = [part for parts in self.under_way for part in parts]
        item, node, units, promised = (np.concatenate([part[k] for part in parts]) for k in range(4))
        # What is late, or waits at a dock, is expected tomorrow.
        wait = np.maximum(promised - clock.day, 1)
        coming = (item, node, units, wait)
        chunk = self.options.chunk_items
        self.levels = levels._replace(ahead=look_ahead(value, self.state.on_hand, coming, chunk))

    def review(self, clock: Clock) -> list[Shipments]:
        """Nodes whose review day it is order up to their targets; returns what was ordered and shipped."""
        world, supply = self.world, self.supply_side[0]
        sites = world.sites
        due = ordering_nodes(world, clock.day)
        if not due.any():
            return []
        done = []
        lanes = len(supply.lane_from)
        desk = blank_desk(lanes, due)
        for first in range(0, len(world.items), self.options.chunk_items):
            last = min(first + self.options.chunk_items, len(world.items))
            room = int(supply.offer_start[last] - supply.offer_start[first])
            room += most_transfers(world, self.state, first, last)
            out = blank_shipments(room)
            kept = (self.state, self.books, out)
            network = (world.catalog, sites)
            review(network, self.limited, self.supply_side, kept, self.levels, desk, (first, last, clock))
            done.append(out)
        more, _ = settle(self, done, clock, blank_shipments)
        for out in [*done, *more]:
            self.send(out, clock)
        return done + more

    def send(self, out: Shipments, clock: Clock) -> None:
        """Put what was ordered and shipped on the calendar, and count it."""
        n, supply = int(out.filled[0]), self.supply_side[0]
        item, node, due, units, last = out.item[:n], out.node[:n], out.due[:n], out.units[:n], out.last[:n]
        promised = expected_days(supply, node, clock.day + promised_days(supply, out.source[:n]))
        if not self.deliveries.complete:
            units = units - self._left_out(out, n, promised, clock)
        self.schedule((item, node, units, promised, last), due)
        if clock.charged:
            self.count_flows(out, n, clock)

    def _left_out(self, out: Shipments, n: int, promised: np.ndarray, clock: Clock) -> np.ndarray:
        """Units that vendors leave out of what was ordered, `[shipments]`; they are found missing on the day due."""
        supply = self.supply_side[0]
        rows = np.flatnonzero(out.source[:n] >= len(supply.lane_from))
        offer = out.source[rows] - len(supply.lane_from)
        lacking = np.zeros(n, np.int64)
        vendor, key = supply.offer_vendor[offer], supply.offer_key[offer]
        lacking[rows] = self.deliveries.missing(vendor, key, out.units[rows], clock.day)
        for row, source in zip(rows[lacking[rows] > 0], offer[lacking[rows] > 0], strict=True):
            at = slice(row, row + 1)
            price = unit_prices(supply, np.array([source]), out.units[at])
            found = Missing(out.item[at], out.node[at], lacking[at], promised[at], np.array([source]), price)
            self.missing.setdefault(int(out.due[row]), []).append(found)
        return lacking

    def _take_back(self, lacking: Missing, clock: Clock) -> None:
        """What does not come is not on order any more, and not paid for."""
        supply = self.supply_side[0]
        item, units, offer = lacking.item, lacking.units, lacking.offer
        np.subtract.at(self.state.on_order, (item, lacking.node), units)
        np.subtract.at(self.books.flow[:, 0], item, units)
        if clock.charged:
            np.subtract.at(self.books.cost[:, PURCHASE], item, units * lacking.price)
            np.subtract.at(self.books.cost[:, INBOUND], item, units * supply.offer_freight[offer])
            np.subtract.at(self.books.tally[:, C_PURCHASED], item, units)

    def count_flows(self, out: Shipments, n: int, clock: Clock) -> None:
        """Units by lane and offer, and use of the lane, vendor and spend resources."""
        world, supply = self.world, self.supply_side[0]
        source, units, item = out.source[:n], out.units[:n], out.item[:n]
        self.flows[:, clock.bucket] += np.bincount(source, units, minlength=len(self.flows)).astype(np.int64)
        lanes = len(supply.lane_from)
        bought = source >= lanes
        offer = source - lanes
        for r, row in enumerate(world.limit_rows.iter_rows(named=True)):
            if row["kind"] == "lane":
                lane = source[~bought]
                taken = np.flatnonzero(~bought)[
                    (supply.lane_from[lane] == row["node"]) & (supply.lane_to[lane] == row["to_node"])
                ]
            elif row["kind"] in ("vendor", "spend"):
                taken = np.flatnonzero(bought)
                if row["vendor"] != -1:
                    taken = taken[supply.offer_vendor[offer[taken]] == row["vendor"]]
                if row["node"] != -1:
                    taken = taken[supply.offer_node[offer[taken]] == row["node"]]
            else:
                continue
            if row["storage_class"] != -1:
                taken = taken[world.catalog.storage_class[item[taken]] == row["storage_class"]]
            if row["measure"] == "lines":
                # However many units: an item that a source delivers is one line of its orders of the day.
                pairs = item[taken] * len(self.flows) + source[taken]
                amount = float(len(np.unique(pairs[units[taken] > 0])))
            elif row["measure"] == "money":
                amount = float((units[taken] * unit_prices(supply, offer[taken], units[taken])).sum())
            else:
                amount = float((units[taken] * world.limits.weight[world.limits.measure[r], item[taken]]).sum())
            self.used.today[r] += amount


def _owed_orders(world: World, seed: np.uint64) -> Orders:
    """Orders of customers who wait at the start."""
    item, region, speed, units = (column[world.owed[3] > 0] for column in world.owed)
    coin = np.array([draws.derived(seed, draws.TIES, int(number)) for number in range(len(item))], np.uint64)
    return Orders(item, region, speed, units, np.zeros(len(item)), coin, np.ones(len(item), np.bool_))


def _waiting(world: World) -> np.ndarray:
    """Units owed at the start by the node that their customers ask first, the cheapest, `[items, nodes]`."""
    waiting, reach, stockable = np.zeros(world.on_hand.shape, np.int64), world.reach, world.stockable
    for item, region, speed, units in zip(*world.owed, strict=True):
        group = speed * reach.regions + region
        entries = np.arange(reach.start[group], reach.start[group + 1])
        entries = entries[stockable[item, reach.node[entries]]]
        if entries.size:
            cost = reach.cost_unit[entries] + reach.cost_kg[entries] * world.catalog.weight[item]
            cost = cost + world.sites.handling[reach.node[entries]]
            waiting[item, reach.node[entries[cost.argmin()]]] += units
    return waiting


def ordering_nodes(world: World, day: int) -> np.ndarray:
    """Nodes that may order from some vendor or lane on a day, `[nodes]`; reviews that waited are made up for."""
    sites, supply = world.sites, world.supply
    if not supply.bought.shape[0]:
        return day % sites.review_period == sites.review_offset
    at = min(day, supply.bought.shape[0] - 1)
    due = supply.bought[at].any(0)
    due[supply.lane_to[supply.asked[at]]] = True
    return due


def expected_days(supply: Supply, node: np.ndarray, due: np.ndarray) -> np.ndarray:
    """Days on which nodes receive what is due on these days, by the calendar."""
    known = supply.received.shape[0]
    if not known:
        return due
    return np.where(due < known, supply.received[np.minimum(due, known - 1), node], due)


def blank_shipments(room: int) -> Shipments:
    """Room for that many shipments."""
    item, node, units, when, source, last = (np.zeros(room, np.int64) for _ in range(6))
    return Shipments(item, node, units, when, source, last, np.zeros(1, np.int64))


def promised_days(supply: Supply, source: np.ndarray) -> np.ndarray:
    """Days after which a shipment is expected: the mean lead time of its lane or offer, in whole days from 1."""
    mean = np.concatenate([supply.lane_mean, supply.offer_mean])[source]
    return np.clip(np.floor(mean + 0.5), 1, supply.limit).astype(np.int64)


def _below(world: World) -> np.ndarray:
    """`[nodes, nodes]`: share of a node's position that counts in the echelon of another."""
    supply, sites = world.supply, world.sites
    matrix = np.eye(len(world.nodes))
    for origin in sites.tier_nodes:  # most downstream first, so the rows below are complete
        for lane in np.flatnonzero(supply.lane_from == origin):
            matrix[origin] += supply.lane_share[lane] * matrix[supply.lane_to[lane]]
    return matrix


def _due_rows(world: World, levels: Levels | None, planned_later: bool) -> tuple[int, np.ndarray]:
    """Rows of the calendar of arrivals, kept only for item and node pairs with more than one offer, or for all where
    nodes transship."""
    supply = world.supply
    transships = bool(len(supply.beside)) and (planned_later or bool(levels and levels.has_spare))
    if not transships and not planned_later and not (levels and levels.has_fast):
        return 0, np.zeros((1, 1), np.int64)
    count = np.zeros((len(world.items), len(world.nodes)), np.int64)
    owner = np.repeat(np.arange(len(world.items)), np.diff(supply.offer_start))
    np.add.at(count, (owner, supply.offer_node), 1)
    several = (count > 1) | transships
    rows = np.full(count.shape, -1, np.int64)
    rows[several] = np.arange(int(several.sum()))
    return int(several.sum()), rows
