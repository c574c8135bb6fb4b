"""Simulation of the network over sampled scenarios, differentiable in everything a policy can set.

One period runs receive, order, allocate, serve, account: nodes order in the morning, on what they know before the
day's sales (design page, section 3). Under evening orders they order after the sales, and for the first time in the
evening before period 0. After the reported horizon the simulation goes on through a tail, with the last bucket's
parameters and prices. Batch axes come last and are flattened item-major (batch = item x scenarios + scenario); network
axes come first.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from meio_kernels.lines import order_lines

from meio_jax.model.costs import CostTerms, Flows, UnitTerms
from meio_jax.model.held import Held
from meio_jax.model.network import ItemBlock, Network, optional_terms
from meio_jax.policy.base import AbstractPolicy
from meio_jax.scenarios.sampling import Scenarios
from meio_jax.simulation.accounts import credit_of, credited, early_costs, over_scenarios, paid
from meio_jax.simulation.constants import Constants, constants_of
from meio_jax.simulation.decide import Bucket, Program, ahead
from meio_jax.simulation.docks import Queues, at_docks
from meio_jax.simulation.evening import evening_before, evening_inputs
from meio_jax.simulation.gradients import GradientMode, checkpointed
from meio_jax.simulation.inputs import Inputs, first_row, inputs_of, with_tail
from meio_jax.simulation.outcome import Outcome, Record
from meio_jax.simulation.outlook import flow_of, outlooks
from meio_jax.simulation.packed_flows import packed, unpacked
from meio_jax.simulation.period import Done, Moved, simulate_period
from meio_jax.simulation.pipelines import Near, send
from meio_jax.simulation.preferences import PreferenceLists
from meio_jax.simulation.state import Pipelines, Stock, initial_state
from meio_jax.simulation.supply import Ordered
from meio_jax.simulation.timing import Timing, timing_of, whole_timing


class _Running(eqx.Module):
    """What is carried from period to period: stock, pipelines, and sums of costs and units so far.

    `queues` is what waits at docks; None where nothing queues.
    """

    stock: Stock
    pipelines: Pipelines
    costs: CostTerms
    units: UnitTerms
    queues: Queues | None = None


class _SoFar(eqx.Module):
    """Costs and units up to the end of a bucket, and the credit of what is left then."""

    costs: CostTerms
    units: UnitTerms
    credit: Float[Array, "*lead batch"]


class _Buckets(eqx.Module):
    """What a rollout keeps of each bucket.

    `ends` is None without a tail, `times` where they are not recorded, `loads` of the docks where nothing queues.
    """

    moved: Moved
    stock: Float[Array, "*lead bucket_periods stock_nodes batch"]
    ends: _SoFar | None
    times: Timing | None
    loads: Float[Array, "*lead bucket_periods loads samples"] | None = None


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
    tail: bool = True,
    held: Held | None = None,
) -> Outcome:
    """Simulate a block of items over its scenarios.

    Args:
        network: The shared network.
        policy: Targets and other parameters; a bucket axis of length 1 means stationary targets.
        block: The items, with their stock at the start.
        scenarios: Sampled demand and lead times of these items, over the horizon and its tail.
        lists: Preference lists, axes `buckets waves speeds rounds regions`.
        form: Assignment form, `sparse`, `dense` or `fused`.
        record: What to keep besides costs and flows.
        gradient: Differentiation mode.
        whole: Whether nodes order and ship whole units, as the decisions that are issued do; else only packs and least
            orders round, and single units flow as fractions, which a search can follow.
        tail: Whether the simulation goes on after the reported horizon. Where it ends with it, which is less than half
            the work in long networks, `whole_costs` and `whole_units` are those of the horizon, and `tail_flows` zero.
        held: Capacities of which the use of every scenario is recorded.

    Returns:
        Costs and units per item and scenario, expected flows per bucket and item, and the final stock.
    """
    samples = scenarios.demand.shape[-1] // block.items
    program = Program(network, samples, form, record, whole, tail, held)
    flow = flow_of(network, block, ages=policy.sees_ages) if policy.looks_ahead else None
    constants = constants_of(network, block, samples, flow)
    outlook = None if flow is None else outlooks(network, block, flow, before=False)
    spread = lambda leaf: with_tail(network, leaf)
    values, spare = lists.values, lists.spare
    own, lists, values, spare = jax.tree.map(spread, (policy, _of_groups(lists), values, spare))
    buckets = Bucket(own, lists, block.bounds, values, spare)
    inputs = inputs_of(network, block, scenarios, outlook)
    running, early = _at_start(network, block, samples), None
    if network.evening:
        first, first_day = first_row((buckets, inputs))
        bucket = first.spread_over(samples)
        known = evening_inputs(network, block, scenarios, flow, first_row(first_day))
        running, early = _after_evening(program, constants, bucket, running, known)
    over_bucket = partial(_simulate_bucket, program, constants, gradient)
    simulated = (buckets, inputs)
    if not tail:
        simulated = jax.tree.map(lambda leaf: leaf[: network.buckets], simulated)
    running, kept = jax.lax.scan(over_bucket, running, simulated)
    return _outcome(program, constants, running, kept, early)


def _of_groups(lists: PreferenceLists) -> PreferenceLists:
    """Lists without what belongs to single items."""
    own = lambda one: (one.values, one.spare)
    return eqx.tree_at(own, lists, (None, None), is_leaf=lambda leaf: leaf is None)


def _at_start(network: Network, block: ItemBlock, samples: int) -> _Running:
    """What is carried into the first decision."""
    stock, pipelines = initial_state(network, block, samples)
    batch, dtype = block.items * samples, block.volume.dtype
    costs = CostTerms.zeros(batch, dtype, **optional_terms(block))
    units = UnitTerms.zeros(batch, dtype, waste=block.shelf is not None)
    return _Running(stock, pipelines, costs, units, Queues.empty(network, batch, dtype))


def _after_evening(
    program: Program, constants: Constants, bucket: Bucket, running: _Running, inputs: Inputs
) -> tuple[_Running, Ordered]:
    """What is carried into period 0 after the decision of the evening before it, and that decision."""
    network, state = program.network, (running.stock, running.pipelines)
    stock, pipelines, early = evening_before(program, constants, bucket, state, inputs)
    spent, moved = early_costs(network, constants, early, inputs.lane_lead)
    charged = network.charged[0]
    costs, units = running.costs.plus(spent, charged), running.units.plus(moved, charged)
    return _Running(stock, pipelines, costs, units, running.queues), early


def _simulate_bucket(
    program: Program, constants: Constants, gradient: GradientMode, running: _Running, at: tuple[Bucket, Inputs]
) -> tuple[_Running, _Buckets]:
    """All periods of a bucket."""
    bucket, inputs = at
    network, samples, record = program.network, program.scenarios, program.record

    @gradient
    def one_period(policy: AbstractPolicy, stock: Stock, near: Near, now: Inputs) -> tuple[Stock, Done]:
        wide = eqx.tree_at(lambda i: i.moment, now, now.moment.spread_over(samples))
        own = Bucket(policy, bucket.lists, bucket.bounds, bucket.values, bucket.spare).spread_over(samples)
        return simulate_period(program, constants, own, stock, near, wide)

    def step(before: _Running, now: Inputs) -> tuple[_Running, tuple]:
        # Pipelines and running sums stay outside the differentiated step: they are linear, so nothing of them
        # needs to be kept for the way back.
        pipelines, docks, queues = before.pipelines, None, before.queues
        if queues is not None and constants.docks is not None and now.shares is not None:
            pipelines, docks, queues = at_docks(network, constants.docks, pipelines, queues, now.shares)
        near = ahead(network, constants, pipelines, by_value=bucket.values is not None, docks=docks)
        stock, done = one_period(bucket.policy, before.stock, near, now)
        pipelines = send(network, pipelines, done.ordered, now.vendor_lead, now.lane_lead)
        costs, units = before.costs.plus(done.costs, now.charged), before.units.plus(done.units, now.charged)
        loads = None
        if queues is not None and done.docks is not None:
            queues, loads = Queues(queues.vendor, queues.lane, done.docks.leaving), done.docks.loads
        after = _Running(stock, pipelines, costs, units, queues)
        if network.periods % network.bucket_periods:
            # The days that fill up a short last bucket must not move stock or serve backlog.
            after = jax.tree.map(lambda new, old: jnp.where(now.within, new, old), after, before)
        kept = stock.on_hand if record.stock else stock.on_hand[:0]
        times = timing_of(done.ordered, now.charged, samples, record.orders) if record.orders else None
        return after, (_kept_of(program, done.moved), kept, times, loads)

    running, (moved, stock, times, loads) = jax.lax.scan(step, running, inputs)
    ends = None
    if network.tail_buckets and program.tail:
        ends = _SoFar(running.costs, running.units, credit_of(constants, running.stock))
    if times is not None:
        times = Timing(times.daily, times.lines, jnp.sum(times.kept, axis=0))
    return running, _Buckets(_summed(program, moved), stock, ends, times, loads)


def _kept_of(program: Program, moved: Moved) -> Moved | tuple:
    """What was moved on a day, as it is kept until the end of the bucket."""
    if not program.packs:
        return moved
    return packed(moved.flows), moved.speed_units, moved.speed_cost, moved.regional, moved.held


def _summed(program: Program, daily: Moved | tuple) -> Moved:
    """What was moved in a bucket, from what was kept of its days."""
    summed = jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), daily)
    if isinstance(summed, Moved):
        return summed
    flows, *others = summed
    return Moved(unpacked(program.network, flows), *others)


def _outcome(program: Program, constants: Constants, final: _Running, kept: _Buckets, early: Ordered | None) -> Outcome:
    """The result, from what is left at the end, what was kept of each bucket, and the orders before period 0."""
    network, last = program.network, program.network.buckets - 1
    whole_costs = credited(final.costs, credit_of(constants, final.stock))
    costs, units = whole_costs, final.units
    if kept.ends is not None:
        ends = (credited(kept.ends.costs, kept.ends.credit), kept.ends.units)
        costs, units = jax.tree.map(lambda leaf: leaf[last], ends)
    moved = jax.tree.map(lambda leaf: leaf[: network.buckets], kept.moved)
    tail_flows = jax.tree.map(lambda leaf: jnp.sum(leaf[network.buckets :], axis=0), kept.moved.flows)
    return Outcome(
        costs=costs,
        units=units,
        whole_costs=whole_costs,
        whole_units=final.units,
        flows=moved.flows if early is None else _with_early(program, constants, moved.flows, early),
        tail_flows=tail_flows,
        final=final.stock,
        speed_units=moved.speed_units,
        speed_cost=moved.speed_cost,
        regional=moved.regional,
        stock=kept.stock,
        timing=None if kept.times is None else _timing(program, kept.times, early),
        loads=None if kept.loads is None else kept.loads.reshape(-1, *kept.loads.shape[2:])[: network.periods],
        held=moved.held,
    )


def _with_early(program: Program, constants: Constants, flows: Flows, early: Ordered) -> Flows:
    """Flows with the orders of the evening before period 0 in the first bucket."""
    charged = program.network.charged[0]
    ordered = lambda f: (f.offer, f.lane)
    first = tuple(charged * over_scenarios(units, program.scenarios) for units in (early.offer, early.lane))
    flows = eqx.tree_at(ordered, flows, jax.tree.map(lambda t, new: t.at[0].add(new), ordered(flows), first))
    if flows.paid is not None:
        spent = charged * over_scenarios(paid(constants, early), program.scenarios)
        flows = eqx.tree_at(lambda f: f.paid, flows, flows.paid.at[0].add(spent))
    if flows.lines is None:
        return flows
    made = order_lines(jnp.concatenate([early.offer, early.lane]), program.scenarios)
    made = charged * over_scenarios(made, program.scenarios)
    return eqx.tree_at(lambda f: f.lines, flows, flows.lines.at[0, : made.shape[0]].add(made))


def _timing(program: Program, times: Timing, early: Ordered | None) -> Timing:
    """When orders were made, those of the evening before period 0 first."""
    network, keep = program.network, program.record.orders
    first = None if early is None else timing_of(early, network.charged[0], program.scenarios, keep)
    return whole_timing(network, times, first)
