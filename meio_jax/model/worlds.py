"""What all items together do in each scenario, and the quantiles of that: for capacities that are held in a share of
scenarios, and for the risk of the total cost."""

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from meio_jax.model.arrays import library


class Worlds(eqx.Module):
    """Sums over items by scenario: use of the capacities that are held in a share of them, in the unit of the capacity
    (of floors nothing), and cost in money over the charged horizon."""

    used: Float[Array, "*groups buckets held scenarios"]
    cost: Float[Array, "*groups scenarios"]


class WorldWeights(eqx.Module):
    """Weights of scenarios, of mean 1, by which the use of held capacities and the cost count in a step of the search.

    `cost` is None where all count alike.
    """

    used: Float[Array, "buckets held scenarios"]
    cost: Float[Array, " scenarios"] | None


def density(place: Any, count: Any, share: Any) -> Any:
    """Weight of an order statistic in the estimate of a quantile, up to a factor.

    The density of the beta law that the quantile's place has in a sample of `count` (Harrell and Davis 1982).

    Args:
        place: Places of the order statistics, within (0, 1).
        count: Size of the sample.
        share: Probability of the quantile.
    """
    xp = library(place)
    power = (count + 1) * share - 1
    other = (count + 1) * (1 - share) - 1
    found = power * xp.log(place) + other * xp.log1p(-place)
    return xp.exp(found - xp.max(xp.where(xp.isfinite(found), found, -xp.inf), axis=-1, keepdims=True))


def quantile_of(values: np.ndarray, share: float) -> np.ndarray:
    """Quantile along the last axis, a smooth mean of the order statistics around it (in 64 bits, on the host)."""
    count = values.shape[-1]
    weight = density((np.arange(count) + 0.5) / count, count, share)
    return np.sort(np.asarray(values, float), axis=-1) @ (weight / weight.sum())
