"""Shelf lives as arrays: how long items keep, what of their stock is old, and what nodes can still ship."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from meio_jax.instance.ids import Ids, positions
from meio_jax.model.network import Network
from meio_jax.tables import Tables

KEEPS = int(np.iinfo(np.int32).max)
"""Shelf life of an item that keeps, in periods."""


def item_lives(tables: Tables) -> np.ndarray:
    """Shelf life of every item, in periods; `KEEPS` without one."""
    return tables.items["shelf_life"].fill_null(KEEPS).to_numpy().astype(np.int64)


def lives_counted(network: Network, lives: Sequence[int]) -> int:
    """Up to which life units are told apart; 0 where nothing expires while the network is simulated.

    Args:
        network: The network, with what is simulated of it.
        lives: Those that units of the catalog have (`Census.lives`).
    """
    longest = max((life for life in lives if life <= network.horizon), default=0)
    # Seen from the evening before the first period everything lives a period longer.
    return longest + 1 if longest and network.evening else longest


def lanes_in_time(tables: Tables) -> np.ndarray:
    """Whether what a lane brings of an item can still be sold where it arrives `[lanes, items]`."""
    return _whole_leads(tables)[:, None] < item_lives(tables)[None]


def shelf_arrays(tables: Tables, ids: Ids, network: Network, lives: int) -> dict[str, np.ndarray]:
    """The fields of a `ShelfLife`, their last axis that of the items."""
    return {
        "life": item_lives(tables),
        "waste_cost": tables.items["waste_cost"].to_numpy(),
        "stale": _stale_stock(tables, ids, lives),
        "outlive": np.minimum(_outlive(tables, network), lives),
    }


def _whole_leads(tables: Tables) -> np.ndarray:
    """Mean lead time of every lane, rounded up to whole periods."""
    return np.ceil(tables.lanes["lead_time"].to_numpy()).astype(np.int64)


def _outlive(tables: Tables, network: Network) -> np.ndarray:
    """Lead time of the slowest lane of a node that an item can take `[nodes, items]`; 0 for items that keep."""
    life, lead = item_lives(tables), _whole_leads(tables)
    in_time = lanes_in_time(tables) & (life < KEEPS)
    slowest = np.zeros((network.nodes, life.size), np.int64)
    np.maximum.at(slowest, np.asarray(network.lane_from, int), np.where(in_time, lead[:, None], 0))
    return slowest


def _stale_stock(tables: Tables, ids: Ids, lives: int) -> np.ndarray:
    """Units on hand with a life of at most 1, 2, ... periods `[lives, nodes, items]`."""
    items, rows = tables.items, tables.expiries
    stale = np.zeros((lives, len(ids.nodes), items.height))
    node, item = positions(rows["node_id"], ids.nodes), positions(rows["item_id"], items["item_id"].to_list())
    left = rows["last_period"].to_numpy() + 1
    # Days of an item that keeps say nothing of it (tables of two runs may be combined).
    ages = item_lives(tables)[item] < KEEPS
    for life in range(1, lives + 1):
        own = ages & (left <= life)
        np.add.at(stale[life - 1], (node[own], item[own]), rows["units"].to_numpy()[own])
    return stale + _fresh_stock(tables, ids, stale, lives)


def _fresh_stock(tables: Tables, ids: Ids, stale: np.ndarray, lives: int) -> np.ndarray:
    """The rest of what is on hand, which counts as received on the first day, by life as `stale`."""
    items, stock = tables.items["item_id"].to_list(), tables.on_hand
    on_hand = np.zeros(stale.shape[1:])
    on_hand[positions(stock["node_id"], ids.nodes), positions(stock["item_id"], items)] = stock["units"].to_numpy()
    told = _told_units(tables, ids)
    at_most = np.arange(1, lives + 1)[:, None, None]
    return np.where(at_most >= item_lives(tables), np.maximum(on_hand - told, 0), 0)


def _told_units(tables: Tables, ids: Ids) -> np.ndarray:
    """Units whose last day of sale is given `[nodes, items]`."""
    items, rows = tables.items["item_id"].to_list(), tables.expiries
    told = np.zeros((len(ids.nodes), len(items)))
    at = (positions(rows["node_id"], ids.nodes), positions(rows["item_id"], items))
    np.add.at(told, at, rows["units"].to_numpy())
    return told
