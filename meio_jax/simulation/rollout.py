"""Simulation of the network over sampled scenarios, differentiable in everything a policy can set.

One period runs receive, order, allocate, serve, account: nodes order in the morning, on what they know before the
day's sales (design page, section 3). Under evening orders they order after the sales, and for the first time in the
evening before period 0. After the reported horizon the simulation goes on through a tail, with the last bucket's
parameters and prices. Batch axes come last and are flattened item-major (batch = item x scenarios + scenario); network
axes come first.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
from meio_kernels.assignment import FORMS

from meio_jax.model.costs import CostTerms, Flows, UnitTerms
from meio_jax.model.network import Bounds, ItemBlock, Network
from meio_jax.policy.base import AbstractPolicy
from meio_jax.scenarios.sampling import Scenarios
from meio_jax.simulation.outlook import Expectation, Flow, Outlook, flow_of, outlooks
from meio_jax.simulation.preferences import PreferenceLists, preference_lists
from meio_jax.simulation.received import received_leads
from meio_jax.simulation.replenish import (
    Near,
    OrderDays,
    Ordered,
    Pipelines,
    Stock,
    Supply,
    expedited_leads,
    look_ahead,
    replenish,
    send,
)
from meio_jax.simulation.serve import Customer, Regional, Served, serve_wave
from meio_jax.simulation.timing import Timing, timing_of, whole_timing

GradientMode = Callable[[Callable], Callable]

_Tree = TypeVar("_Tree")


def direct(step: Callable) -> Callable:
    """Differentiation mode: keep every intermediate of every period (fast, memory grows with the horizon)."""
    return step


def checkpointed(step: Callable) -> Callable:
    """Differentiation mode: keep only the state of each period and recompute the rest going back."""
    return jax.checkpoint(step)


GRADIENT_MODES: dict[str, GradientMode] = {"direct": direct, "checkpointed": checkpointed}


class Record(eqx.Module):
    """What a rollout keeps besides costs and flows; both default to nothing.

    `by_speed` keeps expected units and outbound cost per node x speed, and what all items together do by region;
    `stock` keeps on-hand stock of every period and scenario (large: for tests and pictures). `orders` keeps when orders
    and shipments are made, with the units of so many scenarios.
    """

    by_speed: bool = eqx.field(static=True, default=False)
    stock: bool = eqx.field(static=True, default=False)
    orders: int = eqx.field(static=True, default=0)


class Outcome(eqx.Module):
    """Result of a rollout.

    `costs` and `units` are per scenario, over the charged periods of the reported horizon, stock left at its end
    credited; `whole_costs` and `whole_units` are the same with the tail, which is what a plan is optimised for. `flows`
    are per bucket of the horizon, averaged over scenarios, and `tail_flows` those of the whole tail. `speed_units` and
    `speed_cost` (money) are per node x speed and item, `stock` per period: empty if not recorded, as is `timing`.
    """

    costs: CostTerms
    units: UnitTerms
    whole_costs: CostTerms
    whole_units: UnitTerms
    flows: Flows
    tail_flows: Flows
    final: Stock
    speed_units: Float[Array, "buckets speed_nodes items"]
    speed_cost: Float[Array, "buckets speed_nodes items"]
    regional: Regional
    stock: Float[Array, "simulated_buckets bucket_periods stock_nodes batch"]
    timing: Timing | None = None


class _Constants(eqx.Module):
    """Per-batch constants of a rollout (items spread over scenarios)."""

    customer: Customer
    echelon: Float[Array, "nodes nodes"]
    supply: Supply
    own_share: Float[Array, "nodes batch"]
    expedited_lead: Int[Array, "vendor_nodes batch"]
    reach: Int[Array, "nodes batch"]
    purchase_cost: Float[Array, "offers batch"]
    freight: Float[Array, "offers batch"]
    holding: Float[Array, " batch"]
    lost_sale: Float[Array, " batch"]
    backorder_cost: Float[Array, " batch"]
    downgrade_cost: Float[Array, " batch"]
    backorder: Float[Array, " batch"]
    end_value: Float[Array, "nodes batch"]
    end_value_due: Float[Array, "nodes batch"]
    end_cost_owed: Float[Array, " batch"]
    flow: Flow | None


class _Moment(eqx.Module):
    """What a decision knows of its day: who orders, what items sell, and the forecast from here on."""

    days: OrderDays
    mean_demand: Float[Array, "*lead items_or_batch"]
    outlook: Outlook | None

    def spread_over(self, scenarios: int) -> "_Moment":
        """The same for items spread over scenarios."""
        wide = lambda leaf: jnp.repeat(leaf, scenarios, axis=-1)
        return _Moment(self.days, wide(self.mean_demand), jax.tree.map(wide, self.outlook))


class _Inputs(eqx.Module):
    """What changes from period to period."""

    demand: Float[Array, "*lead waves speeds regions batch"]
    vendor_lead: Int[Array, "*lead offers batch"]
    lane_lead: Int[Array, "*lead lanes #batch"]
    moment: _Moment
    charged: Float[Array, "*lead"]
    within: Bool[Array, "*lead"]


class _Bucket(eqx.Module):
    """What changes from bucket to bucket."""

    policy: AbstractPolicy
    lists: PreferenceLists
    bounds: Bounds | None = None


class _Program(eqx.Module):
    """The static choices of a rollout."""

    network: Network
    scenarios: int = eqx.field(static=True)
    form: str = eqx.field(static=True)
    record: Record = eqx.field(static=True)
    whole: bool = eqx.field(static=True)


def _constants(network: Network, block: ItemBlock, scenarios: int, flow: Flow | None) -> _Constants:
    def spread(leaf: Array) -> Array:
        return jnp.repeat(leaf, scenarios, axis=-1)

    return _Constants(
        customer=Customer(spread(block.weight), spread(block.downgrade_share), spread(block.live) / scenarios),
        echelon=network.echelon_matrix(),
        supply=Supply(
            spread(block.source_share),
            spread(block.offer_active),
            spread(block.pack),
            spread(block.least),
            None,
            spread(block.backorder.astype(block.volume.dtype)),
            None if network.calendar is None else spread(network.calendar.of_vendor[block.offer_vendor]),
            None if block.bought_until is None else spread(block.bought_until),
        ),
        own_share=spread(block.own_share),
        expedited_lead=expedited_leads(network, spread(block.offer_lead)),
        reach=spread(block.reach),
        purchase_cost=spread(block.offer_cost),
        freight=spread(block.offer_freight),
        holding=spread(block.holding_cost),
        lost_sale=spread(block.lost_sale_cost),
        backorder_cost=spread(block.backorder_cost),
        downgrade_cost=spread(block.downgrade_cost),
        backorder=spread(block.backorder.astype(block.volume.dtype)),
        end_value=spread(block.end_value),
        end_value_due=spread(block.end_value_due),
        end_cost_owed=spread(jnp.max(block.end_value, axis=0)),
        flow=None if flow is None else flow.spread_over(scenarios),
    )


def initial_state(network: Network, block: ItemBlock, scenarios: int) -> tuple[Stock, Pipelines]:
    """The block's stock and pipelines at the start, the same in every scenario."""
    on_order = jnp.zeros_like(block.on_hand)
    if network.vendor_nodes:
        on_order = on_order.at[jnp.asarray(network.vendor_nodes, int)].add(block.vendor_pipeline.sum(1))
    if network.lane_nodes:
        on_order = on_order.at[jnp.asarray(network.lane_nodes, int)].add(block.lane_pipeline.sum(1))

    def spread(leaf: Array) -> Array:
        return jnp.repeat(leaf, scenarios, axis=-1)

    none = jnp.zeros((network.regions, block.items * scenarios), block.on_hand.dtype)
    backlog = (none,) * network.speeds if network.backorders else ()
    if block.owed is not None and network.backorders:
        backlog = tuple(spread(block.owed[speed]) for speed in range(network.speeds))

    stock = Stock(spread(block.on_hand), spread(on_order), backlog)
    return stock, Pipelines(spread(block.vendor_pipeline), spread(block.lane_pipeline))


def receive(stock: Stock, inbound: Float[Array, "nodes batch"]) -> Stock:
    """Start of a period: what is due joins the stock on hand."""
    return Stock(stock.on_hand + inbound, stock.on_order - inbound, stock.backlog)


def _serve_period(
    program: _Program, constants: _Constants, bucket: _Bucket, stock: Stock, demand: Array
) -> tuple[Float[Array, "nodes batch"], tuple[Float[Array, "regions batch"], ...], Served]:
    """Serve the waves in turn; backlog goes first, as a wave of its own that uses the first wave's lists."""
    network, lists = program.network, bucket.lists

    def wave(carry: tuple, at: tuple) -> tuple[tuple, None]:
        on_hand, unmet, total = carry
        arriving, wave_lists = at
        on_hand, left, done = serve_wave(
            network,
            bucket.policy,
            on_hand,
            arriving,
            wave_lists,
            constants.customer,
            program.form,
            record=program.record.by_speed,
        )
        unmet = tuple(before + more for before, more in zip(unmet, left, strict=True))
        return (on_hand, unmet, jax.tree.map(jnp.add, total, done)), None

    by_speed = tuple(demand[:, speed] for speed in range(network.speeds))
    nothing = Served.zeros(network, demand.shape[-1], demand.dtype, record=program.record.by_speed)
    carry = (stock.on_hand, tuple(jnp.zeros_like(waves[0]) for waves in by_speed), nothing)
    if network.backorders:
        first = jax.tree.map(lambda table: table[0], lists)
        (on_hand, unmet, done), _ = wave(carry, (stock.backlog, first))
        # Backlog was counted on the day it was ordered: serving it late is not serving it as promised.
        in_time = lambda served: (served.on_time, served.regional.promised, served.regional.wanted)
        late = eqx.tree_at(in_time, done, jax.tree.map(jnp.zeros_like, in_time(done)))
        carry = (on_hand, unmet, late)
    if demand.shape[0] == 1:
        carry, _ = wave(carry, jax.tree.map(lambda table: table[0], (by_speed, lists)))
    else:
        carry, _ = jax.lax.scan(wave, carry, (by_speed, lists))
    return carry


def _waiting_by_node(program: _Program, bucket: _Bucket, backlog: tuple[Array, ...]) -> Float[Array, "nodes batch"]:
    """Backlog counts against the node that its class asks first."""
    ask = FORMS[program.form][0]
    first = bucket.lists.node[0, :, 0]
    waiting = ask(backlog[0], first[0], program.network.nodes)
    for speed in range(1, program.network.speeds):
        waiting = waiting + ask(backlog[speed], first[speed], program.network.nodes)
    return waiting


def _period_costs(
    network: Network,
    constants: _Constants,
    bought: Ordered,
    lane_lead: Array,
    served: Served,
    lost: Array,
    stock: Stock,
    inbound: Array,
) -> CostTerms:
    lane_cost = network.lane_cost_unit[:, None] + network.lane_cost_kg[:, None] * constants.customer.weight
    holding = jnp.sum(network.holding_factor[:, None] * stock.on_hand, axis=0)
    if network.pipeline_holding:
        factor = network.holding_factor[jnp.asarray(network.lane_from, int)][:, None]
        holding = holding + jnp.sum(factor * lane_lead.astype(holding.dtype) * bought.lane, axis=0)
    return CostTerms(
        purchase=jnp.sum(constants.purchase_cost * bought.offer, axis=0),
        inbound=jnp.sum(constants.freight * bought.offer, axis=0)
        + jnp.sum(network.inbound_cost[:, None] * inbound, axis=0),
        transfer=jnp.sum(lane_cost * bought.lane, axis=0),
        handling=jnp.sum(network.handling_cost[:, None] * served.outbound, axis=0),
        holding=constants.holding * holding,
        outbound=served.outbound_cost,
        downgrade=constants.downgrade_cost * served.downgraded,
        lost_sale=constants.lost_sale * lost,
        backorder=constants.backorder_cost * _waiting(stock),
        terminal=jnp.zeros_like(lost),
    )


class _Done(eqx.Module):
    """What one period did: costs and units per scenario, orders, and what is recorded per item."""

    costs: CostTerms
    units: UnitTerms
    ordered: Ordered
    flows: Flows
    speed_units: Float[Array, "speed_nodes items"]
    speed_cost: Float[Array, "speed_nodes items"]
    regional: Regional


def _decide(
    program: _Program,
    constants: _Constants,
    bucket: _Bucket,
    stock: Stock,
    near: Near,
    moment: _Moment,
) -> tuple[Stock, Ordered]:
    """Orders and shipments at this moment: the decision that is issued today, and that every simulated day makes."""
    network = program.network
    waiting = _waiting_by_node(program, bucket, stock.backlog) if network.backorders else None
    own = None if network.evening else constants.own_share * moment.mean_demand
    supply = eqx.tree_at(lambda s: s.own_demand, constants.supply, own, is_leaf=lambda leaf: leaf is None)
    expect = None
    if constants.flow is not None and moment.outlook is not None:
        expect = Expectation(constants.flow, moment.outlook)
    return replenish(
        network,
        bucket.policy,
        stock,
        supply,
        near,
        constants.echelon,
        waiting,
        moment.days,
        expect,
        bucket.bounds,
        whole=program.whole,
    )


def _period(
    program: _Program, constants: _Constants, bucket: _Bucket, stock: Stock, near: Near, inputs: _Inputs
) -> tuple[Stock, _Done]:
    """One period, from receipts to accounts. `near` is what arrives now, soon, and late."""
    network = program.network
    stock = receive(stock, near.inbound)
    if not network.evening:
        stock, bought = _decide(program, constants, bucket, stock, near, inputs.moment)
    on_hand, unmet, served = _serve_period(program, constants, bucket, stock, inputs.demand)
    backlog = tuple(left * constants.backorder for left in unmet) if network.backorders else ()
    lost = sum(jnp.sum(left, axis=0) for left in unmet) * (1 - constants.backorder)
    stock = Stock(on_hand, stock.on_order, backlog)
    if network.evening:
        stock, bought = _decide(program, constants, bucket, stock, near, inputs.moment)
    period_costs = _period_costs(network, constants, bought, inputs.lane_lead, served, lost, stock, near.inbound)
    carbon = served.carbon + jnp.sum(network.lane_carbon_kg[:, None] * bought.lane, 0) * constants.customer.weight
    wanted = _by_group(network, jnp.sum(inputs.demand, axis=0))
    period_units = UnitTerms(
        demand=jnp.sum(inputs.demand, axis=(0, 1, 2)),
        shipped=served.shipped,
        lost=lost,
        downgraded=served.downgraded,
        backordered=_waiting(stock),
        carbon=carbon,
    )
    flows = Flows(
        stock=stock.on_hand,
        inbound=near.inbound,
        outbound=served.outbound,
        lane=bought.lane,
        offer=bought.offer,
        served=served.on_time,
        wanted=wanted,
    )
    mean = lambda leaf: inputs.charged * _mean(leaf, program.scenarios)
    by_speed = (mean(served.by_speed), mean(served.cost_by_speed))
    regional = jax.tree.map(lambda table: inputs.charged * table, served.regional)
    return stock, _Done(period_costs, period_units, bought, jax.tree.map(mean, flows), *by_speed, regional)


def _mean(leaf: Array, scenarios: int) -> Array:
    """Average over scenarios: `[..., items x scenarios] -> [..., items]`."""
    return jnp.mean(leaf.reshape(*leaf.shape[:-1], leaf.shape[-1] // scenarios, scenarios), axis=-1)


def _by_group(network: Network, demand: Float[Array, "speeds regions batch"]) -> Float[Array, "speeds groups batch"]:
    """Sum demand over the regions of each region group (no groups: an empty axis)."""
    totals = jnp.zeros((network.speeds, network.region_groups, demand.shape[-1]), demand.dtype)
    if network.region_groups == 0:
        return totals
    return totals.at[:, network.region_group].add(demand)


def _by_bucket(network: Network, leaf: Array) -> Array:
    """Cut a period axis into buckets of the horizon and of the tail; a short last bucket is filled up with zeros."""
    missing = network.buckets * network.bucket_periods - network.periods
    if missing:
        idle = jnp.zeros((missing, *leaf.shape[1:]), leaf.dtype)
        leaf = jnp.concatenate([leaf[: network.periods], idle, leaf[network.periods :]])
    return leaf.reshape(network.simulated_buckets, network.bucket_periods, *leaf.shape[1:])


def _order_days(network: Network, block: ItemBlock) -> OrderDays:
    """Who orders on every day of the horizon."""
    calendar = network.calendar
    period = None if block.bought_until is None else jnp.arange(network.horizon, dtype=jnp.int32)
    if calendar is None:
        return OrderDays(network.review, period=period)
    return OrderDays(network.review, calendar.offer, calendar.lane, period)


def _all_inputs(network: Network, block: ItemBlock, scenarios: Scenarios, outlook: Outlook | None) -> _Inputs:
    vendor_lead, lane_lead = received_leads(network, scenarios)
    if lane_lead.ndim == 1:
        lane_lead = jnp.broadcast_to(lane_lead[:, None], (network.horizon, lane_lead.shape[0], 1))
    lists = _Inputs(
        scenarios.demand,
        vendor_lead,
        lane_lead,
        _Moment(_order_days(network, block), block.mean_demand, outlook),
        jnp.concatenate([network.charged, jnp.ones(network.tail, network.charged.dtype)]),
        jnp.ones(network.horizon, bool),
    )
    return jax.tree.map(lambda leaf: _by_bucket(network, leaf), lists)


def with_tail(network: Network, leaf: Array) -> Array:
    """A leaf with one row per bucket (or one for all), for every simulated bucket: the tail goes on as the last one."""
    rows = jnp.broadcast_to(leaf, (network.buckets, *leaf.shape[1:]))
    if not network.tail_buckets:
        return rows
    return jnp.concatenate([rows, jnp.broadcast_to(rows[-1:], (network.tail_buckets, *leaf.shape[1:]))])


def _waiting(stock: Stock) -> Float[Array, " batch"]:
    """Units of demand that wait."""
    nothing = jnp.zeros_like(stock.on_hand[0])
    return sum((jnp.sum(left, axis=0) for left in stock.backlog), start=nothing)


def _credit(constants: _Constants, stock: Stock) -> Float[Array, " batch"]:
    """What stock on hand and under way is worth where it lies when the simulation ends, less what backlog will cost."""
    held = jnp.sum(constants.end_value * stock.on_hand + constants.end_value_due * stock.on_order, axis=0)
    return held - constants.end_cost_owed * _waiting(stock)


def _ahead(network: Network, constants: _Constants, pipelines: Pipelines) -> Near:
    by_day = constants.flow is not None
    return look_ahead(network, pipelines, constants.expedited_lead, constants.reach, by_day=by_day)


def _seen_from_evening(pipelines: Pipelines) -> Pipelines:
    """Pipelines as they stand in the evening before: what arrives in the first morning is a period away."""
    later = lambda leaf: jnp.concatenate([jnp.zeros_like(leaf[:, :1]), leaf[:, :-1]], axis=1)
    return Pipelines(later(pipelines.vendor), later(pipelines.lane))


def _evening_before(
    program: _Program, constants: _Constants, bucket: _Bucket, state: tuple[Stock, Pipelines], inputs: _Inputs
) -> tuple[Stock, Pipelines, Ordered]:
    """The decision of the evening before period 0, on the state that the plan is given.

    `inputs` are those of period 0: its review days and lead times hold for this evening as well.
    """
    stock, due = state
    pipelines = _seen_from_evening(due)
    near = _ahead(program.network, constants, pipelines)
    stock, bought = _decide(program, constants, bucket, stock, near, inputs.moment)
    return stock, send(program.network, pipelines, bought, inputs.vendor_lead, inputs.lane_lead), bought


def first_orders(network: Network, policy: AbstractPolicy, block: ItemBlock) -> Ordered:
    """What a policy orders and ships now, from the stock at the start, in whole units and packs.

    This is the first decision of every simulated scenario, made by the same function: in the morning of period 0, after
    its receipts and before its sales, or in the evening before it.

    Args:
        network: The shared network.
        policy: Parameters of the first bucket, in units, without a bucket axis.
        block: The items, with their stock at the start.
    """
    program = _Program(network, 1, "sparse", Record(), whole=True)
    flow = flow_of(network, block) if policy.looks_ahead else None
    constants = _constants(network, block, 1, flow)
    stock, pipelines = initial_state(network, block, 1)
    bounds = jax.tree.map(lambda leaf: leaf[0], block.bounds)
    bucket = _Bucket(policy, _first_lists(network, block), bounds)
    if network.evening:
        near = _ahead(network, constants, _seen_from_evening(pipelines))
    else:
        near = _ahead(network, constants, pipelines)
        stock = receive(stock, near.inbound)
    outlook = None
    if flow is not None:
        outlook = _first(outlooks(network, block, flow, before=network.evening))
    moment = _Moment(_first(_order_days(network, block)), block.mean_demand[0], outlook)
    return _decide(program, constants, bucket, stock, near, moment)[1]


def _first(tree: _Tree) -> _Tree:
    """The first row of every leaf."""
    return jax.tree.map(lambda leaf: leaf[0], tree)


def _first_lists(network: Network, block: ItemBlock) -> PreferenceLists:
    """Which node those ask who wait at the start, at prices of nought; where nobody waits, nobody is asked."""
    dtype = block.volume.dtype
    if block.owed is not None:
        free, even = jnp.zeros(network.nodes, dtype), jnp.zeros(network.eligible.shape, dtype)
        return preference_lists(network, block.group_weight, block.group_stockable, free, even, 1)
    shape = (network.waves, network.speeds, 1, network.regions)
    nothing = jnp.zeros(shape, dtype)
    return PreferenceLists(jnp.full(shape, network.nodes, jnp.int32), nothing, nothing, nothing)


def rollout(
    network: Network,
    policy: AbstractPolicy,
    block: ItemBlock,
    scenarios: Scenarios,
    lists: PreferenceLists,
    *,
    form: str = "sparse",
    record: Record = Record(),
    gradient: GradientMode = checkpointed,
    whole: bool = False,
) -> Outcome:
    """Simulate a block of items over its scenarios.

    Args:
        network: The shared network.
        policy: Targets and other parameters; a bucket axis of length 1 means stationary targets.
        block: The items, with their stock at the start.
        scenarios: Sampled demand and lead times of these items, over the horizon and its tail.
        lists: Preference lists, axes `buckets waves speeds rounds regions`.
        form: Assignment form, `sparse` or `dense`.
        record: What to keep besides costs and flows.
        gradient: Differentiation mode.
        whole: Whether nodes order and ship whole units, as the decisions that are issued do; else only packs and least
            orders round, and single units flow as fractions, which a search can follow.

    Returns:
        Costs and units per item and scenario, expected flows per bucket and item, and the final stock.
    """
    samples = scenarios.demand.shape[-1] // block.items
    program = _Program(network, samples, form, record, whole)
    flow = flow_of(network, block) if policy.looks_ahead else None
    constants = _constants(network, block, samples, flow)
    outlook = None if flow is None else outlooks(network, block, flow, before=False)
    dtype = block.volume.dtype
    batch = block.items * samples

    def widened(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: jnp.repeat(leaf, samples, axis=-1), tree)

    def bucket_step(carry: tuple, at: tuple) -> tuple[tuple, tuple]:
        bucket_policy, bucket_lists, bounds, inputs = at

        @gradient
        def one_period(policy: AbstractPolicy, stock: Stock, near: Near, period_inputs: _Inputs) -> tuple:
            wide = eqx.tree_at(lambda i: i.moment, period_inputs, period_inputs.moment.spread_over(samples))
            bucket = _Bucket(widened(policy), bucket_lists, widened(bounds))
            return _period(program, constants, bucket, stock, near, wide)

        def step(state: tuple, period_inputs: _Inputs) -> tuple[tuple, tuple]:
            # Pipelines and running sums stay outside the differentiated step: they are linear, so nothing of them
            # needs to be kept for the way back.
            before = state
            stock, pipelines, costs, units = state
            near = _ahead(network, constants, pipelines)
            stock, done = one_period(bucket_policy, stock, near, period_inputs)
            pipelines = send(network, pipelines, done.ordered, period_inputs.vendor_lead, period_inputs.lane_lead)
            weight = period_inputs.charged
            state = (stock, pipelines, costs.plus(done.costs, weight), units.plus(done.units, weight))
            if network.periods % network.bucket_periods:
                # The days that fill up a short last bucket must not move stock or serve backlog.
                state = jax.tree.map(lambda new, old: jnp.where(period_inputs.within, new, old), state, before)
            kept = stock.on_hand if record.stock else stock.on_hand[:0]
            times = timing_of(done.ordered, weight, samples, record.orders) if record.orders else ()
            return state, ((done.flows, done.speed_units, done.speed_cost, done.regional), kept, times)

        carry, (summed, stock, times) = jax.lax.scan(step, carry, inputs)
        so_far = (carry[2], carry[3], _credit(constants, carry[0])) if network.tail_buckets else ()
        if record.orders:
            times = (*times[:2], jnp.sum(times[2], axis=0))
        return carry, (jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), summed), stock, so_far, times)

    spread = lambda leaf: with_tail(network, leaf)
    per_bucket = (
        jax.tree.map(spread, policy),
        jax.tree.map(spread, lists),
        block.bounds,
        _all_inputs(network, block, scenarios, outlook),
    )
    stock, pipelines = initial_state(network, block, samples)
    costs, units = CostTerms.zeros(batch, dtype), UnitTerms.zeros(batch, dtype)
    early = None
    if network.evening:
        opening = _first(per_bucket)
        bucket = _Bucket(widened(opening[0]), opening[1], widened(opening[2]))
        inputs = _first(opening[3])
        if network.calendar is not None:
            leads = received_leads(network, scenarios, before=True)
            inputs = eqx.tree_at(lambda i: (i.vendor_lead, i.lane_lead), inputs, _first(leads))
        if flow is not None:
            before = _first(outlooks(network, block, flow, before=True))
            moment = _Moment(inputs.moment.days, inputs.moment.mean_demand, before).spread_over(samples)
            inputs = eqx.tree_at(lambda i: i.moment, inputs, moment)
        stock, pipelines, early = _evening_before(program, constants, bucket, (stock, pipelines), inputs)
        spent, moved = _early_costs(network, constants, early, inputs.lane_lead)
        costs, units = costs.plus(spent, network.charged[0]), units.plus(moved, network.charged[0])
    carry, (summed, stocks, so_far, times) = jax.lax.scan(bucket_step, (stock, pipelines, costs, units), per_bucket)
    final, _, costs, units = carry
    whole_costs = _credited(costs, _credit(constants, final))
    whole_units, last = units, network.buckets - 1
    costs, units = (_credited(so_far[0], so_far[2]), so_far[1]) if network.tail_buckets else (whole_costs, whole_units)
    if network.tail_buckets:
        costs, units = jax.tree.map(lambda leaf: leaf[last], (costs, units))
    flows, speed_units, speed_cost, regional = jax.tree.map(lambda leaf: leaf[: network.buckets], summed)
    tail_flows = jax.tree.map(lambda leaf: jnp.sum(leaf[network.buckets :], axis=0), summed[0])
    if early is not None:
        ordered = lambda f: (f.offer, f.lane)
        first_flows = (
            network.charged[0] * _mean(early.offer, samples),
            network.charged[0] * _mean(early.lane, samples),
        )
        flows = eqx.tree_at(ordered, flows, jax.tree.map(lambda t, new: t.at[0].add(new), ordered(flows), first_flows))
    timing = None
    if record.orders:
        first = None if early is None else timing_of(early, network.charged[0], samples, record.orders)
        timing = whole_timing(network, times, first)
    return Outcome(
        costs,
        units,
        whole_costs,
        whole_units,
        flows,
        tail_flows,
        final,
        speed_units,
        speed_cost,
        regional,
        stocks,
        timing,
    )


def _credited(costs: CostTerms, credit: Array) -> CostTerms:
    """The costs with what is left taken off."""
    return eqx.tree_at(lambda terms: terms.terminal, costs, -credit)


def _early_costs(
    network: Network, constants: _Constants, early: Ordered, lane_lead: Array
) -> tuple[CostTerms, UnitTerms]:
    """What the orders and shipments of the evening before period 0 cost, and the carbon of moving them."""
    batch, dtype = early.offer.shape[-1], constants.holding.dtype
    nothing = jnp.zeros((network.nodes, batch), dtype)
    served = Served.zeros(network, batch, dtype, record=False)
    none = jnp.zeros(batch, dtype)
    spent = _period_costs(network, constants, early, lane_lead, served, none, Stock(nothing, nothing, ()), nothing)
    carbon = jnp.sum(network.lane_carbon_kg[:, None] * early.lane, axis=0) * constants.customer.weight
    return spent, eqx.tree_at(lambda units: units.carbon, UnitTerms.zeros(batch, dtype), carbon)
