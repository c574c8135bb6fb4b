"""How much safety stock a search starts with: as much as the shared capacities can about bear."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Int

from meio_jax.model.resources import Resources
from meio_jax.solver.price_scale import usual_size
from meio_jax.solver.start import LARGEST_FRACTILE
from meio_jax.solver.subproblem import Totals, evaluation_of, unit_of_prices

_FRACTILES = (0.95, 0.9, 0.85, 0.8)
# An excess costs this share of the price at which its kind of capacity would cost as much as all else. Smaller shares
# start above capacities, where prices run up; larger ones with so little safety stock that service floors are missed.
_SHARE = 0.15
# A floor's price, in costs of a unit promised, of which that is the share.
_FLOOR_SCALE = 0.5


def bounded_start(
    resources: Resources,
    kinds: Int[Array, " resources"],
    unbounded: Totals,
    evaluate: Callable[[float], Totals],
) -> float:
    """Largest fractile of newsvendor levels at which cost and excess, at a rough price, are least together.

    Newsvendor levels know no capacities. Where stock at the start is far below them, all items would order their
    safety stock in the first bucket, at two or three times what vendors and docks can do; prices would run up against
    that, and most of a search would go by until they had come down again.

    Args:
        resources: The capacities.
        kinds: Number of the kind of every resource.
        unbounded: Sums of the first evaluation of levels whose fractile is not bounded.
        evaluate: The same sums for levels whose fractile is bounded by a number.
    """
    first = evaluation_of(resources, unbounded)
    size = usual_size(first.excess, first.bound, kinds)
    price = _SHARE * unit_of_prices(resources, first, size, kinds, _FLOOR_SCALE)

    def merit(totals: Totals) -> float:
        seen = evaluation_of(resources, totals)
        return float(seen.value + jnp.sum(price * jnp.maximum(seen.excess, 0)))

    if not bool(jnp.any(first.excess > 0)):
        return LARGEST_FRACTILE
    best, least = LARGEST_FRACTILE, merit(unbounded)
    for fractile in _FRACTILES:
        found = merit(evaluate(fractile))
        if not found < least:
            break
        best, least = fractile, found
    return best
