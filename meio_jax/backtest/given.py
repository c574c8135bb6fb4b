"""Purchase orders and transfers that a plan's tables name, as rows of the simulator's arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from meio_jax.backtest.lookup import bad, rows_of
from meio_jax.backtest.network import World
from meio_jax.backtest.plan_shares import offer_rows

ORDERS, TRANSFERS = "plan/orders", "plan/transfers"


class Given(NamedTuple):
    """What is to be done today: rows of offers and of items and lanes, with their units.

    `bought [orders]` and `moved [transfers]` are units; `offer`, `item` and `lane` say of what.
    """

    offer: np.ndarray
    bought: np.ndarray
    item: np.ndarray
    lane: np.ndarray
    moved: np.ndarray


def read_given(world: World, orders: pl.DataFrame, transfers: pl.DataFrame) -> Given:
    """Rows of the tables `plan/orders` and `plan/transfers`.

    Raises:
        InputError: If a row names an offer or a lane that the instance lacks, units that are not whole, or an order
            that the vendor would not take (not in whole packs, or less than the least order).
    """
    offer, bought = _orders(world, orders)
    item, lane, moved = _transfers(world, transfers)
    return Given(offer, bought, item, lane, moved)


def _orders(world: World, table: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    _columns(table, ORDERS, ("item_id", "vendor_id", "node_id", "units"))
    supply = world.supply
    offer, units = offer_rows(world, table, ORDERS), _whole(table, ORDERS)
    pack, least = supply.offer_pack[offer], supply.offer_least[offer]
    wrong = (units > 0) & ((units % pack != 0) | (units < least))
    if wrong.any():
        line = int(np.argmax(wrong))
        row = table.row(line, named=True)
        place = f"row {line + 1}, item {row['item_id']}, node {row['node_id']}"
        raise bad(ORDERS, place, "units", f"whole packs of {pack[line]}, at least {least[line]}", int(units[line]))
    return offer[units > 0], units[units > 0]


def _transfers(world: World, table: pl.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    _columns(table, TRANSFERS, ("item_id", "from_node", "to_node", "units"))
    supply = world.supply
    lanes = np.full((len(world.nodes), len(world.nodes)), -1, np.int64)
    lanes[supply.lane_from, supply.lane_to] = np.arange(len(supply.lane_from))
    item = rows_of(table["item_id"], world.items, TRANSFERS)
    origin, target = (rows_of(table[name], world.nodes, TRANSFERS) for name in ("from_node", "to_node"))
    lane, units = lanes[origin, target], _whole(table, TRANSFERS)
    if (lane < 0).any():
        line = int(np.argmax(lane < 0))
        row = table.row(line, named=True)
        place = f"row {line + 1}, item {row['item_id']}"
        raise bad(TRANSFERS, place, "from_node, to_node", "a lane", f"{row['from_node']} to {row['to_node']}")
    some = units > 0
    return item[some], lane[some], units[some]


def _columns(table: pl.DataFrame, name: str, wanted: tuple[str, ...]) -> None:
    missing = [column for column in wanted if column not in table.columns]
    if missing:
        raise bad(name, "", ", ".join(missing), "the columns " + ", ".join(wanted), None, "give the table of a plan")


def _whole(table: pl.DataFrame, name: str) -> np.ndarray:
    """Units of every row, int64."""
    units = table["units"].cast(pl.Float64).to_numpy()
    wrong = ~(np.isfinite(units) & (units >= 0) & (units == np.floor(units)))
    if wrong.any():
        line = int(np.argmax(wrong))
        raise bad(name, f"row {line + 1}", "units", "a whole number of units, 0 or more", float(units[line]))
    return units.astype(np.int64)
