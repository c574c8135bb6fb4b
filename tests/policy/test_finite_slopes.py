"""Derivatives are numbers at levels, stocks and demands of any size, in the precision of a search."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import Case, make_case, make_policy
from jaxtyping import Array, Float
from marks import some_slow

from meio_jax.policy import POLICIES, AbstractPolicy
from meio_jax.simulation.rollout import rollout

DRAWS = 40
# What is left after many rounds, what squares to nothing, a hair of a unit, and usual amounts.
SIZES = np.asarray([0.0, 1e-38, 1e-30, 1e-20, 1e-13, 1e-7, 0.3, 1.0, 1.0, 2.0])
CASES = [(name, protection) for name in sorted(POLICIES) for protection in (False, True)]


def scaled(rng: np.random.Generator, leaf: Array) -> Array:
    """A leaf each entry of which is multiplied by one of `SIZES`."""
    return (leaf * jnp.asarray(rng.choice(SIZES, leaf.shape), leaf.dtype)).astype(leaf.dtype)


@eqx.filter_jit
def slopes(
    parts: tuple, policy: AbstractPolicy, on_hand: Float[Array, "nodes items"], demand: Array
) -> tuple[AbstractPolicy, Array]:
    """Derivatives of costs and flows by parameters and stock."""

    def cost(policy: AbstractPolicy, on_hand: Array) -> Array:
        case = Case(*parts)
        block = eqx.tree_at(lambda b: b.on_hand, case.block, on_hand)
        scenarios = eqx.tree_at(lambda s: s.demand, case.scenarios, demand)
        outcome = rollout(case.network, policy, block, scenarios, case.lists)
        return jnp.sum(outcome.costs.total) + sum(jnp.sum(leaf) for leaf in jax.tree.leaves(outcome.flows))

    return jax.grad(cost, argnums=(0, 1))(policy, on_hand)


@pytest.mark.parametrize(("name", "protection"), some_slow(CASES, quick=[("base_stock", False)]))
def test_derivatives_are_numbers_at_any_size(name: str, protection: bool) -> None:
    case = make_case(backorder=(False, True, False))
    parts = (case.network, case.block, case.scenarios, case.lists, case.samples)
    policy = make_policy(case, name, protection=protection)
    rng = np.random.default_rng(0)
    for draw in range(DRAWS):
        own = jax.tree.map(lambda leaf: scaled(rng, leaf), policy)
        found = slopes(parts, own, scaled(rng, case.block.on_hand), scaled(rng, case.scenarios.demand))
        assert all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(found)), draw
