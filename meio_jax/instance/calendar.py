"""The table `calendar` in arrays, and what depends on it: when goods under way arrive, and how long orders may wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from meio_jax.instance.convert import arrays, positions
from meio_jax.instance.vendor_rhythm import Rhythm, slow_pairs
from meio_jax.model.network import Calendar
from meio_jax.tables import Tables
from meio_jax.tables.open_days import Schedule, longest_pause, schedule


def schedule_of(tables: Tables, periods: int, rhythms: Sequence[Rhythm] = ()) -> Schedule | None:
    """When orders are made and goods received from period 0 on; None where the instance has no calendar, and orders no
    rhythm."""
    nodes = tables.nodes["node_id"].to_list()
    lanes = positions(tables.lanes["from_node"], nodes), positions(tables.lanes["to_node"], nodes)
    return schedule(tables.calendar, tables.settings, tables.nodes, lanes, periods, slow_pairs(rhythms))


def build_calendar(
    tables: Tables,
    vendors: list[str],
    offer_node: tuple[int, ...],
    horizon: int,
    dtype: Any,
    rhythms: Sequence[Rhythm] = (),
) -> Calendar | None:
    """The calendar of a network with these vendors and offer slots, whose simulation takes `horizon` periods."""
    found = schedule_of(tables, horizon, rhythms)
    if found is None:
        return None
    return Calendar(
        **arrays(
            dtype,
            offer=found.offers[:, :, list(offer_node)],
            lane=found.lanes,
            received=found.received,
            of_vendor=found.open.calendars(vendors) if vendors else np.zeros(1, np.int64),
        )
    )


def goods_under_way(tables: Tables) -> pl.DataFrame:
    """The table `on_order` with the periods in which the nodes receive: the first from `period_due` on, as they are
    open."""
    table, found = tables.on_order, schedule_of(tables, tables.settings.periods)
    if found is None or table.is_empty():
        return table
    node = positions(table["node_id"], tables.nodes["node_id"].to_list())
    due = table["period_due"].to_numpy()
    known = found.received.shape[0]
    arrives = np.where(due < known, found.received[np.minimum(due, known - 1), node], due)
    return table.with_columns(pl.Series("period_due", arrives, dtype=table.schema["period_due"]))


def longest_waits(tables: Tables) -> pl.DataFrame:
    """Most periods that an order of a node, and goods that are due there, wait: `node_id, order_wait, receipt_wait`."""
    nodes = tables.nodes["node_id"]
    found = schedule_of(tables, tables.settings.periods)
    none: np.ndarray = np.zeros(len(nodes), np.int64)
    order, receipt = none, none
    if found is not None:
        days = found.open
        order = np.maximum(longest_pause(days.orders[:, None, :] & days.taken).max(axis=0), longest_pause(days.orders))
        lanes = [positions(tables.lanes[name], nodes.to_list()) for name in ("from_node", "to_node")]
        if lanes[0].size:
            paused = longest_pause(days.orders[:, lanes[1]] & days.shipments[:, lanes[0]])
            order = order.copy()
            np.maximum.at(order, lanes[1], paused)
        receipt = longest_pause(days.receipts)
    return pl.DataFrame({"node_id": nodes, "order_wait": order, "receipt_wait": receipt})
