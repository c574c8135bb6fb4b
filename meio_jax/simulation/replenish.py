"""Ordering and allocation, from the most downstream tier up: the one rule, for simulated days and for today."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
from meio_kernels.allocation import allocate
from meio_kernels.lots import smallest_lot, whole_orders, whole_shipments
from meio_kernels.pipeline import advance, due_within

from meio_jax.model.network import Bounds, Network
from meio_jax.policy.base import AbstractPolicy, View
from meio_jax.simulation.bounded import packs_within, within_bounds
from meio_jax.simulation.outlook import Expectation, due_by_day, expected_arrival

# A position below this many units is empty: what is left of it is rounding in floating point.
_EMPTY = 1e-3


class Stock(eqx.Module):
    """Stock and units on their way, per node; backlog is demand that waits, one array per speed (or none)."""

    on_hand: Float[Array, "nodes batch"]
    on_order: Float[Array, "nodes batch"]
    backlog: tuple[Float[Array, "regions batch"], ...]


class Pipelines(eqx.Module):
    """When what is on its way arrives.

    Rows only for the nodes that can have a pipeline, slots only as far as their longest lead time.
    """

    vendor: Float[Array, "vendor_nodes vendor_due batch"]
    lane: Float[Array, "lane_nodes lane_due batch"]


class Near(eqx.Module):
    """What a period needs to know of the pipelines.

    `inbound` arrives now, `soon` within the lead time of the faster offer, and `far` so late that it does not count in
    a position (None where nothing on order is due that late). `due` is what arrives by day; None where the policy does
    not look ahead.
    """

    inbound: Float[Array, "nodes batch"]
    soon: Float[Array, "vendor_nodes batch"]
    far: Float[Array, "nodes batch"] | None
    due: Float[Array, "nodes days batch"] | None = None


class OrderDays(eqx.Module):
    """Who orders on a day: nodes whose review day it is, or with a calendar the sources, made up for days closed.

    `offer` is by the calendar of the vendor; None, as `lane`, where the instance has no calendar. `period` counts from
    the start; None where no item is phased out.
    """

    node: Bool[Array, "*lead nodes"]
    offer: Bool[Array, "*lead calendars offers"] | None = None
    lane: Bool[Array, "*lead lanes"] | None = None
    period: Int[Array, "*lead"] | None = None

    def sources(
        self, view: View, offers: tuple[int, ...], lanes: tuple[int, ...], supply: "Supply"
    ) -> Bool[Array, " sources #batch"]:
        """Whether the rows of a view order from each of their sources now.

        Args:
            view: What the rows see.
            offers: Their offer slots.
            lanes: Their lanes.
            supply: Calendars of the vendors, and how long items are bought.
        """
        due = self._reviewed(view, offers, lanes, supply.calendar)
        if self.period is None or supply.bought_until is None:
            return due
        bought = jnp.asarray([True] * len(offers) + [False] * len(lanes))[:, None]
        return due & ~(bought & (self.period >= supply.bought_until))

    def _reviewed(
        self, view: View, offers: tuple[int, ...], lanes: tuple[int, ...], calendar: Int[Array, "offers batch"] | None
    ) -> Bool[Array, " sources #batch"]:
        if self.offer is None or self.lane is None or calendar is None:
            return self.node[jnp.asarray(view.rows, int)][jnp.asarray(view.source_row, int)][:, None]
        ids = jnp.asarray(offers, int)
        bought = self.offer[calendar[ids], ids[:, None]]
        asked = self.lane[jnp.asarray(lanes, int)][:, None]
        return jnp.concatenate([bought, jnp.broadcast_to(asked, (len(lanes), bought.shape[-1]))])


class Supply(eqx.Module):
    """Per-batch data of sources: default shares, open offers, their packs and least orders.

    `own_demand` is what customers are expected to ask of each node before the day ends; None where they were served
    before nodes order. Transfers leave that much at a node. `backorder` is 1 for items whose unmet demand waits.
    `calendar` is that of the vendor of every offer slot (None: the instance has no calendar), `bought_until` the period
    from which on nothing is bought of an item (None: no item is phased out).
    """

    source_share: Float[Array, "sources batch"]
    offer_active: Bool[Array, "offers batch"]
    pack: Float[Array, "offers batch"]
    least: Float[Array, "offers batch"]
    own_demand: Float[Array, "nodes batch"] | None
    backorder: Float[Array, " batch"]
    calendar: Int[Array, "offers batch"] | None = None
    bought_until: Int[Array, " batch"] | None = None


class Ordered(eqx.Module):
    """Units ordered by offer slot and shipped by lane in one period."""

    offer: Float[Array, "offers batch"]
    lane: Float[Array, "lanes batch"]


def _tier_sources(network: Network, rows: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Offer slots and lanes that feed one of the nodes `rows`."""
    offers = tuple(k for k, node in enumerate(network.offer_node) if node in rows)
    lanes = tuple(k for k, node in enumerate(network.lane_to) if node in rows)
    return offers, lanes


def _view(
    network: Network,
    stock: Stock,
    supply: Supply,
    near: Near,
    echelon: Float[Array, "nodes nodes"],
    waiting: Float[Array, "nodes batch"] | None,
    expect: Expectation | None,
    rows: tuple[int, ...],
) -> View:
    """What the nodes `rows` see before they order."""
    offers, lanes = _tier_sources(network, rows)
    nodes = jnp.asarray(rows, int)
    net = _evening_stock(stock, supply, waiting)
    on_order = stock.on_order if near.far is None else stock.on_order - near.far
    position = net + on_order
    arrival = None
    if expect is not None and near.due is not None:
        now = stock.on_hand if waiting is None else stock.on_hand - waiting
        arrival = expected_arrival(network, expect, now, near.due, on_order, rows)
    sources = offers + tuple(network.offers + lane for lane in lanes)
    source_row = tuple(rows.index(network.offer_node[k]) for k in offers) + tuple(
        rows.index(network.lane_to[k]) for k in lanes
    )
    vendor_rows = {node: index for index, node in enumerate(network.vendor_nodes)}
    soon = jnp.zeros_like(position[nodes])
    has = jnp.zeros(soon.shape, bool)
    own = [index for index, node in enumerate(rows) if node in vendor_rows]
    if own:
        taken = jnp.asarray([vendor_rows[rows[index]] for index in own], int)
        soon = soon.at[jnp.asarray(own, int)].set(near.soon[taken])
    second = [k for k in offers if network.offer_rank[k] == 1]
    if second:
        at = jnp.asarray([rows.index(network.offer_node[k]) for k in second], int)
        has = has.at[at].set(supply.offer_active[jnp.asarray(second, int)])
    expedited = [network.offer_rank[k] == 1 for k in offers] + [False] * len(lanes)
    return View(
        position=position[nodes],
        echelon_position=(echelon[nodes] @ position),
        net_stock=net[nodes],
        arriving_soon=soon,
        has_expedited=has,
        source_share=supply.source_share[jnp.asarray(sources, int)],
        source_expedited=jnp.asarray(expedited, bool),
        source_row=source_row,
        source_index=sources,
        rows=rows,
        arrival=arrival,
    )


def _evening_stock(stock: Stock, supply: Supply, waiting: Array | None) -> Float[Array, "nodes batch"]:
    """Stock net of backlog as it is expected to stand after the day's sales.

    A level is raised above what is left when the day ends: what an empty node cannot sell today is not ordered for it.
    """
    net = stock.on_hand if waiting is None else stock.on_hand - waiting
    if supply.own_demand is None:
        return net
    # Where both are equal the derivative is that of more stock: a unit more is a unit more in the evening.
    most = jnp.where(stock.on_hand < supply.own_demand, stock.on_hand, supply.own_demand)
    sold = jnp.where(supply.backorder > 0, supply.own_demand, most)
    return net - sold


def replenish(
    network: Network,
    policy: AbstractPolicy,
    stock: Stock,
    supply: Supply,
    near: Near,
    echelon: Float[Array, "nodes nodes"],
    waiting: Float[Array, "nodes batch"] | None,
    days: OrderDays,
    expect: Expectation | None = None,
    bounds: Bounds | None = None,
    *,
    whole: bool,
) -> tuple[Stock, Ordered]:
    """Order and allocate: downstream tiers ask first, their suppliers ship what they can, then order themselves.

    What an upstream node cannot ship is not owed: it is asked for again at the next review.

    Args:
        network: The shared network.
        policy: The policy, with the leaves of this bucket spread over the batch.
        stock: Stock at the moment of ordering.
        supply: Shares, open offers, packs.
        near: What the pipelines bring soon, and late.
        echelon: `network.echelon_matrix()`.
        waiting: Backlog by node, or None where nothing can be backordered.
        days: Who orders now.
        expect: What nodes expect of the days ahead, for a policy that looks ahead; `near.due` comes with it.
        bounds: Least and most stock of the bucket by node, spread over the batch; None where nothing is bounded.
        whole: Whether orders and shipments are whole units; else only packs and least orders round.

    Returns:
        Stock after shipping, and the units ordered and shipped.
    """
    batch = stock.on_hand.shape[-1]
    offer_units = jnp.zeros((network.offers, batch), stock.on_hand.dtype)
    lane_units = jnp.zeros((network.lanes, batch), stock.on_hand.dtype)
    for rows in network.tiers:
        offers, lanes = _tier_sources(network, rows)
        if not offers and not lanes:
            continue
        view = _view(network, stock, supply, near, echelon, waiting, expect, rows)
        due = days.sources(view, offers, lanes, supply)
        wanted = jnp.where(due, policy.order(view), 0)
        own = jnp.asarray(rows, int)
        if bounds is not None:
            owned = (stock.on_hand + stock.on_order)[own]
            wanted = within_bounds(view, wanted, owned, bounds.least[own], bounds.most[own], due)
        if whole or network.lots:
            most = None if bounds is None else bounds.most[own] - owned
            wanted = _in_lots(supply, view, wanted, offers, most, whole=whole)
        bought, asked = wanted[: len(offers)], wanted[len(offers) :]
        if lanes:
            stock, shipped = _ship(network, stock, supply, asked, lanes, whole=whole)
            lane_units = lane_units.at[jnp.asarray(lanes, int)].set(shipped)
        if offers:
            ids = jnp.asarray(offers, int)
            target = jnp.asarray([network.offer_node[k] for k in offers], int)
            stock = Stock(stock.on_hand, stock.on_order.at[target].add(bought), stock.backlog)
            offer_units = offer_units.at[ids].set(bought)
    return stock, Ordered(offer_units, lane_units)


def _in_lots(
    supply: Supply, view: View, wanted: Array, offers: tuple[int, ...], room: Array | None, *, whole: bool
) -> Array:
    """Orders in the lots of their sources, within the room of each row (None: any); lanes carry single units."""
    ids = jnp.asarray(offers, int)
    units = jnp.ones_like(wanted[len(offers) :])
    pack = jnp.concatenate([supply.pack[ids], units])
    least = jnp.concatenate([supply.least[ids], 0 * units])
    orders = whole_orders(wanted, pack, least, view.position <= _EMPTY, view.source_row, units=whole)
    if room is None:
        return orders
    smallest = smallest_lot(pack, least)
    if not whole:
        # Single units flow as fractions.
        pack, smallest = (jnp.where(smallest > 1, lot, 1e-3) for lot in (pack, smallest))
    return packs_within(view, orders, room, pack, smallest)


def _ship(
    network: Network, stock: Stock, supply: Supply, asked: Array, lanes: tuple[int, ...], *, whole: bool
) -> tuple[Stock, Float[Array, "lanes batch"]]:
    """Ship along lanes what their origins have, beyond what these keep for their own customers of the day."""
    ids = jnp.asarray(lanes, int)
    source = jnp.asarray([network.lane_from[k] for k in lanes], int)
    target = jnp.asarray([network.lane_to[k] for k in lanes], int)
    free = stock.on_hand if supply.own_demand is None else jax.nn.relu(stock.on_hand - supply.own_demand)
    shipped, left = allocate(asked, free, source, network.lane_urgency[ids], network.priority_ranks)
    on_hand = left if supply.own_demand is None else stock.on_hand - free + left
    if whole:
        shipped = whole_shipments(shipped, free, source)
        on_hand = stock.on_hand.at[source].add(-shipped)
    return Stock(on_hand, stock.on_order.at[target].add(shipped), stock.backlog), shipped


def pipeline_sources(network: Network) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
    """For every row of the vendor and of the lane pipelines, the offer slots or lanes that feed it."""
    vendor = tuple(tuple(k for k, node in enumerate(network.offer_node) if node == row) for row in network.vendor_nodes)
    lane = tuple(tuple(k for k, node in enumerate(network.lane_to) if node == row) for row in network.lane_nodes)
    return vendor, lane


def expedited_leads(network: Network, offer_lead: Float[Array, "offers batch"]) -> Int[Array, "vendor_nodes batch"]:
    """Lead time, in whole periods, of the faster offer of every node with a vendor pipeline (0: none)."""
    rounded = jnp.clip(jnp.round(offer_lead), 1, network.vendor_limit).astype(jnp.int32)
    table = jnp.zeros((len(network.vendor_nodes), offer_lead.shape[-1]), jnp.int32)
    for slot, (node, rank) in enumerate(zip(network.offer_node, network.offer_rank, strict=True)):
        if rank == 1:
            table = table.at[network.vendor_nodes.index(node)].set(rounded[slot])
    return table


def look_ahead(
    network: Network,
    pipelines: Pipelines,
    expedited: Int[Array, "vendor_nodes batch"],
    reach: Int[Array, "nodes batch"],
    *,
    by_day: bool = False,
) -> Near:
    """What the pipelines bring in this period, soon, and so late that an order of the next review comes earlier.

    Args:
        network: The shared network.
        pipelines: Slot 0 arrives now.
        expedited: Lead time of the faster offer of every node with a vendor pipeline (`expedited_leads`).
        reach: Periods in which anything that a node orders arrives (`ItemBlock.reach`).
        by_day: Whether the policy needs to know what arrives by day.
    """
    inbound = jnp.zeros((network.nodes, pipelines.vendor.shape[-1]), pipelines.vendor.dtype)
    far = inbound if network.late_receipts else None
    for rows, pipeline in ((network.vendor_nodes, pipelines.vendor), (network.lane_nodes, pipelines.lane)):
        if not rows:
            continue
        nodes = jnp.asarray(rows, int)
        inbound = inbound.at[nodes].add(pipeline[:, 0])
        if far is not None:
            late = jnp.sum(pipeline[:, 1:], axis=1) - due_within(pipeline, reach[nodes])
            far = far.at[nodes].add(late)
    due = due_by_day(network, pipelines.vendor, pipelines.lane) if by_day else None
    return Near(inbound, due_within(pipelines.vendor, expedited), far, due)


def send(
    network: Network,
    pipelines: Pipelines,
    ordered: Ordered,
    vendor_lead: Int[Array, "offers batch"],
    lane_lead: Int[Array, " lanes #batch"],
) -> Pipelines:
    """End of a period: what is on its way comes nearer, and today's orders and shipments set out."""
    vendor, lane = pipelines.vendor, pipelines.lane
    vendor_sources, lane_sources = pipeline_sources(network)
    if vendor_sources:
        vendor = advance(vendor, ordered.offer, vendor_lead, vendor_sources)
    if lane_sources:
        lane = advance(lane, ordered.lane, lane_lead, lane_sources)
    return Pipelines(vendor, lane)
