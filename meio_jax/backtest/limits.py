"""Shared capacities: what one unit of an item uses of each, how much is left, and what a day used.

Storage, inbound and outbound can be enforced; the other kinds are measured.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from meio_jax.backtest.compiled import inlined
from meio_jax.backtest.floors import Floors
from meio_jax.backtest.lookup import compressed, frame, numbers, optional_rows, texts
from meio_jax.backtest.supply import vendor_ids

STORAGE, INBOUND, OUTBOUND = 0, 1, 2
ENFORCED = ("storage", "inbound", "outbound")
MEASURES = ("units", "m3", "kg", "money", "pallets", "hours", "lines")
LINES = MEASURES.index("lines")


class Limits(NamedTuple):
    """Resources as arrays; `member[start[kind * nodes + node]:...]` are the enforceable ones of a node.

    `weight` is `[measures, items]` (what a unit counts; of order lines, those of customers), `measure`,
    `storage_class` (-1: all) and `kind` are `[resources]`, `capacity` is `[resources, buckets]` (inf: no limit in that
    bucket), `floors` are those of an item class or of nodes.
    """

    start: np.ndarray
    member: np.ndarray
    measure: np.ndarray
    storage_class: np.ndarray
    kind: np.ndarray
    weight: np.ndarray
    capacity: np.ndarray
    nodes: int
    floors: Floors


class Used(NamedTuple):
    """What is in use: `room` is the limit of the present day or bucket, `window` what counts against it,
    `today` the flow (or level) of the day; all `[resources]`. A measured resource has infinite room.
    `received [items, nodes]` says what was received today already: a further part of it is no further line
    (empty where no dock counts lines)."""

    room: np.ndarray
    window: np.ndarray
    today: np.ndarray
    received: np.ndarray


def unused(limits: Limits) -> Used:
    """Nothing in use of any capacity."""
    resources = len(limits.kind)
    counted = bool(((limits.kind == INBOUND) & (limits.measure == LINES)).any())
    shape = (limits.weight.shape[1], limits.nodes) if counted else (0, 0)
    return Used(np.full(resources, np.inf), np.zeros(resources), np.zeros(resources), np.zeros(shape, np.bool_))


@inlined
def _is_dock_line(limits, r):
    return limits.measure[r] == LINES and limits.kind[r] == INBOUND


@inlined
def units_that_fit(limits, used, item_class, item, where, units):
    """Units of an item, at most `units`, for which every resource of `where` has room.

    `where` is kind x nodes + node.
    """
    for k in range(limits.start[where], limits.start[where + 1]):
        r = limits.member[k]
        if limits.storage_class[r] != -1 and limits.storage_class[r] != item_class:
            continue
        weight = limits.weight[limits.measure[r], item]
        free = used.room[r] - used.window[r]
        if _is_dock_line(limits, r):
            if free < 1.0 and not used.received[item, where - INBOUND * limits.nodes]:
                units = 0
            continue
        if weight > 0.0 and free < weight * units:
            units = max(int(free / weight + 1e-9), 0)
    return units


@inlined
def use(limits, used, item_class, item, where, units):
    """Count units (negative: give back) against every resource of `where`."""
    for k in range(limits.start[where], limits.start[where + 1]):
        r = limits.member[k]
        if limits.storage_class[r] == -1 or limits.storage_class[r] == item_class:
            amount = limits.weight[limits.measure[r], item] * units
            if _is_dock_line(limits, r):
                amount = 0.0 if used.received[item, where - INBOUND * limits.nodes] else 1.0
            used.window[r] += amount
            used.today[r] += amount
    node = where - INBOUND * limits.nodes
    if used.received.shape[0] > 0 and 0 <= node < limits.nodes:
        used.received[item, node] = True


def read_limits(
    tables, catalog, names: tuple[list[str], list[str], list[str], list[str]], floors: Floors
) -> tuple[Limits, pl.DataFrame]:
    """Resources of an instance, and one row per resource: id, kind, measure indices of what it covers.

    `names` are those of nodes, speeds, storage classes and region groups.
    """
    nodes, speeds, classes, groups = names
    settings = tables.settings
    table = frame(tables, "resources")
    buckets = -(-settings.periods // settings.bucket_periods)
    one = np.ones_like(catalog.volume)
    weight = np.stack([one, catalog.volume, catalog.weight, catalog.unit_cost, *catalog.sizes])
    if not table.height:
        table = pl.DataFrame({"resource_id": [], "kind": []}, schema={"resource_id": pl.String, "kind": pl.String})
    ids = list(dict.fromkeys(table["resource_id"].to_list()))
    position = {name: k for k, name in enumerate(ids)}
    row = np.array([position[name] for name in table["resource_id"].to_list()], np.int64)
    capacity = _capacities(table, row, len(ids), buckets)
    first = table.unique("resource_id", keep="first", maintain_order=True)
    kind = texts(first, "kind")
    default = {"spend": "money"}
    measure = [text or default.get(k, "units") for text, k in zip(texts(first, "measure"), kind, strict=True)]
    cover = {
        "node": _cover(first, "node_id", nodes),
        "to_node": _cover(first, "to_node", nodes),
        "storage_class": _cover(first, "storage_class", classes),
        "region_group": _cover(first, "region_group", groups),
        "speed": _cover(first, "speed_id", speeds),
        "vendor": _cover(first, "vendor_id", vendor_ids(tables)),
    }
    code = np.array([ENFORCED.index(k) if k in ENFORCED else -1 for k in kind], np.int64)
    held = np.flatnonzero(code >= 0)
    start, order = compressed(code[held] * len(nodes) + cover["node"][held], 3 * len(nodes))
    limits = Limits(
        start=start,
        member=held[order],
        measure=np.array([MEASURES.index(text) for text in measure], np.int64),
        storage_class=cover["storage_class"],
        kind=code,
        weight=np.ascontiguousarray(weight),
        capacity=capacity,
        nodes=len(nodes),
        floors=floors,
    )
    described = pl.DataFrame(
        {"resource_id": ids, "kind": kind, "measure": measure},
        schema={"resource_id": pl.String, "kind": pl.String, "measure": pl.String},
    )
    return limits, described.with_columns(pl.Series(name, values) for name, values in cover.items())


def _cover(table: pl.DataFrame, name: str, ids: list[str]) -> np.ndarray:
    """Positions of a scope column; -1: everything, -2: nothing (a class, say, that no item has)."""
    if name not in table.columns:
        return np.full(table.height, -1, np.int64)
    known = (table[name].is_in(ids) | table[name].is_null() | (table[name] == "")).fill_null(True)
    out = np.full(table.height, -2, np.int64)
    out[known.to_numpy()] = optional_rows(table[name].filter(known), ids)
    return out


def _capacities(table: pl.DataFrame, row: np.ndarray, resources: int, buckets: int) -> np.ndarray:
    """`[resources, buckets]`; a row without bucket holds for every bucket that has no row of its own."""
    capacity = np.full((resources, buckets), np.nan)
    if not table.height:
        return capacity
    value = numbers(table, "capacity")
    bucket = numbers(table, "bucket", -1.0).astype(np.int64)
    everywhere = bucket < 0
    capacity[row[everywhere]] = value[everywhere][:, None]
    own = (bucket >= 0) & (bucket < buckets)
    capacity[row[own], bucket[own]] = value[own]
    return np.where(np.isnan(capacity), np.inf, capacity)
