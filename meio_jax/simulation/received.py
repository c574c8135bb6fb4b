"""Goods that are due on a day on which their node receives nothing: they arrive on its next day with receipts."""

import jax.numpy as jnp
from jaxtyping import Array, Int

from meio_jax.model.network import Network
from meio_jax.scenarios.sampling import Scenarios

_Leads = tuple[Int[Array, "periods offers batch"], Int[Array, "periods lanes #batch"] | Int[Array, " lanes"]]


def received_leads(network: Network, scenarios: Scenarios, *, before: bool = False) -> _Leads:
    """Lead times until goods are received, of vendor offers and of lanes, in periods.

    Args:
        network: The shared network.
        scenarios: Lead times until goods are due, of what is ordered in each period.
        before: Whether orders are those of the evening before period 0 instead: one row, with the lead times of period
            0.
    """
    calendar = network.calendar
    vendor, lane = scenarios.vendor_lead, scenarios.lane_lead
    if before:
        vendor, lane = vendor[:1], lane if lane.ndim == 1 else lane[:1]
    if calendar is None:
        return vendor, lane
    first = -1 if before else 0
    day = first + jnp.arange(vendor.shape[0], dtype=jnp.int32)[:, None, None]
    if lane.ndim == 1:
        lane = jnp.broadcast_to(lane[:, None], (day.shape[0], lane.shape[0], 1))

    def received(lead: Array, nodes: tuple[int, ...]) -> Array:
        at = jnp.asarray(nodes, int)[None, :, None]
        return (calendar.received[day + lead, at] - day).astype(lead.dtype)

    return received(vendor, network.offer_node), received(lane, network.lane_to)
