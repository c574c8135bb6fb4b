"""Customer orders of a day, one after the other: the cheapest site that can keep the promise, downgrade,
loss.

This is the inner loop of the simulator.
"""

from meio_jax.backtest import draws
from meio_jax.backtest.books import (
    BACKORDER,
    C_BACKORDERED,
    C_DEMAND,
    C_DOWNGRADED,
    C_LATE,
    C_LOST,
    C_ON_TIME,
    C_SHIPPED,
    DOWNGRADE,
    HANDLING,
    LOST,
    SHIPPING,
)
from meio_jax.backtest.compiled import compiled, inlined
from meio_jax.backtest.floors import count_demand
from meio_jax.backtest.limits import OUTBOUND, STORAGE, units_that_fit, use
from meio_jax.backtest.lots import take_oldest
from meio_jax.backtest.unit_values import worth_of_unit


@inlined
def _pick(network, limited, state, levels, ask, units, clock):
    """The cheapest entry of `reach` that can ship, and how many units of it; (-1, 0) if nobody can.

    Where the plan has values of units, what the unit is worth to the node is a part of its cost.

    `ask` is (item, region, speed, hour). With `units == 0` stock and capacity are not asked for (first
    choice).
    """
    catalog, sites, reach = network
    limits, used = limited
    item, region, speed, hour = ask
    kind, arm, bucket = catalog.storage_class[item], levels.arm[item], clock.bucket
    weight, volume = catalog.weight[item], catalog.volume[item]
    best, best_cost, best_units = -1, 1e300, 0
    group = speed * reach.regions + region
    for k in range(reach.start[group], reach.start[group + 1]):
        n = reach.node[k]
        stock = state.on_hand[item, n]
        if (units > 0 and stock <= 0) or hour > reach.latest[k] or not sites.stockable[n, kind]:
            continue
        if levels.has_protection and speed > 0:
            guard = levels.protection[min(bucket, levels.protection.shape[0] - 1), item, speed, n]
            stock -= guard
            if units > 0 and stock <= 0:
                continue
        price = levels.price[arm, bucket, n]
        cost = reach.cost_unit[k] + reach.cost_kg[k] * weight + sites.handling[n]
        cost += price[0] + price[1] * volume + price[2] * weight
        for m in range(3, len(price)):
            cost += price[m] * limits.weight[m, item]
        if levels.has_values and units > 0:
            period = min(bucket, levels.value.shape[0] - 1)
            cost += worth_of_unit(levels.value[period, item, n], levels.ahead[item, n], state.on_hand[item, n])
        if cost < best_cost:
            fit = units
            if units > 0 and state.leaving.shape[0] > 0:
                # What the dock cannot take today leaves on a later day.
                fit = min(units, stock)
            elif units > 0:
                where = OUTBOUND * limits.nodes + n
                fit = units_that_fit(limits, used, kind, item, where, min(units, stock))
            if fit > 0 or units == 0:
                best, best_cost, best_units = k, cost, fit
    return best, best_units


@inlined
def _ship(network, limited, kept, ask, entry, units, clock):
    """Take units from stock and book the shipment of `entry`; returns the units that leave today."""
    catalog, sites, reach = network
    limits, used = limited
    state, books, _, held = kept
    item, _region, speed, _hour = ask
    n, kind = reach.node[entry], catalog.storage_class[item]
    state.on_hand[item, n] -= units
    take_oldest(state, item, n, units, clock.day)
    leaving = units
    if state.leaving.shape[0] > 0:
        leaving = units_that_fit(limits, used, kind, item, OUTBOUND * limits.nodes + n, units)
        if leaving < units:
            state.leaving[item, n] += units - leaving
            at = held.filled[0]
            held.item[at], held.node[at], held.units[at] = item, n, units - leaving
            held.filled[0] = at + 1
    use(limits, used, kind, item, OUTBOUND * limits.nodes + n, leaving)
    use(limits, used, kind, item, STORAGE * limits.nodes + n, -leaving)
    books.flow[item, 1] += units
    if clock.charged:
        cost = units * (reach.cost_unit[entry] + reach.cost_kg[entry] * catalog.weight[item])
        handling = units * sites.handling[n]
        books.cost[item, SHIPPING] += cost
        books.cost[item, HANDLING] += handling
        books.tally[item, C_SHIPPED] += units
        books.km[item] += units * reach.km[entry]
        books.carbon[item] += units * reach.carbon[entry]
        books.site[n, speed, 0] += units
        books.site[n, speed, 1] += cost
        books.site[n, speed, 2] += handling
        books.speed_km[speed, 0] += units
        books.speed_km[speed, 1] += units * reach.km[entry]
        if books.detail.shape[0] > 0:
            books.detail[item, n, speed, 0] += units
            books.detail[item, n, speed, 1] += cost
    return leaving


@inlined
def _promised(limits, books, ask, node, late, units, clock):
    """Book units that leave a node at the speed that the customer asked for."""
    item, region, speed, _hour = ask
    if late:
        books.tally[item, C_LATE] += units
    else:
        books.tally[item, C_ON_TIME] += units
        books.promise[speed, 1] += units
        books.service[region, speed, clock.bucket, 1] += units
        if books.floor.shape[0] > 0:
            count_demand(limits.floors, books, ask, node, units, clock.bucket)
        if books.kept.shape[0] > 0:
            books.kept[item, speed, 1] += units


@inlined
def _unmet(catalog, books, item, asked, units, clock):
    """Book units that nobody serves today; `asked` is (speed first asked for, whether they waited before)."""
    speed, late = asked
    if not clock.charged:
        return
    if catalog.backorders[item]:
        books.promise[speed, 3] += 0 if late else units
    else:
        books.cost[item, LOST] += units * catalog.lost_cost[item]
        books.tally[item, C_LOST] += units
        books.promise[speed, 4] += units


@inlined
def _serve_one(network, limited, kept, levels, ask, order, clock):
    """Serve one order of `order = (units, coin, late)`; what must wait is written to the backlog from entry
    `order[3]` on. Returns the number of entries written so far."""
    catalog, _sites, reach = network
    state, books, backlog, _held = kept
    item, region, asked, hour = ask
    left, coin, late, filled = order
    speed = asked
    while left > 0:
        now = (item, region, speed, hour)
        while left > 0:
            entry, units = _pick(network, limited, state, levels, now, left, clock)
            if entry < 0:
                break
            leaving = _ship(network, limited, kept, now, entry, units, clock)
            left -= units
            if clock.charged and speed == asked:
                _promised(limited[0], books, now, reach.node[entry], late, leaving, clock)
                books.tally[item, C_LATE] += units - leaving
                books.promise[speed, 3] += 0 if late else units - leaving
        accepting = 0
        if left > 0 and speed + 1 < reach.speeds and catalog.downgrade_share[item] > 0.0:
            for _ in range(left):
                coin, u = draws.uniform(coin)
                accepting += u < catalog.downgrade_share[item]
        if accepting > 0 and clock.charged:
            books.cost[item, DOWNGRADE] += accepting * catalog.downgrade_cost[item]
            books.tally[item, C_DOWNGRADED] += accepting
            books.promise[asked, 2] += accepting if speed == asked else 0
        if left > accepting:
            _unmet(catalog, books, item, (asked, late), left - accepting, clock)
            if catalog.backorders[item]:
                backlog.item[filled], backlog.region[filled], backlog.speed[filled] = item, region, speed
                backlog.units[filled], backlog.coin[filled] = left - accepting, coin
                filled += 1
        left = accepting
        speed += 1
    return filled


@compiled
def serve(network, limited, kept, levels, orders, clock):
    """Serve the orders of a day in turn.

    Args:
        network: `(catalog, sites, reach)`.
        limited: `(limits, used)`.
        kept: `(state, books, backlog, held)`: stock, books, and room for the orders that wait until tomorrow, and for
            shipments that do not leave today; changed.
        levels: The plan.
        orders: Orders, waiting ones first.
        clock: The day.

    Returns:
        Number of entries of `backlog` in use.
    """
    catalog, _sites, reach = network
    state, books, backlog, _held = kept
    filled = 0
    for k in range(len(orders.item)):
        item, region, speed = orders.item[k], orders.region[k], orders.speed[k]
        units, late = orders.units[k], orders.late[k]
        if clock.charged and not late:
            books.tally[item, C_DEMAND] += units
            books.promise[speed, 0] += units
            books.service[region, speed, clock.bucket, 0] += units
            if books.kept.shape[0] > 0:
                books.kept[item, speed, 0] += units
        ask = (item, region, speed, orders.hour[k])
        if clock.charged and not late and books.floor.shape[0] > 0:
            count_demand(limited[0].floors, books, ask, -1, units, clock.bucket)
        order = (units, orders.coin[k], late, filled)
        filled = _serve_one(network, limited, kept, levels, ask, order, clock)
    for k in range(filled):
        item, units = backlog.item[k], backlog.units[k]
        ask = (item, backlog.region[k], backlog.speed[k], 0.0)
        if clock.charged:
            books.cost[item, BACKORDER] += units * catalog.backorder_cost[item]
            books.tally[item, C_BACKORDERED] += units
        entry, _ = _pick(network, limited, state, levels, ask, 0, clock)
        if entry >= 0:
            state.waiting[item, reach.node[entry]] += units
    return filled
