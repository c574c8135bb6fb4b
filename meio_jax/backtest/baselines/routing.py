"""Which node a customer belongs to, and what passes through the nodes above it."""

import numpy as np

from meio_jax.backtest.baselines.setting import Setting


def home_nodes(setting: Setting, score: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Node of every class `[speeds, regions, waves]` that serves it in time at the least `score`; -1: none.

    `score` is per entry of `reach`, `allowed` per node.
    """
    world = setting.world
    reach, ends = world.reach, world.split.wave_ends[1:]
    homes = np.full((reach.speeds * reach.regions, len(ends)), -1)
    for group in range(reach.speeds * reach.regions):
        entries = np.arange(reach.start[group], reach.start[group + 1])
        entries = entries[allowed[reach.node[entries]]]
        for w, end in enumerate(ends):
            open_entries = entries[reach.latest[entries] >= end - 1e-9]
            if len(open_entries):
                homes[group, w] = reach.node[open_entries[np.argmin(score[open_entries])]]
    return homes.reshape(reach.speeds, reach.regions, len(ends))


def delivered_parts(setting: Setting, preferred: np.ndarray, by_distance: bool) -> tuple[np.ndarray, np.ndarray]:
    """Share of an item's demand at each node `[items, nodes]`, and the sum of the squared shares of its
    regions.

    A class belongs to its cheapest (or nearest) node among the `preferred`, and to any node where no
    preferred one can keep its promise.
    """
    world = setting.world
    reach, split, catalog = world.reach, world.split, world.catalog
    shape = (len(world.items), len(world.nodes))
    part, square = np.zeros(shape), np.zeros(shape)
    pattern = np.concatenate([catalog.storage_class[:, None], setting.supplied], 1)
    groups, member = np.unique(pattern, axis=0, return_inverse=True)
    for g in range(len(groups)):
        items = np.flatnonzero(member.reshape(-1) == g)
        open_nodes = setting.supplied[items[0]]
        weight = float(np.median(catalog.weight[items]))
        score = reach.km if by_distance else reach.cost_unit + reach.cost_kg * weight + world.sites.handling[reach.node]
        homes = home_nodes(setting, score, open_nodes & preferred)
        fallback = home_nodes(setting, score, open_nodes)
        homes = np.where(homes >= 0, homes, fallback)
        for p in np.unique(catalog.profile[items]):
            rows = np.arange(split.start[p], split.start[p + 1])
            node = homes[split.speed[rows], split.region[rows], split.wave[rows]]
            known = node >= 0
            table = np.zeros((len(world.regions), shape[1]))
            np.add.at(table, (split.region[rows][known], node[known]), split.share[rows][known])
            mine = items[catalog.profile[items] == p]
            part[mine], square[mine] = table.sum(0), (table**2).sum(0)
    return part, square


def passed_on(setting: Setting, part: np.ndarray) -> np.ndarray:
    """Demand below each node `[items, nodes]`: its own part and the shares that it supplies to others."""
    sites, out = setting.world.sites, part.copy()
    for node in sites.tier_nodes:
        for upper in np.flatnonzero(setting.route[:, node]):
            out[:, upper] += setting.route[upper, node] * out[:, node]
    return out


def way_down(setting: Setting, part: np.ndarray) -> np.ndarray:
    """Mean days `[items, nodes]` from a node to where its goods are sold: lead time and review of the nodes
    below."""
    sites = setting.world.sites
    through, days = passed_on(setting, part), np.zeros(part.shape)
    for node in sites.tier_nodes:
        for upper in np.flatnonzero(setting.route[:, node]):
            step = setting.lead[:, node] + setting.gap[node] - 1 + days[:, node]
            days[:, upper] += (
                setting.route[upper, node] * through[:, node] * step / np.maximum(through[:, upper], 1e-12)
            )
    return days
