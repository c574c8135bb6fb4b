"""Planners' decisions as arrays: fixed orders, sources that are excluded for a while, and bounds on stock."""

from __future__ import annotations

import numpy as np
import polars as pl

from meio_jax.instance.census import Census
from meio_jax.instance.ids import Ids, positions
from meio_jax.instance.override_counts import closed_for_a_while, fixed_orders
from meio_jax.model.network import Network
from meio_jax.tables import Tables
from meio_jax.tables.frozen import frozen_offers
from meio_jax.tables.overrides import BOUNDS, excluded_offers, excluded_pairs, in_force, lasts

NEVER = -(2**20)
"""A period before all others."""


def not_excluded(tables: Tables, ids: Ids) -> np.ndarray:
    """Whether no override excludes an item from a node throughout `[nodes, items]`."""
    items, rows = tables.items["item_id"].to_list(), excluded_pairs(tables.overrides, tables.settings)
    kept: np.ndarray = np.ones((len(ids.nodes), len(items)), bool)
    kept[positions(rows["node_id"], ids.nodes), positions(rows["item_id"], items)] = False
    return kept


def offers_open(tables: Tables, offers: pl.DataFrame) -> np.ndarray:
    """Whether no override excludes an offer throughout, by row of `offers`."""
    keys = ["item_id", "vendor_id", "node_id"]
    shut = excluded_offers(tables.overrides, tables.settings).with_columns(pl.lit(False).alias("__open"))
    found = offers.select(keys).join(shut, on=keys, how="left", maintain_order="left")["__open"]
    return found.fill_null(value=True).to_numpy()


def lanes_open(tables: Tables, ids: Ids) -> np.ndarray:
    """Whether no override excludes a lane for an item throughout `[lanes, items]`."""
    items = tables.items["item_id"].to_list()
    rows = in_force(tables.overrides, tables.settings, "exclude")
    rows = rows.filter(pl.col("from_node").is_not_null() & lasts(tables.settings))
    found: np.ndarray = np.ones((len(ids.lanes), len(items)), bool)
    lane = {pair: number for number, pair in enumerate(ids.lanes)}
    used = [lane[pair] for pair in rows.select("from_node", "node_id").iter_rows()]
    found[used, positions(rows["item_id"], items)] = False
    return found


def stock_cells(tables: Tables, ids: Ids, *, overridden: bool) -> dict[str, np.ndarray]:
    """Bounds on stock as they are given, by column `[nodes, items]`: those of `assortment`, and of overrides over them.

    Args:
        tables: The items.
        ids: Names.
        overridden: Whether overrides count; else what applies once they have expired.
    """
    items = tables.items["item_id"].to_list()
    sources = [tables.assortment]
    if overridden:
        sources.append(in_force(tables.overrides, tables.settings, "stock"))
    found = {}
    for name in BOUNDS:
        found[name] = np.full((len(ids.nodes), len(items)), np.inf if name.startswith("max") else 0.0)
        for table in sources:
            rows = table.filter(pl.col(name).is_not_null())
            at = (positions(rows["node_id"], ids.nodes), positions(rows["item_id"], items))
            found[name][at] = rows[name].to_numpy()
    return found


def bounds_until(tables: Tables, ids: Ids) -> np.ndarray:
    """Last period in which overrides on stock apply `[nodes, items]`; `NEVER` where there are none."""
    items, rows = tables.items["item_id"].to_list(), in_force(tables.overrides, tables.settings, "stock")
    until = np.full((len(ids.nodes), len(items)), NEVER, np.int64)
    until[positions(rows["node_id"], ids.nodes), positions(rows["item_id"], items)] = rows["until"].to_numpy()
    return until


def override_arrays(
    tables: Tables, ids: Ids, network: Network, slots: pl.DataFrame, census: Census
) -> dict[str, np.ndarray]:
    """The leaves of `Overrides` before they are cut into blocks; the item axis is last.

    Args:
        tables: The items.
        ids: Names.
        network: The network.
        slots: Offer slot of every offer: `item_id, vendor_id, node_id, slot`.
        census: Of the whole catalog: the most orders that are fixed for an item, and which leaves there are.
    """
    items = tables.items["item_id"].to_list()
    shape = (census.fixed, len(items))
    source, day, units = np.full(shape, -1), np.full(shape, NEVER), np.zeros(shape)
    orders, count = fixed_orders(tables), np.zeros(len(items), int)
    at = _sources(orders, ids, network, slots)
    for number, item in enumerate(positions(orders["item_id"], items).tolist()):
        row = (count[item], item)
        source[row], day[row], units[row] = at[number][0], orders["period"][number], orders["units"][number]
        count[item] += 1
    found = {"source": source, "day": day, "units": units}
    if census.closings:
        rows, until = closed_for_a_while(tables), np.full((network.offers + network.lanes, len(items)), NEVER)
        at = _sources(rows, ids, network, slots)
        for number, item in enumerate(positions(rows["item_id"], items).tolist()):
            until[at[number], item] = np.maximum(until[at[number], item], rows["until"][number])
        found["closed_until"] = until
    if census.frozen:
        rows, until = frozen_offers(tables.offers, tables.settings), np.full((network.offers, len(items)), NEVER)
        own = rows.join(slots, on=["item_id", "vendor_id", "node_id"], maintain_order="left")
        until[own["slot"].to_numpy(), positions(own["item_id"], items)] = own["frozen_until"].to_numpy()
        found["frozen_until"] = until
    return found


def _sources(rows: pl.DataFrame, ids: Ids, network: Network, slots: pl.DataFrame) -> list[list[int]]:
    """Sources that each row names: an offer, a lane, or all sources of the node."""
    if rows.is_empty():
        return []
    by_offer = {(item, vendor, node): slot for item, vendor, node, slot in slots.iter_rows()}
    lane = {pair: network.offers + number for number, pair in enumerate(ids.lanes)}
    into = [*network.offer_node, *network.lane_to]
    found = []
    for item, node, vendor, origin in rows.select("item_id", "node_id", "vendor_id", "from_node").iter_rows():
        if vendor is not None:
            found.append([by_offer[item, vendor, node]])
        elif origin is not None:
            found.append([lane[origin, node]])
        else:
            found.append(np.flatnonzero(np.asarray(into) == ids.nodes.index(node)).tolist())
    return found
