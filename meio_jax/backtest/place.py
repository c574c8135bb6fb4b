"""Do what a plan's tables say: place its purchase orders and ship its transfers, exactly as they are."""

from meio_jax.backtest.compiled import compiled
from meio_jax.backtest.lots import able_to_ship
from meio_jax.backtest.review import place, send


@compiled
def place_orders(supply_side, kept, given, clock):
    """Place purchase orders; `given` is (item, node, offer, units), arrays `[orders]`."""
    item, node, offer, units = given
    for k in range(len(offer)):
        place(supply_side, kept, (item[k], node[k], offer[k], units[k]), clock)


@compiled
def ship_transfers(network, limited, supply_side, kept, given, clock):
    """Ship transfers in the sequence of their rows; `given` is (item, lane, units), arrays `[transfers]`.

    A node ships what it has; on return `units` holds what it did not have.
    """
    supply, _rules = supply_side
    state = kept[0]
    item, lane, units = given
    for k in range(len(lane)):
        there = min(units[k], able_to_ship(supply, state, item[k], supply.lane_from[lane[k]], clock.day))
        if there > 0:
            send(network, limited, supply_side, kept, (item[k], lane[k], there), clock)
            units[k] -= there
