"""Simulation of the network over sampled scenarios, differentiable in everything a policy can set.

One period runs receive, serve, downgrade, order, allocate, account (design page, section 3). Batch axes come last
and are flattened item-major (batch = item x scenarios + scenario); network axes come first.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
from meio_kernels.assignment import FORMS

from meio_jax.model.costs import CostTerms, Flows, UnitTerms
from meio_jax.model.network import ItemBlock, Network
from meio_jax.policy.base import AbstractPolicy
from meio_jax.scenarios.sampling import Scenarios
from meio_jax.simulation.preferences import PreferenceLists
from meio_jax.simulation.replenish import (
    Ordered,
    Pipelines,
    Stock,
    Supply,
    arriving_soon,
    expedited_leads,
    replenish,
    send,
)
from meio_jax.simulation.serve import Customer, Regional, Served, serve_wave

GradientMode = Callable[[Callable], Callable]


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
    `stock` keeps on-hand stock of every period and scenario (large: for tests and pictures).
    """

    by_speed: bool = eqx.field(static=True, default=False)
    stock: bool = eqx.field(static=True, default=False)


class Outcome(eqx.Module):
    """Result of a rollout.

    `costs` and `units` are per scenario, over the charged horizon; `flows` are per bucket, averaged over scenarios.
    `speed_units` and `speed_cost` (money) are per node x speed and item, `stock` per period: empty if not recorded.
    """

    costs: CostTerms
    units: UnitTerms
    flows: Flows
    final: Stock
    speed_units: Float[Array, "buckets speed_nodes items"]
    speed_cost: Float[Array, "buckets speed_nodes items"]
    regional: Regional
    stock: Float[Array, "buckets bucket_periods stock_nodes batch"]


class _Constants(eqx.Module):
    """Per-batch constants of a rollout (items spread over scenarios)."""

    customer: Customer
    echelon: Float[Array, "nodes nodes"]
    source_share: Float[Array, "sources batch"]
    expedited_lead: Int[Array, "vendor_nodes batch"]
    offer_active: Bool[Array, "offers batch"]
    purchase_cost: Float[Array, "offers batch"]
    freight: Float[Array, "offers batch"]
    holding: Float[Array, " batch"]
    lost_sale: Float[Array, " batch"]
    backorder_cost: Float[Array, " batch"]
    downgrade_cost: Float[Array, " batch"]
    backorder: Float[Array, " batch"]
    replacement: Float[Array, " batch"]


class _Inputs(eqx.Module):
    """What changes from period to period."""

    demand: Float[Array, "*lead waves speeds regions batch"]
    vendor_lead: Int[Array, "*lead offers batch"]
    lane_lead: Int[Array, "*lead lanes #batch"]
    review: Bool[Array, "*lead nodes"]
    charged: Float[Array, "*lead"]
    within: Bool[Array, "*lead"]


class _Bucket(eqx.Module):
    """What changes from bucket to bucket."""

    policy: AbstractPolicy
    lists: PreferenceLists


class _Program(eqx.Module):
    """The static choices of a rollout."""

    network: Network
    scenarios: int = eqx.field(static=True)
    form: str = eqx.field(static=True)
    record: Record = eqx.field(static=True)


def _constants(network: Network, block: ItemBlock, scenarios: int) -> _Constants:
    def spread(leaf: Array) -> Array:
        return jnp.repeat(leaf, scenarios, axis=-1)

    return _Constants(
        customer=Customer(spread(block.weight), spread(block.downgrade_share), spread(block.live) / scenarios),
        echelon=network.echelon_matrix(),
        source_share=spread(block.source_share),
        expedited_lead=expedited_leads(network, spread(block.offer_lead)),
        offer_active=spread(block.offer_active),
        purchase_cost=spread(block.offer_cost),
        freight=spread(block.offer_freight),
        holding=spread(block.holding_cost),
        lost_sale=spread(block.lost_sale_cost),
        backorder_cost=spread(block.backorder_cost),
        downgrade_cost=spread(block.downgrade_cost),
        backorder=spread(block.backorder.astype(block.volume.dtype)),
        replacement=spread(block.unit_cost),
    )


def initial_state(network: Network, block: ItemBlock, scenarios: int) -> tuple[Stock, Pipelines]:
    """The block's stock and pipelines at the start, the same in every scenario."""
    on_order = jnp.zeros_like(block.on_hand)
    if network.vendor_nodes:
        on_order = on_order.at[jnp.asarray(network.vendor_nodes, int)].add(block.vendor_pipeline.sum(1))
    if network.lane_nodes:
        on_order = on_order.at[jnp.asarray(network.lane_nodes, int)].add(block.lane_pipeline.sum(1))
    none = jnp.zeros((network.regions, block.items * scenarios), block.on_hand.dtype)
    backlog = (none,) * network.speeds if network.backorders else ()

    def spread(leaf: Array) -> Array:
        return jnp.repeat(leaf, scenarios, axis=-1)

    stock = Stock(spread(block.on_hand), spread(on_order), backlog)
    return stock, Pipelines(spread(block.vendor_pipeline), spread(block.lane_pipeline))


def arrivals(network: Network, pipelines: Pipelines) -> Float[Array, "nodes batch"]:
    """Units that arrive at every node in this period."""
    inbound = jnp.zeros((network.nodes, pipelines.vendor.shape[-1]), pipelines.vendor.dtype)
    if network.vendor_nodes:
        inbound = inbound.at[jnp.asarray(network.vendor_nodes, int)].add(pipelines.vendor[:, 0])
    if network.lane_nodes:
        inbound = inbound.at[jnp.asarray(network.lane_nodes, int)].add(pipelines.lane[:, 0])
    return inbound


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


def _period(
    program: _Program,
    constants: _Constants,
    bucket: _Bucket,
    stock: Stock,
    near: tuple[Float[Array, "nodes batch"], Float[Array, "vendor_nodes batch"]],
    inputs: _Inputs,
) -> tuple[Stock, _Done]:
    """One period, from receipts to accounts. `near` is what arrives now, and what arrives soon from vendors."""
    network = program.network
    inbound, soon = near
    stock = receive(stock, inbound)
    on_hand, unmet, served = _serve_period(program, constants, bucket, stock, inputs.demand)
    backlog = tuple(left * constants.backorder for left in unmet) if network.backorders else ()
    lost = sum(jnp.sum(left, axis=0) for left in unmet) * (1 - constants.backorder)
    stock = Stock(on_hand, stock.on_order, backlog)
    waiting = _waiting_by_node(program, bucket, backlog) if network.backorders else None
    supply = Supply(constants.source_share, constants.offer_active, soon)
    stock, bought = replenish(network, bucket.policy, stock, supply, constants.echelon, waiting, inputs.review)
    period_costs = _period_costs(network, constants, bought, inputs.lane_lead, served, lost, stock, inbound)
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

    def mean(leaf: Array) -> Array:
        """Average over scenarios: `[..., items x scenarios] -> [..., items]`, charged periods only."""
        shape = (*leaf.shape[:-1], leaf.shape[-1] // program.scenarios, program.scenarios)
        return inputs.charged * jnp.mean(leaf.reshape(shape), axis=-1)

    flows = Flows(
        stock=mean(stock.on_hand),
        inbound=mean(inbound),
        outbound=mean(served.outbound),
        lane=mean(bought.lane),
        offer=mean(bought.offer),
        served=mean(served.on_time),
        wanted=mean(wanted),
    )
    by_speed = (mean(served.by_speed), mean(served.cost_by_speed))
    regional = jax.tree.map(lambda table: inputs.charged * table, served.regional)
    return stock, _Done(period_costs, period_units, bought, flows, *by_speed, regional)


def _by_group(network: Network, demand: Float[Array, "speeds regions batch"]) -> Float[Array, "speeds groups batch"]:
    """Sum demand over the regions of each region group (no groups: an empty axis)."""
    totals = jnp.zeros((network.speeds, network.region_groups, demand.shape[-1]), demand.dtype)
    if network.region_groups == 0:
        return totals
    return totals.at[:, network.region_group].add(demand)


def _by_bucket(network: Network, leaf: Array) -> Array:
    """Cut a period axis into `buckets x bucket_periods`, padding the end with zeros."""
    missing = network.buckets * network.bucket_periods - leaf.shape[0]
    if missing:
        leaf = jnp.concatenate([leaf, jnp.zeros((missing, *leaf.shape[1:]), leaf.dtype)])
    return leaf.reshape(network.buckets, network.bucket_periods, *leaf.shape[1:])


def _all_inputs(network: Network, scenarios: Scenarios) -> _Inputs:
    lane_lead = scenarios.lane_lead
    if lane_lead.ndim == 1:
        lane_lead = jnp.broadcast_to(lane_lead[:, None], (network.periods, lane_lead.shape[0], 1))
    lists = _Inputs(
        scenarios.demand,
        scenarios.vendor_lead,
        lane_lead,
        network.review,
        network.charged,
        jnp.ones(network.periods, bool),
    )
    return jax.tree.map(lambda leaf: _by_bucket(network, leaf), lists)


def _waiting(stock: Stock) -> Float[Array, " batch"]:
    """Units of demand that wait."""
    nothing = jnp.zeros_like(stock.on_hand[0])
    return sum((jnp.sum(left, axis=0) for left in stock.backlog), start=nothing)


def _credit(network: Network, constants: _Constants, stock: Stock) -> Float[Array, " batch"]:
    """Credit for what is left: all stock and goods under way, net of backlog, at replacement cost."""
    left = jnp.sum(stock.on_hand + stock.on_order, axis=0) - _waiting(stock)
    return network.terminal_factor * constants.replacement * left


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
) -> Outcome:
    """Simulate a block of items over its scenarios.

    Args:
        network: The shared network.
        policy: Targets and other parameters; a bucket axis of length 1 means stationary targets.
        block: The items, with their stock at the start.
        scenarios: Sampled demand and lead times of these items.
        lists: Preference lists, axes `buckets waves speeds rounds regions`.
        form: Assignment form, `sparse` or `dense`.
        record: What to keep besides costs and flows.
        gradient: Differentiation mode.

    Returns:
        Costs and units per item and scenario, expected flows per bucket and item, and the final stock.
    """
    samples = scenarios.demand.shape[-1] // block.items
    program = _Program(network, samples, form, record)
    constants = _constants(network, block, samples)
    dtype = block.volume.dtype
    batch = block.items * samples

    def spread(leaf: Array) -> Array:
        leaf = jnp.broadcast_to(leaf, (network.buckets, *leaf.shape[1:]))
        return leaf

    def bucket_step(carry: tuple, at: tuple) -> tuple[tuple, tuple]:
        bucket_policy, bucket_lists, inputs = at

        @gradient
        def one_period(policy: AbstractPolicy, stock: Stock, near: tuple, period_inputs: _Inputs) -> tuple:
            wide = jax.tree.map(lambda leaf: jnp.repeat(leaf, samples, axis=-1), policy)
            return _period(program, constants, _Bucket(wide, bucket_lists), stock, near, period_inputs)

        def step(state: tuple, period_inputs: _Inputs) -> tuple[tuple, tuple]:
            # Pipelines and running sums stay outside the differentiated step: they are linear, so nothing of them
            # needs to be kept for the way back.
            before = state
            stock, pipelines, costs, units = state
            near = (arrivals(network, pipelines), arriving_soon(pipelines, constants.expedited_lead))
            stock, done = one_period(bucket_policy, stock, near, period_inputs)
            pipelines = send(network, pipelines, done.ordered, period_inputs.vendor_lead, period_inputs.lane_lead)
            weight = period_inputs.charged
            state = (stock, pipelines, costs.plus(done.costs, weight), units.plus(done.units, weight))
            if network.periods % network.bucket_periods:
                # The days that fill up a short last bucket must not move stock or serve backlog.
                state = jax.tree.map(lambda new, old: jnp.where(period_inputs.within, new, old), state, before)
            kept = stock.on_hand if record.stock else stock.on_hand[:0]
            return state, ((done.flows, done.speed_units, done.speed_cost, done.regional), kept)

        carry, (summed, stock) = jax.lax.scan(step, carry, inputs)
        return carry, (jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), summed), stock)

    start = (
        *initial_state(network, block, samples),
        CostTerms.zeros(batch, dtype),
        UnitTerms.zeros(batch, dtype),
    )
    per_bucket = (jax.tree.map(spread, policy), lists, _all_inputs(network, scenarios))
    (final, _, costs, units), (summed, stock) = jax.lax.scan(bucket_step, start, per_bucket)
    credit = _credit(network, constants, final)
    costs = eqx.tree_at(lambda terms: terms.terminal, costs, -credit)
    flows, speed_units, speed_cost, regional = summed
    return Outcome(costs, units, flows, final, speed_units, speed_cost, regional, stock)
