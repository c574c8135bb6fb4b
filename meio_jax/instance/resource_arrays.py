"""The table of shared capacities to the arrays of `Resources`."""

from __future__ import annotations

import numpy as np

from meio_jax.instance.convert import arrays
from meio_jax.instance.ids import Ids
from meio_jax.model.network import Network
from meio_jax.model.resources import MEASURES, Resources
from meio_jax.tables import Tables

KINDS = ("storage", "inbound", "outbound", "lane", "vendor", "spend", "service")


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
    spend is a total already and a service floor is a share. A bucket that is all warm-up limits nothing.
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
            per_day = row["kind"] not in ("spend", "service")
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
            is_service=np.asarray([row["kind"] == "service" for row in first], bool),
            capacity=capacity.astype(dtype),
            present=present,
            order_index=tuple(order_index),
        )
    )


def _class(name: str, ids: Ids) -> int:
    """Position of a storage class; a class that no item has gets a number that no item has."""
    return ids.classes.index(name) if name in ids.classes else len(ids.classes)
