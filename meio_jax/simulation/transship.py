"""Transshipment: before nodes order from their sources they get what other nodes can spare."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
from meio_kernels.allocation import allocate
from meio_kernels.lots import whole_shipments
from meio_kernels.rows import add_rows

from meio_jax.model.network import Network
from meio_jax.policy.base import AbstractPolicy, View, shortfall
from meio_jax.simulation.ageing import least_of
from meio_jax.simulation.pipelines import Near
from meio_jax.simulation.spare_numbers import SpareNumbers


class Sides(eqx.Module):
    """What the nodes of some lanes have too much or too little of, in units.

    `below` is by how much the position of a node is below its level (above: negative), `spare` what of its stock it
    does not need before more comes, `near` what it has when a shipment of now arrives, by lane. `open` says whether a
    lane may be asked now.
    """

    below: Float[Array, "nodes batch"]
    spare: Float[Array, "nodes batch"]
    near: Float[Array, "transship batch"]
    open: Bool[Array, " transship #batch"]


def spare_stock(
    network: Network,
    numbers: SpareNumbers,
    stock: Float[Array, "nodes batch"],
    due: Float[Array, "nodes days batch"],
    free: Float[Array, "nodes batch"],
) -> Float[Array, "nodes batch"]:
    """What of its stock a node can give away without running out before more comes, at mean demand.

    Args:
        network: The shared network.
        numbers: The rule of the bucket.
        stock: On hand, net of customers who wait.
        due: What arrives by day; day 0 is now, and already in stock.
        free: Stock that may leave today at all.
    """
    number = jnp.arange(due.shape[1], dtype=jnp.int32)[:, None]
    sold = (number + (0 if network.evening else 1)).astype(stock.dtype) * numbers.rate[:, None]
    left = stock[:, None] + jnp.cumsum(due, axis=1) - due[:, :1] - sold
    least = jnp.min(jnp.where(number < numbers.days[:, None], left, jnp.inf), axis=1)
    return jnp.minimum(jax.nn.relu(least), free)


def near_stock(
    network: Network,
    numbers: SpareNumbers,
    stock: Float[Array, "nodes batch"],
    waiting: Float[Array, "nodes batch"] | None,
    due: Float[Array, "nodes days batch"],
) -> Float[Array, "transship batch"]:
    """What the receiver of a lane has when a shipment of now arrives, at mean demand; customers who wait come off."""
    lanes = jnp.asarray(network.transship_lanes, int)
    target = jnp.asarray(network.lane_to, int)[lanes]
    transit = jnp.round(network.lane_lead[lanes]).astype(jnp.int32)[:, None, None]
    number = jnp.arange(due.shape[1], dtype=jnp.int32)[None, :, None]
    coming = jnp.sum(jnp.where((number > 0) & (number <= transit), due[target], 0), axis=1)
    left = jax.nn.relu(stock[target] - numbers.used)
    return left + coming - (0 if waiting is None else waiting[target])


def tier_lanes(network: Network, rows: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Lanes of transshipment into the nodes `rows`, in rounds."""
    own = lambda lanes: tuple(lane for lane in lanes if network.lane_to[lane] in rows)
    return tuple(lanes for lanes in map(own, network.transship) if lanes)


def levels_of(
    policy: AbstractPolicy,
    view: View,
    owned: Float[Array, "rows batch"],
    limits: tuple[Float[Array, "rows batch"], Float[Array, "rows batch"]] | None,
) -> Float[Array, "rows batch"]:
    """By how much the rows are below their levels, least and most stock included; above is negative."""
    below = policy.below_level(view)
    if limits is None:
        return below
    least, most = limits
    return jnp.minimum(jnp.maximum(below, least - view.position), most - owned)


def transship(
    network: Network,
    numbers: SpareNumbers,
    sides: Sides,
    rounds: tuple[tuple[int, ...], ...],
    *,
    whole: bool,
) -> Float[Array, "lanes batch"]:
    """What is shipped by the lanes of transshipment into the nodes of a tier.

    First nodes that will run out before their own supply comes are raised to what they need until their next review,
    from stock that others do not need soon; then positions below their level, from positions above theirs. Cheaper
    lanes ship first; lanes of a round share what a node can give in proportion to what they ask.

    Args:
        network: The shared network.
        numbers: The rule of the bucket.
        sides: What nodes have too much or too little of.
        rounds: The lanes (`tier_lanes`).
        whole: Whether whole units are shipped.
    """
    shipped = jnp.zeros((network.lanes, sides.below.shape[-1]), sides.below.dtype)
    short = jnp.where(numbers.cover > 0, jax.nn.relu(numbers.cover - sides.near), 0)
    for lanes in rounds:
        source, target, own = _ends(network, lanes)
        asked = jnp.where(sides.open[own], jax.nn.relu(short[own] - _received(network, shipped)[target]), 0)
        able = jax.nn.relu(sides.spare - _sent(network, shipped))
        shipped = add_rows(shipped, _shared(asked, able, source, whole=whole), lanes)
    for lanes in rounds:
        source, target, own = _ends(network, lanes)
        below = sides.below - _received(network, shipped)
        sent = _sent(network, shipped)
        above = -sides.below - sent
        over = jax.nn.relu(above[source] - numbers.keep[own])
        asked = jnp.where(sides.open[own], least_of(shortfall(below, 0 * below)[target], over), 0)
        most = jnp.zeros_like(above).at[source].max(over)
        able = jnp.minimum(jax.nn.relu(sides.spare - sent), most)
        shipped = add_rows(shipped, _shared(asked, able, source, whole=whole), lanes)
    return shipped


def _ends(network: Network, lanes: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """Origins and targets of lanes, and their rows among the lanes of transshipment."""
    at = jnp.asarray(lanes, int)
    own = jnp.asarray([network.transship_lanes.index(lane) for lane in lanes], int)
    return jnp.asarray(network.lane_from, int)[at], jnp.asarray(network.lane_to, int)[at], own


def _received(network: Network, shipped: Array) -> Float[Array, "nodes batch"]:
    return add_rows(jnp.zeros((network.nodes, shipped.shape[-1]), shipped.dtype), shipped, network.lane_to)


def _sent(network: Network, shipped: Array) -> Float[Array, "nodes batch"]:
    return add_rows(jnp.zeros((network.nodes, shipped.shape[-1]), shipped.dtype), shipped, network.lane_from)


def _shared(asked: Array, able: Array, source: Array, *, whole: bool) -> Array:
    """What lanes ship of what is asked of them: in proportion where a node can give less."""
    shipped, _ = allocate(asked, able, source, jnp.zeros(source.shape, jnp.int32), 1)
    return whole_shipments(shipped, able, source) if whole else shipped


def near_due(near: Near) -> Float[Array, "nodes days batch"]:
    """What arrives by day.

    Raises:
        ValueError: If the caller has not looked that far.
    """
    if near.due is None:
        raise ValueError("transshipment needs to know what arrives by day: see look_ahead(by_day=True)")
    return near.due
