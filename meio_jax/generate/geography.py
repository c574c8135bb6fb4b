"""Where people live and where sites stand: metro areas, distances, regions and site choice."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import polars as pl

EARTH_RADIUS_KM = 6371.0
KM_PER_MILE = 1.609344
CIRCUITY = 1.2  # road over great-circle distance; 1.2 is the usual figure for the US and Europe
ZONE_MILES = (50, 150, 300, 600, 1000, 1400, 1800)  # upper ends of parcel zones 1..7; beyond: zone 8


@dataclass(frozen=True)
class Places:
    """Points on the map, one entry each: degrees, inhabitants, country code."""

    name: np.ndarray
    country: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    population: np.ndarray

    def take(self, index: np.ndarray) -> Places:
        """The places at `index`, in that order."""
        return Places(self.name[index], self.country[index], self.lat[index], self.lon[index], self.population[index])


@cache
def metros() -> Places:
    """Built-in table of metropolitan areas: 130 in the US, 93 elsewhere.

    Populations are rounded public figures (about 2020-2023), in persons; they set proportions, nothing more.
    """
    source = files("meio_jax.generate").joinpath("metros.csv").read_bytes()
    table = pl.read_csv(source)
    return Places(
        table["name"].to_numpy().astype(str),
        table["country"].to_numpy().astype(str),
        table["lat"].to_numpy(),
        table["lon"].to_numpy(),
        1000.0 * table["population_thousands"].to_numpy(),
    )


def distance_km(lat_a, lon_a, lat_b, lon_b) -> np.ndarray:
    """Great-circle distances `[len(a), len(b)]` in km (haversine); arguments in degrees."""
    phi_a, phi_b = np.radians(lat_a)[:, None], np.radians(lat_b)[None, :]
    d_lambda = np.radians(lon_b)[None, :] - np.radians(lon_a)[:, None]
    a = np.sin((phi_b - phi_a) / 2) ** 2 + np.cos(phi_a) * np.cos(phi_b) * np.sin(d_lambda / 2) ** 2
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(a, 0.0, 1.0)))


def parcel_zone(km: np.ndarray) -> np.ndarray:
    """Parcel zone 1..8 of a great-circle distance in km."""
    return 1 + np.searchsorted(np.asarray(ZONE_MILES, float) * KM_PER_MILE, km, side="left")


def choose_sites(distance: np.ndarray, weight: np.ndarray, count: int, rounds: int = 10) -> np.ndarray:
    """K-median by greedy choice and re-centring: `count` candidates that are near the weighted points.

    Args:
        distance: `[candidates, points]`.
        weight: `[points]`.
        count: number of sites, at most the number of candidates.
        rounds: most rounds of re-centring.

    Returns:
        Indices of candidates, all different.
    """
    if count == 0:
        return np.zeros(0, int)
    nearest = np.full(distance.shape[1], distance.max() * 2 + 1.0)
    chosen: list[int] = []
    free = np.ones(distance.shape[0], bool)
    for _ in range(count):
        saving = np.maximum(nearest[None, :] - distance, 0.0) @ weight
        best = int(np.argmax(np.where(free, saving, -1.0)))
        chosen.append(best)
        free[best] = False
        nearest = np.minimum(nearest, distance[best])
    for _ in range(rounds):
        before = list(chosen)
        member = np.argmin(distance[chosen], axis=0)
        for k in range(count):
            mine = member == k
            effort = distance[:, mine] @ weight[mine]
            effort[[site for j, site in enumerate(chosen) if j != k]] = np.inf
            # the first best candidate may be a tie: stay unless moving is a real gain
            best = int(np.argmin(effort))
            if effort[best] < effort[chosen[k]] * (1 - 1e-9):
                chosen[k] = best
        if chosen == before:
            break
    return np.asarray(chosen, dtype=int)


def offset(rng: np.random.Generator, lat, lon, low_km: float, high_km: float):
    """The points moved by a random distance in `[low_km, high_km]` in a random direction."""
    count = len(lat)
    reach = rng.uniform(low_km, high_km, count)
    angle = rng.uniform(0.0, 2 * np.pi, count)
    d_lat = reach * np.cos(angle) / 111.0
    d_lon = reach * np.sin(angle) / (111.0 * np.cos(np.radians(lat)))
    return lat + d_lat, lon + d_lon


def neighbourhoods(rng: np.random.Generator, places: Places, count: int, spread_km: float) -> Places:
    """`count` districts: each place gets districts by population, scattered around its middle."""
    exact = places.population / places.population.sum() * count
    pieces = np.maximum(1, np.floor(exact)).astype(int)
    while pieces.sum() < count:
        pieces[np.argmax(exact / pieces)] += 1
    while pieces.sum() > count:
        pieces[np.argmin(np.where(pieces > 1, exact / pieces, np.inf))] -= 1
    index = np.repeat(np.arange(len(pieces)), pieces)
    size = rng.lognormal(0.0, 0.5, count)
    total = np.bincount(index, size, minlength=len(pieces))
    lat, lon = offset(rng, places.lat[index], places.lon[index], 0.1 * spread_km, spread_km)
    whole = pieces[index] == 1
    lat, lon = np.where(whole, places.lat[index], lat), np.where(whole, places.lon[index], lon)
    number = np.concatenate([np.arange(1, k + 1) for k in pieces])
    name = np.array([f"{places.name[i]} {k}" for i, k in zip(index, number, strict=True)])
    return Places(name, places.country[index], lat, lon, places.population[index] * size / total[index])


def make_regions(rng: np.random.Generator, shape: str, count: int, seed: int) -> Places:
    """Customer regions of a shape; a region's point is its largest place, its population the whole of it."""
    world = metros()
    if shape == "local":
        domestic = np.flatnonzero(world.country == "US")
        largest = domestic[np.argsort(-world.population[domestic])][:10]
        city = world.take(largest[[seed % len(largest)]])
        return neighbourhoods(rng, city, count, 45.0)
    places = world if shape == "global" else world.take(np.flatnonzero(world.country == "US"))
    if count > len(places.name):
        return neighbourhoods(rng, places, count, 70.0)
    distance = distance_km(places.lat, places.lon, places.lat, places.lon)
    centres = choose_sites(distance, places.population, count)
    member = np.argmin(distance[centres], axis=0)
    population = np.bincount(member, places.population, minlength=count)
    found = places.take(centres)
    return Places(found.name, found.country, found.lat, found.lon, population)


def make_sites(rng: np.random.Generator, shape: str, regions: Places, tiers: tuple[int, int, int]):
    """Sites by tier `(dc, fc, same_day)`: near population, DC a little further out. One Places each."""
    if shape == "local":
        near = [(25.0, 60.0), (8.0, 22.0), (0.5, 5.0)]
        pool = neighbourhoods(rng, regions, max(len(regions.name), *tiers), 8.0)
    else:
        near = [(30.0, 90.0), (20.0, 50.0), (2.0, 8.0)]
        world = metros() if shape == "global" else metros().take(np.flatnonzero(metros().country == "US"))
        pool = world if len(world.name) >= max(tiers) else neighbourhoods(rng, world, max(tiers), 40.0)
    reach = distance_km(pool.lat, pool.lon, regions.lat, regions.lon)
    found = []
    for tier, count in enumerate(tiers):
        if tier == 2 and shape != "local":
            # a same-day site is of use only where people are close: score people within 60 km, not distance
            index = choose_sites(np.minimum(reach, 60.0), regions.population, count)
        else:
            index = choose_sites(reach, regions.population, count)
        site = pool.take(index)
        lat, lon = offset(rng, site.lat, site.lon, *near[tier])
        found.append(Places(site.name, site.country, lat, lon, site.population))
    return found


def region_groups(shape: str, regions: Places) -> np.ndarray:
    """Names of larger areas, one per region: country, part of the country, or side of the city."""
    if shape == "global":
        return regions.country
    lat, lon = regions.lat, regions.lon
    if shape == "national":
        east = np.where(lat > 37.5, "northeast", "southeast")
        return np.where(lon < -110.0, "west", np.where(lon < -90.0, "central", east))
    middle_lat, middle_lon = np.median(lat), np.median(lon)
    return np.where(lon >= middle_lon, "east", np.where(lat > middle_lat, "northwest", "southwest"))
