"""What a period costs, and what stock is worth when the simulation ends."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from meio_kernels.lines import order_lines

from meio_jax.model.costs import CostTerms, UnitTerms
from meio_jax.model.network import Network
from meio_jax.simulation.constants import Constants
from meio_jax.simulation.docks import EveningDocks
from meio_jax.simulation.serve import Served
from meio_jax.simulation.state import Stock
from meio_jax.simulation.supply import Ordered

# A hair below a whole number of units is that number.
_HAIR = 1e-3


def period_costs(
    network: Network,
    constants: Constants,
    bought: Ordered,
    lane_lead: Array,
    served: Served,
    lost: Array,
    stock: Stock,
    inbound: Array,
    wasted: Array | None = None,
    docks: EveningDocks | None = None,
) -> CostTerms:
    """What a period costs, per item and scenario.

    Args:
        network: The shared network.
        constants: Costs of the items.
        bought: Units ordered and shipped.
        lane_lead: Lead times of what is shipped, in periods.
        served: What was served.
        lost: Units of demand lost.
        stock: Stock and backlog at the end of the day.
        inbound: Units received.
        wasted: Units that expired, by node; None where nothing expires.
        docks: What waits at docks in the evening; None where nothing queues.
    """
    lane_cost = network.lane_cost_unit[:, None] + network.lane_cost_kg[:, None] * constants.customer.weight
    held = stock.on_hand if docks is None else stock.on_hand + docks.outside + docks.leaving
    holding = jnp.sum(network.holding_factor[:, None] * held, axis=0)
    if network.pipeline_holding:
        factor = network.holding_factor[jnp.asarray(network.lane_from, int)][:, None]
        holding = holding + jnp.sum(factor * lane_lead.astype(holding.dtype) * bought.lane, axis=0)
    return CostTerms(
        purchase=jnp.sum(paid(constants, bought), axis=0),
        inbound=jnp.sum(constants.freight * bought.offer, axis=0)
        + jnp.sum(network.inbound_cost[:, None] * inbound, axis=0),
        transfer=jnp.sum(lane_cost * bought.lane, axis=0),
        handling=jnp.sum(network.handling_cost[:, None] * served.outbound, axis=0),
        holding=constants.holding * holding,
        outbound=served.outbound_cost,
        downgrade=constants.downgrade_cost * served.downgraded,
        lost_sale=constants.lost_sale * lost,
        backorder=constants.backorder_cost * waiting(stock, docks),
        terminal=jnp.zeros_like(lost),
        waste=_disposal(constants, wasted),
        ordering=_ordering(constants, bought),
    )


def paid(constants: Constants, bought: Ordered) -> Float[Array, "offers batch"]:
    """Money for what is bought through each offer; a price by quantity holds for all units of the order."""
    if constants.ordering is None:
        return constants.purchase_cost * bought.offer
    price, units = constants.purchase_cost, jax.lax.stop_gradient(bought.offer)
    for least, cost in zip(constants.ordering.from_units, constants.ordering.unit_cost, strict=True):
        price = jnp.where(units > least - _HAIR, cost, price)
    return price * bought.offer


def _ordering(constants: Constants, bought: Ordered) -> Float[Array, " batch"] | None:
    """Fixed cost of the order lines; None where they cost nothing."""
    if constants.ordering is None:
        return None
    lines = constants.ordering.fixed * order_lines(bought.offer, constants.scenarios)
    return jnp.sum(lines + constants.ordering.share * bought.offer, axis=0)


def _disposal(constants: Constants, wasted: Array | None) -> Float[Array, " batch"] | None:
    """Money for the disposal of what expired; None where nothing expires."""
    if constants.shelf is None or wasted is None:
        return None
    return constants.shelf.waste_cost * jnp.sum(wasted, axis=0)


def early_costs(
    network: Network, constants: Constants, early: Ordered, lane_lead: Array
) -> tuple[CostTerms, UnitTerms]:
    """What the orders and shipments of the evening before period 0 cost, and the carbon of moving them."""
    batch, dtype = early.offer.shape[-1], constants.holding.dtype
    nothing = jnp.zeros((network.nodes, batch), dtype)
    served = Served.zeros(network, batch, dtype)
    none = jnp.zeros(batch, dtype)
    waste = constants.shelf is not None
    kept, wasted = Stock(nothing, nothing, None), nothing if waste else None
    spent = period_costs(network, constants, early, lane_lead, served, none, kept, nothing, wasted)
    carbon = jnp.sum(network.lane_carbon_kg[:, None] * early.lane, axis=0) * constants.customer.weight
    return spent, eqx.tree_at(lambda units: units.carbon, UnitTerms.zeros(batch, dtype, waste=waste), carbon)


def waiting(stock: Stock, docks: EveningDocks | None = None) -> Float[Array, " batch"]:
    """Units of demand that wait: for stock, or to leave a full dock."""
    owed = jnp.zeros_like(stock.on_hand[0]) if stock.backlog is None else jnp.sum(stock.backlog, axis=(0, 1))
    return owed if docks is None else owed + jnp.sum(docks.leaving, axis=0)


def credit_of(constants: Constants, stock: Stock) -> Float[Array, " batch"]:
    """What stock on hand and under way is worth where it lies when the simulation ends, less what backlog will cost."""
    held = jnp.sum(constants.end_value * stock.on_hand + constants.end_value_due * stock.on_order, axis=0)
    return held - constants.end_cost_owed * waiting(stock)


def credited(costs: CostTerms, credit: Array) -> CostTerms:
    """The costs with what is left taken off."""
    return eqx.tree_at(lambda terms: terms.terminal, costs, -credit)


def over_scenarios(leaf: Array, scenarios: int) -> Array:
    """Average over scenarios: `[..., items x scenarios] -> [..., items]`."""
    return jnp.mean(leaf.reshape(*leaf.shape[:-1], leaf.shape[-1] // scenarios, scenarios), axis=-1)
