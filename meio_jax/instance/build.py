"""From validated tables to the arrays that the numeric core works on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
from jaxtyping import Array, Float

from meio_jax.demand import AbstractDemand
from meio_jax.distributed.kept_programs import kept_jit
from meio_jax.instance.assortment import kept_nodes, stock_bounds
from meio_jax.instance.blocks import Layout, blocks_needed, evened, in_equal_sets, lay_out
from meio_jax.instance.census import (
    Census,
    Counts,
    Gather,
    alone,
    census_of,
    count_groups,
    count_items,
    group_numbers,
    merge,
    merge_groups,
)
from meio_jax.instance.convert import arrays, to_jax
from meio_jax.instance.forecast_arrays import demand_model
from meio_jax.instance.ids import Ids, positions, read_ids
from meio_jax.instance.item_arrays import (
    OfferArrays,
    accepted_classes,
    bought_until,
    end_values,
    offer_arrays,
    owed_array,
    own_shares,
    reach_array,
    size_array,
    slotted_offers,
    source_shares,
    spare_arrays,
    stock_arrays,
    supplied_nodes,
)
from meio_jax.instance.network_arrays import build_network
from meio_jax.instance.order_sizes import OrderRates, usual_orders
from meio_jax.instance.overrides import bounds_until, lanes_open, override_arrays, stock_cells
from meio_jax.instance.resource_arrays import build_resources, item_classes, resource_kinds
from meio_jax.instance.shelf_life import lanes_in_time, lives_counted, shelf_arrays
from meio_jax.instance.vendor_rhythm import Loads, key_of, load_table, merged_loads, rhythms_of
from meio_jax.model.catalog import Catalog
from meio_jax.model.flow_shares import flow_shares
from meio_jax.model.leads import order_gaps, source_leads
from meio_jax.model.network import Bounds, ItemBlock, Network, OrderCosts, Overrides, ShelfLife, Spare
from meio_jax.model.resources import Resources
from meio_jax.scenarios.leadtimes import LeadTimes
from meio_jax.scenarios.sampling import item_keys
from meio_jax.tables import Tables
from meio_jax.tables.summary import daily_units


@dataclass(frozen=True)
class Instance:
    """An instance in arrays: network + items + resources + initial state, and the names of everything."""

    tables: Tables
    ids: Ids
    layout: Layout
    network: Network
    resources: Resources
    catalog: Catalog
    kinds: np.ndarray
    census: Census

    @property
    def items(self) -> list[str]:
        return self.tables.items["item_id"].to_list()


@dataclass(frozen=True)
class Shared:
    """What the items of a catalog share: the same for every selection of them, and so built once for many."""

    ids: Ids
    network: Network
    resources: Resources
    profiles: np.ndarray
    kinds: np.ndarray

    @classmethod
    def of(cls, tables: Tables, census: Census, dtype: type) -> Shared:
        """From the tables of the network; `census` is that of the whole catalog."""
        ids = read_ids(tables, census)
        network = build_network(tables, ids, census, dtype)
        return cls(
            ids=ids,
            network=network,
            resources=build_resources(tables, ids, network, dtype),
            profiles=_profiles(tables, ids, dtype),
            kinds=resource_kinds(tables, ids),
        )


def _profiles(tables: Tables, ids: Ids, dtype: type) -> np.ndarray:
    shares = tables.shares
    shape = (len(ids.profiles), len(tables.settings.wave_ends), len(ids.speeds), len(ids.regions))
    table: np.ndarray = np.zeros(shape, dtype)
    at = (
        positions(shares["profile"], ids.profiles),
        shares["wave"].to_numpy(),
        positions(shares["speed_id"], ids.speeds),
        positions(shares["region_id"], ids.regions),
    )
    np.add.at(table, at, shares["share"].to_numpy())
    return table


def _lead_times(
    tables: Tables, ids: Ids, network: Network, offers: OfferArrays, layout: Layout, dtype: type
) -> LeadTimes:
    """Lead-time laws with a leading block axis; what the items share is repeated per block."""
    table = np.zeros((max(len(ids.vendors), 1), network.vendor_limit))
    recorded = tables.lead_times
    if recorded.height:
        days = np.minimum(recorded["days"].to_numpy(), network.vendor_limit) - 1
        np.add.at(table, (positions(recorded["vendor_id"], ids.vendors), days), recorded["weight"].to_numpy())
    total = table.sum(1, keepdims=True)
    cumulative = np.cumsum(table, 1) / np.where(total > 0, total, 1)

    def each(array: np.ndarray) -> np.ndarray:
        return np.broadcast_to(array, (layout.blocks, *array.shape))

    return LeadTimes(
        **arrays(
            dtype,
            mean=layout.cut(offers.lead_mean),
            sd=layout.cut(offers.lead_sd),
            law=layout.cut(offers.law.astype(np.int32)),
            vendor=layout.cut(offers.vendor.astype(np.int32)),
            vendor_cumulative=each(cumulative),
            lane_mean=each(tables.lanes["lead_time"].to_numpy().astype(float)),
            lane_sd=each(tables.lanes["lead_time_sd"].to_numpy().astype(float)),
            limit=network.vendor_limit,
            lane_limit=network.lane_limit,
            lanes_random=bool((tables.lanes["lead_time_sd"] > 0).any()),
        )
    )


def _mean_lead(tables: Tables, ids: Ids, offers: OfferArrays) -> np.ndarray:
    """Mean lead time of every offer; for the empirical law that of the vendor's record."""
    recorded = tables.lead_times
    mean = np.zeros(max(len(ids.vendors), 1))
    weight = np.zeros_like(mean)
    if recorded.height:
        vendor = positions(recorded["vendor_id"], ids.vendors)
        np.add.at(mean, vendor, (recorded["days"] * recorded["weight"]).to_numpy())
        np.add.at(weight, vendor, recorded["weight"].to_numpy())
    mean = mean / np.where(weight > 0, weight, 1)
    return np.where(offers.law == 2, mean[offers.vendor], offers.lead_mean)


@kept_jit
def _means(demand: AbstractDemand, periods: int) -> Float[Array, "blocks periods items"]:
    return jax.vmap(lambda one: one.period_means(periods))(demand)


@kept_jit
def _variances(demand: AbstractDemand) -> Float[Array, "blocks 2 items"]:
    return jax.vmap(lambda one: one.variance_terms())(demand)


def _variance_terms(tables: Tables, demand: AbstractDemand) -> np.ndarray:
    """Variance terms of every item's demand in blocks `[blocks, 2, items]`, with what shared factors add."""
    terms: np.ndarray = np.array(_variances(demand))
    if tables.settings.forecast == "mean":
        terms[:, 1] += tables.settings.shared_factor_cv**2
    terms[:, 1] += tables.settings.world_factor_cv**2
    return terms


@dataclass(frozen=True)
class _Stock:
    """Stock at the start, by node (or pipeline) and item; where an item may be, where ordered, and by which lanes."""

    on_hand: np.ndarray
    vendor_pipeline: np.ndarray
    lane_pipeline: np.ndarray
    stockable: np.ndarray
    orderable: np.ndarray
    lanes: np.ndarray


def _stock(tables: Tables, ids: Ids, network: Network, offers: OfferArrays) -> _Stock:
    on_hand, vendor_pipeline, lane_pipeline = stock_arrays(tables, ids, network)
    on_way = on_hand.copy()
    np.add.at(on_way, np.asarray(network.vendor_nodes, int), vendor_pipeline.sum(1))
    np.add.at(on_way, np.asarray(network.lane_nodes, int), lane_pipeline.sum(1))
    accepted = accepted_classes(tables, ids)[:, positions(tables.items["storage_class"], ids.classes)]
    kept = kept_nodes(tables, ids)
    lanes = lanes_open(tables, ids) & lanes_in_time(tables)
    stockable = accepted & supplied_nodes(network, offers.active, on_way, kept, lanes)
    return _Stock(on_hand, vendor_pipeline, lane_pipeline, stockable, stockable & kept, lanes)


@dataclass(frozen=True)
class _Items:
    """What is known of some items before they are cut into blocks: offers, stock, and the number of their groups."""

    offers: OfferArrays
    stock: _Stock
    group: np.ndarray
    groups: Counts

    @classmethod
    def of(cls, tables: Tables, shared: Shared, census: Census) -> _Items:
        items, ids, network = tables.items, shared.ids, shared.network
        offers = offer_arrays(tables, ids, network, kept_nodes(tables, ids), census)
        stock = _stock(tables, ids, network, offers)
        weight, volume = items["weight_kg"].to_numpy(), items["volume_m3"].to_numpy()
        group = group_numbers(census, positions(items["storage_class"], ids.classes), weight)
        return cls(offers, stock, group, count_groups(group, weight, volume, stock.stockable, size_array(tables)))


def _item_block(
    tables: Tables,
    shared: Shared,
    own: _Items,
    layout: Layout,
    census: Census,
    forecast: tuple[np.ndarray, np.ndarray],
) -> ItemBlock:
    """The items in blocks; `forecast` is mean demand by period `[horizon, items]`, and variance terms `[2, items]`."""
    mean, variance = forecast
    ids, network, offers, stock = shared.ids, shared.network, own.offers, own.stock
    items, orderable = tables.items, stock.orderable
    held, due = end_values(tables, network, offers)
    storage_class = positions(items["storage_class"], ids.classes)
    columns = {
        name: layout.cut(items[column].to_numpy())
        for name, column in {
            "volume": "volume_m3",
            "weight": "weight_kg",
            "price": "price",
            "unit_cost": "unit_cost",
            "holding_cost": "holding_cost",
            "lost_sale_cost": "lost_sale_cost",
            "backorder_cost": "backorder_cost",
            "downgrade_share": "downgrade_share",
            "downgrade_cost": "downgrade_cost",
        }.items()
    }
    dtype = np.asarray(network.holding_factor).dtype
    shares = own_shares(tables, ids, network, shared.profiles, orderable)
    sources = source_shares(network, offers, stock.stockable, orderable, stock.lanes)
    offer_lead = _mean_lead(tables, ids, offers)
    bounds = None
    flow, lead = flow_shares(network, shares, sources), source_leads(network, offer_lead, sources)
    if census.bounded:
        at = (network, mean, flow, lead, _gaps(network, offers))
        bounds = _bounds(tables, ids, at, layout, dtype, expire=census.bounds_expire)
    groups = [census.groups[int(number)] for number in layout.group]
    sizes, classes = size_array(tables), item_classes(tables)
    live = layout.live
    return ItemBlock(
        **arrays(
            dtype,
            **columns,
            backorder=layout.cut((items["unmet"] == "backorder").to_numpy()),
            storage_class=layout.cut(storage_class.astype(np.int32)),
            live=live,
            offer_active=layout.cut(offers.active),
            offer_cost=layout.cut(offers.unit_cost),
            offer_freight=layout.cut(offers.freight),
            offer_lead=layout.cut(offer_lead),
            offer_vendor=layout.cut(offers.vendor.astype(np.int32)),
            pack=layout.cut(offers.pack),
            least=layout.cut(offers.least),
            reach=layout.cut(reach_array(tables, ids, network, census.rhythms).astype(np.int32)),
            end_value=layout.cut(held),
            end_value_due=layout.cut(due),
            own_share=layout.cut(shares),
            mean_demand=layout.cut(mean),
            demand_variance=layout.cut(variance),
            source_share=layout.cut(sources),
            stockable=layout.cut(orderable),
            on_hand=layout.cut(stock.on_hand),
            vendor_pipeline=layout.cut(stock.vendor_pipeline),
            lane_pipeline=layout.cut(stock.lane_pipeline),
            group=layout.group.astype(np.int32),
            group_weight=np.asarray([group.weight / group.items for group in groups]),
            group_volume=np.asarray([group.volume / group.items for group in groups]),
            group_stockable=np.asarray([group.stockable for group in groups]),
        ),
        bounds=bounds,
        owed=to_jax(layout.cut(owed_array(tables, ids)), dtype) if census.owed else None,
        bought_until=to_jax(layout.cut(bought_until(tables)), dtype) if census.phased else None,
        overrides=_overrides(tables, shared, layout, census) if census.decided else None,
        sizes=None if sizes is None else to_jax(layout.cut(sizes), dtype),
        group_sizes=None if sizes is None else to_jax(np.stack([g.mean_sizes(len(sizes)) for g in groups]), dtype),
        item_class=None if classes is None else to_jax(layout.cut(classes), dtype),
        shelf=_shelf(tables, shared, layout, census),
        spare=_spare(tables, shared, own, layout),
        ordering=_order_costs(tables, network, offers, (mean, flow, sources), layout) if census.ordering else None,
    )


def _gaps(network: Network, offers: OfferArrays) -> np.ndarray:
    """Mean periods between the orders of each node `[nodes, items]`."""
    return np.asarray(order_gaps(network, jnp.asarray(offers.active), jnp.asarray(offers.vendor)), float)


def _order_costs(tables: Tables, network: Network, offers: OfferArrays, at: tuple, layout: Layout) -> OrderCosts:
    """Costs and usual sizes of orders in blocks.

    `at` are mean demand by period `[horizon, items]`, the part of it that nodes serve or pass on `[nodes, items]`, and
    the split of their orders over sources `[sources, items]`.
    """
    mean, flow, sources = at
    node = np.asarray(network.offer_node, int)
    part = np.where(offers.active, flow[node] * sources[: network.offers], 0)
    gap = np.broadcast_to(_gaps(network, offers), flow.shape)[node]
    usual = usual_orders(
        OrderRates(
            demand=part * mean.mean(0),
            holding=np.asarray(network.holding_factor, float)[node][:, None] * tables.items["holding_cost"].to_numpy(),
            fixed=offers.line_cost,
            unit_cost=offers.unit_cost,
            gap=gap,
            most=_worth_while(tables, network, part, mean),
        ),
        offers.break_units,
        offers.break_cost,
    )
    found = {
        "fixed": offers.line_cost, "share": offers.share_cost, "usual": usual, "from_units": offers.break_units,
        "unit_cost": offers.break_cost,
    }  # fmt: skip
    dtype = np.asarray(network.holding_factor).dtype
    return OrderCosts(**arrays(dtype, **{name: layout.cut(leaf) for name, leaf in found.items()}))


def _worth_while(tables: Tables, network: Network, part: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Most units of an order through each offer `[offers, items]`: those of the horizon, or of half a shelf life.

    An item that is phased out before the end has none: its level alone says what will still be sold.
    """
    life = tables.items["shelf_life"].cast(pl.Float64).fill_null(np.inf).to_numpy() / 2
    periods = np.minimum(life, mean.shape[0])
    periods = np.where(bought_until(tables) < network.horizon, 0.0, periods)
    return part * mean.mean(0) * periods


def _bounds(tables: Tables, ids: Ids, at: tuple, layout: Layout, dtype: Any, *, expire: bool) -> Bounds:
    """Bounds on stock in blocks; `at` are the arguments of `stock_bounds` after the first."""
    least, most = stock_bounds(stock_cells(tables, ids, overridden=True), *at)
    now = Bounds(**arrays(dtype, least=layout.cut(least), most=layout.cut(most)))
    if not expire:
        return now
    least, most = stock_bounds(stock_cells(tables, ids, overridden=False), *at)
    until = np.broadcast_to(bounds_until(tables, ids), least.shape)
    later = arrays(dtype, later_least=layout.cut(least), later_most=layout.cut(most))
    return Bounds(now.least, now.most, to_jax(layout.cut(until), dtype), **later)


def _shelf(tables: Tables, shared: Shared, layout: Layout, census: Census) -> ShelfLife | None:
    """How long items keep, in blocks; None where all keep for longer than anything is simulated."""
    network, dtype = shared.network, np.asarray(shared.network.holding_factor).dtype
    lives = lives_counted(network, census.lives)
    if not lives:
        return None
    found = shelf_arrays(tables, shared.ids, network, lives)
    return ShelfLife(**arrays(dtype, **{name: layout.cut(leaf) for name, leaf in found.items()}))


def _spare(tables: Tables, shared: Shared, own: _Items, layout: Layout) -> Spare | None:
    """What transshipment needs to know of items, in blocks; None in networks without it."""
    stock, dtype = own.stock, np.asarray(shared.network.holding_factor).dtype
    ends = (stock.stockable, stock.orderable)
    found = spare_arrays(tables, shared.network, own.offers, ends, stock.lanes)
    if found is None:
        return None
    return Spare(**arrays(dtype, **{name: layout.cut(leaf) for name, leaf in found.items()}))


def _overrides(tables: Tables, shared: Shared, layout: Layout, census: Census) -> Overrides:
    """Fixed orders and closed sources in blocks."""
    network, dtype = shared.network, np.asarray(shared.network.holding_factor).dtype
    slots = slotted_offers(tables, shared.ids, network).select("item_id", "vendor_id", "node_id", "slot")
    found = override_arrays(tables, shared.ids, network, slots, census)
    return Overrides(**arrays(dtype, **{name: layout.cut(leaf) for name, leaf in found.items()}))


def loads_of(tables: Tables, census: Census, dtype: type = np.float32) -> Loads:
    """What passes of these items from each vendor to each node, of a catalog whose items have been counted."""
    shared = Shared.of(tables, census, dtype)
    own, ids, network, items = _Items.of(tables, shared, census), shared.ids, shared.network, tables.items
    offers, orderable = own.offers, own.stock.orderable
    shares = own_shares(tables, ids, network, shared.profiles, orderable)
    sources = source_shares(network, offers, own.stock.stockable, orderable, own.stock.lanes)
    node = np.asarray(network.offer_node, int)
    daily = items.select("item_id").join(daily_units(tables), on="item_id", how="left", maintain_order="left")
    units = daily["units"].fill_null(0).to_numpy()
    part = np.where(offers.active, flow_shares(network, shares, sources)[node] * sources[: network.offers], 0)
    rate, holding = part * units, np.asarray(network.holding_factor, float)[node][:, None]
    values = {
        "units": rate, "value": rate * offers.unit_cost, "volume": rate * items["volume_m3"].to_numpy(),
        "weight": rate * items["weight_kg"].to_numpy(), "holding": rate * holding * items["holding_cost"].to_numpy(),
    }  # fmt: skip
    pair = offers.vendor * len(ids.nodes) + node[:, None]
    known, rows = np.unique(pair[offers.active], return_inverse=True)
    keys = [key_of(ids.vendors[at // len(ids.nodes)], ids.nodes[at % len(ids.nodes)]) for at in known.tolist()]
    return load_table(keys, rows, {name: table[offers.active] for name, table in values.items()})


def groups_of(tables: Tables, census: Census, dtype: type = np.float32) -> Counts:
    """Count the groups of a part of a catalog whose items have been counted."""
    return _Items.of(tables, Shared.of(tables, census, dtype), census).groups


def most_blocks(parts: Sequence[Counts], block_items: int) -> int:
    """Number of blocks that hold the items of any part, by the groups of all parts."""
    return max(blocks_needed([group["items"] for group in part.values()], block_items) for part in parts)


def build_instance(
    tables: Tables,
    *,
    block_items: int,
    bands: int = 3,
    dtype: type = np.float32,
    devices: int = 1,
    together: int = 1,
    census: Census | None = None,
    gather: Gather = alone,
    shared: Shared | None = None,
    blocks: int = 0,
) -> Instance:
    """Arrange validated tables for the numeric core.

    Args:
        tables: A validated instance.
        block_items: Most items per block; bounds the memory of a step.
        bands: Weight bands; items of one storage class and band share preference lists.
        dtype: Floating type of every array.
        devices: The number of blocks is made a multiple of this (of the devices of this process).
        together: Blocks that a device simulates at once at most: it gets equal sets of blocks.
        census: What is known of the catalog that the items are a part of; None: counted. A group of items that it
            does not know is counted from these items.
        gather: How counts of all processes come together, where each has items of its own.
        shared: What all items share, of the same census and type; None: built.
        blocks: The least number of blocks, as other parts of the catalog may need more than these items do.
    """
    given = census
    census = census_of(merge(gather(count_items(tables))), bands) if given is None else given
    if given is None and not tables.vendors.is_empty():
        loads = merged_loads(gather(loads_of(tables, census, dtype)))
        census = replace(census, rhythms=rhythms_of(tables, loads))
    shared = Shared.of(tables, census, dtype) if shared is None else shared
    ids, network = shared.ids, shared.network
    own = _Items.of(tables, shared, census)
    if given is None:
        parts = gather(own.groups)
        census, block_items = replace(census, groups=merge_groups(parts)), min(block_items, census.items)
    else:
        parts = [own.groups]
        fresh = merge_groups(parts)
        known = fresh.keys() <= census.groups.keys()
        census = census if known else replace(census, groups={**fresh, **census.groups})
    if together > 1 and not blocks:
        block_items = evened([[group["items"] for group in part.values()] for part in parts], block_items, together)
    blocks = max(blocks, most_blocks(parts, block_items))
    layout = lay_out(own.group, block_items, in_equal_sets(blocks, devices, together))
    names = tables.items["item_id"].to_list()
    demand = demand_model(tables, names, layout, dtype, census.depth, network.horizon)
    means = _means(demand, network.horizon)
    forecast = (
        layout.join(np.asarray(means), len(names)),
        layout.join(_variance_terms(tables, demand), len(names)),
    )
    catalog = Catalog(
        block=_item_block(tables, shared, own, layout, census, forecast),
        demand=demand,
        leads=_lead_times(tables, ids, network, own.offers, layout, dtype),
        keys=jnp.asarray(item_keys(names)[layout.item]),
        profile=jnp.asarray(positions(tables.items["profile"], ids.profiles)[layout.item], jnp.int32),
        profiles=jnp.asarray(shared.profiles),
        scenarios=None,
    )
    return Instance(
        tables=tables,
        ids=ids,
        layout=layout,
        network=network,
        resources=shared.resources,
        catalog=catalog,
        kinds=shared.kinds,
        census=census,
    )
