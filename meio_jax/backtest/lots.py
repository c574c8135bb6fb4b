"""Stock of items with a shelf life by the last day on which it can be sold: oldest first, and what expires."""

from meio_jax.backtest.books import C_WASTED, WASTE
from meio_jax.backtest.compiled import compiled, inlined
from meio_jax.backtest.limits import STORAGE, use


@inlined
def last_day(catalog, item, last, day):
    """Last day of sale of what is received on a day: `last`, or by the item's shelf life where that is -1."""
    if last < 0:
        return day + catalog.life[item] - 1
    return last


@inlined
def put_away(state, item, node, units, last, day):
    """Put units into their lot; False where they have expired already."""
    row = state.lot_row[item]
    if row < 0:
        return True
    if last < day:
        return False
    state.lots[row, node, min(last, state.lots.shape[2] - 1)] += units
    return True


@inlined
def take_oldest(state, item, node, units, day):
    """Take units from the lots that expire first."""
    row = state.lot_row[item]
    if row < 0:
        return
    for last in range(day, state.lots.shape[2]):
        part = min(units, state.lots[row, node, last])
        state.lots[row, node, last] -= part
        units -= part
        if units == 0:
            return


@inlined
def first_able(supply, item, node, day):
    """Last day of sale that a unit must have at least to be shipped to another node on a day."""
    return day + supply.outlive[item, node]


@inlined
def able_to_ship(supply, state, item, node, day):
    """Units of a node that live long enough to be shipped to another one."""
    units, row = state.on_hand[item, node], state.lot_row[item]
    if row >= 0:
        for last in range(day, min(first_able(supply, item, node, day), state.lots.shape[2])):
            units -= state.lots[row, node, last]
    return units


@inlined
def dispose(catalog, books, item, units, clock):
    """Book units that expired."""
    books.flow[item, 2] += units
    if clock.charged:
        books.cost[item, WASTE] += units * catalog.waste_cost[item]
        books.tally[item, C_WASTED] += units


@compiled
def expire(network, limited, kept, clock):
    """End of a day's sales: what could be sold until today is disposed of.

    Args:
        network: `(catalog, sites)`.
        limited: `(limits, used)`; its storage is given back.
        kept: `(state, books)`; changed.
        clock: The day.
    """
    catalog, _sites = network
    limits, used = limited
    state, books = kept
    if state.lots.shape[0] == 0:
        return
    for item in range(len(state.lot_row)):
        row = state.lot_row[item]
        if row < 0:
            continue
        for node in range(state.lots.shape[1]):
            units = state.lots[row, node, clock.day]
            if units > 0:
                state.lots[row, node, clock.day] = 0
                state.on_hand[item, node] -= units
                kind = catalog.storage_class[item]
                use(limits, used, kind, item, STORAGE * limits.nodes + node, -units)
                dispose(catalog, books, item, units, clock)
