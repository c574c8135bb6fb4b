"""What a search remembers of single scenarios: how far use and cost of all items lie from their means.

A step sees few scenarios, too few for a quantile of them, and the next sees others. What a scenario has above the mean
of its step changes little from step to step, so that the last of these deviations together say where the quantile lies
above the mean; the mean itself is that of the newest step, and follows prices at once.
"""

from __future__ import annotations

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from meio_jax.model.held import with_held
from meio_jax.model.resources import Resources, Usage
from meio_jax.model.total_risk import TotalRisk
from meio_jax.model.worlds import Worlds, WorldWeights, density

KEPT = 256
"""Scenarios that are remembered."""


class WorldMemory(eqx.Module):
    """Deviations of the newest scenarios from the means of their steps, the newest first.

    `used` are shares of the mean use of held capacities, `cost` is money; of the first `count` scenarios something is
    known. `risk` is that of the total cost; None: its mean.
    """

    used: Float[Array, "buckets held kept"]
    cost: Float[Array, " kept"]
    count: Int[Array, ""]
    risk: TotalRisk | None

    @property
    def size(self) -> Float[Array, ""]:
        """How many scenarios are known, for arithmetic."""
        return self.count.astype(self.cost.dtype)

    @property
    def known(self) -> Bool[Array, " kept"]:
        """Which scenarios are known."""
        return jnp.arange(self.cost.shape[0]) < self.count

    def extended(self, worlds: Worlds) -> WorldMemory:
        """With the scenarios of a step, in place of the oldest."""
        kept, fresh = self.cost.shape[0], worlds.cost.shape[0]
        mean = jnp.mean(worlds.used, axis=-1, keepdims=True)
        used = jnp.where(mean > 0, worlds.used / jnp.where(mean > 0, mean, 1) - 1, 0)
        cost = worlds.cost - jnp.mean(worlds.cost)
        return replace(
            self,
            used=jnp.concatenate([used, self.used], axis=-1)[..., :kept],
            cost=jnp.concatenate([cost, self.cost])[:kept],
            count=jnp.minimum(self.count + fresh, kept),
        )


def memory_of(resources: Resources, risk: TotalRisk | None, scenarios: int, dtype: jnp.dtype) -> WorldMemory | None:
    """A memory of nothing, for steps of so many scenarios; None where nothing is asked of single scenarios."""
    if not resources.held_index and risk is None:
        return None
    kept, held = max(KEPT, scenarios), len(resources.held_index)
    used = jnp.zeros((resources.capacity.shape[0], held, kept), dtype)
    return WorldMemory(used, jnp.zeros(kept, dtype), jnp.zeros((), jnp.int32), risk)


def weights_of(resources: Resources, memory: WorldMemory, worlds: Worlds) -> WorldWeights:
    """Weights of the scenarios of a step, given what is remembered of those before it."""
    after, fresh = memory.extended(worlds), worlds.cost.shape[0]
    # A quantile changes as use does in the scenarios near it. How near is a matter of how many a step has: of the few
    # that lie at the quantile of all that are known, a step may have none.
    place = (_ranks(after.used, after.known)[..., :fresh] + 0.5) / after.size
    weight = density(jnp.clip(place, 1e-6, 1 - 1e-6), fresh, _shares(resources, after)[None, :, None])
    cost = None
    if after.risk is not None:
        cost = after.risk.weights(after.cost, after.known, jnp.mean(worlds.cost))[:fresh]
    return WorldWeights(weight / jnp.mean(weight, axis=-1, keepdims=True), cost)


def at_quantiles(resources: Resources, memory: WorldMemory, usage: Usage) -> Usage:
    """The usage of a step with that of held capacities at its quantile; the step is in the memory."""
    if not resources.held_index or usage.worlds is None:
        return usage
    kept = memory.cost.shape[0]
    place = (jnp.arange(kept, dtype=memory.cost.dtype) + 0.5) / memory.size
    inside = jnp.clip(place, 1e-6, 1 - 1e-6)
    weight = jnp.where(memory.known, density(inside, memory.size, _shares(resources, memory)[:, None]), 0)
    ordered = jnp.sort(jnp.where(memory.known, memory.used, jnp.inf), axis=-1)
    above = jnp.sum(weight * jnp.where(memory.known, ordered, 0), axis=-1) / jnp.sum(weight, axis=-1)
    return with_held(resources, usage, (1 + above) * jnp.mean(usage.worlds.used, axis=-1))


def risk_above_mean(memory: WorldMemory, usage: Usage) -> Float[Array, ""]:
    """What the risk of the total cost adds to the mean; the step is in the memory."""
    if memory.risk is None or usage.worlds is None:
        return jnp.zeros_like(memory.cost, shape=())
    return memory.risk.above_mean(memory.cost, memory.known, jnp.mean(usage.worlds.cost))


def _shares(resources: Resources, memory: WorldMemory) -> Float[Array, " held"]:
    return jnp.asarray(resources.held_share, memory.cost.dtype)


def _ranks(values: Float[Array, "buckets held kept"], known: Bool[Array, " kept"]) -> Float[Array, "buckets held kept"]:
    """How many known values are smaller."""
    order = jnp.argsort(jnp.where(known, values, jnp.inf), axis=-1)
    return jnp.argsort(order, axis=-1).astype(values.dtype)
