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
    """Goods of a node that the same capacities count: their classes (row of `Docks.member`), and these capacities."""

    node: int
    outbound: bool
    classes: np.ndarray
    rows: tuple[int, ...]


def build_docks(tables: Tables, ids: Ids, calendar: Calendar | None, dtype: type) -> Docks | None:
    """Queues at the docks; None where docks do not queue, or none has a capacity."""
    if tables.settings.docks != "queue":
        return None
    rows = dock_rows(tables)
    if not rows:
        return None
    queues = [queue for node in range(len(ids.nodes)) for kind in _KINDS for queue in _queues(rows, ids, node, kind)]
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
        member=jnp.asarray(np.stack([queue.classes for queue in queues]).astype(dtype)),
        capacity=capacity,
        shares=Shares(one, one),
    )


def dock_rows(tables: Tables) -> list[dict[str, Any]]:
    """The first row of every capacity of a dock, in the order of `Docks.capacity`."""
    first = tables.resources.unique("resource_id", keep="first", maintain_order=True)
    return [row for row in first.iter_rows(named=True) if row["kind"] in _KINDS]


def _queues(rows: list[dict[str, Any]], ids: Ids, node: int, kind: str) -> list[_Queue]:
    """The queues of a dock: one for every storage class that a capacity names, and one for all other goods."""
    own = [at for at, row in enumerate(rows) if row["kind"] == kind and row["node_id"] == ids.nodes[node]]
    named = sorted({ids.classes.index(c) for at in own if (c := rows[at]["storage_class"]) in ids.classes})
    found = []
    for number in [*named, None]:
        classes = np.zeros(len(ids.classes) + 1)
        classes[[at for at in range(len(ids.classes)) if at not in named] if number is None else [number]] = 1
        name = None if number is None else ids.classes[number]
        counted = tuple(at for at in own if rows[at]["storage_class"] in (None, name))
        if counted and classes.any():
            found.append(_Queue(node, kind == "outbound", classes, counted))
    return found


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
