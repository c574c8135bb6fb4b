"""The table `calendar` by period: when nodes receive, order and ship, and when vendors take orders.

Every user of the calendar (the planner's arrays, dates of tables, the independent simulator) reads it here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Bool, Int

from meio_jax.tables.schema import WEEKDAYS
from meio_jax.tables.settings import InstanceSettings


@dataclass(frozen=True)
class OpenDays:
    """What is done in each period, beginning with period `first`.

    Attributes:
        first: Period of row 0; periods before 0 say what waits for a later day.
        receipts: Whether a node receives `[periods, nodes]`.
        orders: Whether a node orders `[periods, nodes]`.
        shipments: Whether a node ships to other nodes `[periods, nodes]`.
        taken: Whether orders of a node are taken by the vendors of a calendar `[periods, calendars, nodes]`; calendar
            0 is that of vendors without rows of their own.
        vendors: The vendors with a calendar of their own, from calendar 1 on.
    """

    first: int
    receipts: Bool[np.ndarray, "periods nodes"]
    orders: Bool[np.ndarray, "periods nodes"]
    shipments: Bool[np.ndarray, "periods nodes"]
    taken: Bool[np.ndarray, "periods calendars nodes"]
    vendors: tuple[str, ...]

    def calendars(self, vendors: Sequence[str]) -> Int[np.ndarray, " vendors"]:
        """Number of the calendar of each vendor."""
        number = {name: 1 + at for at, name in enumerate(self.vendors)}
        return np.asarray([number.get(name, 0) for name in vendors], np.int64)


def open_days(
    calendar: pl.DataFrame,
    settings: InstanceSettings,
    nodes: Sequence[str],
    last: int,
    *,
    before: int = 0,
    own: Collection[str] = (),
) -> OpenDays | None:
    """The calendar from period -`before` to period `last` - 1; None where there is none.

    Args:
        calendar: The table, checked.
        settings: When periods begin.
        nodes: Nodes in the order of the arrays.
        last: First period that is not given.
        before: Periods before period 0.
        own: Vendors that have a calendar of their own even where no row names them.
    """
    if calendar.is_empty() and not own:
        return None
    rows = [_Row.of(row) for row in calendar.iter_rows(named=True)]
    vendors = tuple(sorted({row.vendor for row in rows if row.vendor} | set(own)))
    starts = [settings.date_of(period) for period in range(-before, last + 1)]
    first_day = np.datetime64(starts[0], "D")
    begins = (np.asarray(starts, "datetime64[D]") - first_day).astype(np.int64)
    days = first_day + np.arange(begins[-1])

    def periods(own: list[_Row], activity: str, node: str | None, vendor: str | None) -> np.ndarray:
        """A period is open if any of its days is."""
        concerned = [row for row in own if row.concerns(activity, node, vendor)]
        return np.logical_or.reduceat(_open(concerned, days), begins[:-1])

    by_vendor: dict[str | None, list[_Row]] = {}
    for row in rows:
        by_vendor.setdefault(row.vendor, []).append(row)

    def by_node(activity: str, vendor: str | None = None) -> np.ndarray:
        """Periods of all nodes; those without rows of their own are alike."""
        own = by_vendor.get(vendor, [])
        own = own if vendor is None else own + by_vendor.get(None, [])
        table = np.repeat(periods(own, activity, None, vendor)[:, None], len(nodes), axis=1)
        named = {row.node for row in own if row.node is not None}
        for at in [at for at, node in enumerate(nodes) if node in named]:
            table[:, at] = periods(own, activity, nodes[at], vendor)
        return table

    receipts, orders, shipments = (by_node(name) for name in ("receipts", "orders", "shipments"))
    taken = np.stack([by_node("taken", vendor) for vendor in (None, *vendors)], axis=1)
    return OpenDays(-before, receipts, orders, shipments, taken, vendors)


@dataclass(frozen=True)
class _Row:
    node: str | None
    vendor: str | None
    activity: str
    status: str
    weekdays: frozenset[int]
    first: np.datetime64 | None
    last: np.datetime64 | None

    @classmethod
    def of(cls, row: dict) -> _Row:
        first, last = row["date"], row["last_date"] or row["date"]
        dated = first is not None
        return cls(
            node=row["node_id"],
            vendor=row["vendor_id"],
            activity=row["activity"],
            status=row["status"],
            # Words that are no weekdays are told by the check of the table; other checks go on without them.
            weekdays=frozenset(WEEKDAYS.index(name) for name in weekday_names(row["weekdays"]) if name in WEEKDAYS),
            first=np.datetime64(first, "D") if dated else None,
            last=np.datetime64(last, "D") if dated else None,
        )

    def concerns(self, activity: str, node: str | None, vendor: str | None) -> bool:
        """Whether the row is about this: `taken` are the orders that a vendor takes, the others what a node does."""
        if self.node is not None and self.node != node:
            return False
        if activity == "taken":
            if self.vendor is None:
                # A row without names is a holiday of vendors as well.
                return self.node is None and self.activity in ("all", "orders")
            return self.vendor == vendor
        return self.vendor is None and self.activity in ("all", activity)

    def rank(self) -> tuple:
        """Later rows count before earlier ones: dated, with more names, shorter, open."""
        dated = self.first is not None
        span = 0 if self.first is None or self.last is None else int(np.busday_count(self.first, self.last, "1111111"))
        return dated, (self.node is not None) + (self.vendor is not None), -span, self.status != "closed"

    def covers(self, days: np.ndarray) -> np.ndarray:
        # Day 0 of the era was a Thursday.
        weekday = (days.astype(np.int64) + 3) % 7
        on = np.isin(weekday, list(self.weekdays)) if self.weekdays else np.ones(days.shape, bool)
        return on if self.first is None else on & (days >= self.first) & (days <= self.last)


def _open(rows: list[_Row], days: np.ndarray) -> np.ndarray:
    """Which days are open by the rows that concern one place, activity and vendor."""
    state = np.ones(days.shape, bool)
    only = [row for row in rows if row.status == "only"]
    if only:
        # Rows that name more replace those that name less.
        most = max(row.rank()[1] for row in only)
        state = np.logical_or.reduce([row.covers(days) for row in only if row.rank()[1] == most])
    for row in sorted((row for row in rows if row.status != "only"), key=_Row.rank):
        state[row.covers(days)] = row.status == "open"
    return state


def weekday_names(text: str) -> list[str]:
    """Names in a cell of weekdays, as they should be written: the first three letters of `Tues` or `Tuesday`."""
    words = [name.strip().lower() for name in text.split(";") if name.strip()]
    return [word[:3] if any(day.startswith(word) for day in _WHOLE_WEEKDAYS) else word for word in words]


_WHOLE_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def next_open(open_: Bool[np.ndarray, " periods *places"]) -> Int[np.ndarray, " periods *places"]:
    """Row of the first open period from each on; the number of rows where none is left."""
    rows = np.arange(open_.shape[0]).reshape(-1, *(1,) * (open_.ndim - 1))
    here = np.where(open_, rows, open_.shape[0])
    return np.minimum.accumulate(here[::-1], axis=0)[::-1]


def postponed(due: Bool[np.ndarray, " periods *#places"], open_: Bool[np.ndarray, " periods *places"]) -> np.ndarray:
    """Whether something is done in a period: it is due, or was due since it was done last, and it can be done."""
    done: np.ndarray = np.zeros(np.broadcast_shapes(due.shape, open_.shape), bool)
    waits = np.zeros(done.shape[1:], bool)
    for period in range(done.shape[0]):
        waits = waits | due[period]
        done[period] = waits & open_[period]
        waits = waits & ~open_[period]
    return done


def longest_pause(open_: Bool[np.ndarray, " periods *places"]) -> np.ndarray:
    """Most periods in a row in which a place is not open."""
    longest = run = np.zeros(open_.shape[1:], np.int64)
    for period in open_:
        run = np.where(period, 0, run + 1)
        longest = np.maximum(longest, run)
    return longest


def _every(done: Bool[np.ndarray, " periods"], every: int) -> Bool[np.ndarray, " periods"]:
    """Every so many of the periods in which something is done, from the first on."""
    kept = np.zeros_like(done)
    kept[np.flatnonzero(done)[::every]] = True
    return kept


@dataclass(frozen=True)
class Schedule:
    """When orders are made and goods received, with what waits for an open day.

    Attributes:
        offers: Whether a node orders from the vendors of a calendar `[periods, calendars, nodes]`.
        lanes: Whether a lane is asked, and ships `[periods, lanes]`.
        received: Period in which a node receives what is due in a period `[due_periods, nodes]`.
        open: The days behind it.
    """

    offers: Bool[np.ndarray, "periods calendars nodes"]
    lanes: Bool[np.ndarray, "periods lanes"]
    received: Int[np.ndarray, "due_periods nodes"]
    open: OpenDays


def schedule(
    calendar: pl.DataFrame,
    settings: InstanceSettings,
    nodes: pl.DataFrame,
    lanes: tuple[Int[np.ndarray, " lanes"], Int[np.ndarray, " lanes"]],
    periods: int,
    rhythm: Mapping[tuple[str, str], int] | None = None,
) -> Schedule | None:
    """When things are done from period 0 on; None where the table `calendar` is empty and there is no rhythm.

    Args:
        calendar: The table, checked.
        settings: When periods begin; the longest lead time is how far back orders that wait are looked for.
        nodes: The table of nodes, with their reviews.
        lanes: Positions of the nodes that each lane leaves and reaches.
        periods: Periods in which orders are made; receipts are known for the longest lead time twice over after them.
        rhythm: Reviews from one order to the next, by vendor and node; None: every review.
    """
    names, before = nodes["node_id"].to_list(), settings.lead_time_limit
    last, rhythm = periods + 2 * settings.lead_time_limit, rhythm or {}
    found = open_days(calendar, settings, names, last, before=before, own={vendor for vendor, _ in rhythm})
    if found is None:
        return None
    number = np.arange(-before, periods)[:, None]
    review = (number - nodes["review_offset"].to_numpy()) % nodes["review_period"].to_numpy() == 0
    rows = slice(0, before + periods)
    orders = found.orders[rows]
    due = np.repeat(review[:, None, :], found.taken.shape[1], axis=1)
    offers = postponed(due, orders[:, None, :] & found.taken[rows])[before:]
    # Today's order is decided on whenever it can be made: a plan whose first order came later would expect to be
    # without what its own orders of today bring.
    for (vendor, node), every in rhythm.items():
        at = found.calendars([vendor])[0], names.index(node)
        offers[:, *at] = _every(offers[:, *at], every)
    origin, target = lanes
    by_lane = postponed(review[:, target], orders[:, target] & found.shipments[rows][:, origin])
    return Schedule(offers, by_lane[before:], next_open(found.receipts[before:]), found)
