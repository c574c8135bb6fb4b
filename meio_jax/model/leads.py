"""Mean lead times of nodes, over the sources that they order from by default, and periods between their orders."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from meio_jax.model.arrays import library, plus_at
from meio_jax.model.network import ItemBlock, Network


def mean_leads(network: Network, block: ItemBlock) -> Float[Array, "nodes items"]:
    """Mean lead time of a node's default sources, weighed by their shares, in periods (0: no source)."""
    return source_leads(network, block.offer_lead, block.source_share)


def source_leads(network: Network, offer_lead: Any, source_share: Any) -> Any:
    """Mean lead time of a node's sources by their shares `[nodes, items]`, periods; arrays of either library.

    Args:
        network: The network.
        offer_lead: Mean lead time of every offer slot `[offers, items]`, periods.
        source_share: Split of a node's orders over its sources `[offer slots then lanes, items]`.
    """
    xp, items = library(offer_lead), offer_lead.shape[1]
    lanes = xp.broadcast_to(xp.asarray(network.lane_lead)[:, None], (network.lanes, items))
    leads = xp.concatenate([offer_lead, lanes.astype(offer_lead.dtype)])
    nothing = xp.zeros((network.nodes, items), leads.dtype)
    return plus_at(nothing, (*network.offer_node, *network.lane_to), leads * source_share)


def order_gaps(
    network: Network, offer_active: Bool[Array, "offers items"], offer_vendor: Int[Array, "offers items"]
) -> Float[Array, " nodes #items"]:
    """Mean periods between orders of each node; with a calendar those of the source that takes orders most often.

    Args:
        network: The shared network.
        offer_active: Which offer slots the items have.
        offer_vendor: Vendor of every slot.
    """
    dtype = network.holding_factor.dtype
    share = jnp.mean(network.review.astype(dtype), axis=0)[:, None]
    calendar = network.calendar
    if calendar is not None:
        slot = jnp.arange(network.offers, dtype=jnp.int32)[:, None]
        bought = jnp.mean(calendar.offer.astype(dtype), axis=0)[calendar.of_vendor[offer_vendor], slot]
        bought = jnp.where(offer_active, bought, 0)
        moved = jnp.mean(calendar.lane.astype(dtype), axis=0)[:, None]
        moved = jnp.broadcast_to(moved, (network.lanes, bought.shape[-1]))
        target = jnp.asarray((*network.offer_node, *network.lane_to), int)
        most = jnp.zeros((network.nodes, bought.shape[-1]), dtype).at[target].max(jnp.concatenate([bought, moved]))
        # What nothing supplies orders nothing.
        share = jnp.where(most > 0, most, share)
    return 1 / jnp.maximum(share, 1 / network.horizon)
