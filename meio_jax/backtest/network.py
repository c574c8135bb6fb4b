"""The instance as arrays for the simulator: items, sites, reach of customers, sources of supply.

Compiled code takes these named tuples. Index spaces: items, nodes, regions, speeds (fast to slow), lanes,
offers (rows of the table), days (periods), buckets. A *class* is speed x regions + region.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from meio_jax.backtest.floors import read_floors
from meio_jax.backtest.limits import Limits, read_limits
from meio_jax.backtest.lookup import compressed, frame, integers, numbers, rows_of, solid, texts
from meio_jax.backtest.sales import id_keys
from meio_jax.backtest.supply import Supply, read_supply, vendor_ids
from meio_jax.backtest.whole import Pair, Terms, read_terms
from meio_jax.tables import InstanceSettings
from meio_jax.tables.owed import KEYS as OWED_KEYS
from meio_jax.tables.owed import owed_units

KINDS = ("dc", "fc", "same_day")
EARTH_KM = 6371.0088

Owed = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Item, region, speed and units of what customers wait for at the start."""

Shipped = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Item, node, units and day due of what is under way; or last day of sale of what is in stock."""


class Catalog(NamedTuple):
    """Items; every array is `[items]`. Money per unit (and day), m3, kg; `profile` indexes the share
    profiles; `sizes [3, items]` are pallets, hours and customers' order lines of a unit; `life` is the days on which a
    unit can be sold from its receipt on (0: it keeps), `waste_cost` what its disposal costs."""

    volume: np.ndarray
    weight: np.ndarray
    unit_cost: np.ndarray
    holding: np.ndarray
    lost_cost: np.ndarray
    backorder_cost: np.ndarray
    backorders: np.ndarray
    downgrade_share: np.ndarray
    downgrade_cost: np.ndarray
    storage_class: np.ndarray
    profile: np.ndarray
    key: np.ndarray
    sizes: np.ndarray
    life: np.ndarray
    waste_cost: np.ndarray


class Sites(NamedTuple):
    """Nodes; arrays `[nodes]`, `stockable [nodes, storage classes]`; `priority`: scarce stock goes to lower
    tiers first. `tier_nodes[tier_start[k]:tier_start[k + 1]]` are the nodes of tier k, most downstream
    first."""

    holding_factor: np.ndarray
    handling: np.ndarray
    inbound_cost: np.ndarray
    review_period: np.ndarray
    review_offset: np.ndarray
    stockable: np.ndarray
    priority: np.ndarray
    tier_start: np.ndarray
    tier_nodes: np.ndarray


class Reach(NamedTuple):
    """Nodes that can ship to a class: entries `start[c]:start[c + 1]`, in the order of nodes.

    Cost per unit and kg include the speed's factor, `handling` is kept apart; an order placed up to hour
    `latest` arrives as promised; `km` is the great-circle distance, `carbon` kg per unit.
    """

    start: np.ndarray
    node: np.ndarray
    cost_unit: np.ndarray
    cost_kg: np.ndarray
    latest: np.ndarray
    km: np.ndarray
    carbon: np.ndarray
    regions: int
    speeds: int


class Split(NamedTuple):
    """Shares of demand: profile p has classes `kind[start[p]:start[p + 1]]` in waves `wave`, each with its
    share."""

    start: np.ndarray
    region: np.ndarray
    speed: np.ndarray
    wave: np.ndarray
    share: np.ndarray
    wave_ends: np.ndarray


@dataclass(frozen=True)
class World:
    """Everything of the instance that does not depend on the plan, with the ids of every index space."""

    items: list[str]
    nodes: list[str]
    regions: list[str]
    speeds: list[str]
    kinds: list[str]
    region_groups: list[str]
    classes: list[str]
    profiles: list[str]
    vendors: list[str]
    catalog: Catalog
    sites: Sites
    reach: Reach
    split: Split
    supply: Supply
    limits: Limits
    limit_rows: pl.DataFrame
    region_group: np.ndarray
    on_hand: np.ndarray
    buys: np.ndarray
    on_order: Shipped
    expiries: Shipped
    owed: Owed
    terms: dict[Pair, Terms]
    periods: int
    bucket_periods: int
    warmup: int
    pipeline_holding: bool
    terminal_credit: float
    shared_factor_cv: float
    settings: InstanceSettings

    @property
    def buckets(self) -> int:
        """Number of buckets; the last may be short."""
        return -(-self.periods // self.bucket_periods)

    @property
    def stockable(self) -> np.ndarray:
        """`[items, nodes]` booleans: the node accepts the item's storage class."""
        return self.sites.stockable.T[self.catalog.storage_class]


def read_world(tables) -> World:
    """Arrays of an instance. `tables` has a polars frame per table and `settings`."""
    settings = tables.settings
    item_table, node_table, region_table = (frame(tables, name) for name in ("items", "nodes", "regions"))
    speed_table = frame(tables, "speeds").sort("promise_days", "deliver_by_hour", maintain_order=True)
    items, nodes = item_table["item_id"].to_list(), node_table["node_id"].to_list()
    regions, speeds = region_table["region_id"].to_list(), speed_table["speed_id"].to_list()
    share_table = frame(tables, "shares")
    profiles = sorted(set(share_table["profile"].to_list()))
    classes = sorted(set(texts(item_table, "storage_class", "ambient")))
    catalog = solid(_catalog(item_table, items, profiles, classes))
    groups = texts(region_table, "region_group", "all")
    region_groups = sorted(set(groups))
    supply, tiers = read_supply(tables, items, nodes)
    sites = solid(_sites(node_table, classes, tiers))
    floors = solid(read_floors(tables, speeds, sites.stockable.T[catalog.storage_class], supply))
    limits, rows = read_limits(tables, catalog, (nodes, speeds, classes, region_groups), floors)
    return World(
        items=items,
        nodes=nodes,
        regions=regions,
        speeds=speeds,
        kinds=texts(node_table, "kind", "fc"),
        region_groups=region_groups,
        classes=classes,
        profiles=profiles,
        vendors=vendor_ids(tables),
        catalog=catalog,
        sites=sites,
        reach=solid(_reach(tables, speed_table, nodes, regions)),
        split=solid(_split(share_table, profiles, regions, speeds, settings)),
        supply=solid(supply),
        limits=solid(limits),
        limit_rows=rows,
        region_group=np.array([region_groups.index(group) for group in groups], np.int64),
        on_hand=_on_hand(tables, items, nodes),
        owed=_owed(tables, items, regions, speeds),
        terms=read_terms(tables, vendor_ids(tables), nodes),
        on_order=_on_order(tables, items, nodes, supply.received),
        expiries=_expiries(tables, items, nodes),
        buys=np.isin(nodes, texts(frame(tables, "offers"), "node_id")),
        periods=settings.periods,
        bucket_periods=settings.bucket_periods,
        warmup=settings.warmup_periods,
        pipeline_holding=bool(settings.pipeline_holding),
        terminal_credit=float(settings.terminal_credit),
        shared_factor_cv=float(settings.shared_factor_cv),
        settings=settings,
    )


def _catalog(table: pl.DataFrame, items: list[str], profiles: list[str], classes: list[str]) -> Catalog:
    storage = pl.Series("storage_class", texts(table, "storage_class", "ambient"))
    return Catalog(
        volume=numbers(table, "volume_m3"),
        weight=numbers(table, "weight_kg"),
        unit_cost=numbers(table, "unit_cost"),
        holding=numbers(table, "holding_cost"),
        lost_cost=numbers(table, "lost_sale_cost"),
        backorder_cost=numbers(table, "backorder_cost"),
        backorders=np.array([rule == "backorder" for rule in texts(table, "unmet", "lost")]),
        downgrade_share=numbers(table, "downgrade_share"),
        downgrade_cost=numbers(table, "downgrade_cost"),
        storage_class=rows_of(storage, classes),
        profile=rows_of(table["profile"], profiles, "items"),
        key=id_keys(items),
        sizes=_sizes(table),
        life=integers(table, "shelf_life"),
        waste_cost=numbers(table, "waste_cost"),
    )


def _sizes(table: pl.DataFrame) -> np.ndarray:
    """Pallets (a part of one), hours and order lines of customers that a unit is, `[3, items]`."""
    pallet = numbers(table, "units_per_pallet", np.inf)
    return np.stack([1 / pallet, numbers(table, "hours_per_unit"), 1 / numbers(table, "units_per_line", 1.0)])


def _sites(table: pl.DataFrame, classes: list[str], tiers: list[list[int]]) -> Sites:
    accepted = np.ones((table.height, len(classes)), bool)
    for n, text in enumerate(texts(table, "storage_classes")):
        named = {word.strip() for word in text.split(";") if word.strip()}
        if named:
            accepted[n] = [name in named for name in classes]
    return Sites(
        holding_factor=numbers(table, "holding_factor", 1.0),
        handling=numbers(table, "handling_cost"),
        inbound_cost=numbers(table, "inbound_cost"),
        review_period=integers(table, "review_period", 1),
        review_offset=integers(table, "review_offset", 0),
        stockable=accepted,
        priority=np.array([rule == "priority" for rule in texts(table, "allocation", "proportional")]),
        tier_start=np.cumsum([0] + [len(tier) for tier in tiers]).astype(np.int64),
        tier_nodes=np.array([node for tier in tiers for node in tier], np.int64),
    )


def distance_km(lat: np.ndarray, lon: np.ndarray, to_lat: np.ndarray, to_lon: np.ndarray) -> np.ndarray:
    """Great-circle distance, km, of points given in degrees (haversine)."""
    a, b, c, d = (np.radians(x) for x in (lat, lon, to_lat, to_lon))
    half = np.sin((c - a) / 2) ** 2 + np.cos(a) * np.cos(c) * np.sin((d - b) / 2) ** 2
    return 2 * EARTH_KM * np.arcsin(np.sqrt(np.clip(half, 0, 1)))


def _reach(tables, speed_table: pl.DataFrame, nodes: list[str], regions: list[str]) -> Reach:
    transit, cutoffs = frame(tables, "transit"), frame(tables, "cutoffs")
    speeds = speed_table["speed_id"].to_list()
    cutoff = np.full((len(nodes), len(speeds)), np.nan)
    cutoff[rows_of(cutoffs["node_id"], nodes), rows_of(cutoffs["speed_id"], speeds)] = cutoffs["cutoff_hour"]
    node, region = rows_of(transit["node_id"], nodes), rows_of(transit["region_id"], regions)
    by_node = np.lexsort((region, node))
    node, region = node[by_node], region[by_node]
    values = {
        name: numbers(transit, name)[by_node]
        for name in ("hours", "cost_per_unit", "cost_per_kg", "carbon_kg_per_unit")
    }
    place = {
        name: (numbers(frame(tables, name), "latitude"), numbers(frame(tables, name), "longitude"))
        for name in ("nodes", "regions")
    }
    km = distance_km(*(x[node] for x in place["nodes"]), *(x[region] for x in place["regions"]))
    due = 24.0 * numbers(speed_table, "promise_days") + numbers(speed_table, "deliver_by_hour")
    cut = cutoff[node].T  # [speeds, pairs]
    with np.errstate(invalid="ignore"):
        today = cut + values["hours"] <= due[:, None] + 1e-9
        tomorrow = cut + 24.0 + values["hours"] <= due[:, None] + 1e-9
    latest = np.where(tomorrow, 24.0, np.where(today, cut, np.nan))
    speed, pair = np.nonzero(~np.isnan(latest))
    start, order = compressed(speed * len(regions) + region[pair], len(speeds) * len(regions))
    speed, pair = speed[order], pair[order]
    factor = numbers(speed_table, "cost_factor", 1.0)[speed]
    return Reach(
        start=start,
        node=node[pair],
        cost_unit=values["cost_per_unit"][pair] * factor,
        cost_kg=values["cost_per_kg"][pair] * factor,
        latest=latest[speed, pair],
        km=km[pair],
        carbon=values["carbon_kg_per_unit"][pair],
        regions=len(regions),
        speeds=len(speeds),
    )


def _split(table: pl.DataFrame, profiles: list[str], regions: list[str], speeds: list[str], settings) -> Split:
    share = numbers(table, "share")
    kept = share > 0
    table = table.filter(pl.Series(kept))
    start, order = compressed(rows_of(table["profile"], profiles), len(profiles))
    return Split(
        start=start,
        region=rows_of(table["region_id"], regions)[order],
        speed=rows_of(table["speed_id"], speeds)[order],
        wave=table["wave"].to_numpy()[order].astype(np.int64),
        share=share[kept][order],
        wave_ends=np.concatenate([[0.0], np.asarray(settings.wave_ends, float)]),
    )


def _on_hand(tables, items: list[str], nodes: list[str]) -> np.ndarray:
    stock = np.zeros((len(items), len(nodes)))
    table = frame(tables, "on_hand")
    if table.height:
        np.add.at(
            stock,
            (rows_of(table["item_id"], items), rows_of(table["node_id"], nodes)),
            numbers(table, "units"),
        )
    return np.round(stock).astype(np.int64)


def _expiries(tables, items: list[str], nodes: list[str]) -> Shipped:
    """Items, nodes, units and last days of sale of what is in stock at the start, where these are given."""
    table = frame(tables, "expiries")
    item, node = rows_of(table["item_id"], items), rows_of(table["node_id"], nodes)
    return item, node, integers(table, "units"), integers(table, "last_period")


def _owed(tables, items: list[str], regions: list[str], speeds: list[str]) -> Owed:
    table = owed_units(frame(tables, "backlog"), frame(tables, "items"), frame(tables, "shares"))
    if not table.height:
        nothing = np.zeros(0, np.int64)
        return nothing, nothing, nothing, nothing
    units = np.round(table["units"].to_numpy()).astype(np.int64)
    places = (rows_of(table[name], names) for name, names in zip(OWED_KEYS, (items, regions, speeds), strict=True))
    item, region, speed = places
    return item, region, speed, units


def _on_order(tables, items: list[str], nodes: list[str], received: np.ndarray) -> Shipped:
    """Items, nodes, units and days of arrival of what is under way at the start; `received` as of `Supply`."""
    table = frame(tables, "on_order")
    if not table.height:
        nothing = np.zeros(0, np.int64)
        return nothing, nothing, nothing, nothing
    units = integers(table, "units")
    some = units > 0
    item, node = rows_of(table["item_id"], items), rows_of(table["node_id"], nodes)
    due = integers(table, "period_due")
    if received.shape[0]:
        known = received.shape[0]
        due = np.where(due < known, received[np.minimum(due, known - 1), node], due)
    return item[some], node[some], units[some], due[some]
