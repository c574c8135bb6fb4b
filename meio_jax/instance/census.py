"""What the arrays of one item depend on in all the others: so that a part of a catalog is built as the whole would be.

A process that reads its own partition, and a single item that is planned again, need a few facts about the catalog:
how many offers a node has at most, how long the pipelines are, which weight bands and groups there are. Parts of a
catalog are counted by themselves, and the counts are merged: `census_of(merge([count_items(part), ...]))`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from meio_jax.instance.calendar import goods_under_way
from meio_jax.instance.override_counts import bounds_expire, has_closings, has_frozen, has_stock_rows, most_fixed
from meio_jax.instance.reach import has_bounds, order_reach, supply_paths
from meio_jax.instance.vendor_rhythm import Rhythm
from meio_jax.tables import Tables
from meio_jax.tables.breaks import offer_breaks

# Counts that are so if they are so of any part.
_ANY = (
    "backorders",
    "lots",
    "late_receipts",
    "bounded",
    "owed",
    "phased",
    "named",
    "closings",
    "frozen",
    "bounds_expire",
    "overridden",
    "ordering",
)
MOST_AT_STAKE = ("unit", "volume_m3", "weight_kg", "unit_cost")
"""What a unit of an item takes of the measures units, m3, kg and money, as columns of `items`."""
# More weights than this are thinned before they are merged; band edges are then a little different.
_MOST_WEIGHTS = 200_000
# Items whose goods take longer than those of this share of the catalog do not lengthen the tail for all the others.
_PATH_QUANTILE = 0.95

Counts = dict[str, Any]
"""What was counted of a part of a catalog: plain data and arrays of numbers."""

Gather = Callable[[Counts], list[Counts]]
"""Takes what this process has counted and returns what all have, in the same order everywhere."""


def alone(own: Counts) -> list[Counts]:
    """The gathering of a single process."""
    return [own]


@dataclass(frozen=True)
class Group:
    """Items of one storage class and weight band: number, summed weight and volume, where one may be stocked.

    `sizes` are summed pallets, hours and customers' order lines of a unit; none where no capacity counts these.
    """

    items: int
    weight: float
    volume: float
    stockable: tuple[bool, ...]
    sizes: tuple[float, ...] = ()

    def mean_sizes(self, count: int) -> np.ndarray:
        """What a unit takes in so many measures, on average; nothing where the group has not been counted in them."""
        return np.asarray(self.sizes or (0.0,) * count) / self.items


@dataclass(frozen=True)
class Census:
    """Facts about a whole catalog.

    Attributes:
        items: Number of items.
        vendors: Ids of all vendors, sorted.
        classes: Storage classes of all items, sorted.
        most_offers: The most offers that one item has at a node, by node id.
        last_due: The last period in which anything on order is due, by node id.
        longest_lead: Longest vendor lead time with its margin for random ones, in periods.
        backorders: Whether any item is backordered.
        depth: Sample paths, or days of past sales, of the forecast table; 0 for other forms.
        supply_path: Periods from an order at a vendor to the last node below it, for all items but the slowest few.
        lots: Whether any offer has a pack or least order of more than a unit.
        late_receipts: Whether anything on order is due later than anything that could be ordered now.
        edges: Upper ends of the weight bands but the last, in kg.
        bounded: Whether the stock of any item is bounded at any node (table `assortment`).
        owed: Whether units of any item are owed to customers at the start (table `backlog`).
        phased: Whether any item is phased out.
        named: Whether any item, node or vendor has a name besides its id.
        fixed: The most orders that planners have fixed for one item (table `overrides`).
        closings: Whether a source of any item is excluded for a part of the horizon.
        frozen: Whether nothing new is ordered through some offer in the first periods.
        bounds_expire: Whether an override on stock expires before the horizon ends.
        overridden: Whether there are overrides, in force or not.
        ordering: Whether orders of any item cost anything beside their units at the price of the offer.
        breaks: The most prices by quantity that one offer has.
        rhythms: How nodes order from vendors that have rules for whole orders.
        lives: Shelf lives that items have, and that stock at the start has left, in periods.
        worth: The most money at stake per unit of each of the first measures (`MOST_AT_STAKE`); 0: not known.
        groups: By number, which is storage class x bands + band.
    """

    items: int
    vendors: tuple[str, ...]
    classes: tuple[str, ...]
    most_offers: dict[str, int]
    last_due: dict[str, int]
    longest_lead: float
    backorders: bool
    depth: int
    supply_path: float
    lots: bool
    late_receipts: bool
    edges: tuple[float, ...]
    groups: dict[int, Group] = dataclasses.field(default_factory=dict)
    bounded: bool = False
    owed: bool = False
    phased: bool = False
    named: bool = False
    fixed: int = 0
    closings: bool = False
    frozen: bool = False
    bounds_expire: bool = False
    overridden: bool = False
    lives: tuple[int, ...] = ()
    worth: tuple[float, ...] = ()
    ordering: bool = False
    breaks: int = 0
    rhythms: tuple[Rhythm, ...] = ()

    @property
    def bands(self) -> int:
        return len(self.edges) + 1

    @property
    def decided(self) -> bool:
        """Whether planners decided anything that changes from day to day."""
        return bool(self.fixed or self.closings or self.frozen)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Census:
        """What `as_dict` gave, also after JSON made texts of the group numbers."""
        groups = {
            int(number): Group(
                **{**group, "stockable": tuple(group["stockable"]), "sizes": tuple(group.get("sizes", ()))}
            )
            for number, group in data["groups"].items()
        }
        lists = {name: tuple(data.get(name, ())) for name in ("vendors", "classes", "edges", "lives", "worth")}
        rhythms = tuple(Rhythm(**one) for one in data.get("rhythms", ()))
        return cls(**{**data, **lists, "groups": groups, "rhythms": rhythms})


def count_items(tables: Tables) -> Counts:
    """Count the items of some tables, which hold the network as well."""
    items, offers, due = tables.items, tables.offers, goods_under_way(tables)
    counts = offers.group_by("item_id", "node_id").len().group_by("node_id").agg(pl.col("len").max())
    last = due.group_by("node_id").agg(pl.col("period_due").max())
    random = offers.filter(offers["lead_time_law"] != "empirical")
    leads = (random["lead_time_mean"] + 4 * random["lead_time_sd"]).to_numpy()
    breaks = _most_breaks(tables)
    whole = tables.vendors.filter((pl.col("order_cost") > 0) | (pl.col("truck_cost") > 0))
    ordering = bool(breaks or (offers["order_cost"] > 0).any() or whole.height)
    named = [offers["vendor_id"], tables.lead_times["vendor_id"], tables.resources["vendor_id"].drop_nulls()]
    return {
        "items": items.height,
        "vendors": sorted(set().union(*(column.unique().to_list() for column in named))),
        "classes": sorted(items["storage_class"].unique().to_list()),
        "most_offers": dict(zip(counts["node_id"].to_list(), counts["len"].to_list(), strict=True)),
        "last_due": dict(zip(last["node_id"].to_list(), last["period_due"].to_list(), strict=True)),
        "longest_lead": float(leads.max(initial=1.0)),
        "backorders": bool((items["unmet"] == "backorder").any()),
        "depth": _depth(tables),
        "paths": _thinned(supply_paths(tables)),
        "lots": bool(((offers["pack_size"] > 1) | (offers["min_order"] > 1)).any()) or ordering,
        "ordering": ordering,
        "breaks": breaks,
        "late_receipts": _late_receipts(tables),
        "bounded": has_bounds(tables) or has_stock_rows(tables),
        "fixed": most_fixed(tables),
        "closings": has_closings(tables),
        "frozen": has_frozen(tables),
        "bounds_expire": bounds_expire(tables),
        "overridden": not tables.overrides.is_empty(),
        "owed": bool((tables.backlog["units"] > 0).any()),
        "named": _has_names(tables),
        "phased": bool(items["phase_out"].is_not_null().any()),
        "lives": _lives(tables),
        "worth": _worth(tables),
        "weights": _thinned(items["weight_kg"].to_numpy()),
    }


def _lives(tables: Tables) -> list[int]:
    """Different lives that fresh units, and units in stock at the start, have; in periods."""
    left = tables.expiries.filter(pl.col("units") > 0)["last_period"] + 1
    return sorted({*tables.items["shelf_life"].drop_nulls().to_list(), *left.to_list()})


def _worth(tables: Tables) -> list[float]:
    """The most that a unit of any item can be worth, by what it takes of each of `MOST_AT_STAKE`.

    A unit that is there may save a lost sale, or all days of a backorder, and is itself worth what it cost.
    """
    items, days = tables.items, tables.settings.periods
    waiting = pl.when(pl.col("unmet") == "backorder").then(pl.col("backorder_cost") * days).otherwise(0.0)
    stake = pl.max_horizontal("price", "lost_sale_cost") + waiting + pl.col("unit_cost") + pl.col("holding_cost") * days
    found = items.select(
        (stake / pl.col(taken)).filter(pl.col(taken) > 0).max().fill_null(0.0).alias(taken)
        if taken != "unit"
        else stake.max().fill_null(0.0).alias(taken)
        for taken in MOST_AT_STAKE
    )
    return [float(value) for value in found.row(0)]


def _most_breaks(tables: Tables) -> int:
    """The most prices by quantity that one offer has."""
    if tables.price_breaks.is_empty():
        return 0
    ranks = offer_breaks(tables.price_breaks, tables.offers)["rank"].to_numpy()
    return int(ranks.max(initial=-1)) + 1


def _has_names(tables: Tables) -> bool:
    columns = tables.items["name"], tables.nodes["name"], tables.offers["vendor_name"]
    return any(bool((column != "").any()) for column in columns)


def _depth(tables: Tables) -> int:
    forecast, form = tables.forecast, tables.settings.forecast
    if forecast.is_empty() or form not in ("paths", "history"):
        return 0
    if form == "paths":
        return int(forecast["path"].to_numpy().max()) + 1
    return int(-tables.settings.periods_of(forecast["ds"].to_numpy().astype("datetime64[D]")).min())


def _late_receipts(tables: Tables) -> bool:
    """Whether anything on order is due later than the reach of its node."""
    due = goods_under_way(tables).join(order_reach(tables), on=["item_id", "node_id"], how="left")
    return bool((due["period_due"] > due["reach"].fill_null(0)).any())


def _thinned(weights: np.ndarray) -> np.ndarray:
    if weights.size <= _MOST_WEIGHTS:
        return weights
    return np.quantile(weights, np.linspace(0, 1, _MOST_WEIGHTS))


def merge(parts: Sequence[Counts]) -> Counts:
    """What `count_items` would count of the items of all parts."""

    def union(name: str) -> list:
        return sorted({value for part in parts for value in part[name]})

    def largest(name: str) -> dict[str, int]:
        keys = {key for part in parts for key in part[name]}
        return {key: max(part[name].get(key, 0) for part in parts) for key in sorted(keys)}

    together = lambda name: _thinned(np.concatenate([np.asarray(part[name], float) for part in parts]))
    return {
        "items": sum(part["items"] for part in parts),
        **{name: union(name) for name in ("vendors", "classes", "lives")},
        **{name: largest(name) for name in ("most_offers", "last_due")},
        **{name: max(part[name] for part in parts) for name in ("longest_lead", "depth", "fixed", "breaks")},
        **{name: any(part[name] for part in parts) for name in _ANY},
        "worth": np.max([part["worth"] for part in parts], axis=0).tolist(),
        **{name: together(name) for name in ("paths", "weights")},
    }


def census_of(counts: Counts, bands: int) -> Census:
    """The census of a catalog, still without its groups.

    Args:
        counts: What was counted of all its items.
        bands: Weight bands, of equal numbers of items.
    """
    weights, paths = counts["weights"], counts["paths"]
    edges = np.unique(np.quantile(weights, np.arange(1, bands) / bands)) if bands > 1 else np.empty(0)
    plain = {name: value for name, value in counts.items() if name not in ("weights", "paths")}
    lists = {name: tuple(counts[name]) for name in ("vendors", "classes", "lives", "worth")}
    path = float(np.quantile(paths, _PATH_QUANTILE)) if paths.size else 0.0
    return Census(**{**plain, **lists}, supply_path=path, edges=tuple(edges.tolist()))


def group_numbers(census: Census, storage_class: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Number of the group of every item; items of one weight are in one band."""
    return storage_class * census.bands + np.searchsorted(np.asarray(census.edges), weight, side="left")


def count_groups(
    number: np.ndarray, weight: np.ndarray, volume: np.ndarray, stockable: np.ndarray, sizes: np.ndarray | None = None
) -> Counts:
    """Count the groups of some items.

    Args:
        number: Group of each item.
        weight: kg, by item.
        volume: m3, by item.
        stockable: `[nodes, items]`.
        sizes: What a unit takes in further measures `[sizes, items]`; None: nothing counts them.
    """
    return {
        str(group): {
            "items": int(np.sum(number == group)),
            "weight": float(weight[number == group].sum()),
            "volume": float(volume[number == group].sum()),
            "stockable": stockable[:, number == group].any(1).tolist(),
            "sizes": [] if sizes is None else sizes[:, number == group].sum(1).tolist(),
        }
        for group in np.unique(number).tolist()
    }


def merge_groups(parts: Sequence[Counts]) -> dict[int, Group]:
    """The groups of a catalog, by what `count_groups` gave of its parts."""
    groups: dict[int, Group] = {}
    for name in sorted({name for part in parts for name in part}, key=int):
        members = [part[name] for part in parts if name in part]
        groups[int(name)] = Group(
            items=sum(one["items"] for one in members),
            weight=sum(one["weight"] for one in members),
            volume=sum(one["volume"] for one in members),
            stockable=tuple(np.any([one["stockable"] for one in members], axis=0).tolist()),
            sizes=tuple(np.sum([one["sizes"] for one in members], axis=0).tolist()),
        )
    return groups


def widened(census: Census, tables: Tables) -> Census:
    """The census of the same catalog once some of its items are as in these tables, or new; itself if it holds them.

    What is new comes after what was there, so that numbers of vendors, classes and groups stay what they were. Groups
    that no item was in before are counted by whoever builds the arrays.
    """
    found = census_of(count_items(tables), 1)

    def largest(name: str) -> dict[str, int]:
        old, new = getattr(census, name), getattr(found, name)
        return {**old, **{key: max(value, old.get(key, 0)) for key, value in new.items()}}

    wider = dataclasses.replace(
        census,
        vendors=tuple(dict.fromkeys([*census.vendors, *found.vendors])),
        classes=tuple(dict.fromkeys([*census.classes, *found.classes])),
        most_offers=largest("most_offers"),
        last_due=largest("last_due"),
        longest_lead=max(census.longest_lead, found.longest_lead),
        backorders=census.backorders or found.backorders,
        depth=max(census.depth, found.depth),
        lots=census.lots or found.lots,
        late_receipts=census.late_receipts or found.late_receipts,
        bounded=census.bounded or found.bounded,
        owed=census.owed or found.owed,
        phased=census.phased or found.phased,
        named=census.named or found.named,
        fixed=max(census.fixed, found.fixed),
        closings=census.closings or found.closings,
        frozen=census.frozen or found.frozen,
        bounds_expire=census.bounds_expire or found.bounds_expire,
        overridden=census.overridden or found.overridden,
        ordering=census.ordering or found.ordering,
        breaks=max(census.breaks, found.breaks),
        lives=tuple(sorted({*census.lives, *found.lives})),
        worth=tuple(np.maximum(census.worth or found.worth, found.worth).tolist()),
    )
    return census if wider == census else wider
