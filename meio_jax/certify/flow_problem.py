"""An item in a scenario as a flow in the time-expanded network: what appears, what is asked for, what arcs cost."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from meio_jax.certify.arc_costs import ArcCosts
from meio_jax.model.network import ItemBlock, Network, Overrides, ShelfLife
from meio_jax.scenarios.sampling import Scenarios
from meio_jax.simulation.decided import Decided


class FlowItems(eqx.Module):
    """Per-batch data of the items."""

    weight: Float[Array, " batch"]
    holding: Float[Array, " batch"]
    lost_sale: Float[Array, " batch"]
    waiting: Float[Array, " batch"]
    backorder: Bool[Array, " batch"]
    downgrade: Float[Array, " batch"]
    credit: Float[Array, "nodes batch"]
    credit_due: Float[Array, "nodes batch"]
    owed: Float[Array, " batch"]
    open_offer: Bool[Array, "offers batch"]
    open_lane: Bool[Array, "lanes batch"]
    offer_calendar: Int[Array, "offers batch"] | None = None
    bought_until: Int[Array, " batch"] | None = None
    overrides: Overrides | None = None
    waste: Float[Array, " batch"] | None = None


class FlowProblem(eqx.Module):
    """All that the recursions share."""

    network: Network
    costs: ArcCosts
    items: FlowItems
    scenarios: Scenarios

    def lane_leads(self, period: Array) -> Array:
        leads = self.scenarios.lane_lead
        if leads.ndim == 1:
            return jnp.broadcast_to(leads[:, None], (leads.shape[0], self.items.weight.shape[0]))
        return jnp.broadcast_to(leads[period], (leads.shape[1], self.items.weight.shape[0]))

    def lane_cost(self, period: Array) -> Array:
        """Cost of shipping a unit by each lane at the end of a period; infinite where that is not possible."""
        network = self.network
        cost = self.costs.lane[period // network.bucket_periods]
        if network.pipeline_holding:
            factor = network.holding_factor[np.asarray(network.lane_from, int)][:, None]
            cost = cost + factor * self.lane_leads(period).astype(cost.dtype) * self.items.holding
        due = network.review[period][np.asarray(network.lane_to, int)][:, None]
        if network.calendar is not None:
            due = network.calendar.lane[period][:, None]
        due = self._or_fixed(due, period, slice(network.offers, None)) & self.items.open_lane
        return jnp.where(due, network.charged[period] * cost, jnp.inf)

    def offer_cost(self, period: Array) -> Array:
        """Cost of ordering a unit from each offer at the end of a period; infinite where that is not possible."""
        network = self.network
        due = network.review[period][np.asarray(network.offer_node, int)][:, None]
        if network.calendar is not None:
            due = network.calendar.offer[period][self.items.offer_calendar, np.arange(network.offers)[:, None]]
        if self.items.bought_until is not None:
            due = due & (period < self.items.bought_until)
        due = self._or_fixed(due, period, slice(network.offers)) & self.items.open_offer
        return jnp.where(due, network.charged[period] * self.costs.offer[period // network.bucket_periods], jnp.inf)

    def _or_fixed(self, due: Array, period: Array, sources: slice) -> Array:
        """Sources that are due, or that planners order from on other days: whoever knows everything could as well."""
        if self.items.overrides is None:
            return due
        every = self.network.offers + self.network.lanes
        return due | Decided.on(self.items.overrides, period, every).fixed[sources]

    def disposal(self, period: Array) -> Float[Array, " batch"]:
        """Cost of getting rid of a unit at the end of a period; infinite where an item keeps."""
        waste = self.items.waste
        assert waste is not None
        return jnp.where(jnp.isfinite(waste), self.network.charged[period] * waste, jnp.inf)

    def at(self, table: Array, period: Array) -> Array:
        """A cost table at a period (nothing is charged in the warm-up)."""
        return self.network.charged[period] * table[period // self.network.bucket_periods]


def _disposal(shelf: ShelfLife) -> Float[Array, " items"]:
    """What it costs to get rid of a unit; infinite where an item keeps."""
    return jnp.where(shelf.life < jnp.iinfo(jnp.int32).max, shelf.waste_cost, jnp.inf)


def flow_items(network: Network, block: ItemBlock, samples: int) -> FlowItems:
    target = np.asarray(network.lane_to, int)
    per_item = FlowItems(
        weight=block.weight,
        holding=block.holding_cost,
        lost_sale=block.lost_sale_cost,
        waiting=block.backorder_cost,
        backorder=block.backorder,
        downgrade=jnp.where(block.downgrade_share > 0, block.downgrade_cost, jnp.inf),
        credit=block.end_value,
        credit_due=block.end_value_due,
        owed=jnp.max(block.end_value, axis=0),
        open_offer=block.offer_active,
        open_lane=block.stockable[target],
        offer_calendar=None if network.calendar is None else network.calendar.of_vendor[block.offer_vendor],
        bought_until=block.bought_until,
        overrides=block.overrides,
        waste=None if block.shelf is None else _disposal(block.shelf),
    )
    return jax.tree.map(lambda leaf: jnp.repeat(leaf, samples, axis=-1), per_item)


def supplies(network: Network, block: ItemBlock, samples: int) -> tuple[Array, Array]:
    """Units that appear without a decision, `[periods, nodes, batch]`, and the credit of what is due later."""
    horizon = network.periods
    arriving = jnp.zeros((horizon, *block.on_hand.shape), block.on_hand.dtype)
    late = jnp.zeros(block.items, block.on_hand.dtype)
    for rows, pipeline in (
        (network.vendor_nodes, block.vendor_pipeline),
        (network.lane_nodes, block.lane_pipeline),
    ):
        if rows:
            slots = min(pipeline.shape[1], horizon)
            at = np.ix_(np.arange(slots), np.asarray(rows, int))
            arriving = arriving.at[at].add(jnp.moveaxis(pipeline[:, :slots], 0, 1))
            worth = block.end_value_due[np.asarray(rows, int)][:, None]
            late = late + jnp.sum(worth * pipeline[:, horizon:], axis=(0, 1))
    return jnp.repeat(arriving, samples, axis=-1), jnp.repeat(late, samples, axis=-1)
