"""What a node gives up with a unit of its stock: more, the likelier it is to run out before it can order again."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from meio_jax.model.leads import mean_leads, order_gaps
from meio_jax.model.network import ItemBlock, Network

_HAIR = 1e-5
# Units squared: what is not drawn smaller than a unit never runs out by less.
_LEAST_VARIANCE = 0.25


class NodeValues(eqx.Module):
    """What a unit in stock is worth at a node.

    `base` is what bringing another unit there costs. Without one a node sends its customers elsewhere, first those to
    whom that is cheapest: `scarce` is what it costs more for these (the part `share` of them), `dearer` by how much
    more than that for the others; money. A node runs out where what its own customers ask for exceeds what it has and
    expects on any of the next `cover` days, demand of a day being normal with `mean` and `variance`.
    """

    base: Float[Array, "*lead nodes items_or_batch"]
    scarce: Float[Array, "*lead nodes items_or_batch"]
    dearer: Float[Array, "*lead nodes items_or_batch"]
    share: Float[Array, "*lead nodes items_or_batch"]
    mean: Float[Array, "*lead nodes items_or_batch"]
    variance: Float[Array, "*lead nodes items_or_batch"]
    cover: Int[Array, "*lead nodes items_or_batch"]


class Worth(eqx.Module):
    """What units are worth on a day, as a function of the stock of their node.

    `expected` is what a node receives less what its customers ask for, `spread` the standard deviation of that, up to
    the day on which it is likeliest to run out; `first` is what those customers ask for until then who go elsewhere
    first.
    """

    base: Float[Array, "nodes batch"]
    scarce: Float[Array, "nodes batch"]
    dearer: Float[Array, "nodes batch"]
    expected: Float[Array, "nodes batch"]
    spread: Float[Array, "nodes batch"]
    first: Float[Array, "nodes batch"]

    def of_unit(self, on_hand: Float[Array, "nodes batch"]) -> Float[Array, "nodes batch"]:
        """Money that a unit given up by each node is worth there."""
        level = on_hand - 0.5 + self.expected
        short, far_short = chance_above(level / self.spread), chance_above((level + self.first) / self.spread)
        return self.base + self.scarce * short + self.dearer * far_short


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
    extra = extra_costs(network, block, choice, cost)
    return NodeValues(block.end_value, *extra, mean, variance, cover_days(network, block))


def extra_costs(
    network: Network,
    block: ItemBlock,
    choice: Int[Array, "waves speeds regions choices"],
    cost: Float[Array, "waves speeds regions choices"],
) -> tuple[Float[Array, "nodes items"], Float[Array, "nodes items"], Float[Array, "nodes items"]]:
    """What it costs more to do without a node, on average over classes that ask it first, all of them alike.

    The next choice costs more; where there is none, a sale is lost (or a customer waits for a day) and no parcel paid.

    Returns:
        The mean over classes to whom it is at most the mean of all; by how much that of the others is above it (0: none
        are); and the part that the first are of all classes.
    """
    flat = cost.reshape(-1, cost.shape[-1])
    first, asked = flat[:, 0], choice[..., 0].reshape(-1)
    second = flat[:, 1] if flat.shape[1] > 1 else jnp.full_like(first, jnp.inf)
    asks, has_next = first < jnp.inf, second < jnp.inf
    missed = jnp.where(block.backorder, block.backorder_cost, block.lost_sale_cost)
    saved = jnp.where(asks, first, 0)[:, None]
    extra = jnp.where(has_next[:, None], jnp.where(has_next, second, 0)[:, None], missed)
    extra = jnp.maximum(extra - saved, 0)
    counts = jnp.broadcast_to(asks[:, None].astype(extra.dtype), extra.shape)

    def mean(among: Float[Array, "classes items"]) -> tuple[Float[Array, "nodes items"], Float[Array, "nodes items"]]:
        nothing = jnp.zeros((network.nodes, extra.shape[1]), extra.dtype)
        number, total = nothing.at[asked].add(among), nothing.at[asked].add(among * extra)
        return number, total / jnp.maximum(number, 1)

    number, middle = mean(counts)
    # A hair above the mean is the mean: classes that are all alike are all among the first.
    cheap = jnp.where(extra <= middle[asked] * (1 + _HAIR) + _HAIR, counts, 0)
    cheaper, low = mean(cheap)
    dear, high = mean(counts - cheap)
    return low, jnp.where(dear > 0, high - low, 0), cheaper / jnp.maximum(number, 1)


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
    first = values.share * values.mean * (worst[:, 0] + 1).astype(on_hand.dtype)
    worth = Worth(values.base, values.scarce, values.dearer, at(expected), at(spread), first)
    return jax.lax.stop_gradient(worth)
