"""What nodes expect: forecast sales of the days ahead, and stock on the day on which an order of now arrives."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from meio_kernels.expected_stock import after_demand

from meio_jax.model.flow_shares import flow_shares
from meio_jax.model.leads import mean_leads, order_gaps
from meio_jax.model.network import ItemBlock, Network
from meio_jax.policy.base import AGES, Ages, Arrival


class Outlook(eqx.Module):
    """Forecast at the moment of a decision.

    `ahead` is mean demand of the items on the day of the decision (row 0) and on the days after it. `cover` is what a
    node expects to pass on from the day on which an order of now arrives until the order of the next review does,
    `usual` the mean of `cover` over the days of the bucket, both in units.
    """

    ahead: Float[Array, "*lead days items"]
    cover: Float[Array, "*lead nodes items"]
    usual: Float[Array, "*lead nodes items"]


class Flow(eqx.Module):
    """What the nodes of a block pass on of an item's demand, as shares of it, and when their orders arrive.

    `own` is sold to customers, `through` that and what lower nodes take. The variance of what a node passes on in a
    period of mean m is `spread[0] m + spread[1] m^2`. `lost` is the part of what is short that is lost. `lead` is the
    mean lead time of the node's default sources, rounded to whole periods, 1 at least; `gap` the periods between its
    orders. `ages` says whether a policy is told how what it expects comes about.
    """

    own: Float[Array, "nodes batch"]
    through: Float[Array, "nodes batch"]
    spread: Float[Array, "2 nodes batch"]
    lost: Float[Array, "nodes batch"]
    lead: Int[Array, "nodes batch"]
    gap: Int[Array, " nodes #batch"]
    ages: bool = eqx.field(static=True, default=False)

    def spread_over(self, scenarios: int) -> "Flow":
        """The same for items spread over scenarios."""
        wide = lambda leaf: jnp.repeat(leaf, scenarios, axis=-1)
        own, through, spread = wide(self.own), wide(self.through), wide(self.spread)
        gap = self.gap if self.gap.shape[-1] == 1 else wide(self.gap)
        return Flow(own, through, spread, wide(self.lost), wide(self.lead), gap, self.ages)


class Expectation(eqx.Module):
    """What nodes expect at the moment of a decision; the last axes are items, or items spread over scenarios."""

    flow: Flow
    outlook: Outlook


def flow_of(network: Network, block: ItemBlock, *, ages: bool = False) -> Flow:
    """Shares, spreads and arrival days of a block, the items not spread over scenarios."""
    through = flow_shares(network, block.own_share, block.source_share)
    # A node's share of an item's demand is drawn unit by unit: what the draw adds is that of a thinned count.
    linear, square = block.demand_variance
    part = jnp.minimum(through, 1)
    spread = jnp.stack([1 - part + part * linear, jnp.broadcast_to(square, part.shape)])
    lost = jnp.where(block.backorder, 0, block.own_share / jnp.where(through > 0, through, 1))
    gap = jnp.round(order_gaps(network, block.offer_active, block.offer_vendor)).astype(jnp.int32)
    lead = jnp.maximum(jnp.round(mean_leads(network, block)), 1).astype(jnp.int32)
    return Flow(block.own_share, through, spread, jnp.where(through > 0, lost, 0), lead, gap, ages)


def longest_lead(network: Network, rows: tuple[int, ...] | None = None) -> int:
    """Periods by which the last order of now may arrive at some nodes (None: at any)."""
    known = lambda nodes: bool(nodes) if rows is None else any(node in nodes for node in rows)
    vendor = network.vendor_limit if known(network.vendor_nodes) else 1
    return max(vendor, network.lane_limit if known(network.lane_nodes) else 1)


def due_by_day(
    network: Network,
    vendor: Float[Array, "vendor_nodes vendor_due batch"],
    lane: Float[Array, "lane_nodes lane_due batch"],
) -> Float[Array, "nodes days batch"]:
    """What arrives at every node by day, day 0 now, up to the last on which an order of now may arrive."""
    table = jnp.zeros((network.nodes, longest_lead(network) + 1, vendor.shape[-1]), vendor.dtype)
    for rows, pipeline in ((network.vendor_nodes, vendor), (network.lane_nodes, lane)):
        if rows:
            table = table.at[jnp.asarray(rows, int), : pipeline.shape[1]].add(pipeline)
    return table


def mean_demand_on(network: Network, block: ItemBlock, day: Int[Array, "*days"]) -> Float[Array, "*days items"]:
    """Mean demand of days, those after the horizon included: it goes on like its last bucket."""
    horizon, last = network.horizon, min(network.bucket_periods, network.horizon)
    beyond = horizon - last + (day - horizon) % last
    return block.mean_demand[jnp.where(day < horizon, jnp.maximum(day, 0), beyond)]


def outlooks(network: Network, block: ItemBlock, flow: Flow, *, before: bool) -> Outlook:
    """Forecasts at the decisions of all simulated periods, or (`before`) of the evening before period 0 alone.

    Args:
        network: The shared network.
        block: The items, not spread over scenarios.
        flow: `flow_of` these.
        before: Whether the one decision is that of the evening before: all demand is ahead of it.

    Returns:
        One row for each decision; forecasts beyond the horizon go on like its last bucket.
    """
    horizon = network.horizon
    on = partial(mean_demand_on, network, block)
    first = jnp.arange(horizon, dtype=jnp.int32) - (1 if before else 0)
    ahead = on((first[:1] if before else first)[:, None] + jnp.arange(longest_lead(network), dtype=jnp.int32))
    reach = horizon + longest_lead(network) + network.horizon + 1
    until = jnp.concatenate(
        [jnp.zeros_like(block.mean_demand[:1]), jnp.cumsum(on(jnp.arange(reach, dtype=jnp.int32)), axis=0)]
    )
    item = jnp.arange(block.items, dtype=jnp.int32)

    def covered(day: Int[Array, ""]) -> Float[Array, "nodes items"]:
        start = day + flow.lead
        return flow.through * (until[start + flow.gap, item] - until[start, item])

    cover = jax.vmap(covered)(first)
    length = network.bucket_periods
    of_day = jnp.arange(network.periods, dtype=jnp.int32) // length
    of_day = jnp.concatenate([of_day, network.buckets + jnp.arange(network.tail, dtype=jnp.int32) // length])
    total = jnp.zeros((network.simulated_buckets, *cover.shape[1:]), cover.dtype).at[of_day].add(cover)
    days = jnp.zeros(network.simulated_buckets, cover.dtype).at[of_day].add(1)
    usual = (total / days[:, None, None])[of_day]
    return Outlook(ahead, cover[:1] if before else cover, usual[:1] if before else usual)


def expected_arrival(
    network: Network,
    expect: Expectation,
    stock: Float[Array, "nodes batch"],
    due: Float[Array, "nodes days batch"],
    on_order: Float[Array, "nodes batch"],
    rows: tuple[int, ...],
) -> Arrival:
    """Stock that the nodes `rows` expect on the day on which an order of now arrives.

    What is due later, but not so late that it does not count at all, counts as if it came on that day: where lead times
    are random an order is not made good twice.

    Args:
        network: The shared network.
        expect: Shares and arrival days, and the forecast of this moment, spread over the batch.
        stock: Stock net of backlog now, in units.
        due: What arrives by day; day 0 is now, and already in stock.
        on_order: All that is on order and counts in a position.
        rows: The nodes that order.
    """
    flow, outlook = expect.flow, expect.outlook
    at, days = jnp.asarray(rows, int), longest_lead(network, rows)
    lead, lost, spread, due = flow.lead[at], flow.lost[at], flow.spread[:, at], due[at, : days + 1]
    # In the morning lower nodes have taken their part of the day; in the evening all its sales are over.
    share = (flow.own[at], flow.through[at])

    def day(state: tuple[Array, Array], now: tuple) -> tuple[tuple[Array, Array], None]:
        number, demand, receipts = now
        sold = jnp.where(number == 0, share[0], share[1]) * demand
        variance = (spread[0] + spread[1] * sold) * sold
        mean, left = after_demand(*state, sold, variance, lost)
        here = number < lead
        return (jnp.where(here, mean + receipts, state[0]), jnp.where(here, left, state[1])), None

    receipts = jnp.moveaxis(due[:, 1:], 1, 0)
    xs = (jnp.arange(days, dtype=jnp.int32), outlook.ahead[:days], receipts)
    first = stock[at]
    if network.evening:
        first, xs = first + receipts[0], jax.tree.map(lambda leaf: leaf[1:], xs)
    (mean, left), _ = jax.lax.scan(day, (first, jnp.zeros_like(first)), xs, unroll=max(min(days, 4), 1))
    early = jnp.sum(
        jnp.where(jnp.arange(1, days + 1, dtype=jnp.int32)[None, :, None] <= lead[:, None], due[:, 1:], 0), axis=1
    )
    late = jnp.maximum(on_order[at] - early, 0)
    cover, usual = outlook.cover[at], outlook.usual[at]
    arrival = Arrival(mean + late, cover, usual, _spread_ratio(spread, flow.gap[at], cover, usual))
    if not flow.ages:
        return arrival
    demand = outlook.ahead[None, :days] * jnp.stack([share[0], *[share[1]] * (days - 1)], axis=1)
    change = _changes(stock[at], due, demand, lead, evening=network.evening)
    early, near = _by_age(change, lead)
    ages = Ages(
        late=near,
        early=early,
        # Without lost demand it is all that was there, and came, less demand.
        unmet=mean - jnp.sum(change, axis=1),
        variance=left,
        deviation=_root(variance_of_cover(spread, flow.gap[at], cover)),
        lead=lead.astype(mean.dtype),
        gap=jnp.broadcast_to(flow.gap[at], lead.shape).astype(mean.dtype),
        lost=lost,
    )
    return eqx.tree_at(lambda a: a.ages, arrival, ages, is_leaf=lambda leaf: leaf is None)


def _changes(
    stock: Float[Array, "rows batch"],
    due: Float[Array, "rows days batch"],
    demand: Float[Array, "rows days_less_one batch"],
    lead: Int[Array, "rows batch"],
    *,
    evening: bool,
) -> Float[Array, "rows days batch"]:
    """What every day until the arrival adds: receipts (on the first, what is in stock) less expected demand."""
    first = 1 if evening else 0
    receipts = due.at[:, 0].set(0).at[:, first].add(stock)
    if evening:
        # That day is over.
        demand = demand.at[:, 0].set(0)
    day = jnp.arange(due.shape[1], dtype=jnp.int32)[None, :, None]
    sold = jnp.where(day[:, :-1] < lead[:, None], demand, 0)
    return jnp.where(day <= lead[:, None], receipts, 0).at[:, :-1].add(-sold)


def _by_age(
    change: Float[Array, "rows days batch"], lead: Int[Array, "rows batch"]
) -> tuple[Float[Array, "rows batch"], Float[Array, "ages rows batch"]]:
    """The changes of the days before the last `AGES` together, and those of the last, the nearest first.

    The nearest takes in what arrives on the day of arrival itself.
    """
    day = jnp.arange(change.shape[1], dtype=jnp.int32)[None, :, None]
    back = lead[:, None] - 1 - day
    pick = lambda chosen: jnp.sum(jnp.where(chosen, change, 0), axis=1)
    return pick(back >= AGES), jnp.stack([pick(jnp.maximum(back, 0) == age) for age in range(AGES)])


def variance_of_cover(spread: Array, gap: Array, mean: Array) -> Float[Array, "*rows batch"]:
    """Variance of a demand of this mean that lasts for the periods between two orders."""
    return mean * (spread[0] + spread[1] * mean / gap.astype(mean.dtype))


def _root(value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Square root with a derivative at 0."""
    return jnp.where(value > 0, jnp.sqrt(jnp.where(value > 0, value, 1)), 0)


def _spread_ratio(spread: Array, gap: Array, cover: Array, usual: Array) -> Float[Array, "rows batch"]:
    """Standard deviation of the demand of a cover over that of a usual one; 1 where there is none."""
    known = usual > 0
    of_usual = variance_of_cover(spread, gap, jnp.where(known, usual, 1))
    ratio = variance_of_cover(spread, gap, cover) / jnp.where(known, of_usual, 1)
    return jnp.where(known, jnp.sqrt(jnp.maximum(ratio, 1e-9)), 1)
