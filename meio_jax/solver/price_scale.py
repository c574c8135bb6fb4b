"""How large a price has to be to matter: the unit in which dual methods move prices."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from meio_jax.model.capacity import size_of
from meio_jax.model.costs import CostTerms
from meio_jax.model.resources import MEASURES, Resources

# Above what a unit can be worth at most, since the proportional part of a price is not yet what it settles at.
_ROOM = 2.0
# A step of prices of this share of the ceiling, and no more, for a capacity that is used twice.
_STEP = 0.1
# Where a plan costs nothing but its purchases, moving them in time or place is worth about this share of them.
_OF_PURCHASES = 0.02


def _controllable(terms: CostTerms) -> Float[Array, ""]:
    """Everything but purchase and the terminal credit; where that is little, a share of what is bought."""
    other = jnp.abs(terms.total - terms.purchase - terms.terminal)
    return jnp.maximum(other, _OF_PURCHASES * jnp.abs(terms.purchase)) + 1e-9


def usual_size(
    excess: Float[Array, "buckets resources"], bound: Float[Array, "buckets resources"], kind: Int[Array, " resources"]
) -> Float[Array, "buckets resources"]:
    """What an excess is measured against: the capacity, or where that is nothing the use that is usual there.

    That is what the first plan uses in the bucket, or on average in the others of the resource, or of all resources of
    the kind; 1 where nothing is used at all.

    Args:
        excess: Use above capacity in the first evaluation.
        bound: Capacity of every resource and bucket, in the resource's unit.
        kind: Number of the kind of every resource.
    """
    used = jnp.maximum(excess + bound, 0)
    by_resource = jnp.broadcast_to(used.mean(0, keepdims=True), used.shape)
    same = (kind[:, None] == kind[None, :]).astype(used.dtype)
    by_kind = (by_resource @ same) / jnp.maximum(same.sum(0), 1)
    usual = jnp.maximum(used, by_resource)
    usual = jnp.where(usual > 0, usual, by_kind)
    return size_of(bound, usual)


def natural_price_scale(
    terms: CostTerms, size: Float[Array, "buckets resources"], kind: Int[Array, " resources"]
) -> Float[Array, "buckets resources"]:
    """Price at which the rent of a kind's resources, together, would equal the controllable cost.

    This makes steps of all resources comparable although their units differ.

    Args:
        terms: Cost of the first evaluation.
        size: Capacity of every resource and bucket, or its usual use (`usual_size`), in the resource's unit.
        kind: Number of the kind of every resource.
    """
    same = (kind[:, None] == kind[None, :]).astype(size.dtype)
    rows = jnp.maximum(jnp.sum(same, axis=0), 1)
    return _controllable(terms) / (rows * size.shape[0]) / size


def price_ceiling(resources: Resources, worth: Sequence[float]) -> Float[Array, " resources"]:
    """The highest price of every resource: twice the most money that any unit of it can save, inf where not known.

    At such a price no item uses any more of the resource than it must. So a capacity that no plan can keep is elastic
    at this price (an exact penalty: Fletcher 1973), and others beside it find the price that they would have anyway.
    Floors have none: what one unit more costs there is not bounded by what it is worth.

    Args:
        resources: The capacities.
        worth: The most money at stake per unit of the first measures (`MEASURES`); 0: not known.
    """
    known = jnp.asarray([*worth, *[0.0] * (len(MEASURES) - len(worth))], resources.capacity.dtype)
    most = jnp.where(known > 0, _ROOM * known, jnp.inf)
    return jnp.where(resources.is_service, jnp.inf, most[resources.measure])


def bounded_scale(
    scale: Float[Array, "buckets resources"], ceiling: Float[Array, " resources"] | None
) -> Float[Array, "buckets resources"]:
    """A price scale that is no more than a small share of the ceiling.

    Where a plan loses most of its sales for want of a capacity the rent that would equal its cost is far more than any
    unit can be worth, and prices in such steps leave all or nothing to buy.
    """
    return scale if ceiling is None else jnp.minimum(scale, _STEP * ceiling)


def service_price_scale(
    terms: CostTerms, bound: Float[Array, "buckets resources"], kind: Int[Array, " resources"], floor_scale: float
) -> Float[Array, " resources"]:
    """Price of a unit served as promised, or of an item in stock at a node at the end of a day: what it costs in all.

    Service answers to what a unit is worth, whatever the number of floors or the demand in their scope, so a rent
    shared by the rows of the kind would be far too small.

    Args:
        terms: Cost of the first evaluation.
        bound: What the floors ask for, 0 for resources that are no floors.
        kind: Number of the kind of every resource: fill rates and stock are counted in units of their own.
        floor_scale: Price in costs of a unit promised: of a floor missed by 1 %, the price moves by a hundredth of it,
            times the step of the dual method.
    """
    asked = jnp.sum(bound, axis=0)
    same = kind[:, None] == kind[None, :]
    units = jnp.maximum(jnp.max(jnp.where(same, asked, 0), axis=1, initial=0), 1e-9)
    return floor_scale * _controllable(terms) / units
