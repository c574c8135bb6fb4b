"""Mean lead times of nodes, over the sources that they order from by default."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from meio_jax.model.network import ItemBlock, Network


def mean_leads(network: Network, block: ItemBlock) -> Float[Array, "nodes items"]:
    """Mean lead time of a node's default sources, weighed by their shares, in periods (0: no source)."""
    lanes = jnp.broadcast_to(network.lane_lead[:, None], (network.lanes, block.items))
    leads = jnp.concatenate([block.offer_lead, lanes.astype(block.offer_lead.dtype)])
    target = jnp.asarray((*network.offer_node, *network.lane_to), int)
    return jnp.zeros((network.nodes, block.items), leads.dtype).at[target].add(leads * block.source_share)
