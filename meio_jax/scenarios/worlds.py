"""What all items share in a scenario: a factor on all demand, the same for every item (a *world*).

Sixteen scenarios that follow on each other are a group: in every week their factors come from sixteen equally likely
parts of the law, one from each, in random order (stratified sampling; Latin hypercube over the weeks, McKay, Beckman
and Conover 1979). An average over items does not calm what all of them share, so that independent factors would leave
every step of a search, and every judgement, with the noise of sixteen numbers.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, UInt32
from meio_kernels.random import as_words, derive, normals, uniforms

GROUP = 16
"""Scenarios that share out the parts of the law of the factor."""

_WORLD = np.uint32(0x776F726C)
# Places within a part: as fine as the sixteenth part of one leaves room for in 23 bits.
_FINE = 2.0**16


def world_factors(
    cv: float,
    persistence: float,
    weeks: int,
    seed: int,
    scenario_ids: Int[Array, " scenarios"],
    purpose: UInt32[Array, ""] | int,
    dtype: DTypeLike = jnp.float32,
) -> Float[Array, "weeks scenarios"]:
    """The factor of every scenario by week, lognormal of mean 1.

    Its logarithm is a stationary AR(1) process over the weeks. It depends on seed, purpose and the number of the
    scenario alone: neither on the items nor on how many scenarios are drawn together.

    Args:
        cv: Coefficient of variation.
        persistence: Correlation of the logarithm from week to week; 1: one factor for the whole horizon.
        weeks: Number of weeks.
        seed: Seed of all scenarios.
        scenario_ids: Numbers of the scenarios.
        purpose: What they are for.
        dtype: Floating type of the result.
    """
    count = scenario_ids.shape[0]
    # In whole groups: the odd end of a short row might differ in the last bit (see `sampling`).
    ids = jnp.concatenate([scenario_ids, jnp.zeros(-count % GROUP, scenario_ids.dtype)])
    drawn = 1 if persistence == 1 else weeks
    rows = [normals(_part_of(ids, seed, purpose, week, jnp.dtype(dtype))) for week in range(drawn)]
    states = [rows[0]]
    for row in rows[1:]:
        states.append(persistence * states[-1] + (1 - persistence**2) ** 0.5 * row)
    spread = float(np.sqrt(np.log1p(cv**2)))
    factor = jnp.exp(spread * jnp.stack(states) - spread**2 / 2)[:, :count]
    return jnp.broadcast_to(factor, (weeks, count))


def _part_of(
    ids: Int[Array, " scenarios"], seed: int, purpose: UInt32[Array, ""] | int, week: int, dtype: jnp.dtype
) -> Float[Array, " scenarios"]:
    """Uniform numbers of a week: one from each sixteenth in every group, in random order."""
    group, member = ids // GROUP, ids % GROUP
    low, high = as_words(seed)
    words = jnp.broadcast_to(_WORLD, group.shape)
    key = derive(derive((words, words), low, high), group.astype(jnp.uint32), jnp.asarray(purpose, jnp.uint32))
    order, place = (uniforms(key, GROUP, jnp.asarray(week, jnp.uint32), dtype, part) for part in range(2))
    own = lambda table: jnp.take_along_axis(table, member[None], axis=0)
    first = jnp.arange(GROUP)[:, None] < member[None]
    rank = jnp.sum((order < own(order)) | ((order == own(order)) & first), axis=0)
    within = (jnp.floor(own(place)[0] * _FINE) + 0.5) / _FINE
    return (rank.astype(dtype) + within) / GROUP
