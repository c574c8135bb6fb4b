"""What is in stock and under way at the start, by the last day on which it can be sold."""

import numpy as np

from meio_jax.backtest.books import State
from meio_jax.backtest.network import World


def lots_at_start(world: World) -> tuple[np.ndarray, np.ndarray]:
    """Stock by last day of sale, and the row of every item: `State.lots` and `State.lot_row`.

    What is not in the table `expiries` counts as received on the first day.
    """
    life = world.catalog.life
    rows = np.where(life > 0, np.cumsum(life > 0) - 1, -1)
    last_column, nodes = world.periods + int(life.max(initial=0)), len(world.nodes)
    lots = np.zeros((int((life > 0).sum()), nodes, last_column + 1), np.int64)
    item, node, units, last = world.expiries
    ages = rows[item] >= 0
    np.add.at(lots, (rows[item[ages]], node[ages], np.minimum(last[ages], last_column)), units[ages])
    kept = np.flatnonzero(life > 0)
    # Fractions are rounded row by row, and may add up to more than the whole stock: the last to expire are left out.
    most = np.minimum(lots.cumsum(2), world.on_hand[kept][:, :, None])
    lots = np.diff(most, axis=2, prepend=0)
    fresh = world.on_hand[kept] - lots.sum(2)
    column = np.broadcast_to(np.minimum(life[kept] - 1, last_column)[:, None], fresh.shape)
    np.add.at(lots, (rows[kept][:, None], np.arange(nodes)[None], column), fresh)
    return lots, rows


def first_last_days(world: World) -> np.ndarray:
    """Last day of sale of what is under way at the start.

    -1, counted from the receipt, at nodes that buy from vendors; at others it counts as received on the first day.
    """
    item, node, _, _ = world.on_order
    life = world.catalog.life[item]
    return np.where(world.buys[node] | (life == 0), -1, life - 1)


def most_transfers(world: World, state: State, first: int, last: int) -> int:
    """Most entries of `Shipments` that transfers of items `first` to `last` take: one for every lane and lot."""
    lanes, rows = world.supply.lane_from, state.lot_row[first:last]
    kept = int((rows < 0).sum()) * len(lanes)
    return kept + int((state.lots[rows[rows >= 0]] > 0).sum((0, 2))[lanes].sum())
