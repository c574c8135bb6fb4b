"""Stock of the nodes and goods on their way, and both as they are at the start."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from meio_jax.model.network import ItemBlock, Network, ShelfLife


class Stock(eqx.Module):
    """Stock and units on their way, per node; backlog is demand that waits, by speed and region; None in networks
    without backorders.

    `old` are units in stock that live for at most 1, 2, ... periods, this one included; None where nothing expires.
    """

    on_hand: Float[Array, "nodes batch"]
    on_order: Float[Array, "nodes batch"]
    backlog: Float[Array, "speeds regions batch"] | None
    old: Float[Array, "lives nodes batch"] | None = None


class Pipelines(eqx.Module):
    """When what is on its way arrives.

    Rows only for the nodes that can have a pipeline, slots only as far as their longest lead time. `old` are units of
    the lane pipeline that live for at most 0, 1, ... periods; None where nothing expires. What comes from vendors is
    fresh.
    """

    vendor: Float[Array, "vendor_nodes vendor_due batch"]
    lane: Float[Array, "lane_nodes lane_due batch"]
    old: Float[Array, "due_lives lane_nodes lane_due batch"] | None = None


def initial_state(network: Network, block: ItemBlock, scenarios: int) -> tuple[Stock, Pipelines]:
    """The block's stock and pipelines at the start, the same in every scenario."""
    on_order = jnp.zeros_like(block.on_hand)
    if network.vendor_nodes:
        on_order = on_order.at[jnp.asarray(network.vendor_nodes, int)].add(block.vendor_pipeline.sum(1))
    if network.lane_nodes:
        on_order = on_order.at[jnp.asarray(network.lane_nodes, int)].add(block.lane_pipeline.sum(1))

    def spread(leaf: Array) -> Array:
        return jnp.repeat(leaf, scenarios, axis=-1)

    backlog = None
    if network.backorders:
        nothing = jnp.zeros((network.speeds, network.regions, block.items), block.on_hand.dtype)
        backlog = spread(nothing if block.owed is None else block.owed)

    stale = under_way = None
    if block.shelf is not None:
        stale, under_way = _by_life(block.shelf, block.on_hand, block.lane_pipeline)
    stock = Stock(spread(block.on_hand), spread(on_order), backlog, None if stale is None else spread(stale))
    old = None if under_way is None else spread(under_way)
    return stock, Pipelines(spread(block.vendor_pipeline), spread(block.lane_pipeline), old)


def _by_life(shelf: ShelfLife, on_hand: Array, lane: Array) -> tuple[Array, Array]:
    """Old units in stock, and between nodes: what is there counts as received on the first day."""
    at_most = jnp.arange(shelf.stale.shape[0] + 1, dtype=shelf.life.dtype)[:, None, None, None]
    # Nothing lives longer than a fresh unit: up to that life it is all the stock, a unit more than there was included.
    stale = jnp.where(at_most[1:, 0] >= shelf.life, on_hand, jnp.minimum(shelf.stale, on_hand))
    return stale, jnp.where(at_most >= shelf.life, lane, 0)


def receive(
    stock: Stock, inbound: Float[Array, "nodes batch"], old: Float[Array, "due_lives nodes batch"] | None = None
) -> Stock:
    """Start of a period: what is due joins the stock on hand, but for what expired on its way.

    Args:
        stock: Of the evening before.
        inbound: Units that arrive.
        old: Those of them that live for at most 0, 1, ... periods; None where nothing expires.
    """
    if old is None or stock.old is None:
        return Stock(stock.on_hand + inbound, stock.on_order - inbound, stock.backlog)
    on_hand = stock.on_hand + inbound - old[0]
    return Stock(on_hand, stock.on_order - inbound, stock.backlog, stock.old + old[1:] - old[0])
