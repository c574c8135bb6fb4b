"""How demand splits over regions, speeds and waves, and which nodes a sensible plan serves it from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from meio_jax.generate.supply import Network

# share of a day's orders placed before the hours 0, 6, 12, 18, 24
ORDER_CURVE_HOURS = (0.0, 6.0, 9.0, 12.0, 15.0, 18.0, 21.0, 24.0)
ORDER_CURVE = (0.0, 0.06, 0.16, 0.35, 0.52, 0.69, 0.88, 1.0)
TYPICAL_KG = 1.0


@dataclass(frozen=True)
class Profiles:
    """Demand shares of P taste profiles.

    Attributes:
        name: `[P]`.
        share: `[P, R, S, W]`, each profile sums to 1.
        chilled: `[P]`, whether the profile is for chilled goods (fewer nodes can serve them).
        direct: `[P, N]`, units a node ships to customers per unit of demand, when each order goes to the
            cheapest node that keeps its promise.
        through: `[P, N]`, units that pass through a node, to customers and to the nodes that it supplies.
        lane: `[P, L]`, units on each lane per unit of demand.
    """

    name: np.ndarray
    share: np.ndarray
    chilled: np.ndarray
    direct: np.ndarray
    through: np.ndarray
    lane: np.ndarray


def wave_shares(ends: np.ndarray) -> np.ndarray:
    """Share of a day's orders in each wave, `[W]`."""
    return np.diff(np.interp(np.concatenate([[0.0], ends]), ORDER_CURVE_HOURS, ORDER_CURVE))


def make_profiles(network: Network, count: int, chilled_count: int, rng: np.random.Generator) -> Profiles:
    """Taste profiles: regions by population with log-normal taste, speeds by popularity, waves by the clock.

    Demand that no node can serve as promised is moved to the next slower speed of the same wave.
    """
    population = network.region.population
    taste = population * np.exp(0.35 * rng.standard_normal((count, len(population))))
    mix = network.speeds.popularity * np.exp(0.25 * rng.standard_normal((count, len(network.speeds.name))))
    clock = wave_shares(network.wave_ends) * np.exp(0.10 * rng.standard_normal((count, len(network.wave_ends))))
    share = np.einsum("pr,ps,pw->prsw", taste, mix, clock)
    chilled = np.arange(count) >= count - chilled_count
    return finish_profiles(network, share, chilled)


def finish_profiles(network: Network, share: np.ndarray, chilled: np.ndarray) -> Profiles:
    """Profiles from raw shares `[P, R, S, W]`: infeasible promises moved, normalised, flows worked out."""
    eligible = network.eligible()  # [W, S, N, R]
    for group in (False, True):
        can = eligible & (network.chilled[:, None] | (not group))
        possible = np.any(can, axis=2).transpose(2, 1, 0)  # [R, S, W]
        mine = share[chilled == group]
        for s in range(share.shape[2] - 1):
            lost = np.where(possible[:, s], 0.0, mine[:, :, s])
            mine[:, :, s] -= lost
            mine[:, :, s + 1] += lost
        share[chilled == group] = mine
    share = share / share.sum(axis=(1, 2, 3), keepdims=True)
    direct = np.zeros((len(share), len(network.tier)))
    for group in (False, True):
        index = np.flatnonzero(chilled == group)
        nodes = preferred_nodes(network, eligible & (network.chilled[:, None] | (not group)))  # [W, S, R]
        onehot = (nodes[..., None] == np.arange(len(network.tier))).astype(float)  # [W, S, R, N]
        direct[index] = np.tensordot(share[index], onehot.transpose(2, 1, 0, 3), axes=3)
    through, lane = flow_upstream(network, direct)
    pad = len(str(len(share)))
    name = np.array([f"{'chilled' if c else 'taste'}_{k:0{pad}d}" for k, c in enumerate(chilled, 1)])
    return Profiles(name, share, chilled, direct, through, lane)


def preferred_nodes(network: Network, eligible: np.ndarray) -> np.ndarray:
    """Cheapest eligible node `[W, S, R]` for a parcel of 1 kg; -1 where there is none."""
    ship = network.ship_unit + network.ship_kg * TYPICAL_KG  # [N, R]
    cost = network.speeds.cost_factor[:, None, None] * ship + network.handling[:, None]  # [S, N, R]
    priced = np.where(eligible, cost, np.inf)
    return np.where(eligible.any(axis=2), np.argmin(priced, axis=2), -1)


def flow_upstream(network: Network, direct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flow through nodes `[P, N]` and on lanes `[P, L]` that the direct shipments `[P, N]` call for."""
    through = direct.copy()
    lane = np.zeros((len(direct), len(network.lane_from)))
    for tier in (2, 1):  # lowest tier first: what it draws is part of the flow of the tier above
        for k in np.flatnonzero(network.tier[network.lane_to] == tier):
            lane[:, k] = through[:, network.lane_to[k]] * network.lane_share[k]
        for k in np.flatnonzero(network.tier[network.lane_to] == tier):
            through[:, network.lane_from[k]] += lane[:, k]
    return through, lane


def shares_table(network: Network, profiles: Profiles) -> pl.DataFrame:
    """The table `shares`; rows without demand are left out."""
    p, r, s, w = np.nonzero(profiles.share > 0.0)
    return pl.DataFrame(
        {
            "profile": profiles.name[p],
            "region_id": network.region_id[r],
            "speed_id": network.speeds.name[s],
            "wave": w,
            "share": profiles.share[p, r, s, w],
        }
    )
