"""Training of the network of the policy `neural`: weights that all items share, and the levels of each, together.

Levels and prices come from the ordinary search with the network as it is; then weights and levels move along the
gradient of the same simulated, priced cost, over the same streams of scenarios, with orders in whole units as they will
be issued (straight through). Prices stay where the search found them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from meio_jax.distributed.kept_programs import kept_jit
from meio_jax.model.catalog import draw
from meio_jax.model.correction import Correction, first_weights
from meio_jax.planner.model import Model
from meio_jax.policy.neural import INPUTS, Learner, traits_of
from meio_jax.scenarios.sampling import TRAINING
from meio_jax.simulation.outlook import flow_of, outlooks, variance_of_cover
from meio_jax.solver.solve import Solution
from meio_jax.solver.subproblem import InventorySubproblem, block_lists, evaluate_block

# The last steps are this part of the first ones.
_LAST = 0.02


@dataclass(frozen=True)
class LearnOptions:
    """How a network is trained.

    Attributes:
        steps: Steps of the optimiser.
        rate: First step of the weights; the last is a fiftieth of it.
        level_rate: First step of the levels, in units of their scale.
        hidden: Units of every hidden layer, where no network is given.
        seed: Of the first weights, where none is.
        save_every: Steps between checkpoints.
    """

    steps: int = 600
    rate: float = 0.004
    level_rate: float = 0.01
    hidden: tuple[int, ...] = (32, 32)
    seed: int = 0
    save_every: int = 100

    def __post_init__(self) -> None:
        if min(self.steps, self.save_every, *self.hidden) < 1:
            raise ValueError(f"{self}: expected steps, units of layers and steps between checkpoints of 1 at least")
        if min(self.rate, self.level_rate) < 0:
            raise ValueError(f"{self}: expected rates of 0 at least")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Inputs, units of every hidden layer, and 1."""
        return (INPUTS, *self.hidden, 1)


class Learned(eqx.Module):
    """What training knows: weights, levels in units of their scale, what their steps follow, and the steps so far."""

    weights: Float[Array, " weights"]
    levels: Float[Array, "blocks buckets nodes items"]
    optimiser: tuple[Any, Any]
    step: Int[Array, ""]


class Prices(eqx.Module):
    """Prices of the capacities, and those that rank fulfilment options."""

    own: Float[Array, "buckets resources"]
    ranking: Float[Array, "buckets resources"]


def begun_at(levels: Any, dtype: Any, options: LearnOptions) -> Learned:
    """What training starts from: levels in units of their scale, and the weights of the network that they have.

    Args:
        levels: A `Neural` policy in blocks; where it has no network, weights are those of one that corrects nothing.
        dtype: Of the weights.
        options: How the network is trained.
    """
    known = levels.correction
    weights = jnp.asarray(first_weights(options.sizes, options.seed) if known is None else known.vector(), dtype)
    for_weights, for_levels = _optimisers(options)
    moments = (for_weights.init(weights), for_levels.init(levels.target))
    return Learned(weights, levels.target, moments, jnp.zeros((), jnp.int32))


def learned_at(model: Model, solution: Solution, options: LearnOptions) -> Learned:
    """What training starts from after a search."""
    return begun_at(solution.state.items.plan(solution.improved), model.problem.item_scale.dtype, options)


def _optimisers(options: LearnOptions) -> tuple[optax.GradientTransformation, optax.GradientTransformation]:
    """Adam for the weights, whose gradient is bounded, and for the levels."""
    falling = lambda rate: optax.cosine_decay_schedule(rate, options.steps, _LAST)
    weights = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(falling(options.rate)))
    return weights, optax.adam(falling(options.level_rate))


@kept_jit
def learn_step(
    problem: InventorySubproblem, sizes: tuple[int, ...], options: LearnOptions, prices: Prices, now: Learned
) -> tuple[Learned, Float[Array, ""]]:
    """One step on the next scenarios.

    Returns:
        What is known after it, and the priced cost before it, as a part of what items cost at the start of the search.
    """
    ids = (now.step % problem.chunks) * problem.settings.scenarios_per_step
    ids = ids + jnp.arange(problem.settings.scenarios_per_step, dtype=jnp.int32)
    whole = jnp.sum(problem.item_scale * problem.catalog.block.live)
    one_block = partial(_of_block, problem, sizes, prices, ids, now.weights)
    zeros = (jnp.zeros_like(whole), jnp.zeros_like(now.weights))
    at = (problem.catalog.per_block(), now.levels, problem.scale, problem.item_scale)
    (cost, by_weight), by_level = jax.lax.scan(one_block, zeros, at)
    for_weights, for_levels = _optimisers(options)
    first, moments = for_weights.update(by_weight / whole, now.optimiser[0], now.weights)
    second, others = for_levels.update(by_level, now.optimiser[1], now.levels)
    levels = jnp.maximum(now.levels + second, 0)
    return Learned(now.weights + first, levels, (moments, others), now.step + 1), cost / whole


def _of_block(
    problem: InventorySubproblem,
    sizes: tuple[int, ...],
    prices: Prices,
    ids: Array,
    weights: Array,
    sums: tuple,
    at: tuple,
) -> tuple[tuple, Float[Array, "buckets nodes items"]]:
    """Adds the priced cost of a block and its derivative by the weights to the sums; the derivative by its levels."""
    leaves, levels, scale, cost = at
    block, settings, network = leaves[0], problem.settings, problem.network
    scenarios = draw(settings.scenarios, problem.catalog.profiles, leaves, ids, TRAINING)
    lists = block_lists(network, problem.resources, settings, block, prices.ranking)

    def loss(weights: Array, levels: Array) -> Array:
        policy = Learner(levels * scale.target, weights[None, :, None], sizes)
        around = (network, problem.resources, settings)
        return evaluate_block(*around, policy, block, scenarios, prices.own, lists, whole=True)[0]

    value, (by_weight, by_level) = jax.value_and_grad(loss, argnums=(0, 1))(weights, levels)
    return (sums[0] + value, sums[1] + by_weight), by_level / cost


def correction_of_state(
    model: Model, now: Learned, options: LearnOptions, earlier: Correction | None, trained: dict[str, Any]
) -> Correction:
    """The network that was trained, with the range of the systems that it was trained on.

    Args:
        model: What it was trained on.
        now: What training knows.
        options: How it was trained.
        earlier: The network that training started from: its range counts as well.
        trained: What the file says of where it comes from.
    """
    least, most = trait_range(model, now)
    if earlier is not None:
        least, most = np.minimum(least, earlier.least), np.maximum(most, earlier.most)
    sizes = options.sizes if earlier is None else earlier.sizes
    return Correction.around(np.asarray(now.weights, np.float32), sizes, least, most, trained)


def trait_range(model: Model, now: Learned) -> tuple[Float[np.ndarray, " traits"], Float[np.ndarray, " traits"]]:
    """Least and most of every trait (`policy.neural.traits`), and of the levels, of all places that have a level."""
    problem, network = model.problem, model.problem.network

    def of_block(block: Any, scale: Array, levels: Array) -> tuple[tuple, tuple]:
        flow = flow_of(network, block)
        outlook = outlooks(network, block, flow, before=False)
        cover, target = outlook.cover, levels * scale
        deviation = jnp.sqrt(variance_of_cover(flow.spread, flow.gap, cover))
        wide = lambda leaf: jnp.broadcast_to(leaf, cover.shape).astype(cover.dtype)
        found = traits_of(wide(flow.lead), wide(flow.gap), wide(flow.lost), cover, deviation)
        counts = (cover > 0) & (jnp.max(scale, axis=0) > 0) & (block.live > 0)
        usual, unit = jnp.mean(outlook.usual, axis=0), jnp.mean(deviation, axis=0)
        beyond = (target - usual) / jnp.where(unit > 0, unit, 1)
        return _range(found, counts), _range(beyond[None], jnp.any(counts, axis=0))

    ranges = jax.jit(jax.vmap(of_block))(problem.catalog.block, _scale_of(problem), now.levels)
    least, most = (np.concatenate([np.asarray(one) for one in side], axis=1) for side in zip(*ranges, strict=True))
    return least.min(0), most.max(0)


def _range(
    found: Float[Array, "traits rows nodes items"], counts: Bool[Array, "*days nodes items"]
) -> tuple[Float[Array, " traits"], Float[Array, " traits"]]:
    """Least and most of every row among those that count."""
    axes = (1, 2, 3)
    least = jnp.min(jnp.where(counts, found, jnp.inf), axis=axes)
    return least, jnp.max(jnp.where(counts, found, -jnp.inf), axis=axes)


def _scale_of(problem: InventorySubproblem) -> Float[Array, "blocks buckets nodes items"]:
    """Scale of the levels, in units."""
    scale: Any = problem.scale
    return scale.target
