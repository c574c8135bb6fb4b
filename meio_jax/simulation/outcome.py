"""What a rollout records and returns."""

import equinox as eqx
from jaxtyping import Array, Float

from meio_jax.model.costs import CostTerms, Flows, UnitTerms
from meio_jax.simulation.serve import Regional
from meio_jax.simulation.state import Stock
from meio_jax.simulation.timing import Timing


class Record(eqx.Module):
    """What a rollout keeps besides costs and flows; both default to nothing.

    `by_speed` keeps expected units and outbound cost per node x speed, and what all items together do by region;
    `stock` keeps on-hand stock of every period and scenario (large: for tests and pictures). `orders` keeps when orders
    and shipments are made, with the units of so many scenarios.
    """

    by_speed: bool = eqx.field(static=True, default=False)
    stock: bool = eqx.field(static=True, default=False)
    orders: int = eqx.field(static=True, default=0)


class Outcome(eqx.Module):
    """Result of a rollout.

    `costs` and `units` are per scenario, over the charged periods of the reported horizon, stock left at its end
    credited; `whole_costs` and `whole_units` are the same with the tail, which is what a plan is optimised for. `flows`
    are per bucket of the horizon, averaged over scenarios, and `tail_flows` those of the whole tail. `speed_units` and
    `speed_cost` (money) are per node x speed and item, `stock` per period: empty if not recorded, as is `timing`.
    `loads` is what all items bring to docks that queue, by period of the horizon (`Docks`); None where nothing does.
    `held` is the use of capacities that are held in a share of the scenarios, by item and scenario; None where there
    are none.
    """

    costs: CostTerms
    units: UnitTerms
    whole_costs: CostTerms
    whole_units: UnitTerms
    flows: Flows
    tail_flows: Flows
    final: Stock
    speed_units: Float[Array, "buckets speed_nodes items"]
    speed_cost: Float[Array, "buckets speed_nodes items"]
    regional: Regional
    stock: Float[Array, "simulated_buckets bucket_periods stock_nodes batch"]
    timing: Timing | None = None
    loads: Float[Array, "periods loads samples"] | None = None
    held: Float[Array, "buckets held batch"] | None = None
