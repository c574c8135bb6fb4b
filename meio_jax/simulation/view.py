"""What a node sees before it orders."""

import jax.numpy as jnp
from jaxtyping import Array, Float
from meio_kernels.rows import add_rows

from meio_jax.model.network import Network
from meio_jax.policy.base import View
from meio_jax.simulation.outlook import Expectation, expected_arrival
from meio_jax.simulation.pipelines import Near
from meio_jax.simulation.state import Stock
from meio_jax.simulation.supply import Supply


def tier_sources(network: Network, rows: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Offer slots, and lanes of supply, that feed one of the nodes `rows`."""
    beside = network.transship_lanes
    offers = tuple(k for k, node in enumerate(network.offer_node) if node in rows)
    lanes = tuple(k for k, node in enumerate(network.lane_to) if node in rows and k not in beside)
    return offers, lanes


def view_of(
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
    offers, lanes = tier_sources(network, rows)
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
        soon = add_rows(soon, near.soon[taken], tuple(own))
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
