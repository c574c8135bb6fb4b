"""Start of the shipping of a day: what waits to leave does so as far as the outbound docks can take it."""

from meio_jax.backtest.compiled import compiled
from meio_jax.backtest.limits import OUTBOUND, STORAGE, units_that_fit, use


@compiled
def depart(catalog, limited, state, waiting):
    """Ship what customers were promised on earlier days, in the order of these promises.

    `limited` is `(limits, used)`, `waiting` three arrays: item, node, units; on return `units` holds what still waits.
    What has left frees the storage that it took.
    """
    limits, used = limited
    item_of, node_of, units_of = waiting
    for k in range(len(item_of)):
        i, n = item_of[k], node_of[k]
        kind = catalog.storage_class[i]
        gone = units_that_fit(limits, used, kind, i, OUTBOUND * limits.nodes + n, units_of[k])
        if gone > 0:
            use(limits, used, kind, i, OUTBOUND * limits.nodes + n, gone)
            use(limits, used, kind, i, STORAGE * limits.nodes + n, -gone)
            state.leaving[i, n] -= gone
            units_of[k] -= gone
