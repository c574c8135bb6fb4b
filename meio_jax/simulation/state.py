"""Stock of the nodes and goods on their way, and both as they are at the start."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from meio_jax.model.network import ItemBlock, Network


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


def initial_state(network: Network, block: ItemBlock, scenarios: int) -> tuple[Stock, Pipelines]:
    """The block's stock and pipelines at the start, the same in every scenario."""
    on_order = jnp.zeros_like(block.on_hand)
    if network.vendor_nodes:
        on_order = on_order.at[jnp.asarray(network.vendor_nodes, int)].add(block.vendor_pipeline.sum(1))
    if network.lane_nodes:
        on_order = on_order.at[jnp.asarray(network.lane_nodes, int)].add(block.lane_pipeline.sum(1))

    def spread(leaf: Array) -> Array:
        return jnp.repeat(leaf, scenarios, axis=-1)

    none = jnp.zeros((network.regions, block.items * scenarios), block.on_hand.dtype)
    backlog = (none,) * network.speeds if network.backorders else ()
    if block.owed is not None and network.backorders:
        backlog = tuple(spread(block.owed[speed]) for speed in range(network.speeds))

    stock = Stock(spread(block.on_hand), spread(on_order), backlog)
    return stock, Pipelines(spread(block.vendor_pipeline), spread(block.lane_pipeline))


def receive(stock: Stock, inbound: Float[Array, "nodes batch"]) -> Stock:
    """Start of a period: what is due joins the stock on hand."""
    return Stock(stock.on_hand + inbound, stock.on_order - inbound, stock.backlog)
