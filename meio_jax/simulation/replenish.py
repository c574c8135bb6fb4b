"""Ordering and allocation, from the most downstream tier up: the one rule, for simulated days and for today."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from meio_kernels.allocation import allocate
from meio_kernels.lots import smallest_lot, whole_orders, whole_shipments
from meio_kernels.rows import add_rows

from meio_jax.model.network import Bounds, Network
from meio_jax.policy.base import AbstractPolicy, View
from meio_jax.simulation.ageing import least_of, sent_by_life, that_outlive
from meio_jax.simulation.bounded import packs_within, within_bounds
from meio_jax.simulation.decided import Decided
from meio_jax.simulation.outlook import Expectation
from meio_jax.simulation.pipelines import Near
from meio_jax.simulation.spare_numbers import SpareNumbers
from meio_jax.simulation.state import Stock
from meio_jax.simulation.supply import OrderDays, Ordered, Supply
from meio_jax.simulation.transship import Sides, levels_of, near_due, near_stock, spare_stock, tier_lanes, transship
from meio_jax.simulation.view import tier_sources, view_of

# A position below this many units is empty: what is left of it is rounding in floating point.
_EMPTY = 1e-3


def replenish(
    network: Network,
    policy: AbstractPolicy,
    stock: Stock,
    supply: Supply,
    near: Near,
    echelon: Float[Array, "nodes nodes"],
    waiting: Float[Array, "nodes batch"] | None,
    days: OrderDays,
    expect: Expectation | None = None,
    bounds: Bounds | None = None,
    spare: SpareNumbers | None = None,
    *,
    whole: bool,
) -> tuple[Stock, Ordered]:
    """Order and allocate: downstream tiers ask first, their suppliers ship what they can, then order themselves.

    Before it orders a tier gets what other nodes can spare (transshipment).

    What an upstream node cannot ship is not owed: it is asked for again at the next review.

    Args:
        network: The shared network.
        policy: The policy, with the leaves of this bucket spread over the batch.
        stock: Stock at the moment of ordering.
        supply: Shares, open offers, packs.
        near: What the pipelines bring soon, and late.
        echelon: `network.echelon_matrix()`.
        waiting: Backlog by node, or None where nothing can be backordered.
        days: Who orders now.
        expect: What nodes expect of the days ahead, for a policy that looks ahead; `near.due` comes with it.
        bounds: Least and most stock of the bucket by node, spread over the batch; None where nothing is bounded.
        spare: The rule of transshipment of the bucket, spread over the batch; None in networks without it.
        whole: Whether orders and shipments are whole units; else only packs and least orders round.

    Returns:
        Stock after shipping, and the units ordered and shipped.
    """
    batch = stock.on_hand.shape[-1]
    offer_units = jnp.zeros((network.offers, batch), stock.on_hand.dtype)
    lane_units = jnp.zeros((network.lanes, batch), stock.on_hand.dtype)
    by_life = None if stock.old is None else jnp.zeros((stock.old.shape[0], *lane_units.shape), lane_units.dtype)
    every = decided = supply.decided(days, network.offers + network.lanes)
    if every is not None and network.transship:
        # What is fixed there ships with what other nodes can spare.
        decided = every.without(tuple(network.offers + lane for lane in network.transship_lanes))
    limits = None if bounds is None else bounds.on(days.day)
    if (spare is None) != (not network.transship):
        raise ValueError("a network with transshipment has its rule in the lists (PreferenceLists.spare): block_lists")
    for rows in network.tiers:
        if spare is not None and tier_lanes(network, rows):
            known = _Known(supply, near, echelon, waiting, days, expect, limits, (every, decided))
            stock, moved, sent = _level_out(network, policy, spare, stock, rows, known, whole=whole)
            lane_units = lane_units + moved
            by_life = None if by_life is None or sent is None else by_life + sent
        offers, lanes = tier_sources(network, rows)
        if not offers and not lanes:
            continue
        # What is fixed counts as if it was on order already.
        seen = stock if decided is None else _with_fixed(network, stock, decided, rows)
        view = view_of(network, seen, supply, near, echelon, waiting, expect, rows)
        due = days.sources(view, offers, lanes, supply)
        own_decisions = None if decided is None else decided.of(view)
        if own_decisions is not None:
            due = due & ~own_decisions.settled
            shares = own_decisions.redirected(view, view.source_share)
            view = eqx.tree_at(lambda v: v.source_share, view, shares)
        wanted = policy.order(view)
        if own_decisions is not None:
            # Policies may divide orders by shares of their own.
            wanted = own_decisions.redirected(view, wanted)
        wanted = jnp.where(due, wanted, 0)
        own = jnp.asarray(rows, int)
        if limits is not None:
            owned = (seen.on_hand + seen.on_order)[own]
            wanted = within_bounds(view, wanted, owned, limits[0][own], limits[1][own], due)
        if whole or network.lots:
            most = None if limits is None else limits[1][own] - owned
            wanted = _in_lots(supply, view, wanted, offers, most, whole=whole)
        if own_decisions is not None:
            wanted = wanted + own_decisions.units
        bought, asked = wanted[: len(offers)], wanted[len(offers) :]
        if lanes:
            before = stock
            stock, shipped = _ship(network, stock, supply, asked, lanes, whole=whole)
            lane_units = add_rows(lane_units, shipped, lanes)
            if by_life is not None and supply.outlive is not None:
                stock, sent = sent_by_life(before, stock, supply.outlive, shipped, origins(network, lanes))
                by_life = by_life.at[:, jnp.asarray(lanes, int)].add(sent)
        if offers:
            target = tuple(network.offer_node[k] for k in offers)
            stock = Stock(stock.on_hand, add_rows(stock.on_order, bought, target), stock.backlog, stock.old)
            offer_units = add_rows(offer_units, bought, offers)
    return stock, Ordered(offer_units, lane_units, by_life)


class _Known(eqx.Module):
    """What a tier knows before it orders (arguments of `replenish`); decisions of all lanes, and of those of supply."""

    supply: Supply
    near: Near
    echelon: Float[Array, "nodes nodes"]
    waiting: Float[Array, "nodes batch"] | None
    days: OrderDays
    expect: Expectation | None
    limits: tuple[Array, Array] | None
    decided: tuple[Decided | None, Decided | None]


def _level_out(
    network: Network,
    policy: AbstractPolicy,
    spare: SpareNumbers,
    stock: Stock,
    rows: tuple[int, ...],
    known: _Known,
    *,
    whole: bool,
) -> tuple[Stock, Float[Array, "lanes batch"], Float[Array, "lives lanes batch"] | None]:
    """Transshipment into the nodes `rows`: stock after it, units by lane, and those by life (None: nothing expires)."""
    before, supply, near = stock, known.supply, known.near
    rounds, lanes = tier_lanes(network, rows), network.transship_lanes
    fixed, open_lanes = jnp.zeros((network.lanes, stock.on_hand.shape[-1]), stock.on_hand.dtype), None
    every, decided = known.decided
    into = tuple(lane for lane in lanes if network.lane_to[lane] in rows)
    if every is not None:
        source = network.offers + jnp.asarray(into, int)
        stock, sent = _ship(network, stock, supply, every.units[source], into, whole=whole)
        fixed = add_rows(fixed, sent, into)
        open_lanes = ~every.settled[network.offers + jnp.asarray(lanes, int)]
    nodes = tuple(sorted({end for lane in into for end in (network.lane_from[lane], network.lane_to[lane])}))
    seen = stock if decided is None else _with_fixed(network, stock, decided, nodes)
    view = view_of(network, seen, supply, near, known.echelon, known.waiting, known.expect, nodes)
    at = jnp.asarray(nodes, int)
    limits = None if known.limits is None else (known.limits[0][at], known.limits[1][at])
    below = levels_of(policy, view, (seen.on_hand + seen.on_order)[at], limits)
    net = stock.on_hand if known.waiting is None else stock.on_hand - known.waiting
    asked_now = known.days.lanes(network, lanes)
    sides = Sides(
        below=jnp.zeros_like(stock.on_hand).at[at].set(below),
        spare=spare_stock(network, spare, net, near_due(near), _free(stock, supply)),
        near=near_stock(network, spare, stock.on_hand, known.waiting, near_due(near)),
        open=asked_now if open_lanes is None else asked_now & open_lanes,
    )
    shipped = fixed + transship(network, spare, sides, rounds, whole=whole)
    on_hand = add_rows(before.on_hand, -shipped, network.lane_from)
    on_order = add_rows(before.on_order, shipped, network.lane_to)
    after = Stock(on_hand, on_order, before.backlog, before.old)
    if before.old is None or supply.outlive is None:
        return after, shipped, None
    after, sent = sent_by_life(before, after, supply.outlive, shipped, network.lane_from)
    return after, shipped, sent


def _with_fixed(network: Network, stock: Stock, decided: Decided, rows: tuple[int, ...]) -> Stock:
    """Stock with the fixed orders of the nodes `rows` on order; those of lower nodes are on order, or did not ship."""
    fixed = decided.by_node((*network.offer_node, *network.lane_to), network.nodes)
    mine = jnp.asarray([node in rows for node in range(network.nodes)])[:, None]
    return Stock(stock.on_hand, stock.on_order + jnp.where(mine, fixed, 0), stock.backlog, stock.old)


def _in_lots(
    supply: Supply, view: View, wanted: Array, offers: tuple[int, ...], room: Array | None, *, whole: bool
) -> Array:
    """Orders in the lots of their sources, within the room of each row (None: any); lanes carry single units."""
    ids = jnp.asarray(offers, int)
    units = jnp.ones_like(wanted[len(offers) :])
    pack = jnp.concatenate([supply.pack[ids], units])
    least = jnp.concatenate([supply.least[ids], 0 * units])
    usual = least
    if supply.usual is not None:
        # A size that pays gives way to the most stock, a least order does not.
        usual = jnp.maximum(least, jnp.concatenate([supply.usual[ids], 0 * units]))
    orders = whole_orders(wanted, pack, usual, view.position <= _EMPTY, view.source_row, units=whole)
    if room is None:
        return orders
    smallest = smallest_lot(pack, least)
    if not whole:
        # Single units flow as fractions.
        pack, smallest = (jnp.where(smallest > 1, lot, 1e-3) for lot in (pack, smallest))
    return packs_within(view, orders, room, pack, smallest)


def origins(network: Network, lanes: tuple[int, ...]) -> tuple[int, ...]:
    """Nodes that the lanes leave."""
    return tuple(network.lane_from[k] for k in lanes)


def _ship(
    network: Network, stock: Stock, supply: Supply, asked: Array, lanes: tuple[int, ...], *, whole: bool
) -> tuple[Stock, Float[Array, "lanes batch"]]:
    """Ship along lanes what their origins have, beyond what these keep for their own customers of the day."""
    ids = jnp.asarray(lanes, int)
    origin, target = origins(network, lanes), tuple(network.lane_to[k] for k in lanes)
    source = jnp.asarray(origin, int)
    free = _free(stock, supply)
    shipped, left = allocate(asked, free, source, network.lane_urgency[ids], network.priority_ranks)
    all_free = supply.own_demand is None and stock.old is None
    on_hand = left if all_free else stock.on_hand - free + left
    if whole:
        shipped = whole_shipments(shipped, free, source)
        on_hand = add_rows(stock.on_hand, -shipped, origin)
    return Stock(on_hand, add_rows(stock.on_order, shipped, target), stock.backlog, stock.old), shipped


def _free(stock: Stock, supply: Supply) -> Float[Array, "nodes batch"]:
    """Stock that may be shipped: beyond what customers of the day will ask, but for what would expire on its way."""
    free = stock.on_hand if supply.own_demand is None else jax.nn.relu(stock.on_hand - supply.own_demand)
    if stock.old is not None and supply.outlive is not None:
        free = least_of(free, that_outlive(stock, supply.outlive)[0])
    return free
