"""Floors of an item class or of a group of nodes: what an order, and the stock of an evening, count for them."""

from typing import NamedTuple

import numpy as np
import polars as pl

from meio_jax.backtest.compiled import inlined
from meio_jax.backtest.lookup import frame, texts
from meio_jax.backtest.supply import Supply, days_bought


class Floors(NamedTuple):
    """Floors that name a class or nodes; other service floors follow from `Books.service`.

    `row [floors]` is the resource of each, `stock [floors]` 1 where it counts stock and 0 where it counts demand,
    `item_class`, `group` and `speed` `[floors]` its scope (-1: all), `node [floors, nodes]` 1 for nodes that count.
    `class_of [items]` and `group_of [regions]` are numbers of classes and groups; `pair [items, nodes]` is 1 where the
    node may order the item and somebody supplies it, until day `until [items]`.
    """

    row: np.ndarray
    stock: np.ndarray
    item_class: np.ndarray
    group: np.ndarray
    speed: np.ndarray
    node: np.ndarray
    class_of: np.ndarray
    group_of: np.ndarray
    pair: np.ndarray
    until: np.ndarray


@inlined
def count_demand(floors, books, ask, node, units, bucket):
    """Book demand (`node` -1) or what a node ships of it as promised, for every floor that counts it.

    `ask` is (item, region, speed, hour).
    """
    item, region, speed, _hour = ask
    for f in range(len(floors.row)):
        if floors.stock[f] == 1:
            continue
        if floors.item_class[f] != -1 and floors.item_class[f] != floors.class_of[item]:
            continue
        if floors.group[f] != -1 and floors.group[f] != floors.group_of[region]:
            continue
        if floors.speed[f] != -1 and floors.speed[f] != speed:
            continue
        if node < 0:
            books.floor[f, bucket, 0] += units
        elif floors.node[f, node] == 1:
            books.floor[f, bucket, 1] += units


@inlined
def count_stock(floors, books, on_hand, clock):
    """Book which pairs of item and node have a unit at the end of a charged day."""
    for f in range(len(floors.row)):
        if floors.stock[f] == 0 or not clock.charged:
            continue
        for i in range(on_hand.shape[0]):
            if floors.item_class[f] != -1 and floors.item_class[f] != floors.class_of[i]:
                continue
            if clock.day >= floors.until[i]:
                continue
            for n in range(on_hand.shape[1]):
                if floors.node[f, n] == 1 and floors.pair[i, n] == 1:
                    books.floor[f, clock.bucket, 0] += 1
                    books.floor[f, clock.bucket, 1] += 1 if on_hand[i, n] >= 1 else 0


def read_floors(tables, speeds: list[str], accepted: np.ndarray, supply: Supply) -> Floors:
    """Floors of an instance that name a class or nodes.

    Args:
        tables: The tables.
        speeds: Ids of the speeds.
        accepted: `[items, nodes]` whether the node accepts the item.
        supply: Sources of supply; what an assortment leaves out is not among them.
    """
    classes = texts(frame(tables, "items"), "item_class", "all")
    groups = texts(frame(tables, "nodes"), "node_group", "all")
    regions = texts(frame(tables, "regions"), "region_group", "all")
    table = frame(tables, "resources")
    if table.height:
        table = table.unique("resource_id", keep="first", maintain_order=True)
    own = [number for number in range(table.height) if _looks_closer(table, number)]
    table = table[own] if own else table.clear()
    names, places, sides = sorted(set(classes)), sorted(set(groups)), sorted(set(regions))
    chosen = _scope(table, "node_group", places)
    place_of = np.array([places.index(group) for group in groups], np.int64)
    node = (chosen[:, None] == -1) | (chosen[:, None] == place_of[None, :])
    return Floors(
        row=np.array(own, np.int64),
        stock=np.array([kind == "in_stock" for kind in texts(table, "kind")], np.int64),
        item_class=_scope(table, "item_class", names),
        group=_scope(table, "region_group", sides),
        speed=_scope(table, "speed_id", speeds),
        node=node.astype(np.int64).reshape(len(own), len(groups)),
        class_of=np.array([names.index(name) for name in classes], np.int64),
        group_of=np.array([sides.index(name) for name in regions], np.int64),
        pair=_pairs(accepted, supply).astype(np.int64),
        until=days_bought(tables),
    )


def _looks_closer(table: pl.DataFrame, number: int) -> bool:
    row = table.row(number, named=True)
    named = any(row.get(name) not in (None, "") for name in ("item_class", "node_group"))
    return row["kind"] == "in_stock" or (row["kind"] == "service" and named)


def _scope(table: pl.DataFrame, name: str, ids: list[str]) -> np.ndarray:
    """Positions of a scope column, -1 where it is empty; -2 for a name that nothing has."""
    if name not in table.columns:
        return np.full(table.height, -1, np.int64)
    found = [None if text in (None, "") else text for text in table[name].to_list()]
    return np.array([-1 if text is None else ids.index(text) if text in ids else -2 for text in found], np.int64)


def _pairs(accepted: np.ndarray, supply: Supply) -> np.ndarray:
    """`[items, nodes]`: the node accepts the item, and has an offer or an open lane for it."""
    sourced = np.zeros(accepted.shape, bool)
    owner = np.repeat(np.arange(len(accepted)), np.diff(supply.offer_start))
    sourced[owner, supply.offer_node] = True
    item, lane = np.nonzero(supply.open)
    sourced[item, supply.lane_to[lane]] = True
    return sourced & accepted
