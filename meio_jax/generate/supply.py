"""Nodes, lanes, speeds, transit and cut-offs of an instance, and which node can serve which order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from meio_jax.generate.geography import (
    CIRCUITY,
    Places,
    distance_km,
    make_regions,
    make_sites,
    parcel_zone,
    region_groups,
)
from meio_jax.generate.options import GenerateOptions

KINDS = ("dc", "fc", "same_day")
MAX_PROMISE_DAYS = 30
VAN_KM = 150.0  # road km that a van covers in a day; beyond it a parcel goes by line haul
MAX_FOREIGN_KM = 3000.0  # customers are not served from another country further away than this
# promise_days, deliver_by_hour, cost_factor, share of customers who want it; fast to slow
SPEEDS = {
    "same_day": (0, 22.0, 1.7, 0.30),
    "one_day": (1, 21.0, 1.3, 0.30),
    "two_day": (2, 21.0, 1.15, 0.20),
    "standard": (5, 21.0, 1.0, 0.45),
    "economy": (8, 21.0, 0.9, 0.15),
}
SPEED_SETS = {
    1: ("standard",),
    2: ("one_day", "standard"),
    3: ("same_day", "one_day", "standard"),
    4: ("same_day", "one_day", "two_day", "standard"),
    5: ("same_day", "one_day", "two_day", "standard", "economy"),
}


@dataclass(frozen=True)
class Speeds:
    """Delivery promises, fast to slow: arrays `[speeds]`."""

    name: np.ndarray
    promise_days: np.ndarray
    deliver_by_hour: np.ndarray
    cost_factor: np.ndarray
    popularity: np.ndarray


@dataclass(frozen=True)
class Network:
    """Arrays of one network. N nodes, R regions, S speeds, W waves, L lanes.

    Attributes:
        site: the nodes as places, `[N]`; tier: 0 dc, 1 fc, 2 same_day.
        region: customer regions; group: their larger areas, `[R]`.
        km: great-circle distance `[N, R]`; hours: transit hours; zone; ship_unit, ship_kg: outbound cost.
        connected: `[N, R]`, whether the transit table has the pair.
        cutoff: `[N, S]` hours, nan where the node does not offer the speed.
        wave_ends: `[W]` hours.
        lane_from, lane_to, lane_days, lane_sd, lane_km, lane_share: `[L]`; upstream nodes come first.
        review, review_offset: days `[N]`; handling, inbound_cost, holding_factor: `[N]`.
        chilled: whether a node may hold chilled goods `[N]`.
        sources: whether vendors deliver to the node `[N]` (the first tier that has nodes).
    """

    node_id: np.ndarray
    tier: np.ndarray
    site: Places
    region_id: np.ndarray
    region: Places
    group: np.ndarray
    speeds: Speeds
    km: np.ndarray
    hours: np.ndarray
    zone: np.ndarray
    ship_unit: np.ndarray
    ship_kg: np.ndarray
    connected: np.ndarray
    cutoff: np.ndarray
    wave_ends: np.ndarray
    lane_from: np.ndarray
    lane_to: np.ndarray
    lane_days: np.ndarray
    lane_sd: np.ndarray
    lane_km: np.ndarray
    lane_share: np.ndarray
    review: np.ndarray
    review_offset: np.ndarray
    handling: np.ndarray
    inbound_cost: np.ndarray
    holding_factor: np.ndarray
    chilled: np.ndarray
    sources: np.ndarray

    def eligible(self) -> np.ndarray:
        """`[W, S, N, R]` booleans: an order of this wave reaches the region within the promise."""
        end = self.wave_ends[:, None, None]
        cut = self.cutoff.T[None]  # [1, S, N]
        departure = np.where(end <= cut, cut, cut + 24.0)
        due = (24.0 * self.speeds.promise_days + self.speeds.deliver_by_hour)[None, :, None]
        slack = np.where(np.isnan(cut), -np.inf, due - departure)
        return self.connected & (self.hours <= slack[..., None])


def default_speeds(count: int) -> Speeds:
    """The first-choice set of `count` promises."""
    names = SPEED_SETS[count]
    rows = np.array([SPEEDS[name] for name in names])
    return Speeds(np.array(names), rows[:, 0].astype(int), rows[:, 1], rows[:, 2], rows[:, 3] / rows[:, 3].sum())


def wave_ends(count: int) -> np.ndarray:
    """Ends of `count` equal windows of the day, hours; the last is 24."""
    return np.round(24.0 * np.arange(1, count + 1) / count, 4)


def transit_hours(km: np.ndarray, foreign: np.ndarray) -> np.ndarray:
    """Door-to-door hours of a great-circle distance: van, then line haul, then air; customs when foreign."""
    road = km * CIRCUITY
    van = 2.0 + road / 50.0
    haul = 10.0 + road / 65.0
    air = 60.0 + road / 400.0
    by_land = np.where(road <= VAN_KM, van, np.minimum(haul, np.where(km > 2500.0, air + 24.0, np.inf)))
    return np.round(np.where(foreign, np.minimum(haul, air) + 36.0, by_land), 2)


def outbound_cost(km: np.ndarray, foreign: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cost per unit and per kg of an outbound shipment: zone, distance, and the van's way up to 60 road km.

    Two units share a parcel on average, so a unit bears about half of a parcel's price. The part by distance
    keeps nodes of one zone from costing exactly the same.
    """
    zone, road = parcel_zone(km), km * CIRCUITY
    unit = 1.5 + 0.13 * zone + 0.03 * np.minimum(road, 60.0) + 0.0005 * road
    kilo = 0.10 + 0.06 * zone + 0.0002 * road
    return np.round(unit + 4.0 * foreign, 3), np.round(kilo + 0.8 * foreign, 3)


def cutoff_hours(tier: np.ndarray, speeds: Speeds, offered_by_dc: bool) -> np.ndarray:
    """`[N, S]` cut-off hours; nan where not offered. DCs ship to customers only where nobody else does."""
    nodes = len(tier)
    hours = np.full((nodes, len(speeds.name)), np.nan)
    rank = _ranks(tier) - 1
    for s, days in enumerate(speeds.promise_days):
        if days == 0:
            late_fc = np.where(rank % 2 == 0, 14.0, 13.0)
            value = np.where(tier == 2, np.where(rank % 2 == 0, 16.0, 14.0), late_fc)
        elif days == 1:
            # two of three sites run a night shift that still takes the orders of the late evening
            value = np.where(tier == 2, 24.0, np.where(rank % 3 == 2, 18.0, 24.0))
        elif days == 2:
            value = np.where(rank % 2 == 0, 24.0, 20.0)
        else:
            value = np.full(nodes, 22.0)
        slow_at_small_site = (tier == 2) & (days > 1) & (tier < 2).any()
        hours[:, s] = np.where(slow_at_small_site, np.nan, value)
    if not offered_by_dc:
        hours[tier == 0] = np.nan
    return hours


def lanes_between(tier: np.ndarray, site: Places, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Lanes of the tiers: each node from its nearest node one tier up (main), and a second one (20 %)."""
    present = sorted(set(tier.tolist()))
    rows: list[tuple[int, int, float]] = []
    for upper, lower in pairwise(present):
        up, down = np.flatnonzero(tier == upper), np.flatnonzero(tier == lower)
        km = distance_km(site.lat[down], site.lon[down], site.lat[up], site.lon[up])
        for row, node in enumerate(down):
            order = np.argsort(km[row], kind="stable")[:2]
            second = len(order) > 1 and km[row, order[1]] < 4.0 * km[row, order[0]] + 800.0
            shares = (0.8, 0.2) if second else (1.0,)
            rows += [(up[k], node, share) for k, share in zip(order, shares, strict=False)]
    start = np.array([r[0] for r in rows], int)
    end = np.array([r[1] for r in rows], int)
    share = np.array([r[2] for r in rows], float)
    return lane_times(tier, site, start, end, share, rng)


def lane_times(
    tier: np.ndarray,
    site: Places,
    start: np.ndarray,
    end: np.ndarray,
    share: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Lead times (days) of lanes: one day up to 400 road km, one more each 700; customs and sea add to it."""
    km = np.diag(distance_km(site.lat[start], site.lon[start], site.lat[end], site.lon[end])).copy()
    foreign = site.country[start] != site.country[end]
    land = 1 + np.ceil(np.maximum(km * CIRCUITY - 400.0, 0.0) / 700.0)
    days = np.where(foreign, np.minimum(6 + np.ceil(km * CIRCUITY / 700.0), 24), np.minimum(land, 7))
    days = days + (tier[start] == 0)  # a DC needs a day to pick a replenishment
    uncertain = foreign | ((tier[start] == 0) & (rng.random(len(start)) < 0.3))
    return {
        "lane_from": start, "lane_to": end, "lane_share": share, "lane_km": km,
        "lane_days": days.astype(int), "lane_sd": np.where(uncertain, np.round(0.25 * days, 2), 0.0),
    }  # fmt: skip


def assemble(site: Places, tier: np.ndarray, region: Places, group: np.ndarray, speeds: Speeds, waves: int,
             rng: np.random.Generator) -> Network:  # fmt: skip
    """A network from sites and regions; the slowest promise is made long enough for every region and wave."""
    km = distance_km(site.lat, site.lon, region.lat, region.lon)
    foreign = site.country[:, None] != region.country[None, :]
    hours = transit_hours(km, foreign)
    ship_unit, ship_kg = outbound_cost(km, foreign)
    lanes = lanes_between(tier, site, rng)
    small, nodes = tier == 2, len(tier)
    local_only = small & bool((tier < 2).any())  # a same-day site serves its surroundings
    near = (km * CIRCUITY <= VAN_KM) & ~foreign
    connected = np.where(local_only[:, None], near, ~foreign | (km <= MAX_FOREIGN_KM))
    cutoff = cutoff_hours(tier, speeds, offered_by_dc=not bool((tier == 1).any()))
    connected &= ~np.isnan(cutoff).all(axis=1)[:, None]
    main = ~np.isnan(cutoff[:, -1])  # nodes that serve the slowest promise
    orphan = ~connected[main].any(axis=0)
    nearest = np.flatnonzero(main)[np.argmin(km[main][:, orphan], axis=0)]
    connected[nearest, np.flatnonzero(orphan)] = True  # nobody is left without a node
    pad = len(str(max(nodes, 10)))
    width = len(str(max(len(region.name), 100)))
    review = np.where(tier == 0, 7, np.where(tier == tier.min(), 3, 1))
    network = Network(
        node_id=np.array([f"{KINDS[t].upper()}{k:0{pad}d}" for t, k in zip(tier, _ranks(tier), strict=True)]),
        tier=tier, site=site, region_id=np.array([f"R{k:0{width}d}" for k in range(1, len(region.name) + 1)]),
        region=region, group=group, speeds=speeds, km=km, hours=hours, zone=parcel_zone(km),
        ship_unit=ship_unit, ship_kg=ship_kg, connected=connected,
        cutoff=cutoff, wave_ends=wave_ends(waves),
        review=review, review_offset=np.arange(nodes) % review,
        handling=np.round(np.choose(tier, [0.5, 0.7, 1.0]) * rng.uniform(0.9, 1.1, nodes), 3),
        inbound_cost=np.round(np.choose(tier, [0.08, 0.10, 0.20]) * rng.uniform(0.9, 1.1, nodes), 3),
        holding_factor=np.choose(tier, [1.0, 1.15, 1.6]),
        chilled=~(small & (_ranks(tier) % 2 == 0)) | (tier.min() == 2),
        sources=tier == tier.min(), **lanes,
    )  # fmt: skip
    return stretch_slowest(network)


def _ranks(tier: np.ndarray) -> np.ndarray:
    """1, 2, 3, ... within each tier."""
    rank = np.zeros(len(tier), int)
    for kind in set(tier.tolist()):
        rank[tier == kind] = np.arange(1, (tier == kind).sum() + 1)
    return rank


def stretch_slowest(network: Network) -> Network:
    """Lengthen the slowest promise until each region can be served in each wave (also with chilled goods)."""
    speeds = network.speeds
    for days in range(int(speeds.promise_days[-1]), MAX_PROMISE_DAYS + 1):
        promise = speeds.promise_days.copy()
        promise[-1] = days
        tried = replace(network, speeds=replace(speeds, promise_days=promise))
        if tried.eligible()[:, -1][:, network.chilled].any(axis=1).all():
            return tried
    raise ValueError(f"some region cannot be reached within {MAX_PROMISE_DAYS} days by any node of the network")


def make_network(options: GenerateOptions) -> Network:
    """The network of a synthetic instance."""
    rng = np.random.default_rng([options.seed, 1])
    region = make_regions(rng, options.shape, options.regions, options.seed)
    found = make_sites(rng, options.shape, region, options.nodes_per_tier)
    tier = np.repeat(np.arange(3), options.nodes_per_tier)
    site = Places(*(np.concatenate([getattr(p, f) for p in found]) for f in Places.__dataclass_fields__))
    group = region_groups(options.shape, region)
    return assemble(site, tier, region, group, default_speeds(options.speeds), options.waves, rng)
