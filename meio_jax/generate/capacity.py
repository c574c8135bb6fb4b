"""Capacities of shared resources, as a share of what a sensible plan would use."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from meio_jax.generate.items import Items
from meio_jax.generate.shares import Profiles
from meio_jax.generate.supply import Network

START_ROOM = 1.05  # storage is never below the starting stock times this
ARRIVAL_ROOM = 1.15  # docks can take what is already under way times this: no plan could turn it back
BIG_VENDORS = 5
IDLE_SHARE = 0.15  # least capacity of a node that a sensible plan hardly uses, of a typical node's
FLOOR_GROUPS = 4  # region groups with a floor of their own
SERVICE_FLOORS = (0.82, 0.86, 0.88, 0.90, 0.90)  # fast to slow
# some nodes are roomy and some are tight, so that prices differ and work can move from one to another
SPREAD = {
    "storage": (0.80, 1.05, 0.92, 1.30), "outbound": (1.04, 1.25, 1.12), "inbound": (1.00, 1.20, 1.40),
    "lane": (1.05, 1.40), "vendor": (0.75, 0.95, 1.25), "spend": (0.70,),
}  # fmt: skip
COLUMNS = {
    "resource_id": pl.String, "kind": pl.String, "node_id": pl.String, "to_node": pl.String,
    "vendor_id": pl.String, "storage_class": pl.String, "region_group": pl.String, "speed_id": pl.String,
    "bucket": pl.Int64, "measure": pl.String, "capacity": pl.Float64,
}  # fmt: skip


@dataclass
class Need:
    """Use of a sensible plan, summed over items; P profiles, B buckets, V vendors, N nodes.

    Attributes:
        units, volume: demand per day, units and m3 `[P, B]`.
        money: purchase value of demand per day `[B]`; vendor: units per day `[V, B]`.
        stock, start: average and starting stock, m3 `[N]`; stock_chilled, start_chilled: of chilled goods.
        due: units already under way that arrive in each bucket `[N, B]`.
    """

    units: np.ndarray
    volume: np.ndarray
    money: np.ndarray
    vendor: np.ndarray
    stock: np.ndarray
    start: np.ndarray
    stock_chilled: np.ndarray
    start_chilled: np.ndarray
    due: np.ndarray

    @classmethod
    def empty(cls, profiles: int, buckets: int, vendors: int, nodes: int) -> Need:
        """Nothing needed yet."""
        zero = np.zeros
        return cls(
            zero((profiles, buckets)),
            zero((profiles, buckets)),
            zero(buckets),
            zero((vendors, buckets)),
            zero(nodes),
            zero(nodes),
            zero(nodes),
            zero(nodes),
            zero((nodes, buckets)),
        )


def accumulate_need(
    need: Need, items: Items, demand: np.ndarray, stock: np.ndarray, start: np.ndarray, due: np.ndarray
) -> None:
    """Sum items into `need`: demand per day `[I, B]`, average and starting stock `[I, N]`, units due `[N, B]`."""
    volume, cold = items.volume, items.volume * items.chilled
    np.add.at(need.units, items.profile, demand)
    np.add.at(need.volume, items.profile, demand * volume[:, None])
    np.add.at(need.vendor, items.vendor, demand)
    need.money += items.unit_cost @ demand
    need.due += due
    need.stock += volume @ stock
    need.start += volume @ start
    need.stock_chilled += cold @ stock
    need.start_chilled += cold @ start


@dataclass
class _Rows:
    rows: list[dict] = field(default_factory=list)

    def add(self, name: str, kind: str, measure: str, capacity: float, **where) -> None:
        self.rows.append({"resource_id": name, "kind": kind, "measure": measure,
                          "capacity": float(f"{capacity:.6g}"), **where})  # fmt: skip


def bucket_lengths(periods: int, bucket_periods: int) -> np.ndarray:
    """Days in each bucket, `[B]`."""
    edges = np.append(np.arange(0, periods, bucket_periods), periods)
    return np.diff(edges)


def by_bucket(values: np.ndarray, periods: int, bucket_periods: int) -> np.ndarray:
    """Daily averages per bucket, last axis days -> buckets."""
    starts = np.arange(0, periods, bucket_periods)
    return np.add.reduceat(values, starts, axis=-1) / bucket_lengths(periods, bucket_periods)


def review_load(network: Network, periods: int, bucket_periods: int) -> np.ndarray:
    """Orders of each source node in a bucket relative to even ordering, `[N, B]`."""
    days = np.arange(periods)
    due = (days[None, :] % network.review[:, None]) == network.review_offset[:, None]
    return by_bucket(due * network.review[:, None].astype(float), periods, bucket_periods)


def resources_table(network: Network, profiles: Profiles, need: Need, vendor_ids: np.ndarray, *, kinds,
                    tightness: float, horizon: tuple[int, int]) -> pl.DataFrame:  # fmt: skip
    """The table `resources`; `horizon` is (periods, bucket_periods)."""
    rows = _Rows()
    periods, bucket_periods = horizon
    load = review_load(network, periods, bucket_periods)[network.sources]
    source_through = profiles.through[:, network.sources].mean(axis=0)
    source_share = source_through / max(source_through.sum(), 1e-12)
    order_load = source_share @ load  # [B], orders of the network in a bucket relative to even ordering
    peak = np.where(network.review > bucket_periods, network.review / bucket_periods, 1.0)
    if "storage" in kinds:
        _storage(rows, network, need, tightness)
    if "inbound" in kinds:
        received = (profiles.through.T @ need.units).mean(axis=1) * peak
        arriving = (need.due / bucket_lengths(periods, bucket_periods)).max(axis=1)
        _nodes(rows, network, "inbound", received, tightness, ARRIVAL_ROOM * arriving)
    if "outbound" in kinds:
        shipped = profiles.direct.T @ need.units
        _nodes(rows, network, "outbound", shipped.mean(axis=1), tightness)
        _outbound_by_bucket(rows, network, shipped, tightness)
    if "lane" in kinds:
        moved = (profiles.lane.T @ need.volume).mean(axis=1)
        for k in np.flatnonzero(moved > 0):
            start, end = network.node_id[network.lane_from[k]], network.node_id[network.lane_to[k]]
            amount = tightness * SPREAD["lane"][k % 2] * moved[k]
            rows.add(f"lane_{start}_{end}", "lane", "m3", amount, node_id=start, to_node=end)
    if "vendor" in kinds:
        _vendors(rows, need, vendor_ids, order_load, tightness)
    if "spend" in kinds:
        days = bucket_lengths(periods, bucket_periods)
        budget = tightness * SPREAD["spend"][0] * need.money * days * order_load
        for b, amount in enumerate(budget):
            rows.add("spend", "spend", "money", amount, bucket=b)
    if "service" in kinds:
        _service(rows, network, profiles, need)
    return pl.DataFrame([{**dict.fromkeys(COLUMNS), **row} for row in rows.rows], schema=COLUMNS)


def _storage(rows: _Rows, network: Network, need: Need, tightness: float) -> None:
    """Cubic metres per node, and of the chilled room of the first node that has chilled goods."""
    spread = SPREAD["storage"]
    for n, node in enumerate(network.node_id):
        like = need.stock[network.tier == network.tier[n]].mean()  # an idle site still has a hall
        wanted = max(need.stock[n], IDLE_SHARE * like)
        amount = max(tightness * spread[n % len(spread)] * wanted, START_ROOM * need.start[n])
        if amount > 0:
            rows.add(f"storage_{node}", "storage", "m3", amount, node_id=node)
    cold = np.flatnonzero((need.stock_chilled > 0) & network.chilled)
    if len(cold):
        n = cold[-1] if network.tier[cold[-1]] < 2 else cold[0]
        amount = max(tightness * need.stock_chilled[n], START_ROOM * need.start_chilled[n])
        rows.add(f"storage_{network.node_id[n]}_chilled", "storage", "m3", amount,
                 node_id=network.node_id[n], storage_class="chilled")  # fmt: skip


def _nodes(
    rows: _Rows, network: Network, kind: str, used: np.ndarray, tightness: float, least: np.ndarray | float = 0.0
) -> None:
    """Units per day and node, never below `least`; a node that a sensible plan hardly uses has a fair capacity."""
    spread = SPREAD[kind]
    busy = used > 0
    serves = ~np.isnan(network.cutoff).all(axis=1) if kind == "outbound" else np.ones(len(used), bool)
    typical = used[busy].mean() if busy.any() else 0.0
    least = np.broadcast_to(least, used.shape)
    for n in np.flatnonzero(serves):
        amount = max(tightness * spread[n % len(spread)] * max(used[n], IDLE_SHARE * typical), least[n])
        if amount > 0:
            rows.add(f"{kind}_{network.node_id[n]}", kind, "units", amount, node_id=network.node_id[n])


def _outbound_by_bucket(rows: _Rows, network: Network, shipped: np.ndarray, tightness: float) -> None:
    """The busiest shipping node gets a capacity per bucket (short-staffed in the middle of the horizon)."""
    n = int(np.argmax(shipped.mean(axis=1)))
    name = f"outbound_{network.node_id[n]}"
    old = next(k for k, row in enumerate(rows.rows) if row["resource_id"] == name)
    base = rows.rows.pop(old)["capacity"]
    for b in range(shipped.shape[1]):
        short = 0.92 if b == shipped.shape[1] // 2 else 1.0
        rows.add(name, "outbound", "units", base * short, node_id=network.node_id[n], bucket=b)


def _vendors(rows: _Rows, need: Need, vendor_ids: np.ndarray, order_load: np.ndarray, tightness: float) -> None:
    """Units per day and bucket of the biggest vendors."""
    spread = SPREAD["vendor"]
    largest = np.argsort(-need.vendor.sum(axis=1), kind="stable")[:BIG_VENDORS]
    for rank, v in enumerate(largest):
        if need.vendor[v].sum() <= 0:
            continue
        amount = tightness * spread[rank % len(spread)] * need.vendor[v] * order_load
        if np.ptp(order_load) < 1e-9:
            rows.add(f"vendor_{vendor_ids[v]}", "vendor", "units", amount.mean(), vendor_id=vendor_ids[v])
            continue
        for b, capacity in enumerate(amount):
            rows.add(f"vendor_{vendor_ids[v]}", "vendor", "units", capacity, vendor_id=vendor_ids[v], bucket=b)


def _service(rows: _Rows, network: Network, profiles: Profiles, need: Need) -> None:
    """Floors per speed, and for the fastest speed per region group, as a share of what can be promised."""
    eligible = np.any(network.eligible(), axis=2).transpose(2, 1, 0)  # [R, S, W]
    weight = need.units.sum(axis=1)
    demand = np.tensordot(weight, profiles.share, axes=1)  # [R, S, W]
    can = demand * eligible
    floors = SERVICE_FLOORS[: len(network.speeds.name) - 1] + SERVICE_FLOORS[-1:]
    for s, speed in enumerate(network.speeds.name):
        total = demand[:, s].sum()
        if total <= 0:
            continue
        rows.add(f"service_{speed}", "service", "units", floors[s] * can[:, s].sum() / total, speed_id=speed)
    fastest = next(s for s in range(demand.shape[1]) if demand[:, s].sum() > 0)
    groups = np.unique(network.group)
    size = np.array([demand[network.group == group, fastest].sum() for group in groups])
    count = FLOOR_GROUPS if len(groups) > 1 else 0
    chosen = np.argsort(-size, kind="stable")[:count]
    for group, total in zip(groups[chosen], size[chosen], strict=True):
        if total <= 0:
            continue
        member = network.group == group
        speed = network.speeds.name[fastest]
        level = (floors[fastest] - 0.02) * can[member, fastest].sum() / total
        rows.add(f"service_{speed}_{group}", "service", "units", level, speed_id=speed, region_group=group)
