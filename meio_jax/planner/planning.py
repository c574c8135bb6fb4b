"""Plan an instance: tables and a configuration in, a certified plan out. No files are touched here."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
from jax.sharding import Mesh

from meio_jax.certify.certificate import Certificate, relative_violation
from meio_jax.certify.clairvoyant import capacity_rent, clairvoyant_bound
from meio_jax.certify.confirm import confirmation
from meio_jax.certify.feasibility import OutOfReach, out_of_reach
from meio_jax.certify.holdout import Holdout, evaluate_holdout
from meio_jax.certify.sample import sample_of
from meio_jax.certify.slack import Effort, Slack, estimate_slack
from meio_jax.certify.unit_values import UnitValues, unit_values
from meio_jax.certify.verdict import Verdict, doubts_feasibility, feasibility_steps, judge_plan, make_certificate
from meio_jax.config.settings import Config
from meio_jax.config.values import Values
from meio_jax.distributed.compile_cache import drop_programs_if_many
from meio_jax.distributed.sharding import item_mesh, local_devices, own_part, sum_over_processes
from meio_jax.dual import BestSoFar, Tolerances
from meio_jax.instance import KINDS, Instance, build_instance
from meio_jax.instance.blocks import Layout
from meio_jax.instance.census import Gather, alone
from meio_jax.model.network import Network
from meio_jax.model.resources import Resources
from meio_jax.objective import AbstractObjective
from meio_jax.planner.block_size import Device, blocks_together, items_per_block, this_device
from meio_jax.planner.override_costs import Pricing
from meio_jax.plans.tables import plan_frames, shared_frames
from meio_jax.policy import AbstractPolicy
from meio_jax.progress import AbstractProgress, Silent, Step
from meio_jax.results import Result
from meio_jax.scenarios.sampling import ScenarioSettings
from meio_jax.simulation.gradients import GRADIENT_MODES
from meio_jax.solver.file_store import FileStore
from meio_jax.solver.first_levels import Start
from meio_jax.solver.optimiser import SearchOptions
from meio_jax.solver.probe import probe
from meio_jax.solver.problem import Built, Training, build_problem
from meio_jax.solver.refine import Surroundings
from meio_jax.solver.solve import Limits, Solution, State, Trace, initial_state, solve
from meio_jax.solver.store import AbstractInventoryStore, MemoryStore, Part
from meio_jax.solver.subproblem import InventorySubproblem, ItemState, Settings
from meio_jax.tables import Tables
from meio_jax.tables.periods import PERIODS_PER_CYCLE

_DENSE_UP_TO_NODES = 4
# With fewer items a unit more or less is a step that prices cannot halve: they follow usage in fractions of units. And
# one item that exceeds a capacity would bound the safety stock of all that do not use it.
MANY_ITEMS = 100


@dataclass(frozen=True)
class Model:
    """A catalog made ready to solve under a configuration.

    `instance` is the catalog, or its first part where the store has several: what all parts share is in each.
    `instances` gives the arrays of every part in turn, and `layouts` how its items are cut into blocks.
    """

    config: Config
    instance: Instance
    store: AbstractInventoryStore
    method: BestSoFar
    limits: Limits
    values: Values
    instances: Callable[[], Iterable[Instance]]
    layouts: Callable[[], Iterable[Layout]]

    @property
    def problem(self) -> InventorySubproblem:
        """The item problems, of one part where there are several."""
        return self.store.problem

    @property
    def given(self) -> AbstractInventoryStore:
        """The items with the capacities as the user gave them (no margin)."""
        return self.store.given(self.instance.resources)

    @property
    def streamed(self) -> bool:
        """Whether the items pass in parts, from files."""
        return isinstance(self.store, FileStore)

    @property
    def stationary(self) -> bool:
        """Whether one target holds for all buckets."""
        chosen = self.values.policy.stationary
        return self.instance.tables.settings.stationary_targets if chosen is None else chosen

    @property
    def kind_of(self) -> jax.Array:
        return jnp.asarray(self.instance.kinds)


@dataclass(frozen=True)
class PartPlan:
    """The plan of a part of the catalog: parameters in units, holdout results, and what units in stock are worth.

    `number` is that of the part among all; of a catalog in memory that of the process that has it. `overrides` is the
    table `plan/overrides`, None where nothing is overridden.
    """

    number: int
    instance: Instance
    policy: AbstractPolicy
    holdout: Holdout
    values: UnitValues | None = None
    overrides: pl.DataFrame | None = None


@dataclass(frozen=True)
class Plan:
    """A finished plan: solution, holdout results of all items together, certificate, and its parts.

    There is one part for a catalog in memory. The parts of a larger one are passed on as they are judged
    (`certify(receive=...)`), and none is kept.
    """

    model: Model
    solution: Solution
    holdout: Holdout
    certificate: Certificate
    parts: tuple[PartPlan, ...] = ()
    earlier_prices: np.ndarray | None = None

    @property
    def result(self) -> Result:
        """How the solve ended."""
        return Result[self.certificate.result]

    @property
    def policy(self) -> AbstractPolicy:
        """Parameters of a catalog in memory, in units."""
        return self.parts[0].policy

    @property
    def values(self) -> UnitValues | None:
        """What units in stock are worth, of a catalog in memory; None where that was not asked for."""
        return self.parts[0].values

    def frames(self) -> dict[str, pl.DataFrame]:
        """All result tables by the name they have in a run folder (`plan/targets`, `prices`, ...).

        Example:
            >>> result.frames()["plan/targets"].select("item_id", "node_id").unique().height
            4
        """
        (whole,) = self.parts
        return dict([*part_frames(self.model, self.solution, whole, self.earlier_prices), *self.shared_frames()])

    def shared_frames(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """The tables that do not grow with the catalog."""
        return shared_frames(self.model.instance, self.solution, self.holdout, self.model.problem.settings.rounds)


def part_frames(
    model: Model, solution: Solution, part: PartPlan, earlier_prices: np.ndarray | None = None
) -> Iterator[tuple[str, pl.DataFrame]]:
    """The tables of a part by the name they have in a run folder."""
    return plan_frames(
        part.instance,
        part.policy,
        solution,
        part.holdout,
        values=part.values,
        daily=model.config.output.daily_orders,
        exceptions=model.config.exceptions,
        # Capacities are looked at once, and where all usage is known.
        earlier_prices=None if model.streamed or part.number else earlier_prices,
        overrides=part.overrides,
    )


def assignment_form(wanted: str, nodes: int, device: Device | None = None) -> str:
    """Sparse rows on a CPU, one kernel for all rounds on a GPU, and elsewhere dense products for tiny networks."""
    kind = (this_device() if device is None else device).kind
    if wanted != "auto":
        return wanted
    if kind == "gpu":
        return "fused"
    return "dense" if nodes <= _DENSE_UP_TO_NODES and kind != "cpu" else "sparse"


def _stored(instance: Instance, config: Config) -> bool:
    network, layout = instance.network, instance.layout
    classes = network.waves * network.speeds * network.regions
    rows = classes + network.offers + network.lanes
    size = layout.item.size * config.scenarios.train * network.horizon * rows * 4
    return size <= config.scenarios.store_gib * 2**30


def per_step(config: Config) -> int:
    """Scenarios that one step simulates."""
    return min(config.scenarios.per_step, config.scenarios.train)


def settings_of(
    config: Config, instance: Instance, objective: AbstractObjective | None = None, device: Device | None = None
) -> Settings:
    """The static choices of the item problems.

    The objective is that of the configuration unless it is given, the device that of this process.
    """
    declared = instance.tables.settings
    return Settings(
        objective=Values.of(config).objective if objective is None else objective,
        scenarios=ScenarioSettings(
            periods=instance.network.horizon,
            seed=config.seed,
            shared_factor_cv=declared.shared_factor_cv,
            factor_periods=PERIODS_PER_CYCLE[declared.period],
        ),
        rounds=min(config.fulfilment.rounds, instance.network.nodes),
        tiers=min(config.fulfilment.tiers, len(instance.ids.regions)),
        form=assignment_form(config.fulfilment.form, instance.network.nodes, device),
        gradient=GRADIENT_MODES[config.solve.gradient],
        dither=config.fulfilment.dither,
        damping=config.fulfilment.damping,
        scenarios_per_step=per_step(config),
        whole_usage=instance.census.items >= MANY_ITEMS,
        together=blocks_together(device),
    )


def prepare(
    tables: Tables,
    config: Config,
    *,
    start_prices: Callable[[Instance], np.ndarray] | None = None,
    values: Values | None = None,
    gather: Gather = alone,
) -> Model:
    """Build arrays, starting levels and the dual method.

    Args:
        tables: A validated instance.
        config: The configuration; `precision: float64` must be switched on in JAX before (the command line does it).
        values: Policy, objective and dual method; None: those that the configuration names.
        start_prices: Prices `[buckets, resources]` at which the starting levels are set; None: zero.
        gather: How counts of all processes come together, where the tables hold a part of the catalog only.

    Returns:
        What `search` and `certify` take.

    Example:
        >>> model = prepare(tables, config)
        >>> model.instance.items
        ['kettle', 'toaster']
    """
    mesh = item_mesh(config.solve.devices)
    values = Values.of(config) if values is None else values
    instance = build_instance(
        tables,
        block_items=items_per_block(tables, config, per_step(config)),
        bands=config.fulfilment.weight_bands,
        dtype=np.dtype(config.precision).type,
        devices=local_devices(mesh),
        together=blocks_together(),
        gather=gather,
    )
    built = built_from(instance, config, mesh, values)
    if start_prices is not None:
        problem = built.at_prices(jnp.asarray(start_prices(instance), config.precision))
    elif instance.census.items >= MANY_ITEMS:
        problem = built.within_capacities(jnp.asarray(instance.kinds))
    else:
        problem = built.problem
    return model_of(problem, instance, config, values)


def built_from(instance: Instance, config: Config, mesh: Mesh | None, values: Values) -> Built:
    """The item problems of an instance in arrays, at newsvendor levels that know no prices and no capacities.

    Args:
        instance: The catalog, or a part of it.
        config: The configuration.
        mesh: Devices that share the items.
        values: Policy, objective and dual method.
    """
    drop_programs_if_many()
    options, stationary = config.solve, values.policy.stationary
    start = Start(
        settings_of(config, instance, values.objective),
        values.policy.family,
        stationary=instance.tables.settings.stationary_targets if stationary is None else stationary,
    )
    return build_problem(
        instance.network,
        instance.resources,
        instance.catalog,
        start,
        Training(config.scenarios.train, store=_stored(instance, config)),
        SearchOptions(options.learning_rate, options.final_learning_rate, options.max_steps),
        margin=options.capacity_margin,
        mesh=mesh,
    )


def model_of(problem: InventorySubproblem, instance: Instance, config: Config, values: Values) -> Model:
    """Item problems with the dual method and the limits of their search."""
    options = config.solve
    # Prices are averaged as well as plans, and the gap of the mean is a little larger than the mean gap.
    gap = options.gap / 2
    tolerances = Tolerances(options.violation, gap, options.change)
    averaging = options.averaging if config.scenarios.train > per_step(config) else 1
    method = BestSoFar(values.dual, options.violation, averaging, gap, options.price_gain, options.floor_scale)
    kinds = tuple(KINDS[kind] for kind in instance.kinds)
    limits = Limits(options.max_steps, options.min_steps, options.check_every, tolerances, kinds)
    store, parts, layouts = MemoryStore(problem), lambda: [instance], lambda: [instance.layout]
    return Model(config, instance, store, method, limits, values, parts, layouts)


def search(
    model: Model,
    state: State | None = None,
    *,
    progress: AbstractProgress | None = None,
    on_step: Callable[[State, Step, Trace], None] | None = None,
    history: tuple[Step, ...] = (),
) -> Solution:
    """Run the solver loop.

    Args:
        model: From `prepare`.
        state: Where to start; None: from the levels of the model, without prices.
        progress: Is told of every step, and may stop the search.
        on_step: Called with the state and the report of every step.
        history: Reports of the steps before `state`.

    Returns:
        Prices, parameters and how the search ended.

    Example:
        >>> solution = search(prepare(tables, config))
        >>> float(solution.prices.min()) >= 0
        True
    """
    if state is None:
        state = initial_state(model.store, model.method)
    config = model.config
    asked = None
    if config.solve.confirm:
        stop = Silent().should_stop if progress is None else progress.should_stop
        given, chunk = model.instance.resources, per_step(config)
        asked = confirmation(model.store, given, config, model.method.averaging, chunk, stop)
    found = solve(
        model.store,
        model.method,
        state,
        model.limits,
        model.kind_of,
        progress=progress,
        on_step=on_step,
        history=history,
        confirm=asked,
    )
    return probed(model, found) if config.solve.probe else found


def probed(model: Model, solution: Solution) -> Solution:
    """The solution with the levels of those items changed that multiples of their levels serve clearly better.

    The whole is kept only if it breaks the capacities no more than before, on validation scenarios.
    """
    if solution.result in (Result.INTERRUPTED, Result.NUMERICAL_FAILURE):
        return solution
    store, chunk = model.given, per_step(model.config)
    ids = jnp.arange(-(-4 * chunk // 8) * 8, dtype=jnp.int32)
    moved = jax.process_count() > 1

    def tried(part: Part) -> ItemState:
        nonlocal moved
        raw, others = part.items.plan(solution.improved), (part.items.mean, part.problem.first)
        found = probe(part.problem, raw, solution.prices, solution.list_prices, ids, others)
        moved = moved or bool(np.asarray(own_part(found.moved)).any())
        return dataclasses.replace(part.items, best=found.raw)

    better = solution.with_best(store.changed(solution.state.items, tried, "probed"))
    if not moved:
        return solution

    def merit(plan: Solution) -> tuple[float, float]:
        sample = sample_of(store, plan.state.items, plan.improved, solution.list_prices, chunk).upto(4 * chunk)
        usage = sample.mean_usage()
        relative, _ = relative_violation(model.instance.resources, usage.used, usage.wanted, solution.usual)
        beyond = max(float(relative.max(initial=0)) - model.config.solve.violation, 0.0)
        return beyond, sample.objective()

    before, after = merit(solution), merit(better)
    return solution if after[0] > before[0] + 1e-9 or not np.isfinite(after[1]) else better


def clairvoyance_holds(network: Network) -> bool:
    """Whether the clairvoyant bound holds: it begins in the morning of period 0, an evening later than evening orders.

    Where a warm-up is longer than any lead time that evening makes no difference to what is charged.
    """
    longest = max(network.vendor_limit, network.lane_limit)
    return not network.evening or not bool(np.asarray(network.charged)[: longest + 1].any())


def _slack_of(model: Model, solution: Solution, progress: AbstractProgress) -> Slack | None:
    """What items could still save at the final prices; None where that is not asked, or makes no sense any more."""
    config = model.config
    wanted = solution.result in (Result.CONVERGED, Result.MAX_STEPS) and jax.process_count() == 1
    if not config.solve.slack_items or not wanted:
        return None
    progress.stage("slack of the items")
    effort = Effort(items=config.solve.slack_items)
    return estimate_slack(
        model.given,
        solution,
        model.values.policy.family,
        effort,
        stationary=model.stationary,
        seed=config.seed,
        check=progress.check,
    )


class _Sums:
    """What parts add up to: holdout results, and their clairvoyant bounds."""

    def __init__(self) -> None:
        self.holdout: Holdout | None = None
        self.bounds: list[float] = []

    def add(self, holdout: Holdout) -> None:
        total = self.holdout
        shared = lambda h: (h.sums, h.usage, h.regional)
        summed = holdout if total is None else jax.tree.map(np.add, shared(total), shared(holdout))
        self.holdout = holdout if total is None else eqx.tree_at(shared, total, summed)

    def over_all(self, store: AbstractInventoryStore) -> Holdout:
        """Holdout results of all processes together, but for those of items."""
        if self.holdout is None:
            raise ValueError("a catalog has at least one part")
        shared = lambda h: (h.sums, h.usage, h.regional)
        sums, usage, regional = shared(self.holdout)
        together = (sum_over_processes(sums), *store.summed((usage, regional)))
        return eqx.tree_at(shared, self.holdout, together)

    def bound(self, resources: Resources, prices: jax.Array) -> float | None:
        """The clairvoyant bound of all items, less the rent of all capacities; None where there is none."""
        total = float(sum_over_processes(np.asarray(sum(self.bounds))))
        return total - capacity_rent(resources, prices) if self.bounds and np.isfinite(total) else None


def certify(
    model: Model,
    solution: Solution,
    *,
    progress: AbstractProgress | None = None,
    receive: Callable[[PartPlan], None] | None = None,
) -> Plan:
    """Judge the best plan of a solve on holdout scenarios and write down what can be said about it.

    Args:
        model: What was solved.
        solution: The search.
        progress: Where to report.
        receive: Takes the plan of every part as it is judged; None: they are kept.

    Returns:
        The plan, with its certificate.

    Example:
        >>> plan = certify(model, search(model))
        >>> low, high = plan.certificate.holdout_cost_ci95
        >>> low <= plan.certificate.holdout_cost <= high
        True
    """
    progress = Silent() if progress is None else progress
    started = time.perf_counter()
    config, sums = model.config, _Sums()
    kept: list[PartPlan] = []
    bounded = config.scenarios.clairvoyant and clairvoyance_holds(model.instance.network)
    progress.stage("holdout and clairvoyant bound" if bounded else "holdout")
    plans = model.given.plans(solution.state.items, solution.improved)
    parts = zip(model.store.numbers, plans, model.instances(), strict=True)
    for number, (problem, policy), instance in parts:
        holdout = evaluate_holdout(
            problem,
            policy,
            solution.list_prices,
            config.scenarios.holdout,
            chunk=per_step(config),
            check=progress.check,
            times=True,
        )
        values = values_of_units(problem, policy, solution, config, progress)
        if bounded:
            sums.bounds.append(_bound_of(problem, solution, config, progress))
        sums.add(holdout)
        own = jax.tree.map(lambda leaf: jnp.asarray(own_part(leaf)), policy)
        overridden = _overrides_of(model, solution, instance, own, progress)
        (kept.append if receive is None else receive)(PartPlan(number, instance, own, holdout, values, overridden))
    total = sums.over_all(model.store)
    slack = _slack_of(model, solution, progress)
    verdict = judge_plan(model.instance, solution, total, config, slack)
    infeasible = _infeasible(model, solution, verdict, progress)
    certificate = make_certificate(
        model.instance,
        config,
        solution,
        total,
        verdict,
        infeasible=[one.as_dict() for one in infeasible],
        bound=sums.bound(model.instance.resources, solution.prices),
        seconds=solution.seconds + time.perf_counter() - started,
    )
    return Plan(model, solution, total, certificate, tuple(kept))


def _infeasible(model: Model, solution: Solution, verdict: Verdict, progress: AbstractProgress) -> list[OutOfReach]:
    """Capacities that no plan can meet, where the plan misses some by so much that this is looked for."""
    config = model.config
    if not doubts_feasibility(verdict, config):
        return []
    progress.stage("feasibility")
    return out_of_reach(
        model.given,
        solution,
        verdict.relative,
        model.instance.ids.resources,
        tolerance=config.solve.violation,
        steps=feasibility_steps(solution, config),
        check=progress.check,
    )


def _bound_of(problem: InventorySubproblem, solution: Solution, config: Config, progress: AbstractProgress) -> float:
    """Clairvoyant bound of the items of a part that this process has, before any rent is taken off."""
    count, chunk = config.scenarios.clairvoyant, per_step(config)
    found = clairvoyant_bound(problem, solution.prices, count, chunk=chunk, check=progress.check)
    return float(found.per_item.sum())


def _overrides_of(
    model: Model, solution: Solution, instance: Instance, policy: AbstractPolicy, progress: AbstractProgress
) -> pl.DataFrame | None:
    """Overrides of a part with what they cost; None where the catalog has none."""
    if not instance.census.overridden:
        return None
    around = Surroundings(
        network=instance.network,
        resources=instance.resources,
        profiles=instance.catalog.profiles,
        prices=jnp.asarray(np.asarray(solution.prices)),
        list_prices=jnp.asarray(np.asarray(solution.list_prices)),
        settings=model.problem.settings,
        stationary=model.stationary,
    )
    pricing = Pricing(model.config, instance, policy, model.values.policy.family, around, progress)
    return pricing.frame(failed=solution.result is Result.NUMERICAL_FAILURE)


def values_of_units(
    problem: InventorySubproblem,
    policy: AbstractPolicy,
    solution: Solution,
    config: Config,
    progress: AbstractProgress,
) -> UnitValues | None:
    """What units in stock are worth at the prices of a solve; None where the configuration asks for no scenarios."""
    count = min(config.scenarios.unit_values, config.scenarios.holdout)
    if not count:
        return None
    prices = (problem.everywhere(solution.prices), problem.everywhere(solution.list_prices))
    return unit_values(problem, policy, prices, count, chunk=min(per_step(config), count), check=progress.check)


def plan(
    tables: Tables, config: Config, *, progress: AbstractProgress | None = None, state: State | None = None
) -> Plan:
    """Prepare, search and certify in one call.

    Args:
        tables: A checked instance.
        config: All settings; its paths are not looked at.
        progress: Is told of every step.
        state: Where the search starts; None: from newsvendor levels, without prices.

    Returns:
        The plan: no file is read or written.

    Example:
        >>> plan(tables, config).certificate.holdout_scenarios
        32
    """
    model = prepare(tables, config)
    return certify(model, search(model, state, progress=progress), progress=progress)
