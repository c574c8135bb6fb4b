"""The item problems at given prices: one sweep over all items is one evaluation and one gradient step."""

import abc
from typing import Any, Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array, ArrayLike, Float, Int
from meio_kernels.projection import nonnegative

from meio_jax.distributed.sharding import over_items, place_blocks, place_copies
from meio_jax.model.catalog import Catalog, draw
from meio_jax.model.costs import CostTerms, UnitTerms
from meio_jax.model.network import ItemBlock, Network
from meio_jax.model.resources import Resources, Usage, bound, excess, outbound_price, tail_charge, usage
from meio_jax.objective import AbstractObjective, ScenarioCosts
from meio_jax.policy import AbstractPolicy
from meio_jax.scenarios.sampling import TRAINING, Scenarios, ScenarioSettings
from meio_jax.simulation.preferences import PreferenceLists, group_dither, preference_lists
from meio_jax.simulation.rollout import GradientMode, Outcome, checkpointed, rollout
from meio_jax.solver.price_scale import natural_price_scale, service_price_scale

Iterate = TypeVar("Iterate", bound=eqx.Module)


class Evaluation(eqx.Module):
    """What one evaluation at given prices tells the dual method and the progress line.

    `value` is the objective without prices; `excess` and `bound` are usage above capacity and capacity, in the
    resource's unit per bucket. `slack` bounds how far the item problems are from solved (NaN: not known).
    """

    value: Float[Array, ""]
    excess: Float[Array, "buckets resources"]
    bound: Float[Array, "buckets resources"]
    slack: Float[Array, ""]
    terms: CostTerms

    @classmethod
    def zeros(cls, prices: Float[Array, "buckets resources"]) -> "Evaluation":
        """That of nothing, for capacities with these prices."""
        table, number = jnp.zeros_like(prices), jnp.zeros((), prices.dtype)
        return cls(number, table, table, number, CostTerms.all_of(number))


class AbstractSubproblem(eqx.Module, Generic[Iterate]):
    """Item problems that can be evaluated at any prices."""

    @abc.abstractmethod
    def init(self) -> Iterate:
        """Where the search starts (the warm state of the first evaluation)."""

    @abc.abstractmethod
    def zero_prices(self) -> Float[Array, "buckets resources"]:
        """Prices of a problem without capacities."""

    def price_scale(
        self, evaluation: Evaluation, size: Float[Array, "buckets resources"], kind: Int[Array, " resources"]
    ) -> Float[Array, "buckets resources"]:
        """A price at which each resource would matter, from the first evaluation."""
        return natural_price_scale(evaluation.terms, size, kind)

    def everywhere(self, tree: Any) -> Any:
        """A tree that belongs to no item, put where the evaluation needs it (by default left where it is)."""
        return tree

    def blend(self, old: Any, new: Any, weight: Float[Array, ""]) -> Any:
        """The iterate `(1 - weight) old + weight new`: real numbers are mixed, counters taken from `new`."""
        mix = lambda before, after: before + weight.astype(after.dtype) * (after - before)
        return jax.tree.map(lambda o, n: mix(o, n) if jnp.issubdtype(n.dtype, jnp.inexact) else n, old, new)

    @abc.abstractmethod
    def evaluate(self, prices: Array, warm: Iterate) -> tuple[Evaluation, Iterate]:
        """Evaluate the iterate in `warm` at `prices`, and return a better iterate."""


class Search(eqx.Module):
    """State of the search over policies.

    Parameters in units of their scale, the optimiser's state, and the prices that rank the fulfilment options: a
    running mean of the prices, because lists that follow every move of a price swing between near-equal nodes.
    `count` is the number of steps, which says whose turn it is among the scenarios.
    """

    raw: AbstractPolicy
    optimiser: optax.OptState
    list_prices: Float[Array, "buckets resources"]
    count: Int[Array, ""]


class Settings(eqx.Module):
    """Static choices of the item problems.

    `dither` and `damping` calm the simulated fulfilment: the first splits ties in the preference lists (share of
    the mean outbound cost), the second is how much of their prices the lists keep from step to step.
    Each step simulates the next `scenarios_per_step` of the training scenarios.
    """

    objective: AbstractObjective
    scenarios: ScenarioSettings
    rounds: int = eqx.field(static=True, default=4)
    tiers: int = eqx.field(static=True, default=1)
    form: str = eqx.field(static=True, default="sparse")
    gradient: GradientMode = eqx.field(static=True, default=checkpointed)
    dither: float = eqx.field(static=True, default=0.03)
    damping: float = eqx.field(static=True, default=0.9)
    scenarios_per_step: int = eqx.field(static=True, default=16)


class Totals(eqx.Module):
    """Sums over items that an evaluation needs; the only thing that devices exchange."""

    value: Float[Array, ""]
    usage: Usage
    terms: CostTerms

    @classmethod
    def zeros(cls, resources: Resources, dtype: jnp.dtype) -> "Totals":
        """Sums over no items."""
        table = jnp.zeros(resources.capacity.shape, dtype)
        return cls(jnp.zeros((), dtype), Usage(table, table), CostTerms.all_of(jnp.zeros((), dtype)))


def block_lists(
    network: Network, resources: Resources, settings: Settings, block: ItemBlock, prices: Array
) -> PreferenceLists:
    """Preference lists of a block's group in every bucket at these prices."""
    priced = outbound_price(resources, prices, block.group_volume, block.group_weight)
    dither = group_dither(network, block.group, settings.dither)

    def lists(at_bucket: Array) -> PreferenceLists:
        return preference_lists(
            network, block.group_weight, block.group_stockable, at_bucket, dither, settings.rounds, settings.tiers
        )

    return jax.vmap(lists)(priced)


def scenario_costs(block: ItemBlock, costs: CostTerms, units: UnitTerms) -> ScenarioCosts:
    """Costs by item and scenario, as objectives see them: of the horizon, or with its tail."""
    items = block.items

    def split(leaf: ArrayLike) -> Float[Array, "items scenarios"]:
        return jnp.reshape(leaf, (items, -1))

    forgone = jnp.minimum(block.price, block.lost_sale_cost)
    return ScenarioCosts(
        total=split(costs.total),
        revenue=block.price[:, None] * split(units.shipped),
        lost_revenue=forgone[:, None] * split(units.lost),
        carbon=split(units.carbon),
    )


def evaluation_of(resources: Resources, totals: Totals) -> Evaluation:
    """What the dual method is told of a sweep."""
    return Evaluation(
        value=totals.value,
        excess=excess(resources, totals.usage),
        bound=bound(resources, totals.usage),
        slack=jnp.full_like(totals.value, jnp.nan),
        terms=totals.terms,
    )


def unit_of_prices(
    resources: Resources,
    evaluation: Evaluation,
    size: Float[Array, "buckets resources"],
    kind: Int[Array, " resources"],
) -> Float[Array, "buckets resources"]:
    """Unit in which each price moves: of a service floor that of a unit served, else a share of the cost.

    Args:
        resources: The capacities.
        evaluation: The first evaluation.
        size: What an excess is measured against (`usual_size`).
        kind: Number of the kind of every resource.
    """
    floors = service_price_scale(evaluation.terms, jnp.where(resources.is_service, evaluation.bound, 0))
    return jnp.where(resources.is_service, floors, natural_price_scale(evaluation.terms, size, kind))


def ranking_prices(
    before: Float[Array, "buckets resources"], prices: Float[Array, "buckets resources"], damping: float
) -> Float[Array, "buckets resources"]:
    """Running mean of the prices, by which fulfilment options are ranked."""
    return damping * before + (1 - damping) * prices


def reported_costs(block: ItemBlock, outcome: Outcome) -> ScenarioCosts:
    """Costs of the reported horizon."""
    return scenario_costs(block, outcome.costs, outcome.units)


def planned_costs(block: ItemBlock, outcome: Outcome) -> ScenarioCosts:
    """Costs of the horizon with its tail: what a plan is optimised for."""
    return scenario_costs(block, outcome.whole_costs, outcome.whole_units)


def evaluate_block(
    network: Network,
    resources: Resources,
    settings: Settings,
    policy: AbstractPolicy,
    block: ItemBlock,
    scenarios: Scenarios,
    prices: Array,
    lists: PreferenceLists,
) -> tuple[Float[Array, ""], Totals]:
    """Priced objective of a block with its tail (what is differentiated), and the totals of the reported horizon."""
    outcome = rollout(network, policy, block, scenarios, lists, form=settings.form, gradient=settings.gradient)
    used = usage(resources, outcome.flows, block)
    planned = jnp.sum(block.live * settings.objective(planned_costs(block, outcome)))
    reported = jnp.sum(block.live * settings.objective(reported_costs(block, outcome)))
    samples = outcome.costs.purchase.shape[0] // block.items
    live = jnp.repeat(block.live, samples) / samples
    terms = jax.tree.map(lambda leaf: jnp.sum(leaf * live), outcome.costs)
    charge = jnp.sum(prices * excess(resources, used))
    if network.tail_buckets:
        charge = charge + jnp.sum(tail_charge(resources, outcome.tail_flows, block, prices))
    return planned + charge, Totals(reported, used, terms)


def compensated_add(total: tuple, new: Totals) -> tuple:
    """Kahan (1965) summation of a tree, so that float32 usage does not drift over many blocks."""
    value, lost = total
    corrected = jax.tree.map(jnp.subtract, new, lost)
    summed = jax.tree.map(jnp.add, value, corrected)
    # The barrier stops the compiler from simplifying (a + b) - a to b.
    summed = jax.lax.optimization_barrier(summed)
    lost = jax.tree.map(lambda s, v, c: (s - v) - c, summed, value, corrected)
    return summed, lost


class InventorySubproblem(AbstractSubproblem[Search]):
    """Inventory of every item as a simulated, differentiated policy problem; one Adam step per evaluation."""

    network: Network
    resources: Resources
    catalog: Catalog
    settings: Settings
    scale: AbstractPolicy
    first: AbstractPolicy
    item_scale: Float[Array, "blocks items"]
    chunks: int = eqx.field(static=True)
    optimiser: optax.GradientTransformation = eqx.field(static=True)
    mesh: Mesh | None = eqx.field(static=True, default=None)

    def init(self) -> Search:
        optimiser = self.optimiser.init(self.first)
        return self.placed(Search(self.first, optimiser, self.zero_prices(), jnp.zeros((), jnp.int32)))

    def price_scale(
        self, evaluation: Evaluation, size: Float[Array, "buckets resources"], kind: Int[Array, " resources"]
    ) -> Float[Array, "buckets resources"]:
        return unit_of_prices(self.resources, evaluation, size, kind)

    def placed(self, search: Search) -> Search:
        """The same state on the devices of the mesh: what belongs to items is shared out, the rest copied."""
        items = place_blocks((search.raw, search.optimiser), self.mesh)
        return Search(*items, *self.everywhere((search.list_prices, search.count)))

    def everywhere(self, tree: Any) -> Any:
        return place_copies(tree, self.mesh)

    def zero_prices(self) -> Float[Array, "buckets resources"]:
        return jnp.zeros_like(self.resources.capacity)

    def policy(self, search: Search) -> AbstractPolicy:
        """Parameters in units of stock; leaves have a leading block axis."""
        return jax.tree.map(jnp.multiply, search.raw, self.scale)

    def evaluate(self, prices: Array, warm: Search) -> tuple[Evaluation, Search]:
        list_prices = ranking_prices(warm.list_prices, prices, self.settings.damping)
        totals, gradient = self.sweep(prices, list_prices, warm.raw, warm.count % self.chunks)
        updates, optimiser = self.optimiser.update(gradient, warm.optimiser, warm.raw)
        raw = jax.tree.map(nonnegative, optax.apply_updates(warm.raw, updates))
        return evaluation_of(self.resources, totals), Search(raw, optimiser, list_prices, warm.count + 1)

    def sweep(
        self, prices: Array, list_prices: Array, raw: AbstractPolicy, chunk: Int[Array, ""]
    ) -> tuple[Totals, AbstractPolicy]:
        """Sum over all blocks, and the gradient by item in units of the scale and of the item's own cost.

        `chunk` numbers the scenarios of the step: chunk c holds those from c x scenarios_per_step on.
        """
        settings = self.settings
        zeros = Totals.zeros(self.resources, self.item_scale.dtype)

        def local(shared: tuple, at: tuple) -> tuple[Totals, AbstractPolicy]:
            network, resources, profiles, zeros, prices, list_prices, chunk = shared
            size = settings.scenarios_per_step
            ids = chunk * size + jnp.arange(size, dtype=jnp.int32)

            def one_block(carry: tuple, at: tuple) -> tuple[tuple, AbstractPolicy]:
                leaves, raw_block, scale_block, cost = at
                block = leaves[0]
                scenarios = draw(settings.scenarios, profiles, leaves, ids, TRAINING, chunk)
                lists = block_lists(network, resources, settings, block, list_prices)

                def loss(parameters: AbstractPolicy) -> tuple[Array, Totals]:
                    policy = jax.tree.map(jnp.multiply, parameters, scale_block)
                    return evaluate_block(network, resources, settings, policy, block, scenarios, prices, lists)

                gradient, totals = jax.grad(loss, has_aux=True)(raw_block)
                gradient = jax.tree.map(lambda leaf: leaf / cost, gradient)
                return compensated_add(carry, totals), gradient

            (totals, _), gradient = jax.lax.scan(one_block, (zeros, zeros), at)
            return totals, gradient

        shared = (self.network, self.resources, self.catalog.profiles, zeros, prices, list_prices, chunk)
        at = (self.catalog.per_block(), raw, self.scale, self.item_scale)
        return over_items(local, self.mesh)(shared, at)
