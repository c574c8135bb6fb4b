"""From the real parts to the network, items and demand of an instance; assumptions are constants."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from meio_jax.generate import (
    Items,
    Network,
    Places,
    Profiles,
    Vendors,
    assemble,
    choose_sites,
    default_speeds,
    distance_km,
    finish_profiles,
    region_groups,
    wave_shares,
)
from meio_jax.generate.us.rates import Rates, fit_rates
from meio_jax.generate.us.sources import (
    SITE_FILES,
    Sales,
    read_areas,
    read_lead_times,
    read_parcels,
    read_prices,
    read_sites,
    too_few,
)


@dataclass(frozen=True)
class Size:
    """Sites per tier, regions, and items (None: all that sold)."""

    tiers: tuple[int, int, int]
    regions: int
    items: int | None


SIZES = {"small": Size((4, 10, 6), 40, 200), "full": Size((8, 30, 30), 200, None)}
UNITS_PER_PARCEL = 3.0  # an order is a basket: a unit bears a third of a parcel's base price
PARCEL_LIMIT_KG = 3.0  # sizes are drawn from parcels up to this weight
PACK_VALUE = 20.0  # an item is sold in packs worth about this much, of at most PACK_LIMIT pieces
PACK_LIMIT = 48
MARGIN = 0.30
GOODWILL = 0.10
HOLDING_RATE = 0.22
SPACE_PRICE = 120.0  # money per m3 and year
LOCAL_DISCOUNT = 0.6  # the last mile from a delivery station, relative to a zone-1 parcel
TIE_BREAK = 0.002  # USD per parcel and km, so that of nodes in one zone the nearer is the cheaper
SAME_DAY_FACTOR = 1.5
LEAD_TIME_SCALE = 0.12
LEAD_TIME_LIMIT = 60
VENDOR_ORDERS = 16
STATE_POINTS = {"CA": (36.5, -119.5), "TX": (31.5, -98.5), "WI": (44.0, -89.5)}
SHRINK_DAYS = 28.0


@dataclass(frozen=True)
class Parts:
    """Everything but the tables that are written per item."""

    network: Network
    profiles: Profiles
    vendors: Vendors
    samples: list[np.ndarray]
    items: Items
    ids: np.ndarray
    rates: Rates
    covered: float


def pick_items(sales: Sales, count: int | None, rng: np.random.Generator) -> Sales:
    """`count` items, the same number from each fifth of the items by mean sales; None takes all that sold."""
    mean = sales.units.mean(axis=1)
    sold = np.flatnonzero(mean > 0)
    if count is None or count >= len(sold):
        chosen = sold
    else:
        strata = np.array_split(sold[np.argsort(mean[sold], kind="stable")], 5)
        sizes = [len(part) for part in np.array_split(np.arange(count), 5)]
        drawn = [rng.choice(part, size, replace=False) for part, size in zip(strata, sizes, strict=True)]
        chosen = np.sort(np.concatenate(drawn))
    return replace(
        sales,
        item_id=sales.item_id[chosen],
        department=sales.department[chosen],
        units=sales.units[chosen],
        future=sales.future[chosen],
        state_units=sales.state_units[chosen],
    )


def make_network(folder: Path, size: str, rng: np.random.Generator) -> tuple[Network, Rates, float]:
    """Real sites thinned to the size, postal areas clustered to regions, published parcel rates."""
    areas, covered = read_areas(folder)
    chosen = []
    for level, (sites, count) in enumerate(zip(read_sites(folder), SIZES[size].tiers, strict=True)):
        if count > len(sites.name):
            raise too_few(folder / SITE_FILES[level], len(sites.name), f"at least {count} sites of tier {level}")
        reach = distance_km(sites.lat, sites.lon, areas.lat, areas.lon)
        score = np.minimum(reach, 60.0) if level == 2 else reach  # a station counts only where people are near
        chosen.append(sites.take(choose_sites(score, areas.population, count)))
    site = Places(*(np.concatenate([getattr(p, f) for p in chosen]) for f in Places.__dataclass_fields__))
    tier = np.repeat(np.arange(3), [len(p.name) for p in chosen])
    between = distance_km(areas.lat, areas.lon, areas.lat, areas.lon)
    centres = np.sort(choose_sites(between, areas.population, min(SIZES[size].regions, len(areas.name))))
    member = np.argmin(between[centres], axis=0)
    region = replace(areas.take(centres), population=np.bincount(member, areas.population, minlength=len(centres)))
    rates = fit_rates(folder, UNITS_PER_PARCEL * read_parcels(folder, PARCEL_LIMIT_KG)["weight_kg"].to_numpy())
    speeds = default_speeds(3)
    speeds = replace(speeds, cost_factor=np.round([SAME_DAY_FACTOR, rates.fast_factor, 1.0], 3))
    network = assemble(site, tier, region, region_groups("national", region), speeds, 2, rng)
    zone = network.zone - 1
    local = np.where((network.tier == 2)[:, None], LOCAL_DISCOUNT, 1.0)
    codes = [
        f"{kind}_{name.replace('/', '-')}"
        for kind, name in zip(np.array(["DC", "FC", "DS"])[tier], site.name, strict=True)
    ]
    return (
        replace(
            network,
            node_id=np.array(codes),
            region_id=np.char.add("ZIP", region.name),
            ship_unit=np.round((local * rates.per_parcel[zone] + TIE_BREAK * network.km) / UNITS_PER_PARCEL, 3),
            ship_kg=np.round(local * rates.per_kg[zone], 4),
            chilled=np.ones(len(tier), bool),
        ),
        rates,
        covered,
    )


def make_profiles(network: Network, sales: Sales) -> tuple[Profiles, np.ndarray]:
    """One profile per department: people, tilted by the department's real sales in CA, TX and WI.

    Returns:
        The profiles, and the profile of each item.
    """
    names, profile = np.unique(sales.department, return_inverse=True)
    by_department = np.zeros((len(names), 3))
    np.add.at(by_department, profile, sales.state_units)
    mix = by_department / by_department.sum(axis=1, keepdims=True)
    overall = by_department.sum(axis=0) / by_department.sum()
    points = np.array(list(STATE_POINTS.values()))
    nearest = np.argmin(distance_km(network.region.lat, network.region.lon, points[:, 0], points[:, 1]), axis=1)
    tilt = (mix / overall)[:, nearest]  # [P, R]
    share = np.einsum(
        "pr,s,w->prsw",
        network.region.population * tilt,
        network.speeds.popularity,
        wave_shares(network.wave_ends),
    )
    found = finish_profiles(network, share, np.zeros(len(names), bool))
    return replace(found, name=names), profile


def make_vendors(folder: Path, rng: np.random.Generator) -> tuple[Vendors, list[np.ndarray]]:
    """Vendors with the real spread of lead times, scaled; ids carry no names."""
    names, samples = read_lead_times(folder, LEAD_TIME_SCALE, VENDOR_ORDERS, LEAD_TIME_LIMIT)
    if not names:
        place = folder / "purchase_order_lead_times.parquet"
        raise too_few(place, 0, f"a vendor with {VENDOR_ORDERS} purchase orders")
    mean = np.array([days.mean() for days in samples])
    sd = np.array([days.std() for days in samples])
    empty = np.zeros((len(names), 0))
    return Vendors(
        np.array([f"SCMS{k:02d}" for k in range(1, len(names) + 1)]),
        np.round(mean, 4),
        np.round(sd, 4),
        np.full(len(names), "empirical"),
        empty,
        empty,
    ), samples


def lead_times_table(vendors: Vendors, samples: list[np.ndarray]) -> pl.DataFrame:
    """The table `lead_times`: how often each whole number of days was seen."""
    rows = []
    for name, days in zip(vendors.vendor_id, samples, strict=True):
        value, count = np.unique(days, return_counts=True)
        rows.append(pl.DataFrame({"vendor_id": [name] * len(value), "days": value, "weight": count.astype(float)}))
    return pl.concat(rows)


def moments(units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and negative-binomial dispersion of each row, by moments, the dispersion drawn towards the middle.

    (variance - mean) / mean^2, clipped to [0, 5], then averaged with the median of all items, which counts as
    much as SHRINK_DAYS days.
    """
    days = units.shape[1]
    mean = units.mean(axis=1)
    raw = np.clip((units.var(axis=1, ddof=1) - mean) / np.maximum(mean, 1e-9) ** 2, 0.0, 5.0)
    middle = float(np.median(raw))
    return mean, (raw * days + middle * SHRINK_DAYS) / (days + SHRINK_DAYS)


def make_items(
    folder: Path,
    sales: Sales,
    profile: np.ndarray,
    vendors: Vendors,
    orders: np.ndarray,
    rng: np.random.Generator,
) -> Items:
    """Items: real prices, real parcel sizes by price rank, vendors drawn by their number of orders."""
    count = len(sales.item_id)
    known = read_prices(folder)
    piece = np.array([known.get(name, np.nan) for name in sales.item_id])
    piece = np.where(np.isnan(piece), np.nanmedian(piece), piece)
    pack = np.clip(np.ceil(PACK_VALUE / piece), 1, PACK_LIMIT)
    price = np.round(piece * pack, 2)
    sizes = read_parcels(folder, PARCEL_LIMIT_KG).sort("volume_m3")
    quantile = (np.argsort(np.argsort(price, kind="stable")) + rng.random(count)) / count
    # dearer packs are bigger, loosely: half of the rank is the price's, half is chance
    blurred = np.argsort(np.argsort(quantile + rng.random(count)))
    row = ((blurred + 0.5) / count * sizes.height).astype(int)
    weight, volume = sizes["weight_kg"].to_numpy()[row], sizes["volume_m3"].to_numpy()[row]
    unit_cost = np.round(price * (1.0 - MARGIN), 2)
    mean, dispersion = moments(sales.units)
    one, zero = np.ones(count), np.zeros(count)
    return Items(
        number=np.arange(count),
        volume=np.round(volume, 6),
        weight=np.round(weight, 4),
        price=price,
        unit_cost=unit_cost,
        holding=np.round((HOLDING_RATE * unit_cost + SPACE_PRICE * volume) / 365.0, 6),
        lost_cost=np.round(price * (1.0 + GOODWILL), 2),
        backorder_cost=zero,
        backordered=zero.astype(bool),
        downgrade_share=0.4 * one,
        downgrade_cost=np.round(0.5 + 0.02 * price, 2),
        chilled=zero.astype(bool),
        profile=profile,
        department=profile,
        rate=mean,
        dispersion=np.round(dispersion, 4),
        weekly_strength=one,
        yearly_strength=zero,
        vendor=rng.choice(len(orders), count, p=orders / orders.sum()),
        fast=rng.random(count) < 0.2,
        fast_premium=0.08 * one,
        direct=rng.random(count) < 0.05,
        pack=np.where(mean > 5.0, 6, 1),
        freight=np.round(0.05 + 60.0 * volume, 4),
    )


def make_parts(folder: Path, size: str, sales: Sales, seed: int) -> Parts:
    """All parts of the instance."""
    rng = np.random.default_rng([seed, 11])
    network, rates, covered = make_network(folder, size, rng)
    profiles, profile = make_profiles(network, sales)
    vendors, samples = make_vendors(folder, rng)
    orders = np.array([len(days) for days in samples], float)
    items = make_items(folder, sales, profile, vendors, orders, rng)
    return Parts(network, profiles, vendors, samples, items, sales.item_id, rates, covered)
