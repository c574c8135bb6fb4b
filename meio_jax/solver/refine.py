"""One block of items at prices that stay: its levels are improved alone, in milliseconds once compiled."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
from meio_kernels.projection import nonnegative

from meio_jax.distributed.kept_programs import kept_jit
from meio_jax.model.catalog import draw
from meio_jax.model.network import ItemBlock, Network
from meio_jax.model.resources import Resources, Usage, item_charge, rents, tail_charge, usage
from meio_jax.policy import AbstractPolicy
from meio_jax.policy.registry import PolicyFamily
from meio_jax.scenarios.sampling import HOLDOUT, TRAINING
from meio_jax.simulation.rollout import rollout
from meio_jax.solver.start import starting_point
from meio_jax.solver.subproblem import Settings, block_lists, evaluate_block, planned_costs, reported_costs

_FIRST_RATE, _LAST_RATE = 0.15, 0.01
_MEMORY, _LONG_MEMORY, _LEAST = 0.5, 0.9, 1e-9


class Surroundings(eqx.Module):
    """What the items of a block meet and do not change: network, capacities and their prices."""

    network: Network
    resources: Resources
    profiles: Float[Array, "profiles waves speeds regions"]
    prices: Float[Array, "buckets resources"]
    list_prices: Float[Array, "buckets resources"]
    settings: Settings
    stationary: bool = eqx.field(static=True)


class Pace(eqx.Module):
    """How far a search goes: number of steps, sizes of the first and the last. Arrays, so that all share programs."""

    steps: Int[Array, ""]
    first: Float[Array, ""]
    last: Float[Array, ""]

    @classmethod
    def of(cls, steps: int, dtype: jnp.dtype) -> "Pace":
        """So many steps of the usual sizes."""
        return cls(jnp.asarray(steps, jnp.int32), jnp.asarray(_FIRST_RATE, dtype), jnp.asarray(_LAST_RATE, dtype))

    def rate(self, step: Int[Array, ""]) -> Float[Array, ""]:
        """Size of a step: a cosine from the first to the last."""
        share = jnp.minimum(step / self.steps, 1).astype(self.first.dtype)
        return self.last + (self.first - self.last) * (1 + jnp.cos(jnp.pi * share)) / 2


class Refining(eqx.Module):
    """Levels in units of their scale, the mean of those of recent steps, and what is known of their gradients.

    `momentum` is the running mean of the gradients, `square` that of their squares, 0 where none is known yet.
    """

    raw: AbstractPolicy
    mean: AbstractPolicy
    momentum: AbstractPolicy
    square: AbstractPolicy
    scale: AbstractPolicy
    cost: Float[Array, "*blocks items"]
    step: Int[Array, ""]

    @classmethod
    def at(cls, raw: AbstractPolicy, scale: AbstractPolicy, cost: Float[Array, "*blocks items"]) -> "Refining":
        """Before the first step, at levels in units of their scale; `cost` is what each item about costs."""
        nothing = jax.tree.map(jnp.zeros_like, raw)
        return cls(raw, raw, nothing, nothing, scale, cost, jnp.zeros((), jnp.int32))

    def continued(self, known: Any, raw: AbstractPolicy, square: AbstractPolicy) -> "Refining":
        """The same search from other parameters and squares where they are known (a tree of booleans)."""
        pick = lambda at, new, old: jnp.where(at, new, old)
        first = jax.tree.map(pick, known, raw, self.raw)
        squares = jax.tree.map(pick, known, square, self.square)
        return Refining(first, first, self.momentum, squares, self.scale, self.cost, self.step)

    def policy(self) -> AbstractPolicy:
        """Mean levels in units of stock."""
        return jax.tree.map(jnp.multiply, self.mean, self.scale)


class Judged(eqx.Module):
    """Objective and capacity charge of every item at given levels, its cost by scenario, and what the block uses.

    `cost` and `charge` are those of the horizon with its tail, by which levels are compared; `reported` is both of the
    reported horizon together, and `gross` what an item pays in all, with the tail as well.
    """

    cost: Float[Array, " items"]
    charge: Float[Array, " items"]
    reported: Float[Array, " items"]
    gross: Float[Array, " items"]
    sample: Float[Array, "items scenarios"]
    usage: Usage

    @property
    def total(self) -> Float[Array, " items"]:
        """Objective with the capacity charge: what is compared."""
        return self.cost + self.charge


def clearly_better(new: Judged, old: Judged) -> Bool[Array, " items"]:
    """Whether new levels cost less by more than the standard error of the difference, on the same scenarios.

    Where they do not, the gain may be chance, and stock would be moved for nothing. Nor is a gain clear that the
    rounding of sums over scenarios may have made: the same levels, rounded otherwise, differ alike in all of them.
    """
    difference = new.sample - old.sample
    error = jnp.std(difference, axis=1) / jnp.sqrt(jnp.asarray(max(difference.shape[1] - 1, 1), difference.dtype))
    rounding = 16 * jnp.finfo(old.total.dtype).eps * jnp.abs(old.total)
    return old.total - new.total > error + rounding


@kept_jit
def begin(around: Surroundings, family: PolicyFamily, one: tuple) -> Refining:
    """The search of a block before its first step, at the newsvendor level at the prices.

    Args:
        around: Network, capacities and prices.
        family: The policy whose parameters are decided.
        one: A block, as `Catalog.per_block` gives it, without its leading axis.
    """
    block: ItemBlock = one[0]
    size = around.settings.scenarios_per_step
    sample = draw(around.settings.scenarios, around.profiles, one, jnp.arange(size, dtype=jnp.int32), TRAINING)

    def at_prices(prices: Array) -> tuple[AbstractPolicy, AbstractPolicy]:
        lists = block_lists(around.network, around.resources, around.settings, block, prices)
        start = starting_point(around.network, block, sample, lists, rents(around.resources, prices, block))
        pair = family.start(around.network, block, start), family.scales(around.network, block, start)
        mean = lambda leaf: jnp.mean(leaf, axis=0, keepdims=True)
        return jax.tree.map(mean, pair) if around.stationary else pair

    free = jnp.zeros_like(around.prices)
    plain, scale = at_prices(free)
    first, _ = at_prices(around.list_prices)
    raw = jax.tree.map(lambda v, unit: jnp.where(unit > 0, v / jnp.where(unit > 0, unit, 1), 0), first, scale)
    lists = block_lists(around.network, around.resources, around.settings, block, free)
    outcome = rollout(around.network, plain, block, sample, lists, form=around.settings.form, tail=False)
    costs = jnp.abs(outcome.costs.total - outcome.costs.terminal).reshape(block.items, -1)
    cost = jnp.maximum(jnp.mean(costs, axis=-1), 1e-6)
    return Refining.at(raw, scale, cost)


@kept_jit
def refine(around: Surroundings, one: tuple, now: Refining, pace: Pace, chunks: int) -> Refining:
    """A whole search: steps of Adam (Kingma and Ba 2015), each on the next of the `chunks` portions of the scenarios.

    Squares that are known from the run make the first steps as long as its last ones, where Adam would move every
    level by the same amount. Levels of the second half of the steps are averaged.
    """
    block: ItemBlock = one[0]
    settings, size = around.settings, around.settings.scenarios_per_step
    # Prices stay, and so do the preferences: they are listed once.
    lists = block_lists(around.network, around.resources, settings, block, around.list_prices)

    def step(_: Array, now: Refining) -> Refining:
        ids = (now.step % chunks) * size + jnp.arange(size, dtype=jnp.int32)
        scenarios = draw(settings.scenarios, around.profiles, one, ids, TRAINING)

        def loss(parameters: AbstractPolicy) -> Array:
            policy = jax.tree.map(jnp.multiply, parameters, now.scale)
            return evaluate_block(
                around.network, around.resources, settings, policy, block, scenarios, around.prices, lists
            )[0]

        gradient = jax.tree.map(lambda leaf: leaf / now.cost, jax.grad(loss)(now.raw))
        return _moved(now, gradient, pace)

    return jax.lax.fori_loop(0, pace.steps, step, now)


def _moved(now: Refining, gradient: AbstractPolicy, pace: Pace) -> Refining:
    """Where one step leads, given the gradient by item, as a share of its cost."""
    done = now.step + 1
    started = 1 - _MEMORY ** done.astype(now.cost.dtype)
    rate = pace.rate(now.step) / started
    momentum = jax.tree.map(lambda old, new: _MEMORY * old + (1 - _MEMORY) * new, now.momentum, gradient)
    square = jax.tree.map(
        lambda old, new: jnp.where(old > 0, _LONG_MEMORY * old + (1 - _LONG_MEMORY) * new**2, new**2),
        now.square,
        gradient,
    )
    move = lambda level, mean, size: nonnegative(level - rate * mean / (jnp.sqrt(size) + _LEAST))
    raw = jax.tree.map(move, now.raw, momentum, square)
    weight = 1 / jnp.maximum(done - pace.steps // 2, 1).astype(now.cost.dtype)
    mean = jax.tree.map(lambda old, new: old + weight * (new - old), now.mean, raw)
    return Refining(raw, mean, momentum, square, now.scale, now.cost, done)


moved = kept_jit(_moved)


@kept_jit
def judge(
    around: Surroundings,
    one: tuple,
    policy: AbstractPolicy,
    scenarios: int,
    first: Int[Array, ""] | int = 0,
    purpose: int = HOLDOUT,
) -> Judged:
    """Expected cost, charge and usage of a block at levels in units, on so many scenarios from number `first` on."""
    block: ItemBlock = one[0]
    settings = around.settings
    ids = first + jnp.arange(scenarios, dtype=jnp.int32)
    drawn = draw(settings.scenarios, around.profiles, one, ids, purpose)
    lists = block_lists(around.network, around.resources, settings, block, around.list_prices)
    outcome = rollout(around.network, policy, block, drawn, lists, form=settings.form, whole=True)
    costs = planned_costs(block, outcome)
    charge = item_charge(around.resources, outcome.flows, block, around.prices)
    reported = block.live * settings.objective(reported_costs(block, outcome)) + charge
    if around.network.tail_buckets:
        charge = charge + jnp.sum(tail_charge(around.resources, outcome.tail_flows, block, around.prices), axis=0)
    cost = block.live * settings.objective(costs)
    gross = block.live * jnp.mean(jnp.reshape(outcome.whole_costs.gross, (block.items, -1)), axis=-1)
    return Judged(cost, charge, reported, gross, costs.total, usage(around.resources, outcome.flows, block))
