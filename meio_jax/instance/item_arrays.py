"""Item tables to arrays whose last axis is the item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from meio_jax.instance.calendar import goods_under_way
from meio_jax.instance.census import Census
from meio_jax.instance.ids import Ids, positions
from meio_jax.instance.overrides import offers_open
from meio_jax.instance.reach import order_reach
from meio_jax.instance.vendor_rhythm import Rhythm
from meio_jax.model.network import Network
from meio_jax.model.resources import SIZES
from meio_jax.tables import Tables
from meio_jax.tables.breaks import offer_breaks
from meio_jax.tables.measures import unit_sizes
from meio_jax.tables.owed import owed_units

_LAWS = ("fixed", "gamma", "empirical")


@dataclass(frozen=True)
class OfferArrays:
    """Offers by slot and item (`[offers, items]`); slots of an item's missing offers are inactive.

    `line_cost` is the fixed cost of an order line, `share_cost` the part of a unit in those of a vendor's whole order.
    `break_units` and `break_cost` are prices by quantity `[breaks, offers, items]`, infinite where there are fewer.
    """

    active: np.ndarray
    unit_cost: np.ndarray
    freight: np.ndarray
    share: np.ndarray
    lead_mean: np.ndarray
    lead_sd: np.ndarray
    law: np.ndarray
    vendor: np.ndarray
    pack: np.ndarray
    least: np.ndarray
    line_cost: np.ndarray
    share_cost: np.ndarray
    break_units: np.ndarray
    break_cost: np.ndarray

    @property
    def lowest_cost(self) -> np.ndarray:
        """The least that a unit costs through each offer, at any quantity."""
        return np.minimum(
            self.unit_cost, np.where(np.isfinite(self.break_units), self.break_cost, np.inf).min(0, initial=np.inf)
        )


def ranked_offers(tables: Tables) -> pl.DataFrame:
    """Offers with the column `rank`: 0 for the cheapest landed offer of an item at a node, then by lead time."""
    landed = pl.col("unit_cost") + pl.col("freight_cost")
    cheapest = (landed.rank("ordinal").over("item_id", "node_id") == 1).alias("cheapest")
    offers = tables.offers.with_columns(cheapest)
    order = offers.sort("item_id", "node_id", pl.col("cheapest").not_(), "lead_time_mean", maintain_order=True)
    return order.with_columns((pl.int_range(pl.len()).over("item_id", "node_id")).alias("rank"))


def slotted_offers(tables: Tables, ids: Ids, network: Network) -> pl.DataFrame:
    """Offers with the columns `rank` and `slot`, the offer slot of the network that each takes."""
    offers = ranked_offers(tables)
    table = np.full((len(ids.nodes), max(network.offer_rank, default=0) + 1), -1)
    for slot, (node, rank) in enumerate(zip(network.offer_node, network.offer_rank, strict=True)):
        table[node, rank] = slot
    slot = table[positions(offers["node_id"], ids.nodes), offers["rank"].to_numpy()]
    return offers.with_columns(pl.Series("slot", slot, pl.Int64))


def offer_arrays(tables: Tables, ids: Ids, network: Network, kept: np.ndarray, census: Census) -> OfferArrays:
    """Offers over slots and items; those of a node that may not order an item (`kept_nodes`) are inactive.

    So are offers that an override excludes.
    """
    items = tables.items["item_id"].to_list()
    offers = slotted_offers(tables, ids, network)
    node = positions(offers["node_id"], ids.nodes)
    at = (offers["slot"].to_numpy(), positions(offers["item_id"], items))
    shape = (network.offers, len(items))

    def spread(values: object, empty: float | int, kind: type = float) -> np.ndarray:
        array: np.ndarray = np.full(shape, empty, kind)
        array[at] = values
        return array

    quantities = offer_breaks(tables.price_breaks, offers).join(
        offers.select("item_id", "vendor_id", "node_id", "slot"), on=["item_id", "vendor_id", "node_id"], how="inner"
    )
    step = (quantities["rank"].to_numpy(), quantities["slot"].to_numpy(), positions(quantities["item_id"], items))
    break_units, break_cost = np.full((census.breaks, *shape), np.inf), np.zeros((census.breaks, *shape))
    break_units[step], break_cost[step] = quantities["from_units"].to_numpy(), quantities["unit_cost"].to_numpy()
    return OfferArrays(
        active=spread(kept[node, at[1]] & offers_open(tables, offers), False, bool),
        unit_cost=spread(offers["unit_cost"].to_numpy(), 0),
        freight=spread(offers["freight_cost"].to_numpy(), 0),
        share=spread(offers["share"].fill_null(0).to_numpy(), 0),
        lead_mean=spread(offers["lead_time_mean"].to_numpy(), 1),
        lead_sd=spread(offers["lead_time_sd"].to_numpy(), 0),
        law=spread(positions(offers["lead_time_law"], list(_LAWS)), 0, int),
        vendor=spread(positions(offers["vendor_id"], ids.vendors), 0, int),
        pack=spread(offers["pack_size"].to_numpy(), 1),
        least=spread(offers["min_order"].to_numpy(), 0),
        line_cost=spread(offers["order_cost"].to_numpy(), 0),
        share_cost=spread(_share_costs(offers, census), 0),
        break_units=break_units,
        break_cost=break_cost,
    )


def _share_costs(offers: pl.DataFrame, census: Census) -> np.ndarray:
    """Part of a unit in the fixed costs of whole orders, by offer."""
    found = {(one.vendor, one.node): one.unit_cost for one in census.rhythms}
    pairs = offers.select("vendor_id", "node_id").iter_rows()
    return np.asarray([found.get(pair, 0.0) for pair in pairs] if found else np.zeros(offers.height), float)


def accepted_classes(tables: Tables, ids: Ids) -> np.ndarray:
    """Whether a node accepts a storage class: `[nodes, classes]`."""
    accepted = np.ones((len(ids.nodes), len(ids.classes)), bool)
    for node, text in enumerate(tables.nodes["storage_classes"].fill_null("").to_list()):
        names = {name.strip() for name in text.split(";") if name.strip()}
        if names:
            accepted[node] = [name in names for name in ids.classes]
    return accepted


def stock_arrays(tables: Tables, ids: Ids, network: Network) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """On-hand `[nodes, items]`, and what is on order in the vendor and in the lane pipelines."""
    items = tables.items["item_id"].to_list()
    on_hand = np.zeros((network.nodes, len(items)))
    stock = tables.on_hand
    on_hand[positions(stock["node_id"], ids.nodes), positions(stock["item_id"], items)] = stock["units"]
    vendor = np.zeros((len(network.vendor_nodes), network.vendor_limit, len(items)))
    lane = np.zeros((len(network.lane_nodes), network.lane_limit, len(items)))
    due = goods_under_way(tables)
    if due.height:
        node = positions(due["node_id"], ids.nodes)
        item = positions(due["item_id"], items)
        # A node with offers keeps everything on order in its vendor pipeline.
        bought = np.isin(node, network.vendor_nodes)
        for rows, pipeline, own in ((network.vendor_nodes, vendor, bought), (network.lane_nodes, lane, ~bought)):
            row_of = np.full(network.nodes, -1)
            row_of[list(rows)] = np.arange(len(rows))
            mine = own & (row_of[node] >= 0)
            when = np.minimum(due["period_due"].to_numpy(), pipeline.shape[1] - 1)
            np.add.at(pipeline, (row_of[node][mine], when[mine], item[mine]), due["units"].to_numpy()[mine])
    return on_hand, vendor, lane


def bought_until(tables: Tables) -> np.ndarray:
    """Period from which on nothing is bought of each item: that of its day `phase_out`, or after all others."""
    days, none = tables.items["phase_out"], np.iinfo(np.int32).max
    found = np.full(len(days), none, np.int64)
    known = days.is_not_null().to_numpy()
    if known.any():
        found[known] = tables.settings.periods_of(days.drop_nulls().to_numpy().astype("datetime64[D]"))
    return np.maximum(found, 0)


def size_array(tables: Tables) -> np.ndarray | None:
    """What a unit takes in the measures of `SIZES` `[sizes, items]`; None where no capacity counts them."""
    if not tables.resources["measure"].is_in(list(SIZES)).any():
        return None
    columns = unit_sizes()
    return tables.items.select(columns[name].alias(name) for name in SIZES).to_numpy().T


def owed_array(tables: Tables, ids: Ids) -> np.ndarray:
    """Units owed to customers at the start `[speeds, regions, items]`."""
    items = tables.items["item_id"].to_list()
    table = owed_units(tables.backlog, tables.items, tables.shares)
    owed = np.zeros((len(ids.speeds), len(ids.regions), len(items)))
    places = [(table["speed_id"], ids.speeds), (table["region_id"], ids.regions), (table["item_id"], items)]
    owed[tuple(positions(column, names) for column, names in places)] = table["units"].to_numpy()
    return owed


def supplied_nodes(
    network: Network, active: np.ndarray, on_hand: np.ndarray, kept: np.ndarray, lanes: np.ndarray
) -> np.ndarray:
    """Nodes that have an item or can receive it: by an offer, or from a node above that has or can receive it.

    Transshipment brings an item to no node that has no supply of it.

    Args:
        network: The network.
        active: Offers that may be used `[offers, items]`.
        on_hand: Stock at the start, on hand and on order `[nodes, items]`.
        kept: Nodes that may order an item `[nodes, items]`.
        lanes: Lanes that an item may use `[lanes, items]`.
    """
    supplied = on_hand > 0
    np.logical_or.at(supplied, np.asarray(network.offer_node, int), active)
    for lane, (origin, target) in _from_above(network):
        if lane not in network.transship_lanes:
            supplied[target] |= supplied[origin] & kept[target] & lanes[lane]
    return supplied


def _from_above(network: Network) -> Iterator[tuple[int, tuple[int, int]]]:
    """Lanes with their ends in such an order that what is brought to a node is known before what it passes on.

    Lanes of transshipment may lead in circles: all lanes come once for every node.
    """
    ends = list(enumerate(zip(network.lane_from, network.lane_to, strict=True)))
    for _ in range(network.nodes if network.transship else 1):
        for tier in reversed(network.tiers):
            yield from (one for one in ends if one[1][0] in tier)


def source_shares(
    network: Network, offers: OfferArrays, stockable: np.ndarray, orderable: np.ndarray, lanes_open: np.ndarray
) -> np.ndarray:
    """Default split of a node's orders over its sources `[offer slots then lanes, items]`.

    Given shares count; an item whose offers at a node give none, and that no lane feeds, buys from the cheapest that it
    may buy from. `lanes_open` are the lanes that an item may use `[lanes, items]`.
    """
    shares = np.where(offers.active, offers.share, 0.0)
    lanes = np.zeros((network.lanes, shares.shape[1]))
    for lane, (origin, target) in enumerate(zip(network.lane_from, network.lane_to, strict=True)):
        lanes[lane] = np.asarray(network.lane_share)[lane] * (stockable[origin] & orderable[target] & lanes_open[lane])
    total = np.zeros((network.nodes, shares.shape[1]))
    np.add.at(total, np.asarray(network.offer_node, int), shares)
    np.add.at(total, np.asarray(network.lane_to, int), lanes)
    for slot in np.argsort(network.offer_rank, kind="stable"):
        node = network.offer_node[slot]
        alone = (total[node] <= 0) & offers.active[slot]
        shares[slot][alone] = 1.0
        total[node][alone] = 1.0
    joined = np.concatenate([shares, lanes])
    whole = total[np.asarray((*network.offer_node, *network.lane_to), int)]
    return joined / np.where(whole > 0, whole, 1)


def landed_costs(network: Network, offers: OfferArrays, weight: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Least money that brings a unit to each node `[nodes, items]`: purchase, freight, lanes and receiving.

    Args:
        network: The network.
        offers: The offers of the items.
        weight: kg per unit, by item.
        otherwise: Money per unit of an item at nodes that nothing supplies.
    """
    landed = np.full((network.nodes, weight.size), np.inf)
    inbound = np.asarray(network.inbound_cost, float)
    price = np.where(offers.active, offers.lowest_cost + offers.freight + offers.share_cost, np.inf)
    for slot, node in enumerate(network.offer_node):
        landed[node] = np.minimum(landed[node], price[slot] + inbound[node])
    unit, kg = np.asarray(network.lane_cost_unit, float), np.asarray(network.lane_cost_kg, float)
    for lane, (origin, target) in _from_above(network):
        through = landed[origin] + unit[lane] + kg[lane] * weight + inbound[target]
        landed[target] = np.minimum(landed[target], through)
    return np.where(np.isfinite(landed), landed, otherwise)


def end_values(tables: Tables, network: Network, offers: OfferArrays) -> tuple[np.ndarray, np.ndarray]:
    """What a unit on hand, and a unit on its way to a node, is worth when the simulation ends `[nodes, items]`.

    Where business goes on that is what bringing it there has cost, and where stock is sold off the credit of the
    instance; never more than bringing it there anew, or buying for the credit would pay.
    """
    items, settings = tables.items, tables.settings
    unit_cost = items["unit_cost"].to_numpy().astype(float)
    landed = landed_costs(network, offers, items["weight_kg"].to_numpy(), unit_cost)
    factor = float(settings.terminal_credit)
    goes_on = settings.terminal == "continue"
    held = min(factor, 1.0) * landed if goes_on else np.minimum(factor * unit_cost[None], landed)
    if goes_on:
        # What is phased out by then is not bought again, so what is left saves nothing.
        held = np.where(bought_until(tables) < network.horizon, 0.0, held)
    return held, np.minimum(held, np.maximum(landed - np.asarray(network.inbound_cost, float)[:, None], 0))


def spare_arrays(
    tables: Tables, network: Network, offers: OfferArrays, ends: tuple[np.ndarray, np.ndarray], lanes_open: np.ndarray
) -> dict[str, np.ndarray] | None:
    """The fields of a `Spare`, their last axis that of the items; None in networks without transshipment.

    Args:
        tables: The items.
        network: The network.
        offers: The offers of the items.
        ends: Whether a node may have an item, and whether it may order it `[nodes, items]`.
        lanes_open: Lanes that an item may use `[lanes, items]`.
    """
    if not network.transship:
        return None
    stockable, orderable = ends
    lanes = list(network.transship_lanes)
    origin, target = (np.asarray(side, int)[lanes] for side in (network.lane_from, network.lane_to))
    unit_cost, weight = (tables.items[name].to_numpy().astype(float) for name in ("unit_cost", "weight_kg"))
    return {
        "open": stockable[origin] & orderable[target] & lanes_open[lanes],
        "landed": landed_costs(network, offers, weight, unit_cost),
    }


def reach_array(tables: Tables, ids: Ids, network: Network, rhythms: Sequence[Rhythm] = ()) -> np.ndarray:
    """Periods in which anything ordered at a node arrives `[nodes, items]`; the limit where nothing says."""
    items = tables.items["item_id"].to_list()
    reach = np.full((network.nodes, len(items)), tables.settings.lead_time_limit, int)
    known = order_reach(tables, rhythms)
    reach[positions(known["node_id"], ids.nodes), positions(known["item_id"], items)] = known["reach"].to_numpy()
    return reach


def own_shares(tables: Tables, ids: Ids, network: Network, profiles: np.ndarray, stockable: np.ndarray) -> np.ndarray:
    """Part of an item's demand that asks each node first when capacities cost nothing `[nodes, items]`."""
    items = tables.items
    profile = positions(items["profile"], ids.profiles)
    weight = items["weight_kg"].to_numpy()
    handling = np.asarray(network.handling_cost, float)
    outbound, per_kg = np.asarray(network.outbound_unit, float), np.asarray(network.outbound_kg, float)
    eligible = np.asarray(network.eligible)
    own = np.zeros((network.nodes, len(items)))
    kinds: dict[tuple, list[int]] = {}
    for item in range(len(items)):
        key = (int(profile[item]), float(weight[item]), stockable[:, item].tobytes())
        kinds.setdefault(key, []).append(item)
    for (number, kilograms, _), members in kinds.items():
        allowed = eligible & stockable[:, members[0]]
        cost = np.where(allowed, outbound + per_kg * kilograms + handling, np.inf)
        first, served = cost.argmin(-1), allowed.any(-1)
        shares = np.zeros(network.nodes)
        np.add.at(shares, first[served], profiles[number][served])
        own[:, members] = shares[:, None]
    return own
