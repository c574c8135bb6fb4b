"""Keep the best iterate seen: dual values are not monotone (Nedic and Ozdaglar 2009 on primal recovery)."""

import dataclasses
import math

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from meio_jax.dual.base import AbstractDualMethod, Observation
from meio_jax.model.capacity import charge, gap


class BestState(eqx.Module):
    """State of the wrapped method, and the best evaluation so far.

    `improved` says whether the last evaluation became the best; `bound` is the largest Lagrangian value seen, and
    `usual` what the first plan that was judged pays: the measure of all violations, so that a plan is not the better
    for breaking capacities cheaply.
    """

    inner: eqx.Module
    price: Float[Array, "buckets resources"]
    merit: Float[Array, ""]
    bound: Float[Array, ""]
    usual: Float[Array, ""]
    improved: Bool[Array, ""]


# A coupling gap that is missed by more than this counts as missed by this much.
_LARGEST_MISS = 0.05
# Costs that differ by less than this share of what is paid in all are alike.
_ALIKE = 0.003
# So are elastic costs of plans that break capacities, if they differ by less than this share.
_ALIKE_OVER = 0.05
# Plans that break a capacity by more than this share are told apart by their elastic cost alone.
_GROSS_VIOLATION = 0.2
# Price at which the excess of a resource without a ceiling is elastic, in units of its price scale.
_ELASTIC = 10.0

# The part of an excess, as a share of the capacity, to which a gain applies.
NEAR = 0.03


def amplified(seen: Observation, gain: float) -> Observation:
    """The observation with the first `NEAR` of each excess counted `gain` times.

    Prices move in proportion to the excess, so that the last few percent take most of the steps; larger steps
    throughout would let orders change sides all at once where much is in excess. This response is steep near capacity
    and as it was far from it.
    """
    limit = NEAR * seen.size
    near = jnp.clip(seen.excess, -limit, limit)
    return eqx.tree_at(lambda s: s.excess, seen, seen.excess + (gain - 1) * near)


def _elastic_cost(seen: Observation, ceiling: Float[Array, " resources"] | None) -> Float[Array, ""]:
    """What all excess costs at prices at which no capacity would be broken that can be kept."""
    given = _ELASTIC * seen.price_scale
    price = given if ceiling is None else jnp.where(jnp.isfinite(ceiling), ceiling, given)
    return charge(price, jnp.maximum(seen.excess, 0))


class BestSoFar(AbstractDualMethod[BestState]):
    """Wraps a dual method; merit is cost, with what exceeds the tolerances charged at a high rate.

    What capacities are broken by is charged besides at elastic prices, by which plans are compared where some capacity
    cannot be kept: the excess of all of them counts then, not only the largest.

    An iterate within the tolerances (largest relative violation, coupling gap) beats any that is not; among those
    within, the lower cost wins.
    `averaging` is over how many steps iterates and their evaluations are averaged before they are judged (1: each
    step by itself, where every step sees the whole problem).
    `gain` is how often the method counts the first `NEAR` of an excess (`amplified`); `floor_scale` is the unit in
    which prices of service floors move, in costs of a unit promised (`solver.price_scale`).
    `ceiling` is the highest price of each resource (`solver.price_scale.price_ceiling`); None: there is none.
    """

    method: AbstractDualMethod
    violation: float = eqx.field(static=True, default=5e-3)
    averaging: int = eqx.field(static=True, default=1)
    gap: float = eqx.field(static=True, default=math.inf)
    gain: float = eqx.field(static=True, default=1.0)
    floor_scale: float = eqx.field(static=True, default=2.0)
    ceiling: Float[Array, " resources"] | None = None

    def init(self, prices: Float[Array, "buckets resources"]) -> BestState:
        inner = self.method.init(prices)
        worst = jnp.asarray(jnp.inf, prices.dtype)
        nothing = jnp.zeros_like(worst)
        return BestState(inner, self.method.prices(inner), worst, -worst, nothing, jnp.zeros((), bool))

    def prices(self, state: BestState) -> Float[Array, "buckets resources"]:
        return self.method.prices(state.inner)

    def multipliers(self, state: BestState) -> Float[Array, "buckets resources"]:
        return self.method.multipliers(state.inner)

    def step(self, seen: Observation, state: BestState) -> BestState:
        bounded = dataclasses.replace(seen, ceiling=self.ceiling)
        counted = bounded if self.gain == 1 else amplified(bounded, self.gain)
        return eqx.tree_at(lambda s: s.inner, state, self.method.step(counted, state.inner))

    def judge(self, seen: Observation, price: Float[Array, "buckets resources"], state: BestState) -> BestState:
        """Compare an evaluation made at `price` with the best so far."""
        usual = jnp.where(state.usual > 0, state.usual, jnp.maximum(seen.gross, 1e-12))
        charged = charge(price, seen.excess)
        beyond = jnp.clip(jnp.max(seen.relative, initial=0) - self.violation, 0, _GROSS_VIOLATION)
        if math.isfinite(self.gap):
            # Where a capacity is broken badly its price is at the ceiling, and no gap says anything.
            missed = jnp.clip(gap(charged, seen.gross) - self.gap, 0, _LARGEST_MISS)
            beyond = beyond + jnp.where(beyond < _GROSS_VIOLATION, missed, _LARGEST_MISS)
        elastic = _elastic_cost(seen, self.ceiling)
        merit = seen.value + elastic + 1e3 * beyond * usual
        # Sampled costs and usages differ by chance, those of the first steps most, whose means are of few scenarios: of
        # plans that are alike the later one has been searched longer.
        improved = merit < state.merit + _ALIKE * usual + _ALIKE_OVER * elastic
        lagrangian = seen.value + charged
        return BestState(
            inner=state.inner,
            price=jnp.where(improved, price, state.price),
            merit=jnp.minimum(merit, state.merit),
            bound=jnp.maximum(state.bound, lagrangian),
            usual=usual,
            improved=improved,
        )
