"""Serving one period's demand: waves, speeds fast to slow, priced preference rounds, downgrade."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from meio_kernels.assignment import FORMS, assign_round, serve_rounds, unit_costs

from meio_jax.model.network import Network, NodeFloors
from meio_jax.policy.base import AbstractPolicy
from meio_jax.simulation.preferences import PreferenceLists


class Customer(eqx.Module):
    """Per-batch customer data used while serving; `counted` weighs a scenario of an item in sums over items."""

    weight: Float[Array, " batch"]
    downgrade_share: Float[Array, " batch"]
    counted: Float[Array, " batch"]


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
    """What one wave (or, summed, one period) of serving did."""

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
    def zeros(cls, network: Network, batch: int, dtype: jnp.dtype, *, record: bool) -> "Served":
        """Nothing served yet; the node x speed tables are empty unless they are recorded."""
        row = jnp.zeros(batch, dtype)
        table = jnp.zeros((network.speeds * network.nodes if record else 0, batch), dtype)
        groups = jnp.zeros((network.speeds, network.region_groups, batch), dtype)
        regional = Regional.zeros(network, dtype, record=record)
        fills = 0 if network.floors is None else network.floors.fills
        from_nodes = jnp.zeros((fills, batch), dtype) if fills else None
        outbound = jnp.zeros((network.nodes, batch), dtype)
        return cls(outbound, row, row, row, row, groups, table, table, regional, from_nodes)


def _tables(
    network: Network, wanted: Array, usable: Array, lists: PreferenceLists, customer: Customer, form: str
) -> tuple[Float[Array, "nodes batch"], Float[Array, "nodes batch"], Float[Array, "nodes regions"]]:
    """Units and outbound cost of one speed by shipping node, and all units by route: the rounds once more."""
    ask = FORMS[form][0]
    units, costs = jnp.zeros_like(usable), jnp.zeros_like(usable)
    routes = jnp.zeros((network.nodes, network.regions), usable.dtype)
    regions = jnp.arange(network.regions)
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
    speed: int,
    asked: Float[Array, "regions batch"],
    wanted: Float[Array, "regions batch"],
    usable: Float[Array, "nodes batch"],
    nodes: Int[Array, "rounds regions"],
    form: str,
) -> Float[Array, "fills batch"]:
    """Demand of a speed that is served as promised from the nodes of each fill rate: the rounds once more.

    Args:
        floors: The floors.
        speed: Number of the speed.
        asked: Demand that asked for this speed; the rest of what is wanted was downgraded to it.
        wanted: All that is wanted at this speed.
        usable: Stock that the speed may take.
        nodes: Preference lists; a number beyond the last node is no node.
        form: Of the rounds.
    """
    own = jnp.where(wanted > 0, asked / jnp.where(wanted > 0, wanted, 1), 0)
    member = jnp.pad(floors.fill_nodes, ((0, 0), (0, 1)))
    total = jnp.zeros((floors.fills, wanted.shape[-1]), wanted.dtype)
    for p in range(nodes.shape[0]):
        share, usable, _ = assign_round(wanted, usable, nodes[p], form)
        shipped = wanted * share
        counts = member[:, jnp.minimum(nodes[p], member.shape[1] - 1)] * floors.fill_scope[:, speed]
        total = total + counts @ (shipped * own)
        wanted = wanted - shipped
    return total


def serve_wave(
    network: Network,
    policy: AbstractPolicy,
    on_hand: Float[Array, "nodes batch"],
    demand: tuple[Float[Array, "regions batch"], ...],
    lists: PreferenceLists,
    customer: Customer,
    form: str,
    *,
    record: bool,
) -> tuple[Float[Array, "nodes batch"], tuple[Float[Array, "regions batch"], ...], Served]:
    """Serve one wave; speeds from fast to slow, and what is left at a speed may accept the next slower one.

    `demand` is one array per speed: the derivative of indexing one array would be a sum of padded arrays, which
    costs more than the serving itself.

    Returns:
        Stock left, demand that nobody served (by speed, after downgrades), and what was done.
    """
    done = Served.zeros(network, on_hand.shape[-1], on_hand.dtype, record=record)
    arrived = jnp.zeros_like(demand[0])
    unmet, on_time, units_table, cost_table, routes_table, promised_table = [], [], [], [], [], []
    from_nodes = done.from_nodes
    cost, carbon, total, moved_total = done.outbound_cost, done.carbon, done.shipped, done.downgraded
    ask = FORMS[form][0]
    start = on_hand
    for s in range(network.speeds):
        wanted = demand[s] + arrived
        reserved = policy.reserved(s)
        usable = on_hand if reserved is None else jax.nn.relu(on_hand - reserved)
        one_speed = jax.tree.map(lambda table, s=s: table[s], lists)
        left, after, speed_cost, emitted = serve_rounds(
            wanted,
            usable,
            one_speed.node,
            one_speed.cost_unit,
            one_speed.cost_kg,
            one_speed.carbon,
            customer.weight,
            form,
        )
        on_hand = after if reserved is None else jax.nn.relu(on_hand - usable) + after
        if network.region_groups or record:
            share = jnp.where(wanted > 0, 1 - left / jnp.where(wanted > 0, wanted, 1), 0)
        if network.region_groups:
            on_time.append(ask(demand[s] * share, network.region_group, network.region_groups))
        if from_nodes is not None and network.floors is not None:
            args = (demand[s], wanted, usable, one_speed.node, form)
            from_nodes = from_nodes + _from_nodes(network.floors, s, *args)
        total = total + jnp.sum(wanted - left, axis=0)
        cost, carbon = cost + speed_cost, carbon + emitted
        if record:
            units, costs, routes = _tables(network, wanted, usable, one_speed, customer, form)
            units_table.append(units)
            cost_table.append(costs)
            routes_table.append(routes)
            promised_table.append((demand[s] * share) @ customer.counted)
        accepts = customer.downgrade_share if s + 1 < network.speeds else jnp.zeros_like(cost)
        arrived = left * accepts
        moved_total = moved_total + jnp.sum(arrived, axis=0)
        unmet.append(left - arrived)
    done = Served(
        outbound=start - on_hand,
        outbound_cost=cost,
        carbon=carbon,
        shipped=total,
        downgraded=moved_total,
        on_time=jnp.stack(on_time) if on_time else done.on_time,
        by_speed=jnp.concatenate(units_table) if record else done.by_speed,
        cost_by_speed=jnp.concatenate(cost_table) if record else done.cost_by_speed,
        regional=done.regional
        if not record
        else Regional(
            routes=jnp.stack(routes_table),
            promised=jnp.stack(promised_table),
            wanted=jnp.stack([asked @ customer.counted for asked in demand]),
        ),
        from_nodes=from_nodes,
    )
    return on_hand, tuple(unmet), done
