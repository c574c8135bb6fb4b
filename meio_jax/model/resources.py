"""Shared resources: how flows use them, what they can bear, and what a unit of flow costs at given prices."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from meio_jax.model.capacity import bound_of, excess_over, net_use
from meio_jax.model.costs import Flows
from meio_jax.model.network import ItemBlock
from meio_jax.model.worlds import Worlds

MEASURES = ("units", "m3", "kg", "money", "pallets", "hours", "lines")
SIZES = ("pallets", "hours", "lines")
"""Measures of which a block holds what a unit takes only where a capacity counts them, in the order of its rows."""


class Resources(eqx.Module):
    """Every shared capacity in one table; row r of each weight says which flows the resource counts.

    Capacities and usages are totals over the charged periods of a bucket: unit-periods for storage, units (or m3,
    kg, pallets, hours, order lines) for flows, money for spend. Order lines of customers are their units divided by
    those of a line; all others are orders, shipments and receipts, counted whole. A service floor counts the demand
    served as promised and must reach `capacity` (a share, 0 to 1) of the demand in its scope; a floor of stock counts
    item x node x periods that end with a unit in stock. `is_service` marks both. Rows that do not bind in a bucket have
    capacity inf (floors: 0).

    `floor_index` are the rows of the floors that look at nodes, in the order of `NodeFloors`; `item_class` is the class
    of items that a row counts (-1: all), None where no row names one. `held_index` are the rows that are to be kept in
    a share of the scenarios, `held_share`, and not on average over them.
    """

    stock: Float[Array, "resources nodes"]
    inbound: Float[Array, "resources nodes"]
    outbound: Float[Array, "resources nodes"]
    lane: Float[Array, "resources lanes"]
    service: Float[Array, "resources speeds groups"]
    offer: Float[Array, "order_rows offers"]
    order_vendor: Int[Array, " order_rows"]
    measure: Int[Array, " resources"]
    storage_class: Int[Array, " resources"]
    is_service: Bool[Array, " resources"]
    capacity: Float[Array, "buckets resources"]
    present: Bool[Array, "buckets resources"]
    order_index: tuple[int, ...] = eqx.field(static=True)
    floor_index: tuple[int, ...] = eqx.field(static=True, default=())
    item_class: Int[Array, " resources"] | None = None
    held_index: tuple[int, ...] = eqx.field(static=True, default=())
    held_share: tuple[float, ...] = eqx.field(static=True, default=())

    @property
    def count(self) -> int:
        return self.stock.shape[0]

    @property
    def by_order(self) -> Bool[Array, " resources"]:
        """Rows that count orders, shipments or receipts, whatever their units."""
        return (self.measure == MEASURES.index("lines")) & ~jnp.any(self.outbound > 0, axis=1)

    def item_weight(self, block: ItemBlock) -> Float[Array, "resources items"]:
        """Capacity that one unit of each item uses: 1, its volume (m3), weight (kg), part of a pallet, hours.

        0 if it is out of scope, or if orders are counted and not units.
        """
        table = unit_table(block.volume, block.weight, block.sizes)
        in_class = (self.storage_class[:, None] < 0) | (self.storage_class[:, None] == block.storage_class)
        weight = jnp.where(in_class, table[self.measure], 0) * self.counted(block)
        return weight if block.sizes is None else jnp.where(self.by_order[:, None], 0, weight)

    def counted(self, block: ItemBlock) -> Float[Array, "*resources items"]:
        """1 where a row counts an item, 0 for padding and other classes of items; without rows where all are alike."""
        if self.item_class is None or block.item_class is None:
            return block.live
        named = self.item_class[:, None]
        return jnp.where((named < 0) | (named == block.item_class), block.live, 0)


def unit_table(
    volume: Float[Array, "..."], weight: Float[Array, "..."], sizes: Float[Array, "sizes ..."] | None
) -> Float[Array, "measures ..."]:
    """What a unit takes in every measure; without sizes only in the first ones."""
    one = jnp.ones_like(volume)
    table = jnp.stack([one, volume, weight, one])
    return table if sizes is None else jnp.concatenate([table, sizes])


class Usage(eqx.Module):
    """Totals of a sweep over items, by bucket and resource; `wanted` is what the share of a floor refers to.

    `worlds` are totals by scenario, None where nothing is asked of single scenarios.
    """

    used: Float[Array, "buckets resources"]
    wanted: Float[Array, "buckets resources"]
    worlds: Worlds | None = None


def usage(resources: Resources, flows: Flows, block: ItemBlock) -> Usage:
    """Expected use of every resource by the items of a block (linear in the flows)."""
    used, wanted = _by_item(resources, flows, block)
    return Usage(jnp.sum(used, axis=-1), jnp.sum(wanted, axis=-1))


def item_charge(
    resources: Resources, flows: Flows, block: ItemBlock, prices: Float[Array, "buckets resources"]
) -> Float[Array, " items"]:
    """What each item's use of the capacities costs at the prices; missing service costs, service saves."""
    return jnp.einsum("br,bri->i", jnp.where(resources.present, prices, 0), _net_use(resources, flows, block))


def tail_charge(
    resources: Resources, flows: Flows, block: ItemBlock, prices: Float[Array, "buckets resources"]
) -> Float[Array, "resources items"]:
    """What each item's flows of the tail cost at the prices of the last bucket, by resource.

    Args:
        resources: The capacities.
        flows: Sums over the tail, without a bucket axis.
        block: The items.
        prices: Money per unit of usage.
    """
    last = eqx.tree_at(lambda r: (r.capacity, r.present), resources, (resources.capacity[-1:], resources.present[-1:]))
    net = _net_use(last, jax.tree.map(lambda leaf: leaf[None], flows), block)[0]
    return jnp.where(last.present[0], prices[-1], 0)[:, None] * net


def _net_use(resources: Resources, flows: Flows, block: ItemBlock) -> Float[Array, "buckets resources items"]:
    """What each item uses of every resource; of a service floor what it misses."""
    used, wanted = _by_item(resources, flows, block)
    return net_use(resources.is_service[None, :, None], resources.capacity[:, :, None], used, wanted)


def _by_item(
    resources: Resources, flows: Flows, block: ItemBlock
) -> tuple[Float[Array, "buckets resources items"], Float[Array, "buckets resources items"]]:
    """What each item uses of every resource, and what the share of a floor refers to."""
    return used_by_item(resources, flows, block), _wanted(resources, flows, block)


def used_by_item(resources: Resources, flows: Flows, block: ItemBlock) -> Float[Array, "buckets resources items"]:
    """What each item uses of every resource; of a floor what is served or in stock."""
    per_item = (
        jnp.einsum("rn,bni->bri", resources.stock, flows.stock)
        + jnp.einsum("rn,bni->bri", resources.inbound, flows.inbound)
        + jnp.einsum("rn,bni->bri", resources.outbound, flows.outbound)
        + jnp.einsum("rl,bli->bri", resources.lane, flows.lane)
        + jnp.einsum("rsg,bsgi->bri", resources.service, flows.served)
    )
    if resources.order_index:
        ordered = _ordered(resources, flows.offer, block, flows.paid)
        per_item = per_item.at[:, jnp.asarray(resources.order_index, int)].add(ordered)
    if flows.kept is not None and resources.floor_index:
        per_item = per_item.at[:, jnp.asarray(resources.floor_index, int)].add(flows.kept)
    used = per_item * resources.item_weight(block)
    if flows.lines is not None:
        used = used + _lines(resources, flows.lines, block)
    return used


def _wanted(resources: Resources, flows: Flows, block: ItemBlock) -> Float[Array, "buckets resources items"]:
    """What the shares of floors refer to."""
    if resources.item_class is None:
        wanted = jnp.einsum("rsg,bsgi->bri", resources.service, flows.wanted * block.live)
    else:
        wanted = jnp.einsum("rsg,bsgi->bri", resources.service, flows.wanted) * resources.counted(block)
    if flows.asked is None:
        return wanted
    rows = jnp.asarray(resources.floor_index, int)
    counted = jnp.broadcast_to(resources.counted(block), wanted.shape[1:])[rows]
    return wanted.at[:, rows].add(flows.asked * counted)


def _lines(
    resources: Resources, lines: Float[Array, "buckets line_rows items"], block: ItemBlock
) -> Float[Array, "buckets resources items"]:
    """Order lines of each item that resources count by order."""
    offers, lanes = resources.offer.shape[1], resources.lane.shape[1]
    bought, shipped, received = jnp.split(lines, (offers, offers + lanes), axis=1)
    counted = jnp.einsum("rn,bni->bri", resources.inbound, received)
    counted = counted + jnp.einsum("rl,bli->bri", resources.lane, shipped)
    if resources.order_index:
        ordered = _ordered(resources, bought, block)
        counted = counted.at[:, jnp.asarray(resources.order_index, int)].add(ordered)
    return jnp.where(resources.by_order[:, None], counted, 0) * block.live


def _ordered(
    resources: Resources,
    offer: Float[Array, "buckets offers items"],
    block: ItemBlock,
    paid: Float[Array, "buckets offers items"] | None = None,
) -> Float[Array, "buckets order_rows items"]:
    """What vendor and spend rows count of each item's orders, in units or lines by offer slot.

    `paid` is the money for them; None: the price of the offer for every unit.
    """
    rows = jnp.asarray(resources.order_index, int)
    vendor = resources.order_vendor[:, None, None]
    scope = resources.offer[:, :, None] * jnp.where((vendor < 0) | (vendor == block.offer_vendor), 1.0, 0.0)
    money = (resources.measure[rows] == MEASURES.index("money"))[:, None, None]
    if paid is not None:
        counted = lambda rows, flow: jnp.einsum("voi,boi->bvi", jnp.where(rows, scope, 0), flow)
        return counted(~money, offer) + counted(money, paid)
    value = jnp.where(money, block.offer_cost, 1)
    return jnp.einsum("voi,boi->bvi", scope * value, offer)


def excess(resources: Resources, totals: Usage) -> Float[Array, "buckets resources"]:
    """Usage above capacity, in the resource's own unit; for a service floor what is missing to the floor.

    Zero or less means that the capacity is kept. Rows that do not bind give 0.
    """
    over = excess_over(resources.is_service, resources.capacity, totals.used, totals.wanted)
    return jnp.where(resources.present, over, 0)


def bound(resources: Resources, totals: Usage) -> Float[Array, "buckets resources"]:
    """The capacity as a total: for a service floor, its share of the demand in scope."""
    level = bound_of(resources.is_service, resources.capacity, totals.wanted)
    return jnp.where(resources.present, level, 0)


class Rents(eqx.Module):
    """What capacity costs an item at given prices, averaged over buckets: per unit held a day, and per unit moved."""

    held: Float[Array, "nodes items"]
    moved: Float[Array, "nodes items"]


def rents(resources: Resources, prices: Float[Array, "buckets resources"], block: ItemBlock) -> Rents:
    """Storage price per unit held, and inbound and outbound prices per unit received and shipped, of every node."""
    mean = jnp.mean(prices, axis=0)[:, None] * resources.item_weight(block)
    moved = resources.inbound + resources.outbound
    return Rents(jnp.einsum("rn,ri->ni", resources.stock, mean), jnp.einsum("rn,ri->ni", moved, mean))


def outbound_price(
    resources: Resources,
    prices: Float[Array, "buckets resources"],
    volume: Array,
    weight: Array,
    sizes: Float[Array, " sizes"] | None = None,
) -> Float[Array, "buckets nodes"]:
    """Opportunity cost of shipping one unit of that volume, weight and other sizes from each node."""
    per_unit = unit_table(volume, weight, sizes)[resources.measure]
    return jnp.einsum("br,rn->bn", prices * per_unit, resources.outbound)
