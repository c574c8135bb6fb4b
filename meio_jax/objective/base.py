"""What an objective sees: the scenario costs of every item."""

import abc

import equinox as eqx
from jaxtyping import Array, Float


class ScenarioCosts(eqx.Module):
    """Money per item and scenario over the charged horizon.

    `total` includes the revenue lost with each lost sale (purchases are costs of their own, so what a lost sale
    forgoes is the whole sale price, and goodwill); `revenue` is what was sold, at the sale price; `lost_revenue` is
    the part of `total` that is revenue forgone rather than goodwill; `carbon` is in kg.
    """

    total: Float[Array, "items scenarios"]
    revenue: Float[Array, "items scenarios"]
    lost_revenue: Float[Array, "items scenarios"]
    carbon: Float[Array, "items scenarios"]


class AbstractObjective(eqx.Module):
    """Maps the scenario costs of each item to the one number that is minimised."""

    @abc.abstractmethod
    def __call__(self, costs: ScenarioCosts) -> Float[Array, " items"]:
        """Objective of each item, in money (smaller is better)."""
