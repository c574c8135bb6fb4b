"""State of a simulated world and the books kept of it."""

from typing import NamedTuple

import numpy as np

from meio_jax.backtest.compiled import compiled
from meio_jax.backtest.floors import count_stock
from meio_jax.backtest.limits import STORAGE, Used

TERMS = (
    "purchase", "inbound", "transfer", "handling", "holding", "outbound", "downgrade", "lost_sale",
    "backorder", "waste", "ordering", "terminal",
)  # fmt: skip
PURCHASE, INBOUND, TRANSFER, HANDLING, HOLDING, SHIPPING, DOWNGRADE, LOST, BACKORDER = range(9)
WASTE, ORDERING, TERMINAL = range(9, 12)

COUNTS = (
    "demand", "shipped", "on_time", "late", "lost", "downgraded", "backordered", "purchased", "received",
    "transferred", "waited", "wasted", "order_lines", "held",
)  # fmt: skip
C_DEMAND, C_SHIPPED, C_ON_TIME, C_LATE, C_LOST, C_DOWNGRADED, C_BACKORDERED = range(7)
C_PURCHASED, C_RECEIVED, C_TRANSFERRED, C_WAITED, C_WASTED, C_LINES, C_HELD = range(7, 14)


class State(NamedTuple):
    """Physical state: stock and units on order `[items, nodes]` (what waits at a dock is still on order),
    backlog by the node that would serve it first `[items, nodes]`, and units due by day for nodes with a
    fast offer. `lots [items with a shelf life, nodes, days + 1]` is stock by the last day on which it can be sold (the
    last column: on any later day); `lot_row [items]` is the row of an item there, -1 of one that keeps. `leaving` are
    units that customers are promised and that wait for an outbound dock `[items, nodes]`, no part of the stock on hand;
    empty where nothing does."""

    on_hand: np.ndarray
    on_order: np.ndarray
    waiting: np.ndarray
    due: np.ndarray
    due_row: np.ndarray
    lots: np.ndarray
    lot_row: np.ndarray
    leaving: np.ndarray


class Held(NamedTuple):
    """Units that are promised and do not leave on the day, one entry a shipment, the first ones first; `filled [1]`
    is the number of entries in use."""

    item: np.ndarray
    node: np.ndarray
    units: np.ndarray
    filled: np.ndarray

    def used(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The entries in use."""
        count = int(self.filled[0])
        return self.item[:count], self.node[:count], self.units[:count]


def blank_held(room: int) -> Held:
    """Room for that many entries."""
    item, node, units = (np.zeros(room, np.int64) for _ in range(3))
    return Held(item, node, units, np.zeros(1, np.int64))


class Books(NamedTuple):
    """What is counted, on charged days only (but `flow` and `stock` on all days).

    `cost [items, terms]` money, `tally [items, counts]` units, `flow [items, 3]` purchased, shipped, wasted,
    `km` and `carbon` `[items]`, `site [nodes, speeds, 3]` units, outbound and handling cost, `service
    [regions, speeds, buckets, 2]` demand and served as promised, `promise [speeds, 5]` demand, on time,
    downgraded, backordered, lost (by the speed asked for), `speed_km [speeds, 2]` units and unit-km by the
    speed used, `stock [days, nodes, 6]` units, m3, units waiting at the dock and their m3, and of the first
    two what is promised and waits to leave, at the end of the day, `detail [items, nodes, speeds, 2]` units
    and outbound cost (empty unless asked for), `level [items, nodes]` unit-days of stock (likewise), `kept
    [items, speeds, 2]` demand and on time by the speed asked for (likewise), `floor [floors, buckets, 2]` what
    the share of a floor of an item class or of nodes refers to, and what counts for it (`Floors`).
    """

    cost: np.ndarray
    tally: np.ndarray
    flow: np.ndarray
    km: np.ndarray
    carbon: np.ndarray
    site: np.ndarray
    service: np.ndarray
    promise: np.ndarray
    speed_km: np.ndarray
    stock: np.ndarray
    detail: np.ndarray
    level: np.ndarray
    kept: np.ndarray
    floor: np.ndarray


class Clock(NamedTuple):
    """The day being simulated: period, bucket, and whether its costs are charged (0 in the warm-up)."""

    day: int
    bucket: int
    charged: int


def empty_books(
    items: int, nodes: int, regions: int, speeds: int, days: tuple[int, int], detail: bool, floors: int = 0
) -> Books:
    """Books with nothing in them; `days` is (periods, buckets)."""
    wide = items if detail else 0
    return Books(
        cost=np.zeros((items, len(TERMS))),
        tally=np.zeros((items, len(COUNTS)), np.int64),
        flow=np.zeros((items, 3), np.int64),
        km=np.zeros(items),
        carbon=np.zeros(items),
        site=np.zeros((nodes, speeds, 3)),
        service=np.zeros((regions, speeds, days[1], 2), np.int64),
        promise=np.zeros((speeds, 5), np.int64),
        speed_km=np.zeros((speeds, 2)),
        stock=np.zeros((days[0], nodes, 6)),
        detail=np.zeros((wide, nodes, speeds, 2)),
        level=np.zeros((wide, nodes)),
        kept=np.zeros((wide, speeds, 2), np.int64),
        floor=np.zeros((floors, days[1], 2), np.int64),
    )


@compiled
def close_day(network, limited, kept, clock):
    """Holding cost and storage use of the stock at the end of the day.

    The storage level is counted anew, so that sums of float volumes do not drift.
    """
    catalog, sites = network
    limits, used = limited
    state, books = kept
    for r in range(len(used.today)):
        if limits.kind[r] == STORAGE:
            used.today[r] = 0.0
    items, nodes = state.on_hand.shape
    for i in range(items):
        for n in range(nodes):
            units = state.on_hand[i, n]
            if state.leaving.shape[0] > 0 and state.leaving[i, n] > 0:
                held = state.leaving[i, n]
                units += held
                books.stock[clock.day, n, 4] += held
                books.stock[clock.day, n, 5] += held * catalog.volume[i]
                if clock.charged:
                    books.cost[i, BACKORDER] += held * catalog.backorder_cost[i]
                    books.tally[i, C_HELD] += held
            if units == 0:
                continue
            books.stock[clock.day, n, 0] += units
            books.stock[clock.day, n, 1] += units * catalog.volume[i]
            if clock.charged:
                books.cost[i, HOLDING] += units * catalog.holding[i] * sites.holding_factor[n]
                if books.level.shape[0] > 0:
                    books.level[i, n] += units
            where = STORAGE * limits.nodes + n
            for k in range(limits.start[where], limits.start[where + 1]):
                r = limits.member[k]
                if limits.storage_class[r] == -1 or limits.storage_class[r] == catalog.storage_class[i]:
                    used.today[r] += units * limits.weight[limits.measure[r], i]
    for r in range(len(used.today)):
        if limits.kind[r] == STORAGE:
            used.window[r] = used.today[r]
    if books.floor.shape[0] > 0:
        count_stock(limits.floors, books, state.on_hand, clock)


def opened(used: Used, limits, mode: tuple[str, str, str], clock: Clock, periods: int, bucket_periods: int) -> None:
    """Set the room of every resource for a new day.

    `mode` says for storage, inbound and outbound: `day` (the capacity of a day holds every day), `queue` (the
    same; what exceeds it waits), `bucket` (days of a bucket may lend each other) or `measure` (no limit).
    """
    days = min(bucket_periods, periods - clock.bucket * bucket_periods)
    first = clock.day % bucket_periods == 0
    used.received[:] = False
    for r, kind in enumerate(limits.kind):
        if kind < 0:
            used.today[r] = 0.0
            continue
        capacity = limits.capacity[r, clock.bucket]
        rooms = {"day": capacity, "queue": capacity, "bucket": capacity * days, "measure": np.inf}
        used.room[r] = rooms[mode[kind]] * (1 + 1e-12)
        if kind != STORAGE:
            used.today[r] = 0.0
            if mode[kind] != "bucket" or first:
                used.window[r] = 0.0
