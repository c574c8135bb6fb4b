"""One period of the simulation: receive, order, allocate, serve, account."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from meio_kernels.lines import order_lines

from meio_jax.model.costs import CostTerms, Flows, UnitTerms
from meio_jax.model.held import held_use
from meio_jax.model.network import Network
from meio_jax.simulation.accounts import over_scenarios, paid, period_costs, waiting
from meio_jax.simulation.ageing import after_sales, expired, tomorrow
from meio_jax.simulation.constants import Constants
from meio_jax.simulation.decide import Bucket, Program, decide
from meio_jax.simulation.docks import loads_of
from meio_jax.simulation.inputs import Inputs
from meio_jax.simulation.node_floors import node_floors
from meio_jax.simulation.node_values import worth_of
from meio_jax.simulation.packed_flows import packed, unpacked
from meio_jax.simulation.pipelines import Near
from meio_jax.simulation.serve import Regional, Served
from meio_jax.simulation.serve_period import serve_period
from meio_jax.simulation.state import Stock, receive
from meio_jax.simulation.supply import Ordered


class Moved(eqx.Module):
    """Expected units of the items over some time: flows, units and outbound cost by node x speed, and by region.

    `held` is what each item and scenario uses of the capacities that are held in a share of the scenarios; None where
    there are none.
    """

    flows: Flows
    speed_units: Float[Array, "*lead speed_nodes items"]
    speed_cost: Float[Array, "*lead speed_nodes items"]
    regional: Regional
    held: Float[Array, "*lead held batch"] | None = None


class DockDay(eqx.Module):
    """What a day did at docks that queue: units that wait to leave, by node, and what was brought to the docks."""

    leaving: Float[Array, "nodes batch"]
    loads: Float[Array, "loads samples"]


class Done(eqx.Module):
    """What one period did: costs and units per scenario, orders, and what was moved on average.

    `docks` is None where nothing queues.
    """

    costs: CostTerms
    units: UnitTerms
    ordered: Ordered
    moved: Moved
    docks: DockDay | None = None


def simulate_period(
    program: Program, constants: Constants, bucket: Bucket, stock: Stock, near: Near, inputs: Inputs
) -> tuple[Stock, Done]:
    """One period, from receipts to accounts.

    Args:
        program: The static choices.
        constants: Data of the items.
        bucket: Policy, preference lists and bounds of the period's bucket, spread over scenarios.
        stock: Stock of the evening before.
        near: What arrives now, soon, and late.
        inputs: Demand and lead times of the period, spread over scenarios.

    Returns:
        Stock in the evening, and what was done.
    """
    network = program.network
    stock = receive(stock, near.inbound, near.old)
    if not network.evening:
        stock, bought = decide(program, constants, bucket, stock, near, inputs.moment)
    worth = None
    if bucket.values is not None and near.due is not None:
        worth = worth_of(bucket.values, stock.on_hand, near.due)
    at_once = None if near.docks is None else near.docks.at_once
    on_hand, unmet, served = serve_period(program, constants, bucket, stock, inputs.demand, worth, at_once)
    backlog = None if unmet.by_class is None else unmet.by_class * constants.backorder
    lost = unmet.total * (1 - constants.backorder)
    stock = after_sales(stock, on_hand, backlog)
    stock, wasted = expired(stock, near.old)
    if network.evening:
        stock, bought = decide(program, constants, bucket, stock, near, inputs.moment)
    docks = None if near.docks is None else near.docks.evening(served.outbound)
    costs = period_costs(network, constants, bought, inputs.lane_lead, served, lost, stock, near.inbound, wasted, docks)
    carbon = served.carbon + jnp.sum(network.lane_carbon_kg[:, None] * bought.lane, 0) * constants.customer.weight
    wanted = _by_group(network, jnp.sum(inputs.demand, axis=0))
    units = UnitTerms(
        demand=jnp.sum(inputs.demand, axis=(0, 1, 2)),
        shipped=served.shipped,
        lost=lost,
        downgraded=served.downgraded,
        backordered=waiting(stock),
        carbon=carbon,
        wasted=None if wasted is None else jnp.sum(wasted, axis=0),
    )
    kept, asked = _node_floors(program, constants, inputs, stock, served)
    # Docks are priced by what is brought to them on a day, whenever it passes; what waits to leave lies in the hall.
    due = near.inbound if near.docks is None else near.docks.due
    flows = Flows(
        stock=stock.on_hand if docks is None else stock.on_hand + docks.leaving,
        inbound=due,
        outbound=served.outbound,
        lane=bought.lane,
        offer=bought.offer,
        served=served.on_time,
        wanted=wanted,
        lines=_lines(program, bought, due) if network.lines else None,
        kept=kept,
        asked=asked,
        wasted=wasted,
        paid=paid(constants, bought) if network.price_breaks else None,
        outside=None if docks is None else docks.outside,
    )
    passed = None
    if docks is not None and constants.docks is not None:
        passed = DockDay(docks.leaving, loads_of(network, constants.docks, due, served.outbound))
    return tomorrow(stock), Done(costs, units, bought, _moved(program, inputs, flows, served), passed)


def _lines(program: Program, bought: Ordered, inbound: Float[Array, "nodes batch"]) -> Float[Array, "line_rows batch"]:
    """Orders of a day, shipments and receipts, each counted as one line."""
    return order_lines(jnp.concatenate([bought.offer, bought.lane, inbound]), program.scenarios)


def _node_floors(
    program: Program, constants: Constants, inputs: Inputs, stock: Stock, served: Served
) -> tuple[Float[Array, "floors batch"] | None, Float[Array, "floors batch"] | None]:
    """What the day counts for floors that look at nodes; an item of which nothing more is bought no longer counts."""
    network, stocked = program.network, constants.stocked
    if network.floors is None:
        return None, None
    period, until = inputs.moment.days.period, constants.supply.bought_until
    if stocked is not None and period is not None and until is not None:
        stocked = stocked * (period < until)
    sales = constants.own_share * inputs.moment.mean_demand
    return node_floors(network, inputs.demand, served.from_nodes, stock.on_hand, stocked, sales)


def _moved(program: Program, inputs: Inputs, flows: Flows, served: Served) -> Moved:
    """What was moved, on average over scenarios: nothing in the warm-up."""
    mean = lambda leaf: inputs.charged * over_scenarios(leaf, program.scenarios)
    by_speed = (mean(served.by_speed), mean(served.cost_by_speed))
    regional = jax.tree.map(lambda table: inputs.charged * table, served.regional)
    averaged = unpacked(program.network, mean(packed(flows))) if program.packs else jax.tree.map(mean, flows)
    held = None if program.held is None else inputs.charged * held_use(program.held, flows)
    return Moved(averaged, *by_speed, regional, held)


def _by_group(network: Network, demand: Float[Array, "speeds regions batch"]) -> Float[Array, "speeds groups batch"]:
    """Sum demand over the regions of each region group (no groups: an empty axis)."""
    totals = jnp.zeros((network.speeds, network.region_groups, demand.shape[-1]), demand.dtype)
    if network.region_groups == 0:
        return totals
    return totals.at[:, network.region_group].add(demand)
