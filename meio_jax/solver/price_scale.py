"""How large a price has to be to matter: the unit in which dual methods move prices."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from meio_jax.model.costs import CostTerms

# A floor that is missed by 1 % moves its price by 2 % of the cost of a unit, times the step of the method.
_SERVICE_FACTOR = 2.0


def _controllable(terms: CostTerms) -> Float[Array, ""]:
    """Everything but purchase and the terminal credit."""
    return jnp.abs(terms.total - terms.purchase - terms.terminal) + 1e-9


def natural_price_scale(
    terms: CostTerms, bound: Float[Array, "buckets resources"], kind: Int[Array, " resources"]
) -> Float[Array, "buckets resources"]:
    """Price at which the rent of a kind's resources, together, would equal the controllable cost.

    This makes steps of all resources comparable although their units differ.

    Args:
        terms: Cost of the first evaluation.
        bound: Capacity of every resource and bucket, in the resource's unit.
        kind: Number of the kind of every resource.
    """
    buckets = bound.shape[0]
    controllable = _controllable(terms)
    same = (kind[:, None] == kind[None, :]).astype(controllable.dtype)
    present = (bound > 0).astype(controllable.dtype)
    rows = jnp.maximum((present @ same).sum(0), 1) / buckets
    rent = controllable / (rows * buckets)
    size = jnp.where(bound > 0, bound, 1)
    smallest = jnp.where(bound > 0, bound, jnp.inf).min(0)
    fallback = jnp.where(jnp.isfinite(smallest), smallest, 1)
    return rent / jnp.where(bound > 0, size, fallback)


def service_price_scale(terms: CostTerms, bound: Float[Array, "buckets resources"]) -> Float[Array, ""]:
    """Price of a unit served as promised: about what a unit costs in all.

    Service answers to what a unit is worth, whatever the number of floors or the demand in their scope, so a rent
    shared by the rows of the kind would be far too small.

    Args:
        terms: Cost of the first evaluation.
        bound: Units that the floors ask for, 0 for resources that are no floors.
    """
    units = jnp.maximum(jnp.max(jnp.sum(bound, axis=0), initial=0), 1e-9)
    return _SERVICE_FACTOR * _controllable(terms) / units
