"""What is on its way: what arrives when, and what sets out."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from meio_kernels.pipeline import advance, due_within
from meio_kernels.rows import add_rows

from meio_jax.model.network import Network
from meio_jax.simulation.docks import AtDocks
from meio_jax.simulation.lives import fresh_units, next_day, with_row
from meio_jax.simulation.outlook import due_by_day
from meio_jax.simulation.state import Pipelines
from meio_jax.simulation.supply import Ordered


class Near(eqx.Module):
    """What a period needs to know of the pipelines.

    `inbound` arrives now, `soon` within the lead time of the faster offer, and `far` so late that it does not count in
    a position (None where nothing on order is due that late). `due` is what arrives by day; None where the policy does
    not look ahead. `old` are units of `inbound` that live for at most 0, 1, ... periods; None where nothing expires.
    `docks` is what the day knows of docks that queue; None where nothing does.
    """

    inbound: Float[Array, "nodes batch"]
    soon: Float[Array, "vendor_nodes batch"]
    far: Float[Array, "nodes batch"] | None
    due: Float[Array, "nodes days batch"] | None = None
    old: Float[Array, "due_lives nodes batch"] | None = None
    docks: AtDocks | None = None


def pipeline_sources(network: Network) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
    """For every row of the vendor and of the lane pipelines, the offer slots or lanes that feed it."""
    vendor = tuple(tuple(k for k, node in enumerate(network.offer_node) if node == row) for row in network.vendor_nodes)
    lane = tuple(tuple(k for k, node in enumerate(network.lane_to) if node == row) for row in network.lane_nodes)
    return vendor, lane


def expedited_leads(network: Network, offer_lead: Float[Array, "offers batch"]) -> Int[Array, "vendor_nodes batch"]:
    """Lead time, in whole periods, of the faster offer of every node with a vendor pipeline (0: none)."""
    rounded = jnp.clip(jnp.round(offer_lead), 1, network.vendor_limit).astype(jnp.int32)
    table = jnp.zeros((len(network.vendor_nodes), offer_lead.shape[-1]), jnp.int32)
    for slot, (node, rank) in enumerate(zip(network.offer_node, network.offer_rank, strict=True)):
        if rank == 1:
            table = table.at[network.vendor_nodes.index(node)].set(rounded[slot])
    return table


def look_ahead(
    network: Network,
    pipelines: Pipelines,
    expedited: Int[Array, "vendor_nodes batch"],
    reach: Int[Array, "nodes batch"],
    *,
    by_day: bool = False,
    life: Int[Array, " batch"] | None = None,
) -> Near:
    """What the pipelines bring in this period, soon, and so late that an order of the next review comes earlier.

    Args:
        network: The shared network.
        pipelines: Slot 0 arrives now.
        expedited: Lead time of the faster offer of every node with a vendor pipeline (`expedited_leads`).
        reach: Periods in which anything that a node orders arrives (`ItemBlock.reach`).
        by_day: Whether the policy needs to know what arrives by day.
        life: Of what vendors deliver, in periods; None where nothing expires.
    """
    inbound = jnp.zeros((network.nodes, pipelines.vendor.shape[-1]), pipelines.vendor.dtype)
    far = inbound if network.late_receipts else None
    for rows, pipeline in ((network.vendor_nodes, pipelines.vendor), (network.lane_nodes, pipelines.lane)):
        if not rows:
            continue
        inbound = add_rows(inbound, pipeline[:, 0], rows)
        if far is not None:
            late = jnp.sum(pipeline[:, 1:], axis=1) - due_within(pipeline, reach[jnp.asarray(rows, int)])
            far = add_rows(far, late, rows)
    due = due_by_day(network, pipelines.vendor, pipelines.lane) if by_day else None
    old = None if life is None else _arriving_by_life(network, pipelines, life)
    return Near(inbound, due_within(pipelines.vendor, expedited), far, due, old)


def _arriving_by_life(
    network: Network, pipelines: Pipelines, life: Int[Array, " batch"]
) -> Float[Array, "due_lives nodes batch"]:
    """What arrives now, with a life of at most 0, 1, ... periods: fresh from vendors, older from other nodes."""
    assert pipelines.old is not None
    lives = pipelines.old.shape[0]
    table = jnp.zeros((lives, network.nodes, life.shape[0]), pipelines.old.dtype)
    if network.vendor_nodes:
        fresh = fresh_units(pipelines.vendor[:, 0], life, lives)
        table = table.at[:, jnp.asarray(network.vendor_nodes, int)].add(fresh)
    if network.lane_nodes:
        table = table.at[:, jnp.asarray(network.lane_nodes, int)].add(pipelines.old[:, :, 0])
    return table


def send(
    network: Network,
    pipelines: Pipelines,
    ordered: Ordered,
    vendor_lead: Int[Array, "offers batch"],
    lane_lead: Int[Array, " lanes #batch"],
) -> Pipelines:
    """End of a period: what is on its way comes nearer, and today's orders and shipments set out."""
    vendor, lane = pipelines.vendor, pipelines.lane
    vendor_sources, lane_sources = pipeline_sources(network)
    if vendor_sources:
        vendor = advance(vendor, ordered.offer, vendor_lead, vendor_sources)
    if lane_sources:
        lane = advance(lane, ordered.lane, lane_lead, lane_sources)
    if pipelines.old is None or ordered.by_life is None:
        return Pipelines(vendor, lane)
    return Pipelines(vendor, lane, _advance_by_life(pipelines.old, ordered.by_life, lane_lead, lane_sources))


def _advance_by_life(
    old: Float[Array, "due_lives lane_nodes lane_due batch"],
    sent: Float[Array, "lives lanes batch"],
    lane_lead: Int[Array, " lanes #batch"],
    sources: tuple[tuple[int, ...], ...],
) -> Float[Array, "due_lives lane_nodes lane_due batch"]:
    """What is under way between nodes comes a day nearer, and has a day less; so has what is shipped today."""
    if not sources:
        return old
    return jax.vmap(lambda one, new: advance(one, new, lane_lead, sources))(next_day(old), with_row(sent))
