"""Days on which orders and shipments are made, and on which their goods arrive, as the calendar has them."""

from __future__ import annotations

import datetime

import numpy as np
from jaxtyping import Int, Shaped

from meio_jax.instance import Instance
from meio_jax.model.network import Calendar


def first_day(instance: Instance) -> int:
    """Period of the first decision: -1 is the evening before period 0."""
    return -1 if instance.network.evening else 0


def arrival_periods(
    instance: Instance,
    placed: Int[np.ndarray, " rows"],
    leads: Shaped[np.ndarray, " rows"],
    nodes: Int[np.ndarray, " rows"],
) -> Int[np.ndarray, " rows"]:
    """Periods in which nodes receive what was ordered or shipped in these, with these mean lead times."""
    due = placed + np.maximum(np.rint(leads), 1).astype(int)
    calendar = instance.network.calendar
    if calendar is None:
        return due
    received = np.asarray(calendar.received)
    return received[np.minimum(due, received.shape[0] - 1), nodes]


def dates(instance: Instance, periods: Int[np.ndarray, " rows"]) -> list[datetime.date]:
    """First day of each period."""
    settings = instance.tables.settings
    known = {int(period): settings.date_of(int(period)) for period in np.unique(periods)}
    return [known[int(period)] for period in periods]


def order_dates(
    instance: Instance, leads: Shaped[np.ndarray, " rows"], nodes: Int[np.ndarray, " rows"]
) -> tuple[datetime.date, list[datetime.date]]:
    """The day on which orders of now are placed, and the days on which those of these lead times reach these nodes."""
    first = first_day(instance)
    due = arrival_periods(instance, np.full(len(leads), first), leads, nodes)
    return instance.tables.settings.date_of(first), dates(instance, due)


def order_days(
    instance: Instance,
    mean: Int[np.ndarray, " rows"],
    bucket: Int[np.ndarray, " rows"],
    sources: tuple[Int[np.ndarray, " rows"], Int[np.ndarray, " rows"] | None],
) -> Int[np.ndarray, " rows"]:
    """Mean days of decisions as days on which there are such decisions: the nearest of the bucket.

    Args:
        instance: The instance.
        mean: Mean period of the decisions of each row.
        bucket: Bucket of each row.
        sources: Offer slot and vendor of each row; or lane, and None.
    """
    calendar, network = instance.network.calendar, instance.network
    if calendar is None:
        return mean
    source, vendor = sources
    number = np.zeros(len(source), int) if vendor is None else np.asarray(calendar.of_vendor)[vendor]
    found = mean.copy()
    for of, at in np.unique(np.stack([number, source], axis=1), axis=0):
        mine = (number == of) & (source == at)
        days = np.flatnonzero(_open(calendar, int(of), int(at), lane=vendor is None)[: network.periods])
        for own in np.unique(bucket[mine]):
            there = days[days // network.bucket_periods == own]
            rows = mine & (bucket == own) & (mean >= 0)
            if there.size:
                found[rows] = there[np.abs(there[:, None] - mean[rows][None]).argmin(0)]
    return found


def _open(calendar: Calendar, number: int, source: int, *, lane: bool) -> np.ndarray:
    return np.asarray(calendar.lane)[:, source] if lane else np.asarray(calendar.offer)[:, number, source]
