"""Capacities of docks to the arrays of `Docks`, where what exceeds them waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from meio_jax.instance.ids import Ids
from meio_jax.model.network import Calendar
from meio_jax.model.queues import Docks, Shares
from meio_jax.model.resources import MEASURES
from meio_jax.tables import Tables

_KINDS = ("inbound", "outbound")
_UNITS, _LINES = MEASURES.index("units"), MEASURES.index("lines")


@dataclass(frozen=True)
class _Queue:
    """Goods at a dock, and the capacities that count them."""

    node: int
    outbound: bool
    rows: tuple[int, ...]


def build_docks(tables: Tables, ids: Ids, calendar: Calendar | None, dtype: type) -> Docks | None:
    """Queues at the docks; None where docks do not queue, or none has a capacity."""
    if tables.settings.docks != "queue":
        return None
    rows = dock_rows(tables)
    if not rows:
        return None
    docks = [(node, kind, _capacities(rows, ids, node, kind)) for node in range(len(ids.nodes)) for kind in _KINDS]
    queues = [_Queue(node, kind == "outbound", own) for node, kind, own in docks if own]
    loads = [(at, row) for at, queue in enumerate(queues) for row in (-1, *queue.rows)]
    measures = [_UNITS if row < 0 else MEASURES.index(rows[row]["measure"] or "units") for _, row in loads]
    capacity = jnp.asarray(_by_day(tables, rows, ids, calendar).astype(dtype))
    one = jnp.ones((capacity.shape[0], len(queues), 1), capacity.dtype)
    return Docks(
        node=tuple(queue.node for queue in queues),
        outbound=tuple(queue.outbound for queue in queues),
        load_queue=tuple(at for at, _ in loads),
        load_row=tuple(row for _, row in loads),
        measure=tuple(measures),
        lines=tuple(m == _LINES and not queues[at].outbound for m, (at, _) in zip(measures, loads, strict=True)),
        capacity=capacity,
        shares=Shares(one, one),
    )


def dock_rows(tables: Tables) -> list[dict[str, Any]]:
    """The first row of every capacity of a dock, in the order of `Docks.capacity`."""
    first = tables.resources.unique("resource_id", keep="first", maintain_order=True)
    return [row for row in first.iter_rows(named=True) if row["kind"] in _KINDS]


def _capacities(rows: list[dict[str, Any]], ids: Ids, node: int, kind: str) -> tuple[int, ...]:
    """Positions of the capacities of a dock."""
    return tuple(at for at, row in enumerate(rows) if row["kind"] == kind and row["node_id"] == ids.nodes[node])


def _by_day(tables: Tables, rows: list[dict[str, Any]], ids: Ids, calendar: Calendar | None) -> np.ndarray:
    """What every capacity takes in every period of the horizon, `[periods, rows]`.

    Capacities are per period: every period of a bucket has that of the bucket, the whole of it if the dock is open.
    """
    settings = tables.settings
    bucket = np.arange(settings.periods) // settings.bucket_periods
    at = {row["resource_id"]: number for number, row in enumerate(rows)}
    table = np.full((settings.buckets, len(rows)), np.inf)
    # Rows for every bucket first, so that a row for one bucket overrides them.
    for row in sorted(tables.resources.iter_rows(named=True), key=lambda one: one["bucket"] is not None):
        if row["resource_id"] in at:
            table[slice(None) if row["bucket"] is None else row["bucket"], at[row["resource_id"]]] = row["capacity"]
    capacity = table[bucket]
    if calendar is not None:
        received = np.asarray(calendar.received)[: settings.periods]
        closed = received > np.arange(settings.periods)[:, None]
        for number, row in enumerate(rows):
            if row["kind"] == "inbound":
                capacity[closed[:, ids.nodes.index(row["node_id"])], number] = 0
    return capacity
