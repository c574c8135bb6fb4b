"""Serving demand: wave after wave, speeds fast to slow, priced preference rounds, downgrade."""

from dataclasses import fields

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from meio_kernels.assignment import FORMS, assign_round, serve_rounds, unit_costs
from meio_kernels.parts import part_of

from meio_jax.model.network import Network, NodeFloors
from meio_jax.policy.base import AbstractPolicy
from meio_jax.simulation.node_values import Worth
from meio_jax.simulation.preferences import PreferenceLists
from meio_jax.simulation.serve_by_value import Asked, outbound_of, serve_by_value, shipped_by_node


class Customer(eqx.Module):
    """Per-batch customer data used while serving; `counted` weighs a scenario of an item in sums over items."""

    weight: Float[Array, " batch"]
    downgrade_share: Float[Array, " batch"]
    counted: Float[Array, " batch"]


class Unmet(eqx.Module):
    """Demand that nobody served: in all, and by speed and region (None in networks without backorders)."""

    total: Float[Array, " batch"]
    by_class: Float[Array, "speeds regions batch"] | None


class Regional(eqx.Module):
    """Expected units of all items of a batch by region: shipped from each node, served as promised, and asked for."""

    routes: Float[Array, "*lead speeds nodes regions"]
    promised: Float[Array, "*lead speeds regions"]
    wanted: Float[Array, "*lead speeds regions"]

    @classmethod
    def zeros(cls, network: Network, dtype: jnp.dtype, *, record: bool) -> "Regional":
        """Nothing served yet; no speed at all where nothing is recorded."""
        speeds = network.speeds if record else 0
        region = jnp.zeros((speeds, network.regions), dtype)
        return cls(jnp.zeros((speeds, network.nodes, network.regions), dtype), region, region)


class Served(eqx.Module):
    """What serving the waves of a period did."""

    outbound: Float[Array, "nodes batch"]
    outbound_cost: Float[Array, " batch"]
    carbon: Float[Array, " batch"]
    shipped: Float[Array, " batch"]
    downgraded: Float[Array, " batch"]
    on_time: Float[Array, "speeds groups batch"]
    by_speed: Float[Array, "speed_nodes batch"]
    cost_by_speed: Float[Array, "speed_nodes batch"]
    regional: Regional
    from_nodes: Float[Array, "fills batch"] | None = None

    @classmethod
    def zeros(cls, network: Network, batch: int, dtype: jnp.dtype) -> "Served":
        """Nothing served yet; the node x speed tables are empty, as where they are not recorded."""
        row = jnp.zeros(batch, dtype)
        table = jnp.zeros((0, batch), dtype)
        groups = jnp.zeros((network.speeds, network.region_groups, batch), dtype)
        regional = Regional.zeros(network, dtype, record=False)
        fills = 0 if network.floors is None else network.floors.fills
        from_nodes = jnp.zeros((fills, batch), dtype) if fills else None
        outbound = jnp.zeros((network.nodes, batch), dtype)
        return cls(outbound, row, row, row, row, groups, table, table, regional, from_nodes)


def _tables(
    network: Network,
    wanted: Array,
    usable: Array,
    lists: PreferenceLists,
    customer: Customer,
    form: str,
    asked: Asked | None,
) -> tuple[Float[Array, "nodes batch"], Float[Array, "nodes batch"], Float[Array, "nodes regions"]]:
    """Units and outbound cost of one speed by shipping node, and all units by route: the rounds once more."""
    ask = FORMS[form][0]
    units, costs = jnp.zeros_like(usable), jnp.zeros_like(usable)
    routes = jnp.zeros((network.nodes, network.regions), usable.dtype)
    regions = jnp.arange(network.regions)
    if asked is not None:
        wanted, usable = asked.open_demand, asked.usable
        units, costs = shipped_by_node(asked, lists, customer.weight, form, network.nodes)
        entries = jnp.tile(regions, lists.node.shape[0])
        shipped = jnp.sum(asked.shipped, axis=0) @ customer.counted
        routes = routes.at[lists.node.reshape(-1), entries].add(shipped, mode="drop")
    for p in range(lists.node.shape[0]):
        share, usable, _ = assign_round(wanted, usable, lists.node[p], form)
        shipped = wanted * share
        priced = unit_costs(lists.cost_unit[p], lists.cost_kg[p], customer.weight) * shipped
        units = units + ask(shipped, lists.node[p], network.nodes)
        costs = costs + ask(priced, lists.node[p], network.nodes)
        routes = routes.at[lists.node[p], regions].add(shipped @ customer.counted, mode="drop")
        wanted = wanted - shipped
    return units, costs, routes


def _from_nodes(
    floors: NodeFloors,
    scope: Float[Array, "fills regions"],
    asked: Float[Array, "regions batch"],
    wanted: Float[Array, "regions batch"],
    usable: Float[Array, "nodes batch"],
    nodes: Int[Array, "rounds regions"],
    form: str,
    by_value: Asked | None,
    at_once: Float[Array, "nodes batch"] | None,
) -> Float[Array, "fills batch"]:
    """Demand of a speed that is served as promised from the nodes of each fill rate: the rounds once more.

    Args:
        floors: The floors.
        scope: Regions that count at this speed (1, else 0).
        asked: Demand that asked for this speed; the rest of what is wanted was downgraded to it.
        wanted: All that is wanted at this speed.
        usable: Stock that the speed may take.
        nodes: Preference lists; a number beyond the last node is no node.
        form: Of the rounds.
        by_value: What the rounds by value shipped; None where there are none.
        at_once: Share that leaves each node on the day; None: all.
    """
    own = part_of(asked, wanted)
    member = jnp.pad(floors.fill_nodes, ((0, 0), (0, 1)))
    total = jnp.zeros((floors.fills, wanted.shape[-1]), wanted.dtype)
    if by_value is not None:
        units = jnp.sum(by_value.shipped, axis=0).reshape(*nodes.shape, -1) * own
        if at_once is not None:
            units = units * _at_nodes(at_once, nodes)
        counts = member[:, jnp.minimum(nodes, member.shape[1] - 1)] * scope[:, None]
        total = jnp.einsum("fpr,prb->fb", counts, units)
        wanted, usable = by_value.open_demand, by_value.usable
    for p in range(nodes.shape[0]):
        share, usable, _ = assign_round(wanted, usable, nodes[p], form)
        shipped = wanted * share
        counts = member[:, jnp.minimum(nodes[p], member.shape[1] - 1)] * scope
        leaving = shipped * own if at_once is None else shipped * own * _at_nodes(at_once, nodes[p])
        total = total + counts @ leaving
        wanted = wanted - shipped
    return total


def _at_nodes(at_once: Float[Array, "nodes batch"], nodes: Int[Array, "..."]) -> Float[Array, "... batch"]:
    """Shares of the nodes of a preference list; where it names none, nothing is shipped."""
    return at_once[jnp.minimum(nodes, at_once.shape[0] - 1)]


def _leaving_at_once(
    at_once: Float[Array, "nodes batch"],
    asked: Float[Array, "regions batch"],
    wanted: Float[Array, "regions batch"],
    usable: Float[Array, "nodes batch"],
    nodes: Int[Array, "rounds regions"],
    form: str,
    by_value: Asked | None,
) -> Float[Array, "regions batch"]:
    """Demand of a speed that leaves its node on the day it was promised for: the rounds once more.

    Arguments as of `_from_nodes`; `at_once` is the share that leaves each node on the day.
    """
    total = jnp.zeros_like(wanted)
    own = part_of(asked, wanted)
    if by_value is not None:
        units = jnp.sum(by_value.shipped, axis=0).reshape(*nodes.shape, -1)
        total = jnp.sum(units * _at_nodes(at_once, nodes), axis=0)
        wanted, usable = by_value.open_demand, by_value.usable
    for p in range(nodes.shape[0]):
        share, usable, _ = assign_round(wanted, usable, nodes[p], form)
        shipped = wanted * share
        total = total + shipped * _at_nodes(at_once, nodes[p])
        wanted = wanted - shipped
    return total * own


class _Turn(eqx.Module):
    """A speed of a wave; `passes_on` is 0 for the slowest speed, after which nobody waits for a slower one."""

    demand: Float[Array, "*turns regions batch"]
    lists: PreferenceLists
    passes_on: Float[Array, "*turns"]
    reserved: Float[Array, "*turns nodes batch"] | None
    scope: Float[Array, "*turns fills regions"] | None


class _Sums(eqx.Module):
    """What is added up over all turns: outbound cost, carbon, and units."""

    cost: Float[Array, " batch"]
    carbon: Float[Array, " batch"]
    shipped: Float[Array, " batch"]
    downgraded: Float[Array, " batch"]
    unmet: Float[Array, " batch"]


class _Kept(eqx.Module):
    """What is kept of every turn; None where it is not asked for."""

    unmet: Float[Array, "*turns regions batch"] | None
    on_time: Float[Array, "*turns groups batch"] | None
    from_nodes: Float[Array, "*turns fills batch"] | None
    tables: tuple[Float[Array, "*turns nodes batch"], Float[Array, "*turns nodes batch"], Array] | None
    promised: tuple[Float[Array, "*turns regions"], Float[Array, "*turns regions"]] | None


def serve_waves(
    network: Network,
    policy: AbstractPolicy,
    on_hand: Float[Array, "nodes batch"],
    demand: Float[Array, "waves speeds regions batch"],
    lists: PreferenceLists,
    customer: Customer,
    form: str,
    *,
    record: bool,
    late: int = 0,
    worth: Worth | None = None,
    at_once: Float[Array, "nodes batch"] | None = None,
) -> tuple[Float[Array, "nodes batch"], Unmet, Served]:
    """Serve waves in turn; speeds from fast to slow, and what is left at a speed may accept the next slower one.

    One loop goes through all speeds of all waves: the rounds of a speed are in a program once, which is most of what
    there is to compile of a day.

    Args:
        network: The shared network.
        policy: The policy, with the leaves of this bucket spread over the batch.
        on_hand: Stock of the nodes.
        demand: What is asked for.
        lists: Preference lists of each wave.
        customer: Data of the customers.
        form: Of the rounds.
        record: Whether units and costs by speed, node and region are kept.
        late: How many of the first waves were promised on an earlier day: to serve them keeps no promise of this one.
        worth: What units are worth at the nodes, where orders are assigned by the value of what is given up.
        at_once: Share of what customers are promised that leaves each node on the day: the rest is late. None: all.

    Returns:
        Stock left, demand that nobody served, after downgrades, and what was done.
    """
    waves, speeds = demand.shape[:2]
    turns = waves * speeds

    def turn(carry: tuple, at: _Turn) -> tuple[tuple, _Kept]:
        on_hand, arrived, sums = carry
        wanted = at.demand + arrived
        usable = on_hand if at.reserved is None else jax.nn.relu(on_hand - at.reserved)
        one = at.lists
        asked = None if worth is None else serve_by_value(wanted, usable, on_hand, one, worth, form)
        still, rest = (wanted, usable) if asked is None else (asked.open_demand, asked.usable)
        left, after, cost, emitted = serve_rounds(
            still, rest, one.node, one.cost_unit, one.cost_kg, one.carbon, customer.weight, form
        )
        if asked is not None:
            more = outbound_of(asked, one, customer.weight)
            cost, emitted = cost + more[0], emitted + more[1]
        moved = left * (customer.downgrade_share * at.passes_on)
        missed = left - moved
        sums = _Sums(
            cost=sums.cost + cost,
            carbon=sums.carbon + emitted,
            shipped=sums.shipped + jnp.sum(wanted - left, axis=0),
            downgraded=sums.downgraded + jnp.sum(moved, axis=0),
            unmet=sums.unmet + jnp.sum(missed, axis=0),
        )
        kept = _kept(network, at, wanted, usable, left, missed, customer, form, asked, at_once, record=record)
        on_hand = after if at.reserved is None else jax.nn.relu(on_hand - usable) + after
        return (on_hand, moved, sums), kept

    nothing = jnp.zeros(demand.shape[-1], demand.dtype)
    carry = (on_hand, jnp.zeros_like(demand[0, 0]), _Sums(*[nothing] * len(fields(_Sums))))
    # Where rounds are one kernel, turns side by side let the compiler join the accounts of a day.
    unroll = turns if form == "fused" else 1
    at = _turns_of(network, policy, demand, lists, on_hand)
    (left, _, sums), kept = jax.lax.scan(turn, carry, at, unroll=unroll)
    kept = jax.tree.map(lambda leaf: leaf.reshape(waves, speeds, *leaf.shape[1:]), kept)
    unmet = Unmet(sums.unmet, None if kept.unmet is None else jnp.sum(kept.unmet, axis=0))
    return left, unmet, _served(network, on_hand - left, sums, kept, late)


def _turns_of(network: Network, policy: AbstractPolicy, demand: Array, lists: PreferenceLists, on_hand: Array) -> _Turn:
    """All speeds of all waves, one after the other."""
    waves, speeds = demand.shape[:2]
    flat = lambda leaf: leaf.reshape(waves * speeds, *leaf.shape[2:])
    own = [policy.reserved(speed) for speed in range(speeds)]
    reserved = scope = None
    if any(level is not None for level in own):
        levels = jnp.stack([jnp.zeros_like(on_hand) if level is None else level for level in own])
        reserved = jnp.tile(levels, (waves, 1, 1))
    if network.floors is not None and network.floors.fills:
        scope = jnp.tile(jnp.moveaxis(network.floors.fill_scope, 1, 0), (waves, 1, 1))
    passes_on = jnp.tile((jnp.arange(speeds) < speeds - 1).astype(demand.dtype), waves)
    return _Turn(flat(demand), jax.tree.map(flat, lists), passes_on, reserved, scope)


def _kept(
    network: Network,
    at: _Turn,
    wanted: Array,
    usable: Array,
    left: Array,
    missed: Array,
    customer: Customer,
    form: str,
    asked: Asked | None,
    at_once: Array | None,
    *,
    record: bool,
) -> _Kept:
    """What is kept of a turn."""
    on_time = from_nodes = tables = promised = None
    if network.region_groups or record:
        if at_once is None:
            kept = at.demand * (1 - part_of(left, wanted, otherwise=1.0))
        else:
            kept = _leaving_at_once(at_once, at.demand, wanted, usable, at.lists.node, form, asked)
    if network.region_groups:
        on_time = FORMS[form][0](kept, network.region_group, network.region_groups)
    if at.scope is not None and network.floors is not None:
        own = (at.demand, wanted, usable, at.lists.node)
        from_nodes = _from_nodes(network.floors, at.scope, *own, form, asked, at_once)
    if record:
        tables = _tables(network, wanted, usable, at.lists, customer, form, asked)
        promised = (kept @ customer.counted, at.demand @ customer.counted)
    return _Kept(missed if network.backorders else None, on_time, from_nodes, tables, promised)


def _served(network: Network, outbound: Array, sums: _Sums, kept: _Kept, late: int) -> Served:
    """What all turns did; of the first `late` waves no promise counts. Leaves of `kept` begin with waves and speeds."""
    done = Served.zeros(network, outbound.shape[-1], outbound.dtype)
    over_waves = lambda leaf: jnp.sum(leaf, axis=0)
    in_time = lambda leaf: jnp.sum(leaf[late:], axis=0)
    by_speed, cost_by_speed, regional = done.by_speed, done.cost_by_speed, done.regional
    if kept.tables is not None and kept.promised is not None:
        units, costs, routes = jax.tree.map(over_waves, kept.tables)
        by_speed, cost_by_speed = (table.reshape(-1, table.shape[-1]) for table in (units, costs))
        regional = Regional(routes, *jax.tree.map(in_time, kept.promised))
    return Served(
        outbound=outbound,
        outbound_cost=sums.cost,
        carbon=sums.carbon,
        shipped=sums.shipped,
        downgraded=sums.downgraded,
        on_time=done.on_time if kept.on_time is None else in_time(kept.on_time),
        by_speed=by_speed,
        cost_by_speed=cost_by_speed,
        regional=regional,
        from_nodes=None if kept.from_nodes is None else jnp.sum(kept.from_nodes[late:], axis=(0, 1)),
    )
