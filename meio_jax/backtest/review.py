"""Orders of a day: nodes whose review day it is order up to their targets, downstream tiers first; upstream
nodes ship.

What an upstream node cannot ship is not owed; it is asked for again at the next review.
"""

import math
from typing import NamedTuple

import numpy as np

from meio_jax.backtest import draws
from meio_jax.backtest.books import (
    C_LINES,
    C_PURCHASED,
    C_TRANSFERRED,
    HOLDING,
    INBOUND,
    ORDERING,
    PURCHASE,
    TRANSFER,
)
from meio_jax.backtest.compiled import compiled, inlined
from meio_jax.backtest.limits import STORAGE, use
from meio_jax.backtest.lots import able_to_ship, first_able
from meio_jax.backtest.prices import unit_price
from meio_jax.backtest.spare import level_out
from meio_jax.backtest.supply import arrival, asks, buys, lane_lead, offer_lead

NEAREST, UP = 0, 1


class Rules(NamedTuple):
    """How orders are placed: share of every node's stock in the echelon of another (`below [nodes,
    nodes]`), rounding to packs (`NEAREST` or `UP`), whether stock under way is charged holding (0 or 1),
    the random state, and whether nodes order in the morning (0 or 1)."""

    below: np.ndarray
    rounding: int
    pipeline_holding: int
    seed: np.uint64
    morning: int


class Shipments(NamedTuple):
    """What was ordered and sent on a day: arrays of item, node, units, day due, source (a lane, or the
    number of lanes plus an offer), and last day of sale (-1: counted from the receipt, or never); the first `filled[0]`
    entries are in use."""

    item: np.ndarray
    node: np.ndarray
    units: np.ndarray
    due: np.ndarray
    source: np.ndarray
    last: np.ndarray
    filled: np.ndarray


class Desk(NamedTuple):
    """Scratch of one item's review: units asked of and sent by each lane (-1: as asked), units asked of
    each upstream node; `due [nodes]` says whose review day it is. Of transshipment: what lanes are asked for and give
    in a turn, and have moved in all; what is above the level of each node, by how much all are below it, which nodes
    are of the tier, and the number of the item's first shipment of the day."""

    ask: np.ndarray
    sent: np.ndarray
    asked_of: np.ndarray
    due: np.ndarray
    wish: np.ndarray
    gift: np.ndarray
    moved: np.ndarray
    over: np.ndarray
    below: np.ndarray
    into: np.ndarray
    first: np.ndarray


def blank_desk(lanes: int, due: np.ndarray) -> Desk:
    """An empty desk, for nodes whose review day it is."""
    nodes, whole = len(due), lambda: np.zeros(lanes, np.int64)
    amounts = np.zeros(nodes), np.zeros(nodes), np.zeros(nodes, np.bool_), np.zeros(1, np.int64)
    return Desk(
        whole(), np.full(lanes, -1), np.zeros(nodes, np.int64), due, np.zeros(lanes), whole(), whole(), *amounts
    )


@inlined
def _level(values, bucket, item, node):
    return values[min(bucket, values.shape[0] - 1), item, node]


@inlined
def _own_position(state, item, node):
    return state.on_hand[item, node] + state.on_order[item, node] - state.waiting[item, node]


@inlined
def _position(state, levels, below, item, node):
    """Inventory position; of the echelon if so planned (`below`: what share of whose stock counts)."""
    if not levels.echelon[levels.arm[item], node]:
        return float(_own_position(state, item, node))
    total = 0.0
    for m in range(below.shape[1]):
        if below[node, m] > 0.0:
            total += below[node, m] * _own_position(state, item, m)
    return total


@inlined
def _two_offers(supply, item, node):
    """The cheapest landed offer and the fastest of the others; (-1 ...) where there are none."""
    regular, fast = -1, -1
    for k in range(supply.offer_start[item], supply.offer_start[item + 1]):
        if supply.offer_node[k] == node and (
            regular < 0
            or supply.offer_cost[k] + supply.offer_freight[k]
            < supply.offer_cost[regular] + supply.offer_freight[regular]
        ):
            regular = k
    for k in range(supply.offer_start[item], supply.offer_start[item + 1]):
        if (
            supply.offer_node[k] == node
            and k != regular
            and (fast < 0 or supply.offer_mean[k] < supply.offer_mean[fast])
        ):
            fast = k
    return regular, fast


@inlined
def _lot(supply, offer, wanted, position, rounding):
    """Whole packs, and no less than the least order.

    Nearest: the nearest number of packs, but never nothing while the position is empty.
    """
    pack = supply.offer_pack[offer]
    least = -(-supply.offer_least[offer] // pack) * pack
    if wanted <= 0:
        return 0
    if rounding == UP:
        return max(-(-wanted // pack) * pack, least)
    units = math.floor(wanted / pack + 0.5) * pack
    if units < least:
        units = least if 2 * wanted >= least else 0
    if units == 0 and position <= 0:
        units = max(pack, least)
    return units


@inlined
def dispatch(state, out, entry):
    """Write down a shipment under way: (item, node, units, day due, source, last day of sale)."""
    item, node, units, due, source, last = entry
    k = out.filled[0]
    out.item[k], out.node[k], out.units[k], out.due[k], out.source[k] = item, node, units, due, source
    out.last[k] = last
    out.filled[0] = k + 1
    state.on_order[item, node] += units
    row = state.due_row[item, node] if state.due.shape[0] > 0 else -1
    if row >= 0 and due < state.due.shape[1]:
        state.due[row, due] += units


@inlined
def _dispatch_lots(supply, state, out, shipment, clock):
    """Write down a transfer `shipment = (item, lane, units, day due)`, of an item with a shelf life lot by lot: the
    oldest first of those that live long enough."""
    item, lane, units, due = shipment
    origin, target = supply.lane_from[lane], supply.lane_to[lane]
    row = state.lot_row[item]
    if row < 0:
        dispatch(state, out, (item, target, units, due, lane, -1))
        return
    for last in range(first_able(supply, item, origin, clock.day), state.lots.shape[2]):
        part = min(units, state.lots[row, origin, last])
        if part > 0:
            state.lots[row, origin, last] -= part
            dispatch(state, out, (item, target, part, due, lane, last))
            units -= part


@inlined
def _buy(supply_side, kept, order, clock):
    """Place a purchase order of `order = (item, node, offer, wanted, position, size)`.

    If anything is ordered, then whole packs of `size` units at least, where the stock may be so much.
    """
    supply, rules = supply_side
    item, node, offer, wanted, position, size = order
    units = _lot(supply, offer, wanted, position, rules.rounding)
    if 0 < units < size:
        units = -(-size // supply.offer_pack[offer]) * supply.offer_pack[offer]
    state = kept[0]
    room = supply.most[item, node] - state.on_hand[item, node] - state.on_order[item, node]
    if units > room:
        pack = supply.offer_pack[offer]
        units = max(room, 0) // pack * pack
        units = units if units >= supply.offer_least[offer] else 0
    if units > 0:
        place(supply_side, kept, (item, node, offer, units), clock)


@inlined
def place(supply_side, kept, order, clock):
    """Place a purchase order of `order = (item, node, offer, units)`, as it is."""
    supply, rules = supply_side
    state, books, out = kept
    item, node, offer, units = order
    due = arrival(supply, node, clock.day + offer_lead(supply, offer, clock.day, rules.seed))
    dispatch(state, out, (item, node, units, due, len(supply.lane_from) + offer, -1))
    books.flow[item, 0] += units
    if clock.charged:
        books.cost[item, PURCHASE] += units * unit_price(supply, offer, units)
        books.cost[item, ORDERING] += supply.offer_fixed[offer]
        books.tally[item, C_LINES] += 1
        books.cost[item, INBOUND] += units * supply.offer_freight[offer]
        books.tally[item, C_PURCHASED] += units


@inlined
def send(network, limited, supply_side, kept, order, clock):
    """Send units over a lane now; `order = (item, lane, units)`."""
    catalog, sites = network
    supply, rules = supply_side
    state, books, out = kept
    item, lane, units = order
    origin = supply.lane_from[lane]
    lead = lane_lead(supply, lane, catalog.key[item], clock.day, rules.seed)
    state.on_hand[item, origin] -= units
    limits, used = limited
    use(limits, used, catalog.storage_class[item], item, STORAGE * limits.nodes + origin, -units)
    due = arrival(supply, supply.lane_to[lane], clock.day + lead)
    lead = due - clock.day
    _dispatch_lots(supply, state, out, (item, lane, units, due), clock)
    if clock.charged:
        kilos = units * catalog.weight[item]
        books.cost[item, TRANSFER] += units * supply.lane_cost_unit[lane] + kilos * supply.lane_cost_kg[lane]
        books.carbon[item] += kilos * supply.lane_carbon[lane]
        books.tally[item, C_TRANSFERRED] += units
        if rules.pipeline_holding:
            books.cost[item, HOLDING] += units * lead * catalog.holding[item] * sites.holding_factor[origin]


@inlined
def _offer_share(supply, levels, bucket, offer):
    """Share of an offer: that of the plan, or of the data where the plan has none."""
    if levels.has_shares:
        share = levels.offer_share[min(bucket, levels.offer_share.shape[0] - 1), offer]
        if share >= 0.0:
            return share
    return supply.offer_share[offer]


@inlined
def _size(levels, offer):
    """Units that an order through an offer has at least by the plan (0: any)."""
    return levels.size[offer] if len(levels.size) > 0 else 0


@inlined
def _lane_share(supply, levels, bucket, item, lane):
    """Share of a lane for an item: that of the plan, or of the data where the plan has none."""
    if not supply.open[item, lane]:
        return 0.0
    if levels.has_shares:
        share = levels.lane_share[min(bucket, levels.lane_share.shape[0] - 1), item, lane]
        if share >= 0.0:
            return share
    return supply.lane_share[lane]


@inlined
def _split_order(supply_side, kept, levels, desk, order, clock):
    """Divide `order = (item, node, wanted, position, offer left out)` over the open sources by their shares.

    Systematic rounding with one random start: whole units, exactly `wanted` in total, and each source gets
    its share on average even if orders are of single units.
    """
    supply, rules = supply_side
    item, node, wanted, position, without = order
    first, last = supply.offer_start[item], supply.offer_start[item + 1]
    total = 0.0
    cheapest = -1
    for k in range(first, last):
        if supply.offer_node[k] == node and k != without:
            total += _offer_share(supply, levels, clock.bucket, k)
            cheapest = k if cheapest < 0 else cheapest
    for j in range(supply.into_start[node], supply.into_start[node + 1]):
        total += _lane_share(supply, levels, clock.bucket, item, supply.into[j])
    if total <= 0.0:
        if cheapest >= 0 and buys(supply, cheapest, node, clock.day):
            _buy(supply_side, kept, (item, node, cheapest, wanted, position, _size(levels, cheapest)), clock)
        return
    state0 = draws.key(draws.key(draws.key(rules.seed, draws.SHARES), item), clock.day)
    _, start = draws.uniform(draws.key(state0, node))
    done, share = 0, 0.0
    for k in range(first, last):
        if supply.offer_node[k] == node and k != without:
            share += _offer_share(supply, levels, clock.bucket, k) / total
            upto = min(math.floor(wanted * share + start + 1e-9), wanted)
            if upto > done:
                if buys(supply, k, node, clock.day):
                    _buy(supply_side, kept, (item, node, k, upto - done, position, _size(levels, k)), clock)
                done = upto
    for j in range(supply.into_start[node], supply.into_start[node + 1]):
        lane = supply.into[j]
        if supply.open[item, lane]:
            share += _lane_share(supply, levels, clock.bucket, item, lane) / total
            upto = min(math.floor(wanted * share + start + 1e-9), wanted)
            if asks(supply, lane, clock.day):
                desk.ask[lane] = upto - done
                desk.asked_of[supply.lane_from[lane]] += upto - done
            done = upto


@inlined
def _ration(desk, supply, origin, stock, how):
    """Share scarce stock of `origin`: by rank of the lane if so asked, in proportion within a rank.

    Whole units by largest remainder; equal remainders in an order that changes from day to day. `how` is
    (by rank, random state of ties).
    """
    by_rank, tie = how
    while True:
        rank, asked = 1 << 30, 0
        for lane in range(len(desk.ask)):
            if supply.lane_from[lane] == origin and desk.ask[lane] > 0 and desk.sent[lane] < 0:
                place = supply.lane_rank[lane] if by_rank else 0
                if place < rank:
                    rank, asked = place, 0
                asked += desk.ask[lane] if place == rank else 0
        if asked == 0:
            return
        given = min(asked, stock)
        stock -= given
        sent = 0
        for lane in range(len(desk.ask)):
            waits = supply.lane_from[lane] == origin and desk.ask[lane] > 0 and desk.sent[lane] < 0
            if waits and (not by_rank or supply.lane_rank[lane] == rank):
                desk.sent[lane] = desk.ask[lane] * given // asked
                sent += desk.sent[lane]
        for _ in range(given - sent):
            best, most = -1, -1.0
            for lane in range(len(desk.ask)):
                open_lane = supply.lane_from[lane] == origin and 0 <= desk.sent[lane] < desk.ask[lane]
                if open_lane and (not by_rank or supply.lane_rank[lane] == rank):
                    _, jitter = draws.uniform(draws.key(tie, lane))
                    short = desk.ask[lane] * given / asked - desk.sent[lane] + 1e-6 * jitter
                    if short > most:
                        best, most = lane, short
            desk.sent[best] += 1


@inlined
def _order(supply_side, kept, levels, desk, order, clock):
    """What node `order = (item, node)` orders now: purchases are placed, lanes are asked."""
    supply, rules = supply_side
    state = kept[0]
    item, node = order
    position = _position(state, levels, rules.below, item, node)
    target = _level(levels.target, clock.bucket, item, node)
    without = -1
    if levels.has_fast:
        fast_target = _level(levels.fast, clock.bucket, item, node)
        _regular, fast = _two_offers(supply, item, node)
        if fast >= 0 and fast_target >= 0:
            without = fast
            lead = min(max(math.floor(supply.offer_mean[fast] + 0.5), 1), supply.limit)
            soon = _own_position(state, item, node)
            row = state.due_row[item, node]
            for day in range(clock.day + lead + 1, state.due.shape[1]):
                soon -= state.due[row, day]
            if fast_target > soon and buys(supply, fast, node, clock.day):
                before = state.on_order[item, node]
                _buy(supply_side, kept, (item, node, fast, fast_target - soon, soon, _size(levels, fast)), clock)
                position += state.on_order[item, node] - before
    wanted = math.floor(target - position + 0.5)
    if levels.has_cap:
        cap = _level(levels.cap, clock.bucket, item, node)
        wanted = min(wanted, cap) if cap >= 0 else wanted
    owned = state.on_hand[item, node] + state.on_order[item, node]
    wanted = min(wanted, supply.most[item, node] - owned)
    if wanted > 0:
        order = (item, node, wanted, math.floor(position), without)
        _split_order(supply_side, kept, levels, desk, order, clock)


@inlined
def _may_order(state, levels, bucket, item, node):
    """False where a plain base-stock node is at its target: most reviews end here, so it must be quick."""
    if levels.has_fast or levels.echelon[levels.arm[item], node]:
        return True
    return _level(levels.target, bucket, item, node) > _own_position(state, item, node)


@inlined
def _ship_asked(network, limited, supply_side, kept, desk, task):
    """Upstream nodes send what was asked of them in `task = (item, clock)`, or share what they have."""
    catalog, sites = network
    supply, rules = supply_side
    state = kept[0]
    item, clock = task
    for origin in range(len(desk.asked_of)):
        able = able_to_ship(supply, state, item, origin, clock.day)
        if able < desk.asked_of[origin]:
            tie = draws.key(draws.key(draws.key(rules.seed, draws.TIES), catalog.key[item]), clock.day)
            _ration(desk, supply, origin, able, (sites.priority[origin], tie))
    for lane in range(len(desk.ask)):
        units = desk.sent[lane] if desk.sent[lane] >= 0 else desk.ask[lane]
        if units > 0:
            send(network, limited, supply_side, kept, (item, lane, units), clock)
    desk.ask[:] = 0
    desk.sent[:] = -1
    desk.asked_of[:] = 0


@inlined
def _level_out(network, limited, supply_side, kept, levels, desk, task):
    """Transshipment into the nodes of a tier; `task` is (item, tier, clock)."""
    sites = network[1]
    supply, rules = supply_side
    state = kept[0]
    item, tier, clock = task
    some = False
    desk.into[:] = False
    for at in range(sites.tier_start[tier], sites.tier_start[tier + 1]):
        desk.into[sites.tier_nodes[at]] = True
    for lane in supply.beside:
        some = some or (desk.into[supply.lane_to[lane]] and desk.due[supply.lane_to[lane]])
    if not some:
        return
    for node in range(len(desk.below)):
        position = _position(state, levels, rules.below, item, node)
        owned = state.on_hand[item, node] + state.on_order[item, node]
        desk.below[node] = min(
            _level(levels.target, clock.bucket, item, node) - position, supply.most[item, node] - owned
        )
    rule = levels.spare[min(clock.bucket, levels.spare.shape[0] - 1), item]
    level_out(supply, (state, kept[2], desk.first[0]), rule, desk, desk.below, (item, clock.day, rules.morning))
    for lane in supply.beside:
        if desk.moved[lane] > 0:
            send(network, limited, supply_side, kept, (item, lane, desk.moved[lane]), clock)


@compiled
def review(network, limited, supply_side, kept, levels, desk, task):
    """Review a span of items.

    Args:
        network: `(catalog, sites)`.
        limited: `(limits, used)`; storage that transfers leave is given back.
        supply_side: `(supply, rules)`.
        kept: `(state, books, shipments)`: stock and units on order, books, and room for what is sent.
        levels: The plan.
        desk: Scratch, with the nodes whose review day it is.
        task: `(first item, last item, day)`.
    """
    catalog, sites = network
    supply, _rules = supply_side
    state = kept[0]
    lanes = len(supply.lane_from)
    begin, end, clock = task
    for item in range(begin, end):
        kind = catalog.storage_class[item]
        desk.first[0] = kept[2].filled[0]
        for tier in range(len(sites.tier_start) - 1):
            if levels.has_spare:
                _level_out(network, limited, supply_side, kept, levels, desk, (item, tier, clock))
            asks = False
            for at in range(sites.tier_start[tier], sites.tier_start[tier + 1]):
                node = sites.tier_nodes[at]
                if not desk.due[node] or not sites.stockable[node, kind]:
                    continue
                if _may_order(state, levels, clock.bucket, item, node):
                    _order(supply_side, kept, levels, desk, (item, node), clock)
                    asks = True
            if asks and lanes > 0:
                _ship_asked(network, limited, supply_side, kept, desk, (item, clock))
