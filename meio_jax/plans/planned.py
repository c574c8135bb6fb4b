"""What a plan expects to order and ship, by bucket and by day: `plan/planned_orders`, `planned_transfers`, `calendar`.

Figures are those of the certificate: means over the same holdout scenarios, without the tail, of the charged periods.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from meio_jax.certify.holdout import Holdout
from meio_jax.certify.order_times import OrderTimes
from meio_jax.instance import Instance
from meio_jax.plans.dates import arrival_periods, dates, first_day, order_days
from meio_jax.plans.decisions import joined
from meio_jax.plans.order_prices import usual_prices
from meio_jax.plans.policy_tables import KEPT_ABOVE

# An order is expected from the day on by which the chance of one, summed over items, comes to this.
_EXPECTED = 0.5


def planned_frames(instance: Instance, holdout: Holdout, *, daily: bool = False) -> Iterator[tuple[str, pl.DataFrame]]:
    """Expected orders and transfers of every bucket, and of all items together by day.

    Args:
        instance: The instance that was planned.
        holdout: Results on holdout scenarios; nothing is given where they do not say when items are ordered.
        daily: Whether the orders of every day are given as well.
    """
    if holdout.times is None:
        return
    yield "plan/planned_orders", _orders(instance, _rows(instance, holdout, holdout.times, vendors=True))
    yield "plan/planned_transfers", _transfers(instance, _rows(instance, holdout, holdout.times, vendors=False))
    yield "plan/calendar", _calendar(instance, holdout.times)
    if daily:
        yield "plan/planned_days", _days(instance, holdout.times)


@dataclass(frozen=True)
class _Rows:
    """Rows of a table: bucket, source (offer slot or lane) and item, with units, quantiles and date of the decision."""

    bucket: np.ndarray
    source: np.ndarray
    item: np.ndarray
    units: np.ndarray
    low: np.ndarray
    high: np.ndarray
    period: np.ndarray


def _rows(instance: Instance, holdout: Holdout, times: OrderTimes, *, vendors: bool) -> _Rows:
    offers = instance.network.offers
    own = slice(None, offers) if vendors else slice(offers, None)
    units = joined(instance, holdout.items.by_bucket)[:, own]
    low, high = (joined(instance, leaf)[:, own] for leaf in (times.low, times.high))
    at = bucket, source, item = np.nonzero(units > KEPT_ABOVE)
    mean_day = _mean_days(instance, joined(instance, times.daily)[:, own])
    mean, least, most = (leaf[at].astype(float) for leaf in (units, low, high))
    vendor = joined(instance, instance.catalog.block.offer_vendor).astype(int)[source, item] if vendors else None
    period = order_days(instance, mean_day[at], bucket, (source, vendor))
    return _Rows(bucket, source, item, mean, least, most, period)


def _mean_days(instance: Instance, daily: np.ndarray) -> np.ndarray:
    """Period of the decision, averaged over the units of each bucket: `[days, ...] -> [buckets, ...]`."""
    network, first = instance.network, first_day(instance)
    period = first + np.arange(daily.shape[0])
    bucket = np.maximum(period, 0) // network.bucket_periods
    found = np.zeros((network.buckets, *daily.shape[1:]))
    for number in range(network.buckets):
        # A solve that failed has levels that are no numbers, and so orders that are none.
        own = np.nan_to_num(daily[bucket == number].astype(float), posinf=0.0, neginf=0.0)
        total = own.sum(0)
        moment = np.tensordot(period[bucket == number].astype(float), own, axes=1)
        middle = float(period[bucket == number].mean())
        found[number] = np.where(total > 0, moment / np.where(total > 0, total, 1), middle)
    # Halves, which rounding errors would send either way, go down.
    return np.floor(found + 0.499).astype(int)


def _dates(instance: Instance, period: np.ndarray, lead: np.ndarray, node: np.ndarray) -> tuple[list, list]:
    """Days of decisions, and days on which their goods arrive."""
    return dates(instance, period), dates(instance, arrival_periods(instance, period, lead, node))


def _orders(instance: Instance, rows: _Rows) -> pl.DataFrame:
    network, ids, block = instance.network, instance.ids, instance.catalog.block
    at = (rows.source, rows.item)
    price, freight = usual_prices(instance)[at], joined(instance, block.offer_freight)[at]
    vendor = joined(instance, block.offer_vendor).astype(int)[at]
    node = np.asarray(network.offer_node, int)[rows.source]
    placed, due = _dates(instance, rows.period, joined(instance, block.offer_lead)[at], node)
    return pl.DataFrame(
        {
            "item_id": np.asarray(instance.items)[rows.item],
            "vendor_id": pl.Series([ids.vendors[number] for number in vendor], dtype=pl.String),
            "node_id": np.asarray(ids.nodes)[node],
            "bucket": rows.bucket,
            "units": rows.units,
            "units_p10": rows.low,
            "units_p90": rows.high,
            "unit_cost": price.astype(float),
            "cost": price * rows.units,
            "freight": freight * rows.units,
            "order_date": pl.Series(placed, dtype=pl.Date),
            "due_date": pl.Series(due, dtype=pl.Date),
        }
    ).sort("item_id", "vendor_id", "node_id", "bucket")


def _transfers(instance: Instance, rows: _Rows) -> pl.DataFrame:
    network = instance.network
    nodes, weight = np.asarray(instance.ids.nodes), instance.tables.items["weight_kg"].to_numpy()
    lane_cost = np.asarray(network.lane_cost_unit, float)[rows.source]
    lane_cost = lane_cost + np.asarray(network.lane_cost_kg, float)[rows.source] * weight[rows.item]
    target = np.asarray(network.lane_to, int)[rows.source]
    placed, due = _dates(instance, rows.period, np.asarray(network.lane_lead)[rows.source], target)
    return pl.DataFrame(
        {
            "item_id": np.asarray(instance.items)[rows.item],
            "from_node": nodes[np.asarray(network.lane_from, int)[rows.source]],
            "to_node": nodes[np.asarray(network.lane_to, int)[rows.source]],
            "bucket": rows.bucket,
            "units": rows.units,
            "units_p10": rows.low,
            "units_p90": rows.high,
            "unit_cost": lane_cost,
            "cost": lane_cost * rows.units,
            "ship_date": pl.Series(placed, dtype=pl.Date),
            "due_date": pl.Series(due, dtype=pl.Date),
        }
    ).sort("item_id", "from_node", "to_node", "bucket")


def _days(instance: Instance, times: OrderTimes) -> pl.DataFrame:
    """Expected orders of every day of the horizon by item, vendor and node."""
    network, ids, block = instance.network, instance.ids, instance.catalog.block
    units = joined(instance, times.daily)[:, : network.offers].astype(float)
    day, source, item = np.nonzero(units > KEPT_ABOVE)
    vendor = joined(instance, block.offer_vendor).astype(int)[source, item]
    node = np.asarray(network.offer_node, int)[source]
    lead = joined(instance, block.offer_lead)[source, item]
    placed, due = _dates(instance, day + first_day(instance), lead, node)
    return pl.DataFrame(
        {
            "item_id": np.asarray(instance.items)[item],
            "vendor_id": pl.Series([ids.vendors[number] for number in vendor], dtype=pl.String),
            "node_id": np.asarray(ids.nodes)[node],
            "units": units[day, source, item],
            "order_date": pl.Series(placed, dtype=pl.Date),
            "due_date": pl.Series(due, dtype=pl.Date),
        }
    ).sort("item_id", "vendor_id", "node_id", "order_date")


def _calendar(instance: Instance, times: OrderTimes) -> pl.DataFrame:
    offers, first = instance.network.offers, first_day(instance)
    daily, lines = joined(instance, times.daily).astype(float), joined(instance, times.lines).astype(float)
    cost = usual_prices(instance)
    dates = [instance.tables.settings.date_of(first + at) for at in range(daily.shape[0])]
    return pl.DataFrame(
        {
            "date": pl.Series(dates, dtype=pl.Date),
            "order_items": lines.sum(1),
            "order_units": daily[:, :offers].sum((1, 2)),
            "order_cost": (daily[:, :offers] * cost).sum((1, 2)),
            "transfer_units": daily[:, offers:].sum((1, 2)),
        }
    )


@dataclass(frozen=True)
class NextOrder:
    """The first day after today by which an order is expected, with the items and units expected on it."""

    date: datetime.date
    items: float
    units: float


def says_when(calendar: pl.DataFrame) -> bool:
    """Whether a calendar has numbers: that of a solve that failed has none."""
    return bool(calendar["order_items"].is_finite().all() and calendar["order_units"].is_finite().all())


def next_order(calendar: pl.DataFrame) -> NextOrder | None:
    """When the next order after today's is expected; None: not before the horizon ends.

    Args:
        calendar: The table `plan/calendar`.
    """
    later = calendar.sort("date").slice(1)
    there = later.filter(pl.col("order_items").cum_sum() >= _EXPECTED).head(1)
    if not there.height:
        return None
    row = there.row(0, named=True)
    return NextOrder(row["date"], row["order_items"], row["order_units"])
