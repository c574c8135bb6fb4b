"""Shares of a plan: how a node divides what it orders over its vendors and the nodes that supply it."""

import numpy as np
import polars as pl

from meio_jax.backtest.lookup import bad, integers, numbers, rows_of, texts
from meio_jax.backtest.network import World
from meio_jax.backtest.supply import Supply

OF_DATA = -1.0


def offer_items(supply: Supply) -> np.ndarray:
    """Row of the item of every offer, `[offers]`."""
    return np.repeat(np.arange(len(supply.offer_start) - 1), np.diff(supply.offer_start))


def offer_rows(world: World, table: pl.DataFrame, name: str) -> np.ndarray:
    """Offer that each row of a table names by `item_id, vendor_id, node_id`; an InputError where there is none."""
    names, supply = ["item", "vendor", "node"], world.supply
    known = pl.DataFrame(
        {"item": offer_items(supply), "vendor": supply.offer_vendor, "node": supply.offer_node}
    ).with_row_index("row")
    asked = pl.DataFrame(
        {
            "item": rows_of(table["item_id"], world.items, name),
            "vendor": rows_of(table["vendor_id"], world.vendors, name),
            "node": rows_of(table["node_id"], world.nodes, name),
        },
        schema=dict.fromkeys(names, pl.Int64),
    )
    found = asked.join(known, on=names, how="left", maintain_order="left")["row"]
    if found.null_count():
        line = int(found.is_null().arg_max() or 0)
        row = table.row(line, named=True)
        place = f"row {line + 1}, item {row['item_id']}, node {row['node_id']}"
        raise bad(name, place, "vendor_id", "a vendor with an offer of that item to that node", row["vendor_id"])
    return found.cast(pl.Int64).to_numpy()


def order_sizes(table: pl.DataFrame | None, world: World) -> np.ndarray:
    """What an order has at least by the plan `[offers]`, units; empty where the plan does not say."""
    if table is None or not table.height:
        return np.zeros(0, np.int64)
    sizes = np.zeros(len(world.supply.offer_node), np.int64)
    sizes[offer_rows(world, table, "plan/order_sizes")] = np.ceil(numbers(table, "units")).astype(np.int64)
    return sizes


def plan_shares(table: pl.DataFrame, world: World) -> tuple[np.ndarray, np.ndarray]:
    """Shares as the simulator reads them: of offers `[B, offers]`, of lanes `[B, items, lanes]`; -1: as in the data.

    Where item, node and bucket are listed, a source that is not listed gets nothing. Where an item has
    several offers of one vendor at a node, they have the vendor's share together.

    Raises:
        InputError: If a row names an item, node or source that the instance lacks, or a share below 0.
    """
    supply, share = world.supply, numbers(table, "share")
    if (share < 0).any():
        row = int(np.argmax(share < 0))
        raise bad("shares", f"row {row + 1}", "share", "a share of at least 0", float(share[row]))
    item, node = (rows_of(table[f"{name}_id"], ids, "shares") for name, ids in _ids(world))
    bucket = integers(table, "bucket", -1) if "bucket" in table.columns else np.full(table.height, -1)
    buckets = world.buckets if (bucket >= 0).any() else 1
    owner = offer_items(supply)
    offers, lanes = (
        np.full((buckets, len(owner)), OF_DATA),
        np.full((buckets, len(world.items), len(supply.lane_from)), OF_DATA),
    )
    listed = np.zeros((buckets, len(world.items), len(world.nodes)), bool)
    everywhere = bucket < 0
    listed[:, item[everywhere], node[everywhere]] = True
    own = (bucket >= 0) & (bucket < buckets)
    listed[bucket[own], item[own], node[own]] = True
    offers[listed[:, owner, supply.offer_node]] = 0.0
    lanes[listed[:, :, supply.lane_to]] = 0.0
    vendors = {name: place for place, name in enumerate(world.vendors)}
    sources, names = texts(table, "source"), texts(table, "source_id")
    places = {name: place for place, name in enumerate(world.nodes)}
    lane_at = {pair: lane for lane, pair in enumerate(zip(supply.lane_from, supply.lane_to, strict=True))}
    offers_at: dict[tuple[int, int, int], list[int]] = {}
    for offer, key in enumerate(zip(owner, supply.offer_node, supply.offer_vendor, strict=True)):
        offers_at.setdefault(key, []).append(offer)
    for row, (source, name) in enumerate(zip(sources, names, strict=True)):
        at = slice(None) if bucket[row] < 0 else slice(bucket[row], bucket[row] + 1)
        if source == "vendor":
            found = offers_at.get((item[row], node[row], vendors.get(name, -1)), [])
            offers[at, found] = share[row] / max(len(found), 1)
        else:
            lane = lane_at.get((places.get(name, -1), node[row]), -1)
            found = [] if lane < 0 else [lane]
            lanes[at, item[row], found] = share[row]
        if not found:
            raise bad("shares", f"row {row + 1}", "source_id", "a source of that item and node", name)
    return offers, lanes


def _ids(world: World) -> tuple[tuple[str, list[str]], tuple[str, list[str]]]:
    return ("item", world.items), ("node", world.nodes)
