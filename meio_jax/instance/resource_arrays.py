"""The table of shared capacities to the arrays of `Resources`."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from meio_jax.instance.convert import arrays
from meio_jax.instance.ids import Ids
from meio_jax.model.network import Network, NodeFloors
from meio_jax.model.resources import MEASURES, Resources
from meio_jax.tables import Tables
from meio_jax.tables.schema import FLOOR_KINDS, RESOURCE_KINDS

KINDS = RESOURCE_KINDS


def resource_kinds(tables: Tables, ids: Ids) -> np.ndarray:
    """Position in `KINDS` of every resource."""
    first = tables.resources.unique("resource_id", keep="first", maintain_order=True)
    return np.asarray([KINDS.index(kind) for kind in first["kind"].to_list()], int)


def _days(network: Network) -> np.ndarray:
    charged = np.zeros(network.buckets * network.bucket_periods)
    charged[: network.periods] = np.asarray(network.charged)
    return charged.reshape(network.buckets, network.bucket_periods).sum(1)


def capacities(tables: Tables, ids: Ids, network: Network) -> tuple[np.ndarray, np.ndarray]:
    """Capacity as a total per bucket, and whether the resource limits that bucket: `[buckets, resources]`.

    Storage is an average over days and flows are per day, so both are multiplied by the charged days of the bucket;
    spend is a total already and a floor is a share. A bucket that is all warm-up limits nothing.
    """
    days = _days(network)
    at = {name: index for index, name in enumerate(ids.resources)}
    capacity = np.zeros((network.buckets, len(ids.resources)))
    present = np.zeros(capacity.shape, bool)
    # Rows for every bucket first, so that a row for one bucket overrides them.
    rows = sorted(tables.resources.iter_rows(named=True), key=lambda row: row["bucket"] is not None)
    for row in rows:
        column = at[row["resource_id"]]
        buckets = range(network.buckets) if row["bucket"] is None else [row["bucket"]]
        for bucket in buckets:
            per_day = row["kind"] not in ("spend", *FLOOR_KINDS)
            capacity[bucket, column] = row["capacity"] * (days[bucket] if per_day else 1)
            present[bucket, column] = days[bucket] > 0
    return capacity, present


def _lookup(name: str | None, names: list[str]) -> list[int]:
    return list(range(len(names))) if name is None else [names.index(name)]


def build_resources(tables: Tables, ids: Ids, network: Network, dtype: type) -> Resources:
    """One row per resource id, over all buckets."""
    first = list(tables.resources.unique("resource_id", keep="first", maintain_order=True).iter_rows(named=True))
    count, nodes = len(first), network.nodes
    node_rows: dict[str, np.ndarray] = {
        kind: np.zeros((count, nodes), dtype) for kind in ("storage", "inbound", "outbound")
    }
    lane: np.ndarray = np.zeros((count, network.lanes), dtype)
    service: np.ndarray = np.zeros((count, network.speeds, network.region_groups), dtype)
    offer_rows, order_vendor, order_index = [], [], []
    for at, row in enumerate(first):
        where = _lookup(row["node_id"], ids.nodes)
        if row["kind"] in node_rows:
            node_rows[row["kind"]][at, where] = 1
        elif row["kind"] == "lane":
            lane[at, ids.lanes.index((row["node_id"], row["to_node"]))] = 1
        elif looks_at_nodes(row):
            continue
        elif row["kind"] == "service":
            speeds = _lookup(row["speed_id"], ids.speeds)
            groups = _lookup(row["region_group"], ids.groups)
            service[at][np.ix_(speeds, groups)] = 1
        else:
            offer_rows.append([float(node in where) for node in network.offer_node])
            order_vendor.append(-1 if row["vendor_id"] is None else ids.vendors.index(row["vendor_id"]))
            order_index.append(at)
    capacity, present = capacities(tables, ids, network)
    measure = ["units" if row["measure"] is None else row["measure"] for row in first]
    classes = [-1 if row["storage_class"] is None else _class(row["storage_class"], ids) for row in first]
    return Resources(
        **arrays(
            dtype,
            stock=node_rows["storage"],
            inbound=node_rows["inbound"],
            outbound=node_rows["outbound"],
            lane=lane,
            service=service,
            offer=np.asarray(offer_rows, dtype).reshape(len(offer_rows), network.offers),
            order_vendor=np.asarray(order_vendor, np.int32),
            measure=np.asarray([MEASURES.index(name) for name in measure], np.int32),
            storage_class=np.asarray(classes, np.int32),
            is_service=np.asarray([row["kind"] in FLOOR_KINDS for row in first], bool),
            capacity=capacity.astype(dtype),
            present=present,
            order_index=tuple(order_index),
            floor_index=tuple(at for _, at, _ in node_floor_rows(tables)),
        ),
        held_index=tuple(at for at, row in enumerate(first) if row["held_in"] is not None),
        held_share=tuple(row["held_in"] for row in first if row["held_in"] is not None),
        item_class=_class_of_rows(tables, first),
    )


def _class(name: str, ids: Ids) -> int:
    """Position of a storage class; a class that no item has gets a number that no item has."""
    return ids.classes.index(name) if name in ids.classes else len(ids.classes)


def looks_at_nodes(row: dict[str, Any]) -> bool:
    """Whether a floor counts what single nodes ship or hold."""
    return row["kind"] == "in_stock" or (row["kind"] == "service" and row["node_group"] is not None)


def node_floor_rows(tables: Tables) -> list[tuple[bool, int, dict[str, Any]]]:
    """Floors that look at nodes: whether of stock, position among the resources, and row; fill rates first."""
    rows = tables.resources.unique("resource_id", keep="first", maintain_order=True).iter_rows(named=True)
    found = [(row["kind"] == "in_stock", at, row) for at, row in enumerate(rows) if looks_at_nodes(row)]
    return sorted(found, key=lambda one: one[:2])


def build_node_floors(tables: Tables, ids: Ids, dtype: type) -> NodeFloors | None:
    """The floors that look at nodes as arrays; None where there are none."""
    rows = node_floor_rows(tables)
    if not rows:
        return None
    groups, speeds = tables.nodes["node_group"].to_list(), range(len(ids.speeds))
    regions = tables.regions["region_group"].to_list()

    def nodes_of(row: dict[str, Any]) -> list[bool]:
        return [row["node_group"] in (None, group) for group in groups]

    def demand_of(row: dict[str, Any]) -> list[list[bool]]:
        inside = [row["region_group"] in (None, group) for group in regions]
        return [[row["speed_id"] in (None, ids.speeds[s]) and one for one in inside] for s in speeds]

    fills = [row for stock, _, row in rows if not stock]
    stocks = [row for stock, _, row in rows if stock]
    shape = (len(fills), len(ids.speeds), len(ids.regions))
    return NodeFloors(
        **arrays(
            dtype,
            fill_nodes=np.asarray([nodes_of(row) for row in fills], dtype).reshape(len(fills), len(ids.nodes)),
            fill_scope=np.asarray([demand_of(row) for row in fills], dtype).reshape(shape),
            stock_nodes=np.asarray([nodes_of(row) for row in stocks], dtype).reshape(len(stocks), len(ids.nodes)),
        )
    )


def named_classes(tables: Tables) -> list[str]:
    """Classes of items that floors name."""
    return tables.resources["item_class"].drop_nulls().unique().sort().to_list()


def item_classes(tables: Tables) -> np.ndarray | None:
    """Number of every item's class among those that floors name, -1 of another class; None where none is named."""
    names = named_classes(tables)
    if not names:
        return None
    place = {name: at for at, name in enumerate(names)}
    return np.asarray([place.get(name, -1) for name in tables.items["item_class"].to_list()], np.int32)


def _class_of_rows(tables: Tables, rows: list[dict[str, Any]]) -> Array | None:
    """Number of the class of items that each resource counts, -1 for all; None where none is named."""
    place = {name: at for at, name in enumerate(named_classes(tables))}
    if not place:
        return None
    return jnp.asarray([place.get(row["item_class"], -1) for row in rows], jnp.int32)
