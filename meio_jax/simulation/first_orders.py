"""The decision that is issued today, made by the function that every simulated day uses."""

import jax
import jax.numpy as jnp

from meio_jax.model.network import ItemBlock, Network
from meio_jax.policy.base import AbstractPolicy
from meio_jax.simulation.constants import Constants, constants_of
from meio_jax.simulation.decide import Bucket, Program, ahead, decide
from meio_jax.simulation.docks import Queues, at_docks, dock_shares
from meio_jax.simulation.evening import seen_from_evening
from meio_jax.simulation.inputs import Moment, first_row
from meio_jax.simulation.outcome import Record
from meio_jax.simulation.outlook import flow_of, outlooks
from meio_jax.simulation.preferences import PreferenceLists, preference_lists
from meio_jax.simulation.spare_numbers import SpareNumbers
from meio_jax.simulation.state import Pipelines, initial_state, receive
from meio_jax.simulation.supply import Ordered, order_days


def first_orders(
    network: Network, policy: AbstractPolicy, block: ItemBlock, spare: SpareNumbers | None = None
) -> Ordered:
    """What a policy orders and ships now, from the stock at the start, in whole units and packs.

    This is the first decision of every simulated scenario, made by the same function: in the morning of period 0, after
    its receipts and before its sales, or in the evening before it.

    Args:
        network: The shared network.
        policy: Parameters of the first bucket, in units, without a bucket axis.
        block: The items, with their stock at the start.
        spare: The rule of transshipment of the first bucket, without a bucket axis; None in networks without it.
    """
    program = Program(network, 1, "sparse", Record(), whole=True)
    flow = flow_of(network, block, ages=policy.sees_ages) if policy.looks_ahead else None
    constants = constants_of(network, block, 1, flow)
    stock, pipelines = initial_state(network, block, 1)
    bounds = jax.tree.map(lambda leaf: leaf[0], block.bounds)
    bucket = Bucket(policy, _first_lists(network, block), bounds, spare=spare)
    if network.evening:
        stock, pipelines = seen_from_evening(stock, pipelines)
        near = ahead(network, constants, pipelines)
    else:
        pipelines = _past_docks(network, constants, pipelines)
        near = ahead(network, constants, pipelines)
        stock = receive(stock, near.inbound, near.old)
    outlook = None
    if flow is not None:
        outlook = first_row(outlooks(network, block, flow, before=network.evening))
    days = first_row(order_days(network, block))
    moment = Moment(days.evening_before() if network.evening else days, block.mean_demand[0], outlook)
    return decide(program, constants, bucket, stock, near, moment)[1]


def _past_docks(network: Network, constants: Constants, pipelines: Pipelines) -> Pipelines:
    """The pipelines of the first morning: what does not pass the docks is due tomorrow."""
    shares, items = dock_shares(network), constants.docks
    empty = Queues.empty(network, constants.holding.shape[0], constants.holding.dtype)
    if shares is None or items is None or empty is None:
        return pipelines
    return at_docks(network, items, pipelines, empty, first_row(shares))[0]


def _first_lists(network: Network, block: ItemBlock) -> PreferenceLists:
    """Which node those ask who wait at the start, at prices of nought; where nobody waits, nobody is asked."""
    dtype = block.volume.dtype
    if block.owed is not None:
        free, even = jnp.zeros(network.nodes, dtype), jnp.zeros(network.eligible.shape, dtype)
        return preference_lists(network, block.group_weight, block.group_stockable, free, even, 1)
    shape = (network.waves, network.speeds, 1, network.regions)
    nothing = jnp.zeros(shape, dtype)
    return PreferenceLists(jnp.full(shape, network.nodes, jnp.int32), nothing, nothing, nothing)
