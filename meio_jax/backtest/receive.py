"""Start of a day: what has arrived is unloaded as far as the dock and the storage have room; the rest
waits."""

from meio_jax.backtest import draws
from meio_jax.backtest.books import C_RECEIVED, C_WAITED, HOLDING, INBOUND
from meio_jax.backtest.compiled import compiled
from meio_jax.backtest.limits import INBOUND as DOCK
from meio_jax.backtest.limits import STORAGE, units_that_fit, use
from meio_jax.backtest.lots import dispose, last_day, put_away


@compiled
def turns(state, key, item_of, turn):
    """When what arrives on a day is unloaded: `turn` `[arrivals]` is filled with draws by item, the least go first."""
    for k in range(len(item_of)):
        _, turn[k] = draws.uniform(draws.key(state, key[item_of[k]]))


@compiled
def receive(network, limited, kept, arrivals, clock, closed):
    """Unload arrivals in turn (those that have waited longest come first).

    `network` is `(catalog, sites)`, `limited` `(limits, used)`, `kept` `(state, books)`; `arrivals` are
    four arrays: item, node, units, last day of sale; on return `units` holds what still waits outside. A waiting unit
    costs a day of holding at its node. `closed` `[nodes]` are nodes that receive nothing on this day.
    """
    catalog, sites = network
    limits, used = limited
    state, books = kept
    item_of, node_of, units_of, last_of = arrivals
    for k in range(len(item_of)):
        i, n, units = item_of[k], node_of[k], units_of[k]
        kind = catalog.storage_class[i]
        dock, hall = DOCK * limits.nodes + n, STORAGE * limits.nodes + n
        # What waits outside of a node that is closed waits on.
        fit = 0 if closed[n] else units_that_fit(limits, used, kind, i, dock, units)
        fit = units_that_fit(limits, used, kind, i, hall, fit)
        if fit > 0:
            use(limits, used, kind, i, dock, fit)
            state.on_order[i, n] -= fit
            if put_away(state, i, n, fit, last_day(catalog, i, last_of[k], clock.day), clock.day):
                use(limits, used, kind, i, hall, fit)
                state.on_hand[i, n] += fit
            else:
                dispose(catalog, books, i, fit, clock)
        rest = units - fit
        units_of[k] = rest
        books.stock[clock.day, n, 2] += rest
        books.stock[clock.day, n, 3] += rest * catalog.volume[i]
        if clock.charged:
            books.cost[i, INBOUND] += fit * sites.inbound_cost[n]
            books.tally[i, C_RECEIVED] += fit
            books.cost[i, HOLDING] += rest * catalog.holding[i] * sites.holding_factor[n]
            books.tally[i, C_WAITED] += rest
