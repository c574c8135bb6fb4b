"""What stays the same from period to period: data of the items, spread over their scenarios."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from meio_jax.model.network import ItemBlock, Network, OrderCosts, ShelfLife
from meio_jax.simulation.docks import DockItems
from meio_jax.simulation.node_floors import stocked_pairs
from meio_jax.simulation.outlook import Flow
from meio_jax.simulation.pipelines import expedited_leads
from meio_jax.simulation.serve import Customer
from meio_jax.simulation.supply import Supply


class Constants(eqx.Module):
    """Per-batch constants of a rollout (items spread over so many `scenarios`); costs in money per unit.

    `docks` is by item, and None where nothing queues.
    """

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
    stocked: Float[Array, "nodes batch"] | None = None
    shelf: ShelfLife | None = None
    ordering: OrderCosts | None = None
    docks: DockItems | None = None
    scenarios: int = eqx.field(static=True, default=1)


def constants_of(network: Network, block: ItemBlock, scenarios: int, flow: Flow | None) -> Constants:
    """Constants of a block, its items spread over scenarios; `flow` for a policy that looks ahead, else None."""

    def spread(leaf: Array) -> Array:
        return jnp.repeat(leaf, scenarios, axis=-1)

    return Constants(
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
            jax.tree.map(spread, block.overrides),
            None if block.shelf is None else spread(block.shelf.outlive),
            None if block.ordering is None else spread(block.ordering.usual),
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
        stocked=None if network.floors is None or not network.floors.stocks else spread(stocked_pairs(network, block)),
        shelf=jax.tree.map(spread, block.shelf),
        ordering=jax.tree.map(spread, block.ordering),
        docks=DockItems.of(network, block),
        scenarios=scenarios,
    )
