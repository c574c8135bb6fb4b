"""The network that every item shares, as arrays: tiers, lanes, reviews, fulfilment options."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from meio_jax.model.queues import Docks


class Calendar(eqx.Module):
    """Days on which things are not done.

    Attributes:
        offer: Whether an offer slot is ordered through, by the calendar of the vendor; reviews that fell on a day on
            which this was not possible are made up for on the next.
        lane: The same of lanes.
        received: Period in which a node receives what is due in a period; longer than the horizon by what may be under
            way at its end.
        of_vendor: Calendar of each vendor.
    """

    offer: Bool[Array, "horizon calendars offers"]
    lane: Bool[Array, "horizon lanes"]
    received: Int[Array, "due_periods nodes"]
    of_vendor: Int[Array, " vendors"]


class NodeFloors(eqx.Module):
    """Floors that look at single nodes, a row each: first those of fill rates, then those of stock.

    Attributes:
        fill_nodes: Nodes whose shipments count (1, else 0).
        fill_scope: Demand that counts, by the speed asked for and region (1, else 0).
        stock_nodes: Nodes whose stock at the end of the day counts (1, else 0).
    """

    fill_nodes: Float[Array, "fills nodes"]
    fill_scope: Float[Array, "fills speeds regions"]
    stock_nodes: Float[Array, "stocks nodes"]

    @property
    def fills(self) -> int:
        return self.fill_nodes.shape[0]

    @property
    def stocks(self) -> int:
        return self.stock_nodes.shape[0]

    @property
    def count(self) -> int:
        return self.fills + self.stocks


class Network(eqx.Module):
    """Nodes, lanes, offer slots and fulfilment options; nothing here depends on an item.

    An *offer slot* is a (node, rank) pair: slot k of a node holds, for each item, its k-th offer at that node.
    `tiers` lists the nodes from the most downstream tier to the most upstream one; lanes run from a later tier
    of that list to an earlier one.

    `periods` are reported; `tail_buckets` further buckets are simulated after them and reported nowhere, so that the
    decisions of the last reported days are those of a business that goes on. `evening` says that nodes order after
    the day's sales (else in the morning, before them), `lots` that some offer takes orders in packs or with a least
    order, `late_receipts` that something on order is due later than anything that could be ordered now, `lines` that
    some capacity counts orders, shipments or receipts, or that orders have a fixed cost, `price_breaks` that some price
    depends on the quantity.

    `transship` are the lanes of transshipment in rounds: the cheapest into every node first, then the second cheapest,
    and so on. They have a share of nothing in what nodes order, and may lead anywhere; all others lead down the tiers.
    """

    # -- sizes and topology, known when the program is compiled
    nodes: int = eqx.field(static=True)
    tiers: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    lane_from: tuple[int, ...] = eqx.field(static=True)
    lane_to: tuple[int, ...] = eqx.field(static=True)
    offer_node: tuple[int, ...] = eqx.field(static=True)
    offer_rank: tuple[int, ...] = eqx.field(static=True)
    lane_limit: int = eqx.field(static=True)
    vendor_limit: int = eqx.field(static=True)
    periods: int = eqx.field(static=True)
    bucket_periods: int = eqx.field(static=True)
    region_groups: int = eqx.field(static=True)
    backorders: bool = eqx.field(static=True)
    pipeline_holding: bool = eqx.field(static=True)
    priority_ranks: int = eqx.field(static=True)
    tail_buckets: int = eqx.field(static=True)
    evening: bool = eqx.field(static=True)
    lots: bool = eqx.field(static=True)
    late_receipts: bool = eqx.field(static=True)

    # -- per node; reviews reach to the end of the tail
    review: Bool[Array, "horizon nodes"]
    charged: Float[Array, " periods"]
    holding_factor: Float[Array, " nodes"]
    handling_cost: Float[Array, " nodes"]
    inbound_cost: Float[Array, " nodes"]

    # -- per lane
    lane_share: Float[Array, " lanes"]
    lane_cost_unit: Float[Array, " lanes"]
    lane_cost_kg: Float[Array, " lanes"]
    lane_carbon_kg: Float[Array, " lanes"]
    lane_lead: Float[Array, " lanes"]
    lane_urgency: Int[Array, " lanes"]

    # -- fulfilment
    eligible: Bool[Array, "waves speeds regions nodes"]
    outbound_unit: Float[Array, "speeds regions nodes"]
    outbound_kg: Float[Array, "speeds regions nodes"]
    outbound_carbon: Float[Array, "regions nodes"]
    region_group: Int[Array, " regions"]

    # -- days on which nodes and vendors do not work; None: there are none
    calendar: Calendar | None = None
    lines: bool = eqx.field(static=True, default=False)
    price_breaks: bool = eqx.field(static=True, default=False)
    transship: tuple[tuple[int, ...], ...] = eqx.field(static=True, default=())

    # -- floors that look at nodes; None: there are none
    floors: NodeFloors | None = None

    # -- docks at which goods wait; None: capacities of docks hold by their prices alone
    docks: Docks | None = None

    @property
    def buckets(self) -> int:
        """Number of buckets, the last one possibly shorter than the rest."""
        return -(-self.periods // self.bucket_periods)

    @property
    def simulated_buckets(self) -> int:
        """Buckets of the horizon and of the tail."""
        return self.buckets + self.tail_buckets

    @property
    def tail(self) -> int:
        """Periods that are simulated after the reported ones."""
        return self.tail_buckets * self.bucket_periods

    @property
    def horizon(self) -> int:
        """Periods that are simulated in all."""
        return self.periods + self.tail

    @property
    def waves(self) -> int:
        return self.eligible.shape[0]

    @property
    def speeds(self) -> int:
        return self.eligible.shape[1]

    @property
    def regions(self) -> int:
        return self.eligible.shape[2]

    @property
    def lanes(self) -> int:
        return len(self.lane_from)

    @property
    def transship_lanes(self) -> tuple[int, ...]:
        """Lanes of transshipment, in the order of their numbers."""
        return tuple(sorted(lane for lanes in self.transship for lane in lanes))

    @property
    def offers(self) -> int:
        return len(self.offer_node)

    @property
    def vendor_nodes(self) -> tuple[int, ...]:
        """Nodes that hold a vendor pipeline."""
        return tuple(sorted(set(self.offer_node)))

    @property
    def lane_nodes(self) -> tuple[int, ...]:
        """Nodes that hold an internal pipeline."""
        return tuple(sorted(set(self.lane_to)))

    @property
    def charged_per_bucket(self) -> Float[Array, " buckets"]:
        """Charged periods of each bucket (warm-up periods are simulated, not charged)."""
        padded = jnp.pad(self.charged, (0, self.buckets * self.bucket_periods - self.periods))
        return padded.reshape(self.buckets, self.bucket_periods).sum(1)

    def echelon_matrix(self) -> Float[Array, "nodes nodes"]:
        """Share of a node's inventory position that counts in the echelon of another.

        Row n is the echelon of node n: itself, and of every node below it the share that it supplies.
        """
        reach = [[1.0 if row == column else 0.0 for column in range(self.nodes)] for row in range(self.nodes)]
        matrix = jnp.asarray(reach, self.lane_share.dtype)
        order = [node for tier in self.tiers for node in tier]
        for source in order:
            for lane, (origin, target) in enumerate(zip(self.lane_from, self.lane_to, strict=True)):
                if origin == source:
                    matrix = matrix.at[source].add(self.lane_share[lane] * matrix[target])
        return matrix


class Bounds(eqx.Module):
    """Least and most stock of items at nodes, units.

    Orders raise the position that policies see (net of what the day will still sell) to `least` at least, and stock on
    hand and on order to `most` at most, which counts first; infinite where there is no bound. After period `until` they
    are `later_least` and `later_most`; None where no bound expires.
    """

    least: Float[Array, "*blocks simulated_buckets nodes items"]
    most: Float[Array, "*blocks simulated_buckets nodes items"]
    until: Int[Array, "*blocks simulated_buckets nodes items"] | None = None
    later_least: Float[Array, "*blocks simulated_buckets nodes items"] | None = None
    later_most: Float[Array, "*blocks simulated_buckets nodes items"] | None = None

    def on(self, day: Int[Array, ""] | None) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """Least and most stock on a day; None: a day before any bound expires."""
        if day is None or self.until is None or self.later_least is None or self.later_most is None:
            return self.least, self.most
        holds = day <= self.until
        return jnp.where(holds, self.least, self.later_least), jnp.where(holds, self.most, self.later_most)


class Overrides(eqx.Module):
    """Orders that planners have fixed, and sources that they have excluded for a while.

    Each item has so many rows of fixed orders: `units` through `source` (offer slots, then lanes) on `day`; -1, and a
    day before all others, where it has fewer. `closed_until` is the last day on which a source is not ordered from;
    None where none is excluded for a while. `frozen_until` is the last day on which nothing but what is fixed is
    ordered through an offer slot; None where no offer is frozen.
    """

    source: Int[Array, "*blocks fixed items"]
    day: Int[Array, "*blocks fixed items"]
    units: Float[Array, "*blocks fixed items"]
    closed_until: Int[Array, "*blocks sources items"] | None = None
    frozen_until: Int[Array, "*blocks offers items"] | None = None


class ShelfLife(eqx.Module):
    """How long items keep, and what they cost when they expire.

    A unit of life k at the start of a day can be sold on that day and the k - 1 days after it; what is left of it then
    is disposed of. An item that keeps for longer than anything is simulated has the largest whole number as its life.

    Attributes:
        life: Of a unit on the day on which it is received from a vendor, periods.
        waste_cost: Of disposing of a unit, money.
        stale: Units in stock at the start with a life of at most 1, 2, ... periods on the first day.
        outlive: A node ships to other nodes only what has a longer life than this, so that it can be sold there;
            periods.
    """

    life: Int[Array, "*blocks items"]
    waste_cost: Float[Array, "*blocks items"]
    stale: Float[Array, "*blocks lives nodes items"]
    outlive: Int[Array, "*blocks nodes items"]


class OrderCosts(eqx.Module):
    """What orders cost beside their units at the price of the offer, and how large they usually are.

    Attributes:
        fixed: Cost of an order line, whatever its units, money.
        share: Part of a unit in the fixed costs of a vendor's whole orders, money.
        usual: Units of an order line at least, where the stock may be so much: the size that its fixed cost and prices
            by quantity make worth while; 0 for none.
        from_units: Least units of an order line of each price by quantity, ascending; infinite where there are fewer.
        unit_cost: That price, money per unit.
    """

    fixed: Float[Array, "*blocks offers items"]
    share: Float[Array, "*blocks offers items"]
    usual: Float[Array, "*blocks offers items"]
    from_units: Float[Array, "*blocks breaks offers items"]
    unit_cost: Float[Array, "*blocks breaks offers items"]


class Spare(eqx.Module):
    """What transshipment needs to know of items.

    Attributes:
        open: Whether a lane of transshipment carries an item (`Network.transship_lanes`).
        landed: Least money that brings a unit to a node.
    """

    open: Bool[Array, "*blocks transship items"]
    landed: Float[Array, "*blocks nodes items"]


class ItemBlock(eqx.Module):
    """What the planner knows of each item of a block; the item axis is last everywhere.

    `source_share` splits what a node orders over its sources: offer slots first, then lanes. Pipelines hold what
    was already on order when the plan starts. `live` is 0 for the padding items of a last, shorter block. Items of a
    block belong to one *group* (storage class and weight band), which shares its preference lists.

    Orders through an offer are multiples of `pack` units and at least `least` units, or nothing. `reach` is the number
    of periods in which anything ordered at a node at the latest arrives, its review period included: what is due later
    does not count in its position. `end_value` is what a unit on hand at a node is worth when the simulation ends,
    `end_value_due` what one on its way there is worth. `own_share` is the part of an item's demand that asks a node
    first, and `mean_demand` its mean demand of each period: together what a node expects to sell on a day.
    `demand_variance` is the variance of a period's demand as a polynomial of its mean m: row 0 times m plus row 1 times
    m squared.
    `sizes` is what a unit takes in pallets, hours and customers' order lines, `group_sizes` the mean of its group; None
    where no capacity counts these.
    `bounds` is None where the stock of no item of the catalog is bounded. `owed` are units that customers wait for at
    the start; None where they wait for nothing. `bought_until` is the period from which on nothing is bought of an
    item; None where no item is phased out. `overrides` are planners' decisions that change from day to day; None where
    there are none. `item_class` is the number of the item's class among those that floors name, -1 of another class;
    None where no floor names a class. `shelf` is None where all items keep for longer than anything is simulated.
    `ordering` is None where orders of no item cost anything beside their units at the price of the offer. `spare` is
    None in networks without transshipment.
    """

    volume: Float[Array, "*blocks items"]
    weight: Float[Array, "*blocks items"]
    price: Float[Array, "*blocks items"]
    unit_cost: Float[Array, "*blocks items"]
    holding_cost: Float[Array, "*blocks items"]
    lost_sale_cost: Float[Array, "*blocks items"]
    backorder_cost: Float[Array, "*blocks items"]
    downgrade_share: Float[Array, "*blocks items"]
    downgrade_cost: Float[Array, "*blocks items"]
    backorder: Bool[Array, "*blocks items"]
    storage_class: Int[Array, "*blocks items"]
    live: Float[Array, "*blocks items"]

    offer_active: Bool[Array, "*blocks offers items"]
    offer_cost: Float[Array, "*blocks offers items"]
    offer_freight: Float[Array, "*blocks offers items"]
    offer_lead: Float[Array, "*blocks offers items"]
    offer_vendor: Int[Array, "*blocks offers items"]

    pack: Float[Array, "*blocks offers items"]
    least: Float[Array, "*blocks offers items"]

    source_share: Float[Array, "*blocks sources items"]
    reach: Int[Array, "*blocks nodes items"]
    end_value: Float[Array, "*blocks nodes items"]
    end_value_due: Float[Array, "*blocks nodes items"]
    own_share: Float[Array, "*blocks nodes items"]
    mean_demand: Float[Array, "*blocks horizon items"]
    demand_variance: Float[Array, "*blocks 2 items"]
    stockable: Bool[Array, "*blocks nodes items"]
    on_hand: Float[Array, "*blocks nodes items"]
    vendor_pipeline: Float[Array, "*blocks vendor_nodes vendor_due items"]
    lane_pipeline: Float[Array, "*blocks lane_nodes lane_due items"]

    group: Int[Array, "*blocks"]
    group_weight: Float[Array, "*blocks"]
    group_volume: Float[Array, "*blocks"]
    group_stockable: Bool[Array, "*blocks nodes"]

    bounds: Bounds | None = None
    owed: Float[Array, "*blocks speeds regions items"] | None = None
    bought_until: Int[Array, "*blocks items"] | None = None
    overrides: Overrides | None = None
    sizes: Float[Array, "*blocks sizes items"] | None = None
    group_sizes: Float[Array, "*blocks sizes"] | None = None
    item_class: Int[Array, "*blocks items"] | None = None
    shelf: ShelfLife | None = None
    ordering: OrderCosts | None = None
    spare: Spare | None = None

    @property
    def lowest_cost(self) -> Float[Array, "*blocks offers items"]:
        """The least that a unit costs through each offer, at any quantity, money."""
        if self.ordering is None:
            return self.offer_cost
        breaks = jnp.where(jnp.isfinite(self.ordering.from_units), self.ordering.unit_cost, jnp.inf)
        return jnp.minimum(self.offer_cost, jnp.min(breaks, axis=-3, initial=jnp.inf))

    @property
    def items(self) -> int:
        return self.volume.shape[0]


def optional_terms(block: ItemBlock) -> dict[str, bool]:
    """Which of the terms of cost that only some instances have there are (`CostTerms.all_of`)."""
    return {"waste": block.shelf is not None, "ordering": block.ordering is not None}
