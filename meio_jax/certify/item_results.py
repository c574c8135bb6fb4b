"""Results of every item on scenarios that its plan is judged by."""

import equinox as eqx
from jaxtyping import Array, Float

from meio_jax.model.costs import CostTerms, UnitTerms


class ItemResults(eqx.Module):
    """Holdout results of every item: means over scenarios, horizon totals.

    `objective` and `cost_variance` (of the scenario cost) are per item; `stock` is mean units on hand per charged
    period by node, the other node tables are units over the horizon; `speed_*` have rows speed x nodes + node.
    `by_bucket` are units ordered and shipped, by offer slot and lane. `wasted` are units that expired at each node;
    None where no item has a shelf life. `paid` is money for what was bought through each offer slot, None where no
    price depends on the quantity; `lines` are orders of each, None where an order costs nothing by itself. Of docks
    that queue `received` and `shipped` are what is brought to them, `stock` has what waits to leave, and `outside` is
    mean units per charged period that wait in front of each node; None where nothing queues.
    """

    objective: Float[Array, "*blocks items"]
    cost_variance: Float[Array, "*blocks items"]
    terms: CostTerms
    units: UnitTerms
    stock: Float[Array, "*blocks nodes items"]
    received: Float[Array, "*blocks nodes items"]
    shipped: Float[Array, "*blocks nodes items"]
    lane: Float[Array, "*blocks lanes items"]
    ordered: Float[Array, "*blocks offers items"]
    speed_units: Float[Array, "*blocks speed_nodes items"]
    speed_cost: Float[Array, "*blocks speed_nodes items"]
    by_bucket: Float[Array, "*blocks buckets sources items"]
    wasted: Float[Array, "*blocks nodes items"] | None = None
    paid: Float[Array, "*blocks offers items"] | None = None
    lines: Float[Array, "*blocks offers items"] | None = None
    outside: Float[Array, "*blocks nodes items"] | None = None
