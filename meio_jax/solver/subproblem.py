"""The item problems at given prices: one sweep over all items is one evaluation and one gradient step."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array, ArrayLike, Float, Int, UInt32

from meio_jax.distributed.sharding import over_items, place_blocks, place_copies
from meio_jax.model.catalog import Catalog, draw
from meio_jax.model.costs import CostTerms, UnitTerms
from meio_jax.model.held import at_weights, held_of
from meio_jax.model.network import ItemBlock, Network, optional_terms
from meio_jax.model.queues import Shares
from meio_jax.model.resources import Resources, Usage, bound, excess, outbound_price, tail_charge, usage
from meio_jax.model.total_risk import TotalRisk
from meio_jax.model.worlds import Worlds, WorldWeights
from meio_jax.objective import AbstractObjective, ScenarioCosts
from meio_jax.policy import AbstractPolicy
from meio_jax.scenarios.sampling import Scenarios, ScenarioSettings
from meio_jax.simulation.docks import no_loads
from meio_jax.simulation.gradients import GradientMode, checkpointed
from meio_jax.simulation.outcome import Outcome
from meio_jax.simulation.preferences import PreferenceLists, group_dither, preference_lists
from meio_jax.simulation.rollout import rollout
from meio_jax.simulation.spare_numbers import spare_numbers
from meio_jax.solver.optimiser import SearchOptions, optimiser
from meio_jax.solver.price_scale import natural_price_scale, service_price_scale


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
    def zeros(cls, prices: Float[Array, "buckets resources"], **terms: bool) -> "Evaluation":
        """That of nothing, for capacities with these prices; `terms` are the optional ones that there are."""
        table, number = jnp.zeros_like(prices), jnp.zeros((), prices.dtype)
        return cls(number, table, table, number, CostTerms.all_of(number, **terms))


class ItemState(eqx.Module):
    """What a search knows of some items; leaves have a leading block axis, parameters are in units of their scale.

    `raw` are the parameters of the next evaluation and `optimiser` what their steps follow; `mean` is a running mean of
    them and `best` the best of these means, but for the last (`plan`).
    """

    raw: AbstractPolicy
    optimiser: optax.OptState
    mean: AbstractPolicy
    best: AbstractPolicy

    def plan(self, improved: ArrayLike) -> AbstractPolicy:
        """The best parameters; `improved`: whether the last step found the mean to be the best so far."""
        return jax.tree.map(lambda new, old: jnp.where(improved, new, old), self.mean, self.best)


class Settings(eqx.Module):
    """Static choices of the item problems.

    `dither` and `damping` calm the simulated fulfilment: the first splits ties in the preference lists (share of
    the mean outbound cost), the second is how much of their prices the lists keep from step to step.
    With `by_value` orders are assigned by cost and the value of the unit given up, else by cost alone.
    Each step simulates the next `scenarios_per_step` of the training scenarios. With `whole_usage` prices follow usage
    in whole units, as it is certified; else usage in fractions of units, which is continuous. `together` blocks at most
    are simulated at once: on devices on which a step is bound by the number of kernels and not by what they do. `risk`
    is that of the total cost; None: items are added up, each with its objective.
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
    whole_usage: bool = eqx.field(static=True, default=False)
    by_value: bool = eqx.field(static=True, default=False)
    together: int = eqx.field(static=True, default=1)
    risk: TotalRisk | None = None


class SweepInputs(eqx.Module):
    """Prices and scenarios of a sweep, and a change of the stock that it starts from.

    Attributes:
        prices: Prices of the capacities.
        list_prices: Those that rank fulfilment options.
        first: Number of the first of the scenarios; a step's worth follow on each other.
        purpose: What these are for (`TRAINING`, ...); of no account where training scenarios are stored.
        more: Units by which the stock of today is more than it is, at every node (less, if negative).
        weights: By which the scenarios count where something is asked of single ones; None: all alike.
    """

    prices: Float[Array, "buckets resources"]
    list_prices: Float[Array, "buckets resources"]
    first: Int[Array, ""]
    purpose: UInt32[Array, ""]
    more: Float[Array, ""]
    weights: WorldWeights | None = None


class Slopes(eqx.Module):
    """Derivatives of the priced objective; leaves have a leading block axis.

    `levels` are by the parameters in units of their scale, as a share of what an item costs; `stock` by the units in
    stock today, in money.
    """

    levels: AbstractPolicy
    stock: Float[Array, "*blocks nodes items"]


class Totals(eqx.Module):
    """Sums over items that an evaluation needs; the only thing that devices exchange.

    `undefined` is how many derivatives by levels were no finite numbers: those were taken as zero. `loads` is what the
    items bring to docks that queue (`Docks`); None where nothing does.
    """

    value: Float[Array, ""]
    usage: Usage
    terms: CostTerms
    undefined: Float[Array, ""] | float = 0.0
    loads: Float[Array, "periods loads samples"] | None = None

    @classmethod
    def zeros(
        cls, resources: Resources, dtype: jnp.dtype, loads: Array | None = None, scenarios: int = 0, **terms: bool
    ) -> "Totals":
        """Sums over no items.

        Args:
            resources: The capacities.
            dtype: Floating type.
            loads: What nothing brings to docks that queue; None: nothing queues.
            scenarios: Of how many scenarios there are sums of their own; 0: of none.
            terms: Optional terms that there are (`optional_terms`).
        """
        table, number, worlds = jnp.zeros(resources.capacity.shape, dtype), jnp.zeros((), dtype), None
        if scenarios:
            held = jnp.zeros((table.shape[0], len(resources.held_index), scenarios), dtype)
            worlds = Worlds(held, jnp.zeros(scenarios, dtype))
        return cls(number, Usage(table, table, worlds), CostTerms.all_of(number, **terms), number, loads)


def block_lists(
    network: Network, resources: Resources, settings: Settings, block: ItemBlock, prices: Array
) -> PreferenceLists:
    """Preference lists of a block's group in every bucket at these prices."""
    priced = outbound_price(resources, prices, block.group_volume, block.group_weight, block.group_sizes)
    dither = group_dither(network, block.group, settings.dither)
    valued = block if settings.by_value else None

    def lists(at_bucket: Array) -> PreferenceLists:
        group = (block.group_weight, block.group_stockable)
        return preference_lists(network, *group, at_bucket, dither, settings.rounds, settings.tiers, valued=valued)

    found = jax.vmap(lists)(priced)
    spare = spare_numbers(network, resources, block, prices)
    return found if spare is None else replace(found, spare=spare)


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
    floor_scale: float,
) -> Float[Array, "buckets resources"]:
    """Unit in which each price moves: of a service floor that of a unit served, else a share of the cost.

    Args:
        resources: The capacities.
        evaluation: The first evaluation.
        size: What an excess is measured against (`usual_size`).
        kind: Number of the kind of every resource.
        floor_scale: Unit of a floor's price, in costs of a unit promised (`service_price_scale`).
    """
    asked = jnp.where(resources.is_service, evaluation.bound, 0)
    floors = service_price_scale(evaluation.terms, asked, kind, floor_scale)
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
    *,
    whole: bool = False,
    weights: WorldWeights | None = None,
) -> tuple[Float[Array, ""], Totals]:
    """Priced objective of a block with its tail (what is differentiated), and the totals of the reported horizon.

    With `whole` orders and shipments are in whole units; the derivative is that of what was wished for. With `weights`
    scenarios count by them, in the use of held capacities and, where there is a risk of the total, in the cost.
    """
    samples = scenarios.demand.shape[-1] // block.items
    held = None if weights is None else held_of(resources, block, samples)
    outcome = rollout(
        network, policy, block, scenarios, lists, form=settings.form, gradient=settings.gradient, whole=whole, held=held
    )
    costs = planned_costs(block, outcome)
    if weights is None or weights.cost is None:
        planned = jnp.sum(block.live * settings.objective(costs))
    else:
        planned = jnp.mean(weights.cost * _together(block, costs.total))
    totals = totals_of(resources, settings.objective, block, outcome, worlds=weights is not None)
    used = totals.usage if weights is None else at_weights(resources, totals.usage, weights.used)
    charge = jnp.sum(prices * excess(resources, used))
    if network.tail_buckets:
        charge = charge + jnp.sum(tail_charge(resources, outcome.tail_flows, block, prices))
    return planned + charge, totals


def whole_totals(
    network: Network,
    resources: Resources,
    settings: Settings,
    policy: AbstractPolicy,
    block: ItemBlock,
    scenarios: Scenarios,
    lists: PreferenceLists,
    *,
    whole: bool = True,
    worlds: bool = False,
) -> Totals:
    """Totals of the reported horizon with orders and shipments in whole units, as they will be issued.

    With `worlds` also those of every scenario; without `whole` in fractions of units.

    Prices follow these. Levels follow the cost in fractions of units, whose slope leads past the steps of whole units;
    but small levels that are rounded use other capacities than small levels that are not: plans whose usage in
    fractions kept every capacity were 4 to 30 % over once their orders were whole.
    """
    held = held_of(resources, block, scenarios.demand.shape[-1] // block.items) if worlds else None
    outcome = rollout(network, policy, block, scenarios, lists, form=settings.form, whole=whole, tail=False, held=held)
    return totals_of(resources, settings.objective, block, outcome, worlds=worlds)


def totals_of(
    resources: Resources, objective: AbstractObjective, block: ItemBlock, outcome: Outcome, *, worlds: bool = False
) -> Totals:
    """Sums over the items of a block, of the reported horizon; with `worlds` also in every scenario."""
    reported = jnp.sum(block.live * objective(reported_costs(block, outcome)))
    samples = outcome.costs.purchase.shape[0] // block.items
    live = jnp.repeat(block.live, samples) / samples
    terms = jax.tree.map(lambda leaf: jnp.sum(leaf * live), outcome.costs)
    used = usage_of(resources, block, outcome, worlds=worlds)
    return Totals(reported, used, terms, jnp.zeros_like(reported), outcome.loads)


def usage_of(resources: Resources, block: ItemBlock, outcome: Outcome, *, worlds: bool) -> Usage:
    """What a block uses; with `worlds` also what it uses of held capacities, and costs, in every scenario."""
    used = usage(resources, outcome.flows, block)
    if not worlds:
        return used
    cost = _together(block, reported_costs(block, outcome).total)
    if outcome.held is None:
        held = jnp.zeros((used.used.shape[0], 0, cost.shape[0]), cost.dtype)
    else:
        held = jnp.sum(outcome.held.reshape(*outcome.held.shape[:2], block.items, -1), axis=2)
    return replace(used, worlds=Worlds(held, cost))


def _together(block: ItemBlock, costs: Float[Array, "items scenarios"]) -> Float[Array, " scenarios"]:
    """What the items of a block cost together in every scenario."""
    return jnp.sum(block.live[:, None] * costs, axis=0)


def compensated_add(total: tuple, new: Totals) -> tuple:
    """Kahan (1965) summation of a tree, so that float32 usage does not drift over many blocks."""
    value, lost = total
    corrected = jax.tree.map(jnp.subtract, new, lost)
    summed = jax.tree.map(jnp.add, value, corrected)
    # The barrier stops the compiler from simplifying (a + b) - a to b.
    summed = jax.lax.optimization_barrier(summed)
    lost = jax.tree.map(lambda s, v, c: (s - v) - c, summed, value, corrected)
    return summed, lost


def finite(slopes: AbstractPolicy) -> tuple[AbstractPolicy, Int[Array, ""]]:
    """Derivatives with zero in place of those that are no finite numbers, and how many these are.

    One such number would stay in the means of the optimiser, and the level would be lost for the rest of a search.
    """
    fine = jax.tree.map(jnp.isfinite, slopes)
    lost = sum((jnp.sum(~leaf) for leaf in jax.tree.leaves(fine)), jnp.zeros((), jnp.int32))
    return jax.tree.map(lambda there, leaf: jnp.where(there, leaf, 0), fine, slopes), lost


def at_once(blocks: int, together: int) -> int:
    """How many blocks are simulated at once: the most that divide their number, up to `together`."""
    return max(size for size in range(1, min(together, blocks) + 1) if blocks % size == 0)


def over_blocks(
    one_block: Callable[[tuple], tuple[Totals, Any]],
    zeros: Totals,
    at: tuple,
    together: int,
    swept: Float[Array, " blocks"],
) -> tuple[Totals, Any]:
    """Totals of all blocks, and what each of them returns: one block after the other, or some at once.

    Args:
        one_block: Takes the leaves of a block.
        zeros: Totals of nothing.
        at: Leaves with a leading block axis.
        together: Blocks at once; as many as divide the number of blocks, if those do not.
        swept: 1 for blocks that count, 0 for those that are passed over and return zeros.
    """
    blocks = jax.tree.leaves(at)[0].shape[0]
    together = at_once(blocks, together)

    def simulated(at: tuple, own: Array) -> tuple[Totals, Any]:
        if together == 1:
            return one_block(at)
        only = lambda leaf: leaf * own.reshape(-1, *[1] * (leaf.ndim - 1))
        totals, kept = jax.tree.map(only, jax.vmap(one_block)(at))
        return jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), totals), kept

    def passed_over(at: tuple, own: Array) -> tuple[Totals, Any]:
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(simulated, at, own))

    def some(carry: tuple, one: tuple) -> tuple[tuple, Any]:
        at, own = one
        # A branch, and no product with zero: blocks that do not count cost nothing.
        found = jax.lax.cond(jnp.any(own > 0), simulated, passed_over, at, own)
        return compensated_add(carry, found[0]), found[1]

    if together > 1:
        in_sets = lambda leaf: leaf.reshape(blocks // together, together, *leaf.shape[1:])
        at, swept = jax.tree.map(in_sets, (at, swept))
    (totals, _), kept = jax.lax.scan(some, (zeros, zeros), (at, swept))
    if together > 1:
        kept = jax.tree.map(lambda leaf: leaf.reshape(blocks, *leaf.shape[2:]), kept)
    return totals, kept


class InventorySubproblem(eqx.Module):
    """Inventory of every item as a simulated, differentiated policy problem.

    `swept` says which blocks a sweep evaluates (1, else 0): a sample of the items is searched by the same compiled
    program as the whole.
    """

    network: Network
    resources: Resources
    catalog: Catalog
    settings: Settings
    scale: AbstractPolicy
    first: AbstractPolicy
    item_scale: Float[Array, "blocks items"]
    swept: Float[Array, " blocks"]
    search: SearchOptions
    chunks: int = eqx.field(static=True)
    mesh: Mesh | None = eqx.field(static=True, default=None)

    @property
    def optimiser(self) -> optax.GradientTransformation:
        """The optimiser of the parameters."""
        return optimiser(self.search)

    def begin(self, raw: AbstractPolicy) -> ItemState:
        """State of a search that starts at these parameters, on the devices of the mesh."""
        return place_blocks(ItemState(raw, self.optimiser.init(raw), raw, raw), self.mesh)

    def everywhere(self, tree: Any) -> Any:
        """A tree that belongs to no item, on every device of the mesh."""
        return place_copies(tree, self.mesh)

    def zero_prices(self) -> Float[Array, "buckets resources"]:
        """Prices of a problem without capacities."""
        return jnp.zeros_like(self.resources.capacity)

    def at_docks(self, shares: Shares | None) -> "InventorySubproblem":
        """The same problem with other shares that pass docks which queue; None: as they are."""
        if shares is None or self.network.docks is None:
            return self
        network = eqx.tree_at(lambda n: n.docks.shares, self.network, self.everywhere(shares))
        # A leaf is replaced and no constructor is called: those of a part are arrays of the host.
        return eqx.tree_at(lambda p: p.network, self, network)

    def without_queues(self) -> "InventorySubproblem":
        """The same problem at docks that can take anything on a day."""
        docks = self.network.docks
        if docks is None:
            return self
        return eqx.tree_at(lambda p: p.network.docks.capacity, self, jnp.full_like(docks.capacity, jnp.inf))

    def with_scenarios(self, count: int) -> "InventorySubproblem":
        """The same problem with so many scenarios in every step, a divisor of those it has: all have their turn."""
        settings, size = self.settings, self.settings.scenarios_per_step
        if size % count:
            raise ValueError(f"{count} scenarios are no whole part of the {size} of a step")
        settings = replace(settings, scenarios_per_step=count)
        return replace(self, settings=settings, chunks=self.chunks * (size // count))

    def policy(self, raw: AbstractPolicy) -> AbstractPolicy:
        """Parameters in units of stock; leaves have a leading block axis."""
        return jax.tree.map(jnp.multiply, raw, self.scale)

    def sweep(self, inputs: SweepInputs, raw: AbstractPolicy) -> tuple[Totals, Slopes]:
        """Sum over all blocks that are swept, and the derivatives of every item.

        Where scenarios have weights these came from a look at the totals (`look`), which are not taken again.
        """
        settings = self.settings
        weighted = inputs.weights is not None
        zeros = self._nothing(worlds=weighted)

        def local(shared: tuple, at: tuple) -> tuple[Totals, Slopes]:
            network, resources, profiles, zeros, inputs = shared
            ids = inputs.first + jnp.arange(settings.scenarios_per_step, dtype=jnp.int32)

            def one_block(one: tuple) -> tuple[Totals, Slopes]:
                leaves, raw_block, scale_block, cost = one
                block = leaves[0]
                scenarios = draw(settings.scenarios, profiles, leaves, ids, inputs.purpose)
                lists = block_lists(network, resources, settings, block, inputs.list_prices)

                def loss(parameters: AbstractPolicy, on_hand: Array) -> tuple[Array, Totals]:
                    policy = jax.tree.map(jnp.multiply, parameters, scale_block)
                    own = eqx.tree_at(lambda b: b.on_hand, block, on_hand)
                    around = (network, resources, settings, policy, own, scenarios, inputs.prices, lists)
                    return evaluate_block(*around, weights=inputs.weights)

                on_hand = jnp.maximum(block.on_hand + inputs.more, 0)
                (by_level, by_stock), totals = jax.grad(loss, argnums=(0, 1), has_aux=True)(raw_block, on_hand)
                if settings.whole_usage and resources.count and not weighted:
                    policy = jax.tree.map(jnp.multiply, raw_block, scale_block)
                    totals = whole_totals(network, resources, settings, policy, block, scenarios, lists)
                levels, undefined = finite(jax.tree.map(lambda leaf: leaf / cost, by_level))
                totals = replace(totals, undefined=undefined.astype(totals.value.dtype))
                return totals, Slopes(levels, block.live * by_stock)

            blocks, swept = at
            return over_blocks(one_block, zeros, blocks, settings.together, swept)

        shared = (self.network, self.resources, self.catalog.profiles, zeros, inputs)
        at = (self.catalog.per_block(), raw, self.scale, self.item_scale)
        return over_items(local, self.mesh)(shared, (at, self.swept))

    def look(self, inputs: SweepInputs, raw: AbstractPolicy) -> Totals:
        """Sum over all blocks that are swept, also in every scenario, without any derivative."""
        settings = self.settings

        def local(shared: tuple, at: tuple) -> tuple[Totals, tuple]:
            network, resources, profiles, zeros, inputs = shared
            ids = inputs.first + jnp.arange(settings.scenarios_per_step, dtype=jnp.int32)

            def one_block(one: tuple) -> tuple[Totals, tuple]:
                leaves, raw_block, scale_block = one
                scenarios = draw(settings.scenarios, profiles, leaves, ids, inputs.purpose)
                lists = block_lists(network, resources, settings, leaves[0], inputs.list_prices)
                policy = jax.tree.map(jnp.multiply, raw_block, scale_block)
                around = (network, resources, settings, policy, leaves[0], scenarios, lists)
                return whole_totals(*around, whole=settings.whole_usage, worlds=True), ()

            blocks, swept = at
            return over_blocks(one_block, zeros, blocks, settings.together, swept)

        shared = (self.network, self.resources, self.catalog.profiles, self._nothing(worlds=True), inputs)
        at = (self.catalog.per_block(), raw, self.scale)
        return over_items(local, self.mesh)(shared, (at, self.swept))[0]

    def _nothing(self, *, worlds: bool) -> Totals:
        """Totals of no items; with `worlds` also of every scenario."""
        samples, dtype = self.settings.scenarios_per_step, self.item_scale.dtype
        loads = no_loads(self.network, samples, dtype)
        terms = optional_terms(self.catalog.block)
        return Totals.zeros(self.resources, dtype, loads, samples if worlds else 0, **terms)
