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
    # What is left is there only where something expires.
    wasted = rows[ends[-1] :] if rows.shape[0] > ends[-1] else None
    parts = (rows[end - math.prod(shape) : end] for shape, end in zip(shapes, ends, strict=True))
    found = (part.reshape(*shape, rows.shape[-1]) for part, shape in zip(parts, shapes, strict=True))
    return Flows(*found, wasted=wasted)
