"""Floors that look at nodes: demand served from them, and stock at the end of the day."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from meio_jax.model.network import ItemBlock, Network

# Half a unit and more is one: levels are rounded to the nearest whole unit before anything is ordered.
_A_UNIT = 0.5
# Share of a day's mean sales of a node over which the slope of being in stock is spread.
_GRAIN = 0.2


def stocked_pairs(network: Network, block: ItemBlock) -> Float[Array, "nodes items"]:
    """1 where a node may order an item and somebody supplies it, else 0: the pairs that floors of stock count."""
    row = jnp.asarray((*network.offer_node, *network.lane_to), int)
    supplied = jnp.zeros_like(block.own_share).at[row].add(block.source_share)
    return jnp.where(block.stockable & (supplied > 0), 1.0, 0.0).astype(block.own_share.dtype)


def node_floors(
    network: Network,
    demand: Float[Array, "waves speeds regions batch"],
    from_nodes: Float[Array, "fills batch"] | None,
    on_hand: Float[Array, "nodes batch"],
    stocked: Float[Array, "nodes batch"] | None,
    sales: Float[Array, "nodes batch"],
) -> tuple[Float[Array, "floors batch"] | None, Float[Array, "floors batch"] | None]:
    """What a day counts for every floor that looks at nodes, and what its share refers to; None without such floors.

    Args:
        network: The network.
        demand: Demand of the day.
        from_nodes: Demand served as promised from the nodes of each fill rate.
        on_hand: Stock at the end of the day.
        stocked: Pairs that floors of stock count today.
        sales: Mean sales of the day by node.
    """
    floors = network.floors
    if floors is None:
        return None, None
    kept, asked = [], []
    if from_nodes is not None:
        kept.append(from_nodes)
        asked.append(jnp.einsum("fsr,srb->fb", floors.fill_scope, jnp.sum(demand, axis=0)))
    if stocked is not None:
        kept.append(floors.stock_nodes @ (in_stock(on_hand, sales) * stocked))
        asked.append(floors.stock_nodes @ stocked)
    return jnp.concatenate(kept), jnp.concatenate(asked)


def in_stock(on_hand: Float[Array, "nodes batch"], sales: Float[Array, "nodes batch"]) -> Float[Array, "nodes batch"]:
    """1 where there is a unit of stock, else 0; its slope is that of a ramp.

    For whole demand and a ramp of one unit the mean slope is the exact one of the rate between whole levels. Where much
    is sold a ramp of one unit would be met by few scenarios, so it is a share of a day's sales.

    Args:
        on_hand: Stock.
        sales: Mean sales of the day.
    """
    width = jnp.maximum(_GRAIN * sales, 1)
    ramp = jnp.clip(on_hand / width, 0, 1)
    true = jnp.where(on_hand >= _A_UNIT, 1.0, 0.0).astype(on_hand.dtype)
    return true + (ramp - jax.lax.stop_gradient(ramp))
