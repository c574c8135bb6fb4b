"""Flows of a day as rows of one array: to average and to keep them is then one kernel each on a GPU."""

import itertools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from meio_jax.model.costs import Flows
from meio_jax.model.network import Network


def packed(flows: Flows) -> Float[Array, "rows last"]:
    """All flows, one below the other; their last axis is that of items, or of items and scenarios."""
    return jnp.concatenate([leaf.reshape(-1, leaf.shape[-1]) for leaf in jax.tree.leaves(flows)])


def unpacked(network: Network, rows: Float[Array, "rows last"]) -> Flows:
    """What `packed` put into one array."""
    nodes, groups = (network.nodes,), (network.speeds, network.region_groups)
    lines = ((network.offers + network.lanes + network.nodes,),) if network.lines else ()
    floors = () if network.floors is None else ((network.floors.count,),) * 2
    shapes = (nodes, nodes, nodes, (network.lanes,), (network.offers,), groups, groups, *lines, *floors)
    ends = list(itertools.accumulate(map(math.prod, shapes)))
    rest, paid, outside = rows[ends[-1] :], None, None
    if network.docks is not None:
        rest, outside = rest[: -network.nodes], rest[-network.nodes :]
    if network.price_breaks:
        rest, paid = rest[: -network.offers], rest[-network.offers :]
    # What is left is there only where something expires.
    wasted = rest if rest.shape[0] else None
    parts = (rows[end - math.prod(shape) : end] for shape, end in zip(shapes, ends, strict=True))
    found = (part.reshape(*shape, rows.shape[-1]) for part, shape in zip(parts, shapes, strict=True))
    return Flows(**dict(zip(_names(network), found, strict=True)), wasted=wasted, paid=paid, outside=outside)


def _names(network: Network) -> tuple[str, ...]:
    """Names of the flows that come first."""
    lines = ("lines",) if network.lines else ()
    floors = () if network.floors is None else ("kept", "asked")
    return ("stock", "inbound", "outbound", "lane", "offer", "served", "wanted", *lines, *floors)
