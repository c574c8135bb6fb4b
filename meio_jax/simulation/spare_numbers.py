"""When transshipment pays, by lane and bucket: what a sender keeps, and to what a receiver is raised."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from meio_jax.model.network import ItemBlock, Network
from meio_jax.model.resources import Resources
from meio_jax.simulation.outlook import Flow, flow_of, longest_lead, mean_demand_on

# A node that is raised to cover a mean day is at the median; beyond this chance a day more costs more than it saves.
_LEAST, _MOST = 0.5, 0.99
_SMALL = 1e-9


class SpareNumbers(eqx.Module):
    """The rule of transshipment in numbers; lanes are those of transshipment (`Network.transship_lanes`).

    A sender keeps `keep` units above its level (infinite: what it has too much of stays). A receiver that will have
    less than `cover` units when a shipment of now arrives is raised to that (0: it is not); until then it sells `used`.
    A node sells or passes on `rate` units a day, and does with what it has and what comes for `days`.
    """

    keep: Float[Array, "*lead transship items_or_batch"]
    cover: Float[Array, "*lead transship items_or_batch"]
    used: Float[Array, "*lead transship items_or_batch"]
    rate: Float[Array, "*lead nodes items_or_batch"]
    days: Int[Array, "*lead nodes items_or_batch"]


class _Money(eqx.Module):
    """What a shipment costs and saves at prices, money per unit."""

    move: Float[Array, "buckets transship items"]
    again: Float[Array, "buckets transship items"]
    hold: Float[Array, "buckets transship items"]
    rescue: Float[Array, "buckets transship items"]
    never: Float[Array, "buckets transship items"]


def spare_numbers(
    network: Network, resources: Resources, block: ItemBlock, prices: Float[Array, "buckets resources"]
) -> SpareNumbers | None:
    """The rule of transshipment at prices; None in networks without it.

    A unit above the level of a node lies there until the node has sold as many as it is above. To ship it pays if
    holding it so long would cost more than the shipment, and what the sender pays for a unit later beyond what the
    receiver saves now. A node that is about to run out is raised to the newsvendor quantity of the days until its next
    review: short it loses sales (or customers wait until its regular order arrives), over it has paid the shipment.
    That is for what its own customers ask; a node without any is not raised.

    Args:
        network: The shared network.
        resources: The capacities.
        block: The items.
        prices: Of the capacities, by bucket.
    """
    if not network.transship or block.spare is None:
        return None
    flow = flow_of(network, block)
    into = jnp.asarray((*network.offer_node, *network.lane_to), int)
    known = jnp.zeros_like(flow.through).at[into].add(block.source_share) > 0
    lead = jnp.where(known, flow.lead, network.horizon)
    money = _money(network, resources, block, prices, lead.astype(flow.through.dtype))
    rate = flow.through * _daily(network, block)
    lanes = jnp.asarray(network.transship_lanes, int)
    target = jnp.asarray(network.lane_to, int)[lanes]
    gap = jnp.broadcast_to(flow.gap, lead.shape)
    transit = jnp.round(network.lane_lead[lanes])[:, None]
    days = jnp.where(known, lead + gap - 1, longest_lead(network))
    before = transit - 1 if network.evening else transit
    buckets = lambda leaf: jnp.broadcast_to(leaf, (network.buckets, *leaf.shape))
    found = SpareNumbers(
        keep=_kept(network, block, flow, money),
        cover=_cover(flow, money, (flow.own * _daily(network, block))[:, target], target),
        used=before * rate[:, target],
        rate=rate,
        days=buckets(jnp.maximum(days, 1).astype(jnp.int32)),
    )
    return jax.lax.stop_gradient(found)


def _daily(network: Network, block: ItemBlock) -> Float[Array, "buckets one items"]:
    """Mean demand of a day of each bucket."""
    bucket = jnp.arange(network.periods, dtype=jnp.int32) // network.bucket_periods
    nothing = jnp.zeros((network.buckets, block.items), block.volume.dtype)
    total = nothing.at[bucket].add(block.mean_demand[: network.periods])
    days = jnp.zeros(network.buckets, total.dtype).at[bucket].add(1)
    return (total / days[:, None])[:, None]


def _money(network: Network, resources: Resources, block: ItemBlock, prices: Array, lead: Array) -> _Money:
    assert block.spare is not None
    weight, charged = resources.item_weight(block), jnp.where(resources.present, prices, 0)
    priced = lambda table: jnp.einsum("br,ri,rk->bki", charged, weight, table)
    lanes = jnp.asarray(network.transship_lanes, int)
    origin, target = (jnp.asarray(side, int)[lanes] for side in (network.lane_from, network.lane_to))
    transit = network.lane_lead[lanes][:, None]
    holding = network.holding_factor[:, None] * block.holding_cost
    move = network.lane_cost_unit[lanes][:, None] + network.lane_cost_kg[lanes][:, None] * block.weight
    if network.pipeline_holding:
        move = move + transit * holding[origin]
    received = network.inbound_cost[target][:, None]
    # The price of receiving is paid whoever delivers.
    move = move + received + priced(resources.lane)[:, lanes]
    landed, rent = block.spare.landed, priced(resources.inbound)[:, target]
    saved = jnp.where(
        block.backorder,
        block.backorder_cost * jnp.maximum(lead[target] - transit, 0) - move - rent,
        block.lost_sale_cost - landed[origin] - move - rent,
    )
    able = block.spare.open & (lead[target] > transit)
    return _Money(
        move=move,
        again=jnp.maximum(move + landed[origin] - landed[target], 0),
        hold=(holding + priced(resources.stock))[:, origin],
        rescue=jnp.where(able, saved, 0),
        never=jnp.where(block.spare.open & (move < landed[target]), 0, jnp.inf),
    )


def _kept(network: Network, block: ItemBlock, flow: Flow, money: _Money) -> Float[Array, "buckets transship items"]:
    """What a sender will sell while holding a unit costs no more than shipping it."""
    horizon, origin = network.horizon, jnp.asarray(network.lane_from, int)[jnp.asarray(network.transship_lanes, int)]
    days = jnp.clip(money.again / jnp.maximum(money.hold, _SMALL), 0, horizon)
    day = jnp.arange(2 * horizon + 1, dtype=jnp.int32)
    until = jnp.cumsum(mean_demand_on(network, block, day), axis=0)
    until = jnp.concatenate([jnp.zeros_like(until[:1]), until])
    first = (jnp.arange(network.buckets, dtype=jnp.int32) * network.bucket_periods)[:, None, None]
    whole = jnp.floor(days).astype(jnp.int32)
    item = jnp.arange(block.items, dtype=jnp.int32)
    sold = until[first + whole, item] - until[first, item]
    sold = sold + (days - jnp.floor(days)) * (until[first + whole + 1, item] - until[first + whole, item])
    return flow.through[origin] * sold + money.never


def _cover(flow: Flow, money: _Money, rate: Array, target: Array) -> Float[Array, "buckets transship items"]:
    """The newsvendor quantity of the demand of a receiver until its next review; 0 where a shipment does not pay."""
    gap = jnp.broadcast_to(flow.gap, flow.lead.shape)[target].astype(rate.dtype)
    mean = gap * rate
    variance = jnp.maximum(gap * (flow.spread[0][target] + flow.spread[1][target] * rate) * rate, 0)
    gain = jnp.maximum(money.rescue, 0)
    chance = jnp.clip(gain / jnp.maximum(gain + money.again, _SMALL), _LEAST, _MOST)
    raised = mean + jax.scipy.special.ndtri(chance) * jnp.sqrt(variance)
    return jnp.where(money.rescue > 0, raised, 0)
