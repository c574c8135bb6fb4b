"""What changes from period to period: sampled demand and lead times, and what a decision knows of its day.

Periods are cut into buckets, those of the horizon first, then those of its tail.
"""

from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from meio_jax.model.network import ItemBlock, Network
from meio_jax.model.queues import Shares
from meio_jax.scenarios.sampling import Scenarios
from meio_jax.simulation.docks import dock_shares
from meio_jax.simulation.outlook import Outlook
from meio_jax.simulation.received import received_leads
from meio_jax.simulation.supply import OrderDays, order_days

_Tree = TypeVar("_Tree")


class Moment(eqx.Module):
    """What a decision knows of its day: who orders, what items sell, and the forecast from here on."""

    days: OrderDays
    mean_demand: Float[Array, "*lead items_or_batch"]
    outlook: Outlook | None

    def spread_over(self, scenarios: int) -> "Moment":
        """The same for items spread over scenarios."""
        wide = lambda leaf: jnp.repeat(leaf, scenarios, axis=-1)
        return Moment(self.days, wide(self.mean_demand), jax.tree.map(wide, self.outlook))


class Inputs(eqx.Module):
    """What changes from period to period; `shares` of docks that queue, None where nothing does."""

    demand: Float[Array, "*lead waves speeds regions batch"]
    vendor_lead: Int[Array, "*lead offers batch"]
    lane_lead: Int[Array, "*lead lanes #batch"]
    moment: Moment
    charged: Float[Array, "*lead"]
    within: Bool[Array, "*lead"]
    shares: Shares | None = None


def inputs_of(network: Network, block: ItemBlock, scenarios: Scenarios, outlook: Outlook | None) -> Inputs:
    vendor_lead, lane_lead = received_leads(network, scenarios)
    if lane_lead.ndim == 1:
        lane_lead = jnp.broadcast_to(lane_lead[:, None], (network.horizon, lane_lead.shape[0], 1))
    lists = Inputs(
        scenarios.demand,
        vendor_lead,
        lane_lead,
        Moment(order_days(network, block), block.mean_demand, outlook),
        jnp.concatenate([network.charged, jnp.ones(network.tail, network.charged.dtype)]),
        jnp.ones(network.horizon, bool),
        dock_shares(network),
    )
    return jax.tree.map(lambda leaf: _by_bucket(network, leaf), lists)


def _by_bucket(network: Network, leaf: Array) -> Array:
    """Cut a period axis into buckets of the horizon and of the tail; a short last bucket is filled up with zeros."""
    missing = network.buckets * network.bucket_periods - network.periods
    if missing:
        idle = jnp.zeros((missing, *leaf.shape[1:]), leaf.dtype)
        leaf = jnp.concatenate([leaf[: network.periods], idle, leaf[network.periods :]])
    return leaf.reshape(network.simulated_buckets, network.bucket_periods, *leaf.shape[1:])


def reaching(network: Network, scenarios: Scenarios) -> Scenarios:
    """Scenarios of the reported periods with a tail that goes on as their last day, for a rollout without its tail."""

    def longer(leaf: Array) -> Array:
        if leaf.ndim == 1:
            return leaf
        missing = network.horizon - leaf.shape[0]
        return jnp.concatenate([leaf, jnp.broadcast_to(leaf[-1:], (missing, *leaf.shape[1:]))])

    return jax.tree.map(longer, scenarios)


def with_tail(network: Network, leaf: Array) -> Array:
    """A leaf with one row per bucket (or one for all), for every simulated bucket: the tail goes on as the last one."""
    rows = jnp.broadcast_to(leaf, (network.buckets, *leaf.shape[1:]))
    if not network.tail_buckets:
        return rows
    return jnp.concatenate([rows, jnp.broadcast_to(rows[-1:], (network.tail_buckets, *leaf.shape[1:]))])


def first_row(tree: _Tree) -> _Tree:
    """The first row of every leaf."""
    return jax.tree.map(lambda leaf: leaf[0], tree)
