"""What a node gives up with a unit of its stock: more, the likelier it is to run out before it can order again."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from meio_jax.model.leads import mean_leads, order_gaps
from meio_jax.model.network import ItemBlock, Network

PART_LOST = 0.75
"""Part of the extra cost of the next choice that a unit is worth where a node surely runs out: not all customers of a
node are those to whom the next one costs most (chosen by experiments/fulfilment_regret.py)."""

# Units squared: what is not drawn smaller than a unit never runs out by less.
_LEAST_VARIANCE = 0.25


class NodeValues(eqx.Module):
    """What a unit in stock is worth at a node: `base + scarce x` the chance that the node runs out of it.

    `base` is what bringing another unit there costs, `scarce` what it costs more to do without one; money. A node runs
    out where what its own customers ask for exceeds what it has and expects on any of the next `cover` days, demand of
    a day being normal with `mean` and `variance`.
    """

    base: Float[Array, "*lead nodes items_or_batch"]
    scarce: Float[Array, "*lead nodes items_or_batch"]
    mean: Float[Array, "*lead nodes items_or_batch"]
    variance: Float[Array, "*lead nodes items_or_batch"]
    cover: Int[Array, "*lead nodes items_or_batch"]


class Worth(eqx.Module):
    """What units are worth on a day, as a function of the stock of their node.

    `expected` is what a node receives less what its customers ask for, `spread` the standard deviation of that, up to
    the day on which it is likeliest to run out.
    """

    base: Float[Array, "nodes batch"]
    scarce: Float[Array, "nodes batch"]
    expected: Float[Array, "nodes batch"]
    spread: Float[Array, "nodes batch"]

    def chance(self, on_hand: Float[Array, "nodes batch"]) -> Float[Array, "nodes batch"]:
        """Chance that a node runs out of the last unit that it has."""
        return chance_above((on_hand - 0.5 + self.expected) / self.spread)

    def of_unit(self, on_hand: Float[Array, "nodes batch"]) -> Float[Array, "nodes batch"]:
        """Money that a unit given up by each node is worth there."""
        return self.base + self.scarce * self.chance(on_hand)


def chance_above(level: Array) -> Array:
    """Chance that a standard normal number is above a level."""
    return 0.5 * jax.scipy.special.erfc(level / jnp.sqrt(jnp.asarray(2, level.dtype)))


def node_values(
    network: Network,
    block: ItemBlock,
    choice: Int[Array, "waves speeds regions choices"],
    cost: Float[Array, "waves speeds regions choices"],
) -> NodeValues:
    """Values of a block in all buckets, items not spread over scenarios.

    Args:
        network: The shared network.
        block: The items.
        choice: First and second choice of every class of demand.
        cost: Their priced costs, money per unit; infinite where there is none.
    """
    mean, variance = _own_demand(network, block)
    scarce = PART_LOST * extra_cost(network, block, choice, cost)
    return NodeValues(block.end_value, scarce, mean, variance, cover_days(network, block))


def extra_cost(
    network: Network,
    block: ItemBlock,
    choice: Int[Array, "waves speeds regions choices"],
    cost: Float[Array, "waves speeds regions choices"],
) -> Float[Array, "nodes items"]:
    """What it costs more, on average over the classes that ask a node first, to do without it.

    The next choice costs more; where there is none, a sale is lost (or a customer waits for a day) and no parcel paid.
    """
    first = cost[..., 0]
    second = cost[..., 1] if cost.shape[-1] > 1 else jnp.full_like(first, jnp.inf)
    asks, has_next = first < jnp.inf, second < jnp.inf
    weight = jax.nn.one_hot(choice[..., 0], network.nodes, dtype=first.dtype)
    over = lambda values: jnp.einsum("wsr,wsrn->n", jnp.where(asks, values, 0), weight)[:, None]
    saved = jnp.where(asks, first, 0)
    detour = over(jnp.where(has_next, jnp.where(has_next, second, 0) - saved, 0))
    missed = jnp.where(block.backorder, block.backorder_cost, block.lost_sale_cost)
    alone, parcel = over((~has_next).astype(first.dtype)), over(jnp.where(has_next, 0, saved))
    count = over(jnp.ones_like(first))
    return jnp.maximum(detour + alone * missed - parcel, 0) / jnp.maximum(count, 1)


def cover_days(network: Network, block: ItemBlock) -> Int[Array, "nodes items"]:
    """Days that a node has to do with what is on its way: until an order of its next review arrives, 1 at least."""
    gap = jnp.round(order_gaps(network, block.offer_active, block.offer_vendor)).astype(jnp.int32)
    lead = jnp.round(mean_leads(network, block)).astype(jnp.int32)
    return jnp.maximum(lead + gap - 1, 1)


def _own_demand(network: Network, block: ItemBlock) -> tuple[Float[Array, "nodes items"], Float[Array, "nodes items"]]:
    """Mean and variance of what customers ask of a node on a day, on average over the days of the horizon."""
    mean = block.own_share * jnp.mean(block.mean_demand[: network.periods], axis=0)
    linear, square = block.demand_variance
    return mean, mean * (1 - block.own_share * (1 - linear)) + square * mean**2


def worth_of(values: NodeValues, on_hand: Float[Array, "nodes batch"], due: Float[Array, "nodes days batch"]) -> Worth:
    """What units are worth on a day.

    Args:
        values: Of the day's bucket, spread over scenarios.
        on_hand: Stock before the day's sales, units.
        due: What arrives by day; day 0 is now, and already in stock.
    """
    number = jnp.arange(due.shape[1], dtype=jnp.int32)[:, None]
    days = (number + 1).astype(on_hand.dtype)
    received = jnp.cumsum(due, axis=1) - due[:, :1]
    expected = received - days * values.mean[:, None]
    spread = jnp.sqrt(jnp.maximum(days * values.variance[:, None], _LEAST_VARIANCE))
    level = (on_hand[:, None] + expected) / spread
    level = jnp.where(number < values.cover[:, None], level, jnp.inf)
    worst = jnp.argmin(level, axis=1)[:, None]
    at = lambda leaf: jnp.take_along_axis(leaf, worst, axis=1)[:, 0]
    return jax.lax.stop_gradient(Worth(values.base, values.scarce, at(expected), at(spread)))
