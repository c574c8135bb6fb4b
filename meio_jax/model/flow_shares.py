"""How an item's demand passes through the network: what nodes sell, and what lower nodes take from them."""

from typing import Any

from meio_jax.model.arrays import plus_at
from meio_jax.model.network import Network


def flow_shares(network: Network, own: Any, source_share: Any) -> Any:
    """Part of an item's demand that a node serves or passes on `[nodes, items]`; arrays of either library.

    Args:
        network: The network.
        own: Part that asks each node first `[nodes, items]`.
        source_share: Split of a node's orders over its sources `[offer slots then lanes, items]`.
    """
    flow = own
    for tier in network.tiers:
        for lane, (origin, target) in enumerate(zip(network.lane_from, network.lane_to, strict=True)):
            if target in tier:
                flow = plus_at(flow, origin, source_share[network.offers + lane] * flow[target])
    return flow
