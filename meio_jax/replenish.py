"""Ordering and allocation at the end of a period, from the most downstream tier up."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from meio_jax.network import Network
from meio_jax.policy.base import AbstractPolicy, View
from meio_kernels.allocation import allocate
from meio_kernels.pipeline import dispatch, dispatch_fixed


class Stock(eqx.Module):
    """Stock and everything on its way, per node; backlog is demand that waits, per speed and region.

    Pipelines have rows only for the nodes that can have one, and slots only as far as their longest lead time.
    """

    on_hand: Float[Array, "nodes batch"]
    on_order: Float[Array, "nodes batch"]
    vendor_pipeline: Float[Array, "vendor_nodes vendor_due batch"]
    lane_pipeline: Float[Array, "lane_nodes lane_due batch"]
    backlog: Float[Array, "backlog_speeds regions batch"]


class Supply(eqx.Module):
    """Per-batch supply data: default shares and the lead times of what is ordered in this period."""

    source_share: Float[Array, "sources batch"]
    expedited_lead: Int[Array, "offers batch"]
    offer_active: Bool[Array, "offers batch"]
    vendor_lead: Int[Array, "offers batch"]
    lane_lead: Int[Array, "lanes #batch"] | Int[Array, " lanes"]


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
    batch = position.shape[-1]
    vendor_rows = {node: index for index, node in enumerate(network.vendor_nodes)}
    pipeline = jnp.zeros((len(rows), network.vendor_limit, batch), position.dtype)
    lead = jnp.zeros((len(rows), batch), supply.expedited_lead.dtype)
    has = jnp.zeros((len(rows), batch), bool)
    own = [index for index, node in enumerate(rows) if node in vendor_rows]
    if own:
        taken = jnp.asarray([vendor_rows[rows[index]] for index in own], int)
        pipeline = pipeline.at[jnp.asarray(own, int)].set(stock.vendor_pipeline[taken])
    second = [k for k in offers if network.offer_rank[k] == 1]
    if second:
        at = jnp.asarray([rows.index(network.offer_node[k]) for k in second], int)
        lead = lead.at[at].set(supply.expedited_lead[jnp.asarray(second, int)])
        has = has.at[at].set(supply.offer_active[jnp.asarray(second, int)])
    expedited = [network.offer_rank[k] == 1 for k in offers] + [False] * len(lanes)
    return View(
        position=position[nodes],
        echelon_position=(echelon[nodes] @ position),
        net_stock=net[nodes],
        vendor_pipeline=pipeline,
        expedited_lead=lead,
        has_expedited=has,
        source_share=supply.source_share[jnp.asarray(sources, int)],
        source_expedited=jnp.asarray(expedited, bool),
        source_row=source_row,
        source_index=sources,
        rows=rows,
    )


def _dispatch_lanes(
    pipeline: Float[Array, "lane_nodes lane_due batch"],
    units: Float[Array, "lanes batch"],
    lead: Int[Array, "lanes #batch"] | Int[Array, " lanes"],
    rows: Int[Array, " lanes"],
) -> Float[Array, "lane_nodes lane_due batch"]:
    if lead.ndim == 1:
        return dispatch_fixed(pipeline, units, lead, rows)
    return dispatch(pipeline, units, lead, rows)


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
        supply: Shares and lead times of this period.
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
            shipped, on_hand = allocate(
                asked, stock.on_hand, source, network.lane_urgency[ids], network.priority_ranks
            )
            lane_row = jnp.asarray([network.lane_nodes.index(network.lane_to[k]) for k in lanes], int)
            target = jnp.asarray([network.lane_to[k] for k in lanes], int)
            stock = Stock(
                on_hand=on_hand,
                on_order=stock.on_order.at[target].add(shipped),
                vendor_pipeline=stock.vendor_pipeline,
                lane_pipeline=_dispatch_lanes(stock.lane_pipeline, shipped, supply.lane_lead[ids], lane_row),
                backlog=stock.backlog,
            )
            lane_units = lane_units.at[ids].set(shipped)
        if offers:
            ids = jnp.asarray(offers, int)
            target = jnp.asarray([network.offer_node[k] for k in offers], int)
            row = jnp.asarray([network.vendor_nodes.index(network.offer_node[k]) for k in offers], int)
            stock = Stock(
                on_hand=stock.on_hand,
                on_order=stock.on_order.at[target].add(bought),
                vendor_pipeline=dispatch(stock.vendor_pipeline, bought, supply.vendor_lead[ids], row),
                lane_pipeline=stock.lane_pipeline,
                backlog=stock.backlog,
            )
            offer_units = offer_units.at[ids].set(bought)
    return stock, Ordered(offer_units, lane_units)
