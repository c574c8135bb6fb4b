"""One block of items at prices that stay: its levels are improved alone, in milliseconds once compiled."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int
from meio_kernels.projection import nonnegative

from meio_jax.catalog import draw
from meio_jax.network import ItemBlock, Network
from meio_jax.policy import AbstractPolicy
from meio_jax.policy.registry import PolicyFamily
from meio_jax.resources import Resources, Usage, item_charge, rents, usage
from meio_jax.rollout import rollout
from meio_jax.scenarios import HOLDOUT, TRAINING
from meio_jax.start import starting_point
from meio_jax.subproblem import Settings, block_lists, evaluate_block, scenario_costs

_FIRST_RATE, _LAST_RATE = 0.15, 0.01


class Surroundings(eqx.Module):
    """What the items of a block meet and do not change: network, capacities and their prices."""

    network: Network
    resources: Resources
    profiles: Float[Array, "profiles waves speeds regions"]
    prices: Float[Array, "buckets resources"]
    list_prices: Float[Array, "buckets resources"]
    settings: Settings
    stationary: bool = eqx.field(static=True)


class Refining(eqx.Module):
    """Levels in units of their scale, the optimiser's state, and the mean of the levels of recent steps."""

    raw: AbstractPolicy
    optimiser: optax.OptState
    mean: AbstractPolicy
    scale: AbstractPolicy
    cost: Float[Array, " items"]
    step: Int[Array, ""]

    def moved(self, raw: AbstractPolicy) -> "Refining":
        """The same search at other levels, before its first step."""
        return Refining(raw, self.optimiser, raw, self.scale, self.cost, self.step)

    def policy(self) -> AbstractPolicy:
        """Mean levels in units of stock."""
        return jax.tree.map(jnp.multiply, self.mean, self.scale)


class Judged(eqx.Module):
    """Expected cost and capacity charge of every item at given levels, and what the block uses."""

    cost: Float[Array, " items"]
    charge: Float[Array, " items"]
    usage: Usage


def _optimiser(steps: int) -> optax.GradientTransformation:
    schedule = optax.cosine_decay_schedule(_FIRST_RATE, steps, alpha=_LAST_RATE / _FIRST_RATE)
    return optax.adam(schedule, b1=0.5, b2=0.9, eps=1e-9)


@eqx.filter_jit
def begin(around: Surroundings, family: PolicyFamily, one: tuple, steps: int) -> Refining:
    """The search of a block before its first step, at the newsvendor level at the prices.

    Args:
        around: Network, capacities and prices.
        family: The policy whose parameters are decided.
        one: A block, as `Catalog.per_block` gives it, without its leading axis.
        steps: Steps that will be made.
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
    outcome = rollout(around.network, plain, block, sample, lists, form=around.settings.form)
    costs = jnp.abs(outcome.costs.total - outcome.costs.terminal).reshape(block.items, -1)
    cost = jnp.maximum(jnp.mean(costs, axis=-1), 1e-6)
    return Refining(raw, _optimiser(steps).init(raw), raw, scale, cost, jnp.zeros((), jnp.int32))


@eqx.filter_jit
def refine(around: Surroundings, one: tuple, now: Refining, steps: int, chunks: int) -> Refining:
    """One gradient step on the next scenarios of the training set; levels of the second half of steps are averaged."""
    block: ItemBlock = one[0]
    settings, size = around.settings, around.settings.scenarios_per_step
    ids = (now.step % chunks) * size + jnp.arange(size, dtype=jnp.int32)
    scenarios = draw(settings.scenarios, around.profiles, one, ids, TRAINING)

    def loss(parameters: AbstractPolicy) -> Array:
        policy = jax.tree.map(jnp.multiply, parameters, now.scale)
        return evaluate_block(
            around.network, around.resources, settings, policy, block, scenarios, around.prices, around.list_prices
        )[0]

    gradient = jax.tree.map(lambda leaf: leaf / now.cost, jax.grad(loss)(now.raw))
    updates, optimiser = _optimiser(steps).update(gradient, now.optimiser, now.raw)
    raw = jax.tree.map(nonnegative, optax.apply_updates(now.raw, updates))
    done = now.step + 1
    weight = 1 / jnp.maximum(done - steps // 2, 1).astype(now.cost.dtype)
    mean = jax.tree.map(lambda old, new: old + weight * (new - old), now.mean, raw)
    return Refining(raw, optimiser, mean, now.scale, now.cost, done)


@eqx.filter_jit
def judge(around: Surroundings, one: tuple, policy: AbstractPolicy, scenarios: int) -> Judged:
    """Expected cost, charge and usage of a block at levels in units, on holdout scenarios."""
    block: ItemBlock = one[0]
    settings = around.settings
    ids = jnp.arange(scenarios, dtype=jnp.int32)
    drawn = draw(settings.scenarios, around.profiles, one, ids, HOLDOUT)
    lists = block_lists(around.network, around.resources, settings, block, around.list_prices)
    outcome = rollout(around.network, policy, block, drawn, lists, form=settings.form)
    cost = block.live * settings.objective(scenario_costs(block, outcome))
    charge = item_charge(around.resources, outcome.flows, block, around.prices)
    return Judged(cost, charge, usage(around.resources, outcome.flows, block))
