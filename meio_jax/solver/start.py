"""Newsvendor starting levels: cover the demand of a node's lead time and review, plus safety stock."""

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Array, ArrayLike, Float

from meio_jax.model.leads import mean_leads, order_gaps
from meio_jax.model.network import ItemBlock, Network
from meio_jax.model.resources import Rents
from meio_jax.policy.base import StartingPoint
from meio_jax.scenarios.sampling import Scenarios
from meio_jax.simulation.inputs import with_tail
from meio_jax.simulation.preferences import PreferenceLists

_LEAST_FRACTILE = 0.5
LARGEST_FRACTILE = 0.995
"""Most of a newsvendor level's fractile, where capacities do not ask for less."""


def customer_rates(
    network: Network, rates: Float[Array, "buckets waves speeds regions items"], lists: PreferenceLists
) -> tuple[Float[Array, "buckets nodes items"], Float[Array, "buckets nodes items"]]:
    """Customer demand per period by node: all at the first choice, and spread over the whole list.

    The spread version halves from choice to choice; it gives nodes that are nobody's first choice a scale on which
    they can become useful once prices move demand to them.
    """
    rounds = lists.node.shape[3]
    buckets, _, _, _, items = rates.shape
    flat = rates.reshape(buckets, -1, items)
    first = jnp.zeros((buckets, network.nodes, items), rates.dtype)
    spread = first
    at = jnp.arange(buckets)[:, None]
    weights = [0.5**p for p in range(rounds)]
    for p in range(rounds):
        node = lists.node[:, :, :, p].reshape(buckets, -1)
        share = spread.at[at, node].add(flat * (weights[p] / sum(weights)), mode="drop")
        spread = share
        if p == 0:
            first = first.at[at, node].add(flat, mode="drop")
    return first, spread


def roll_up(network: Network, rates: Float[Array, "buckets nodes items"]) -> Float[Array, "buckets nodes items"]:
    """Add to every node what the nodes that it supplies pass on to it."""
    for tier in network.tiers:
        for lane, (origin, target) in enumerate(zip(network.lane_from, network.lane_to, strict=True)):
            if target in tier:
                rates = rates.at[:, origin].add(network.lane_share[lane] * rates[:, target])
    return rates


def node_leads(network: Network, block: ItemBlock) -> tuple[Float[Array, "nodes items"], Float[Array, "nodes items"]]:
    """Mean lead time of a node's default sources, and of its faster offer (infinite if it has none), in periods."""
    mean = mean_leads(network, block)
    fast = jnp.full_like(mean, jnp.inf)
    for slot, (node, rank) in enumerate(zip(network.offer_node, network.offer_rank, strict=True)):
        if rank == 1:
            fast = fast.at[node].set(jnp.where(block.offer_active[slot], block.offer_lead[slot], jnp.inf))
    return mean, fast


def _fractile(
    network: Network, block: ItemBlock, review_gap: Array, rents: Rents, most: ArrayLike
) -> Float[Array, "nodes items"]:
    """Critical fractile of a node: under-stock cost against holding over one review cycle, both at the prices."""
    holding = jnp.maximum(network.holding_factor[:, None] * block.holding_cost + rents.held, 1e-9)
    margin = jnp.maximum(block.lost_sale_cost - rents.moved, 0)
    lost = margin / (margin + holding * review_gap + 1e-12)
    waiting = block.backorder_cost / (block.backorder_cost + holding)
    return jnp.clip(jnp.where(block.backorder, waiting, lost), _LEAST_FRACTILE, most)


def starting_point(
    network: Network,
    block: ItemBlock,
    scenarios: Scenarios,
    lists: PreferenceLists,
    rents: Rents,
    most: ArrayLike = LARGEST_FRACTILE,
) -> StartingPoint:
    """Levels of a newsvendor at every node, from the moments of the sampled demand, at the prices behind `rents`.

    A position raised at a review must last until the next review's order arrives: lead time + review gap - 1 periods,
    since positions are counted as they stand after the day's sales. Demand of a node is thinned from the item's total,
    so its variance is `m (1 + share (V/M - 1))`. `most` bounds the fractile.
    """
    samples = scenarios.demand.shape[-1] // block.items
    demand = scenarios.demand
    rates = bucket_rates(network, demand, block.items)
    total = demand.sum((1, 2, 3)).reshape(network.horizon, block.items, samples)
    mean_total = jnp.maximum(total.mean((0, 2)), 1e-9)
    excess = jnp.maximum(total.var((0, 2)) / mean_total - 1, -1)

    first, spread = customer_rates(network, rates, jax.tree.map(lambda leaf: with_tail(network, leaf), lists))
    first, spread = roll_up(network, first), roll_up(network, spread)
    lead, fast_lead = node_leads(network, block)
    gap = order_gaps(network, block.offer_active, block.offer_vendor)
    z = ndtri(_fractile(network, block, gap, rents, most))
    # A position is counted as it stands after the day's sales, in the morning as in the evening.
    covered = gap - 1

    def level(rates: Array, cover: Array) -> tuple[Array, Array]:
        mean = demand_ahead(network, rates, cover)
        share = jnp.clip(mean / jnp.maximum(cover, 1e-9) / mean_total, 0, 1)
        deviation = jnp.sqrt(mean * jnp.maximum(1 + share * excess, 1e-6))
        return mean, deviation

    cover = jnp.maximum(lead + covered, 1)
    mean, deviation = level(first, cover)
    target = mean + z * deviation
    wide_mean, wide_deviation = level(spread, cover)
    scale = jnp.where(block.stockable, jnp.maximum(wide_mean + wide_deviation, 1e-3), 0)
    target = jnp.where(block.stockable, target, 0)
    fast_cover = jnp.where(jnp.isfinite(fast_lead), fast_lead + covered, 0)
    fast_mean, fast_deviation = level(first, jnp.maximum(fast_cover, 0))
    fast_target = jnp.minimum(jnp.where(block.stockable, fast_mean + z * fast_deviation, 0), target)
    return StartingPoint(target, roll_up(network, target), first[: network.buckets], fast_target, scale)


def bucket_rates(
    network: Network, demand: Float[Array, "horizon waves speeds regions batch"], items: int
) -> Float[Array, "simulated_buckets waves speeds regions items"]:
    """Mean demand of every class per period of each bucket, those of the tail included."""
    missing = network.buckets * network.bucket_periods - network.periods
    idle = jnp.zeros((missing, *demand.shape[1:]), demand.dtype)
    whole = jnp.concatenate([demand[: network.periods], idle, demand[network.periods :]])
    lengths = jnp.full(network.simulated_buckets, network.bucket_periods, demand.dtype)
    lengths = lengths.at[network.buckets - 1].add(-missing)
    shape = (network.simulated_buckets, network.bucket_periods, *demand.shape[1:-1], items, -1)
    samples = demand.shape[-1] // items
    return whole.reshape(shape).sum((1, -1)) / (samples * lengths[:, None, None, None, None])


def demand_ahead(
    network: Network, rates: Float[Array, "simulated_buckets nodes items"], cover: Float[Array, "nodes items"]
) -> Float[Array, "buckets nodes items"]:
    """Most demand that a position of each bucket has to cover: that of the `cover` periods from one of its days on.

    A bucket whose own demand is small still orders for what comes after it, and after the tail demand goes on as in its
    last bucket.
    """
    length = network.bucket_periods
    summed = jnp.concatenate([jnp.zeros_like(rates[:1]), jnp.cumsum(length * rates, axis=0)])
    last = rates.shape[0] - 1

    def until(period: Array) -> Array:
        """Demand of all periods before this one: linear within a bucket."""
        bucket = jnp.clip(jnp.floor(period / length).astype(jnp.int32), 0, last)
        at = lambda table: jnp.take_along_axis(table, bucket[None], axis=0)[0]
        return at(summed[:-1]) + (period - length * bucket.astype(period.dtype)) * at(rates)

    first = jnp.arange(network.buckets, dtype=cover.dtype) * length

    def ahead(start: Array) -> Array:
        here = jnp.broadcast_to(start, cover.shape)
        return until(here + cover) - until(here)

    return jnp.maximum(jax.vmap(ahead)(first), jax.vmap(ahead)(first + length - 1))
