"""Potentials of the flow problem: what a unit costs at least at every node and period, and what it is worth unsold."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from meio_jax.certify.flow_problem import FlowProblem


def potentials_of(
    program: FlowProblem, given: Float[Array, "periods shapes nodes batch"]
) -> Float[Array, "periods nodes kinds batch"]:
    """Least cost of a unit at each node and period: kind 0 bought from vendors, the others from stock given at a cost.

    `given` is that cost (infinite where nothing is given).
    """
    network = program.network
    nodes, kinds, batch = network.nodes, 1 + given.shape[1], given.shape[-1]
    origin = np.asarray(network.lane_from, int)
    lane_rows, vendor_rows = np.asarray(network.lane_nodes, int), np.asarray(network.vendor_nodes, int)
    lane_ranks = _by_rank(network.lane_to, network.lane_nodes)
    offer_ranks = _by_rank(network.offer_node, network.vendor_nodes)

    def forward(carry: tuple, at: tuple) -> tuple[tuple, Array]:
        held, bought, shipped = carry
        period, given_now = at
        arriving = jnp.full_like(held, jnp.inf)
        if vendor_rows.size:
            arriving = arriving.at[vendor_rows, 0].min(bought[:, 0])
        if lane_rows.size:
            arriving = arriving.at[lane_rows].min(shipped[:, 0])
        value = jnp.minimum(held, arriving + program.at(program.costs.inbound, period)[:, None])
        value = value.at[:, 1:].min(jnp.moveaxis(given_now, 0, 1))
        if vendor_rows.size:
            lead = program.scenarios.vendor_lead[period]
            bought = _placed(_later(bought), program.offer_cost(period), lead, offer_ranks)
        if lane_rows.size:
            moved = value[origin] + program.lane_cost(period)[:, None]
            shipped = _placed(_later(shipped), moved, program.lane_leads(period), lane_ranks)
        held = value + program.at(program.costs.hold, period)[:, None]
        return (held, bought, shipped), value

    dtype = given.dtype
    nothing = (
        jnp.full((nodes, kinds, batch), jnp.inf, dtype),
        jnp.full((vendor_rows.size, network.vendor_limit, batch), jnp.inf, dtype),
        jnp.full((lane_rows.size, network.lane_limit, kinds, batch), jnp.inf, dtype),
    )
    return jax.lax.scan(forward, nothing, (jnp.arange(network.periods), given))[1]


def terminal_values(program: FlowProblem) -> Float[Array, "periods nodes batch"]:
    """Most that a unit at a node is worth if it is never sold: terminal credit less what keeping it costs."""
    network, credit = program.network, program.items.credit
    origin, target = np.asarray(network.lane_from, int), np.asarray(network.lane_to, int)
    slot = jnp.arange(1, network.lane_limit + 1, dtype=jnp.int32)[:, None, None]

    def back(carry: tuple, period: Array) -> tuple[tuple, Array]:
        tomorrow, arriving = carry
        value = tomorrow - program.at(program.costs.hold, period)
        if program.items.waste is not None:
            # Whoever knows everything may dispose of a unit of an item with a shelf life on any day.
            value = jnp.maximum(value, -program.disposal(period))
        if network.lanes:
            lead = program.lane_leads(period)
            reached = jnp.max(jnp.where(lead == slot, arriving[:, target], -jnp.inf), axis=0)
            value = value.at[origin].max(reached - program.lane_cost(period))
        now = value - program.at(program.costs.inbound, period)
        return (value, jnp.concatenate([now[None], arriving[:-1]])), value

    buffer = jnp.broadcast_to(program.items.credit_due, (network.lane_limit, *credit.shape))
    return jax.lax.scan(back, (credit, buffer), jnp.arange(network.periods), reverse=True)[1]


def _by_rank(targets: tuple[int, ...], rows: tuple[int, ...]) -> list[np.ndarray]:
    """Sources in rounds: entry j holds, for every row, the number of its j-th source (one past the last: none)."""
    own = [[k for k, node in enumerate(targets) if node == row] for row in rows]
    most = max((len(sources) for sources in own), default=0)
    return [np.asarray([s[j] if j < len(s) else len(targets) for s in own], int) for j in range(most)]


def _placed(pending: Array, cost: Array, lead: Array, ranks: list[np.ndarray]) -> Array:
    """Offer every arrival slot its cheapest new source. Axes: `rows, due, ..., batch`."""
    slot = jnp.arange(1, pending.shape[1] + 1, dtype=lead.dtype)
    slot = slot.reshape(1, -1, *(1,) * (pending.ndim - 2))
    cost = jnp.concatenate([cost, jnp.full_like(cost[:1], jnp.inf)])
    lead = jnp.concatenate([lead, jnp.ones_like(lead[:1])])
    lead = lead.reshape(lead.shape[0], 1, *(1,) * (pending.ndim - 3), lead.shape[-1])
    for rank in ranks:
        pending = jnp.minimum(pending, jnp.where(lead[rank] == slot, cost[rank][:, None], jnp.inf))
    return pending


def _later(pending: Array) -> Array:
    return jnp.concatenate([pending[:, 1:], jnp.full_like(pending[:, :1], jnp.inf)], axis=1)
