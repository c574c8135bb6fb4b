"""Ordering and allocation at the end of a period, from the most downstream tier up."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
from meio_kernels.allocation import allocate
from meio_kernels.pipeline import advance, due_within

from meio_jax.model.network import Network
from meio_jax.policy.base import AbstractPolicy, View


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


class Supply(eqx.Module):
    """Per-batch supply data: default shares, open offers, and what arrives within the faster offer's lead time."""

    source_share: Float[Array, "sources batch"]
    offer_active: Bool[Array, "offers batch"]
    arriving_soon: Float[Array, "vendor_nodes batch"]


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
    echelon: Float[Array, "nodes nodes"],
    waiting: Float[Array, "nodes batch"] | None,
    rows: tuple[int, ...],
) -> View:
    """What the nodes `rows` see before they order."""
    offers, lanes = _tier_sources(network, rows)
    nodes = jnp.asarray(rows, int)
    net = stock.on_hand if waiting is None else stock.on_hand - waiting
    position = net + stock.on_order
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
        soon = soon.at[jnp.asarray(own, int)].set(supply.arriving_soon[taken])
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
    )


def replenish(
    network: Network,
    policy: AbstractPolicy,
    stock: Stock,
    supply: Supply,
    echelon: Float[Array, "nodes nodes"],
    waiting: Float[Array, "nodes batch"] | None,
    review: Bool[Array, " nodes"],
) -> tuple[Stock, Ordered]:
    """Order and allocate: downstream tiers ask first, their suppliers ship what they can, then order themselves.

    What an upstream node cannot ship is not owed: it is asked for again at the next review.

    Args:
        network: The shared network.
        policy: The policy, with the leaves of this bucket spread over the batch.
        stock: Stock after serving.
        supply: Shares, open offers and near arrivals.
        echelon: `network.echelon_matrix()`.
        waiting: Backlog by node, or None where nothing can be backordered.
        review: Nodes whose review day this is.

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
        view = _view(network, stock, supply, echelon, waiting, rows)
        due = review[jnp.asarray(rows, int)][jnp.asarray(view.source_row, int)]
        wanted = jnp.where(due[:, None], policy.order(view), 0)
        bought, asked = wanted[: len(offers)], wanted[len(offers) :]
        if lanes:
            ids = jnp.asarray(lanes, int)
            source = jnp.asarray([network.lane_from[k] for k in lanes], int)
            shipped, on_hand = allocate(asked, stock.on_hand, source, network.lane_urgency[ids], network.priority_ranks)
            target = jnp.asarray([network.lane_to[k] for k in lanes], int)
            stock = Stock(on_hand, stock.on_order.at[target].add(shipped), stock.backlog)
            lane_units = lane_units.at[ids].set(shipped)
        if offers:
            ids = jnp.asarray(offers, int)
            target = jnp.asarray([network.offer_node[k] for k in offers], int)
            stock = Stock(stock.on_hand, stock.on_order.at[target].add(bought), stock.backlog)
            offer_units = offer_units.at[ids].set(bought)
    return stock, Ordered(offer_units, lane_units)


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


def arriving_soon(pipelines: Pipelines, leads: Int[Array, "vendor_nodes batch"]) -> Float[Array, "vendor_nodes batch"]:
    """Vendor deliveries within the lead time of the faster offer."""
    return due_within(pipelines.vendor, leads)


def send(
    network: Network,
    pipelines: Pipelines,
    ordered: Ordered,
    vendor_lead: Int[Array, "offers batch"],
    lane_lead: Int[Array, "lanes #batch"],
) -> Pipelines:
    """End of a period: what is on its way comes nearer, and today's orders and shipments set out."""
    vendor, lane = pipelines.vendor, pipelines.lane
    vendor_sources, lane_sources = pipeline_sources(network)
    if vendor_sources:
        vendor = advance(vendor, ordered.offer, vendor_lead, vendor_sources)
    if lane_sources:
        lane = advance(lane, ordered.lane, lane_lead, lane_sources)
    return Pipelines(vendor, lane)
