"""Plan an instance: tables and a configuration in, a certified plan out. No files are touched here."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl

from meio_jax.certify.certificate import Certificate, relative_violation
from meio_jax.certify.confirm import confirmation
from meio_jax.certify.feasibility import out_of_reach
from meio_jax.certify.holdout import Holdout, Tally
from meio_jax.certify.slack import Effort, Slack, estimate_slack
from meio_jax.certify.unit_values import UnitValues, unit_values
from meio_jax.certify.verdict import doubts_feasibility, feasibility_steps, judge_plan, make_certificate
from meio_jax.config.settings import Config
from meio_jax.config.values import Values
from meio_jax.distributed.compile_cache import drop_programs_if_many
from meio_jax.distributed.sharding import item_mesh, local_devices, own_part
from meio_jax.dual import BestSoFar, Tolerances
from meio_jax.instance import KINDS, Instance, build_instance
from meio_jax.instance.census import Gather, alone
from meio_jax.model.network import Network
from meio_jax.objective import AbstractObjective
from meio_jax.plans.tables import metrics_frame, plan_frames
from meio_jax.policy import AbstractPolicy
from meio_jax.progress import AbstractProgress, Silent, Step
from meio_jax.results import Result
from meio_jax.scenarios.sampling import VALIDATION, ScenarioSettings
from meio_jax.simulation.rollout import GRADIENT_MODES
from meio_jax.solver.probe import probe
from meio_jax.solver.problem import SearchOptions, build_problem
from meio_jax.solver.solve import Limits, Solution, State, Trace, initial_state, solve
from meio_jax.solver.subproblem import InventorySubproblem, Search, Settings
from meio_jax.tables import Tables
from meio_jax.tables.periods import PERIODS_PER_CYCLE

_DENSE_UP_TO_NODES = 4
_CPU_BATCH_ROWS, _LEAST_BATCH = 5_000, 64


@dataclass(frozen=True)
class Model:
    """An instance made ready to solve under a configuration."""

    config: Config
    instance: Instance
    problem: InventorySubproblem
    method: BestSoFar
    limits: Limits
    values: Values

    @property
    def kind_of(self) -> jax.Array:
        return jnp.asarray(self.instance.kinds)


@dataclass(frozen=True)
class Plan:
    """A finished plan: solution, holdout results, certificate, and every result as a data frame."""

    model: Model
    solution: Solution
    policy: AbstractPolicy
    holdout: Holdout
    certificate: Certificate
    values: UnitValues | None = None
    earlier_prices: np.ndarray | None = None

    @property
    def result(self) -> Result:
        """How the solve ended."""
        return Result[self.certificate.result]

    def frames(self) -> dict[str, pl.DataFrame]:
        """All result tables by the name they have in a run folder (`plan/targets`, `prices`, ...)."""
        model = self.model
        found = plan_frames(
            model.instance,
            self.policy,
            self.solution,
            self.holdout,
            rounds=model.problem.settings.rounds,
            values=self.values,
            daily=model.config.output.daily_orders,
            exceptions=model.config.exceptions,
            earlier_prices=self.earlier_prices,
            first=jax.process_index() == 0,
        )
        tables = dict(found)
        return {**tables, "metrics": metrics_frame(self.solution)}


def block_items(nodes: int, scenarios: int) -> int:
    """Items per block such that what the backward pass of a day keeps fits the cache (measured in `bench_kernel`)."""
    rows = _CPU_BATCH_ROWS if jax.default_backend() == "cpu" else 64 * _CPU_BATCH_ROWS
    batch = max(_LEAST_BATCH, rows // max(nodes, 1))
    return max(1, batch // scenarios)


def assignment_form(wanted: str, nodes: int) -> str:
    """Dense products for tiny networks on accelerators, sparse rows otherwise (measured in `bench_kernel`)."""
    if wanted != "auto":
        return wanted
    return "dense" if nodes <= _DENSE_UP_TO_NODES and jax.default_backend() != "cpu" else "sparse"


def _stored(instance: Instance, config: Config) -> bool:
    network, layout = instance.network, instance.layout
    classes = network.waves * network.speeds * network.regions
    rows = classes + network.offers + network.lanes
    size = layout.item.size * config.scenarios.train * network.horizon * rows * 4
    return size <= config.scenarios.store_gib * 2**30


def per_step(config: Config) -> int:
    """Scenarios that one step simulates."""
    return min(config.scenarios.per_step, config.scenarios.train)


def settings_of(config: Config, instance: Instance, objective: AbstractObjective | None = None) -> Settings:
    """The static choices of the item problems; the objective is that of the configuration unless it is given."""
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
        form=assignment_form(config.fulfilment.form, instance.network.nodes),
        gradient=GRADIENT_MODES[config.solve.gradient],
        dither=config.fulfilment.dither,
        damping=config.fulfilment.damping,
        scenarios_per_step=per_step(config),
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
    """
    drop_programs_if_many()
    values = Values.of(config) if values is None else values
    dtype = np.dtype(config.precision).type
    items = config.solve.block_items or block_items(tables.nodes.height, per_step(config))
    mesh = item_mesh(config.solve.devices)
    instance = build_instance(
        tables,
        block_items=items,
        bands=config.fulfilment.weight_bands,
        dtype=dtype,
        devices=local_devices(mesh),
        gather=gather,
    )
    stationary = values.policy.stationary
    options = config.solve
    problem = build_problem(
        instance.network,
        instance.resources,
        instance.catalog,
        settings_of(config, instance, values.objective),
        values.policy.family,
        config.scenarios.train,
        search=SearchOptions(options.learning_rate, options.final_learning_rate, options.max_steps),
        margin=options.capacity_margin,
        stationary=tables.settings.stationary_targets if stationary is None else stationary,
        store=_stored(instance, config),
        mesh=mesh,
        prices=None if start_prices is None else jnp.asarray(start_prices(instance), dtype),
    )
    # Prices are averaged as well as plans, and the gap of the mean is a little larger than the mean gap.
    gap = options.gap / 2
    tolerances = Tolerances(options.violation, gap, options.change)
    averaging = options.averaging if config.scenarios.train > per_step(config) else 1
    method = BestSoFar(values.dual, options.violation, averaging, gap, options.price_gain)
    kinds = tuple(KINDS[kind] for kind in instance.kinds)
    limits = Limits(options.max_steps, options.min_steps, options.check_every, tolerances, kinds)
    return Model(config, instance, problem, method, limits, values)


def search(
    model: Model,
    state: State | None = None,
    *,
    progress: AbstractProgress | None = None,
    on_step: Callable[[State, Step, Trace], None] | None = None,
    history: tuple[Step, ...] = (),
) -> Solution:
    """Run the solver loop from the starting point, or from `state`."""
    if state is None:
        state = initial_state(model.problem, model.method)
    config = model.config
    asked = None
    if config.solve.confirm:
        aimed_at = model.problem.resources
        stop = Silent().should_stop if progress is None else progress.should_stop
        asked = confirmation(_given_capacities(model), aimed_at, config, model.method.averaging, per_step(config), stop)
    found = solve(
        model.problem,
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
    problem, chunk = _given_capacities(model), per_step(model.config)
    ids = jnp.arange(-(-4 * chunk // 8) * 8, dtype=jnp.int32)
    others = (cast(Search, solution.state.mean.iterate).raw, problem.first)
    found = probe(problem, solution.best, solution.prices, ids, others)
    if not bool(np.asarray(own_part(found.moved)).any()) and jax.process_count() == 1:
        return solution
    best = eqx.tree_at(lambda s: s.raw, solution.best, found.raw)

    def merit(search: Search) -> tuple[float, float]:
        tally = Tally(problem, problem.policy(search), search.list_prices, chunk, purpose=VALIDATION)
        usage = tally.upto(4 * chunk).usage
        relative, _ = relative_violation(problem.resources, usage.used, usage.wanted, np.asarray(solution.state.usual))
        beyond = max(float(relative.max(initial=0)) - model.config.solve.violation, 0.0)
        return beyond, tally.objective()

    before, after = merit(solution.best), merit(best)
    if after[0] > before[0] + 1e-9 or not np.isfinite(after[1]):
        return solution
    state = eqx.tree_at(lambda s: s.best, solution.state, best)
    return dataclasses.replace(solution, best=best, state=state, confirmed=None)


def _given_capacities(model: Model) -> InventorySubproblem:
    """The problem with the capacities as the user gave them (no margin)."""
    return eqx.tree_at(lambda p: p.resources, model.problem, model.problem.everywhere(model.instance.resources))


def clairvoyance_holds(network: Network) -> bool:
    """Whether the clairvoyant bound holds: it begins in the morning of period 0, an evening later than evening orders.

    Where a warm-up is longer than any lead time that evening makes no difference to what is charged.
    """
    longest = max(network.vendor_limit, network.lane_limit)
    return not network.evening or not bool(np.asarray(network.charged)[: longest + 1].any())


def _slack_of(
    model: Model, problem: InventorySubproblem, solution: Solution, progress: AbstractProgress
) -> Slack | None:
    """What items could still save at the final prices; None where that is not asked, or makes no sense any more."""
    config = model.config
    wanted = solution.result in (Result.CONVERGED, Result.MAX_STEPS) and jax.process_count() == 1
    if not config.solve.slack_items or not wanted:
        return None
    progress.stage("slack of the items")
    declared, stationary = model.instance.tables.settings.stationary_targets, model.values.policy.stationary
    return estimate_slack(
        problem,
        solution.best,
        solution.prices,
        model.values.policy.family,
        Effort(items=config.solve.slack_items),
        stationary=declared if stationary is None else stationary,
        seed=config.seed,
        check=progress.check,
    )


def certify(model: Model, solution: Solution, *, progress: AbstractProgress | None = None) -> Plan:
    """Judge the best plan of a solve on holdout scenarios and write down what can be said about it."""
    progress = Silent() if progress is None else progress
    started = time.perf_counter()
    problem, config = _given_capacities(model), model.config
    policy = problem.policy(solution.best)
    list_prices = solution.best.list_prices
    progress.stage("holdout")
    tally = Tally(problem, policy, list_prices, per_step(config), progress.check, times=True)
    holdout = tally.upto(config.scenarios.holdout)
    slack = _slack_of(model, problem, solution, progress)
    verdict = judge_plan(model.instance, solution, holdout, config, slack)
    infeasible = []
    if doubts_feasibility(verdict, config):
        progress.stage("feasibility")
        infeasible = out_of_reach(
            problem,
            solution.best,
            verdict.relative,
            np.asarray(solution.state.usual),
            model.instance.ids.resources,
            tolerance=config.solve.violation,
            steps=feasibility_steps(solution, config),
            check=progress.check,
        )
    bound = None
    if config.scenarios.clairvoyant and clairvoyance_holds(model.instance.network):
        from meio_jax.certify.clairvoyant import clairvoyant_bound

        progress.stage("clairvoyant bound")
        found = clairvoyant_bound(
            problem, solution.prices, config.scenarios.clairvoyant, chunk=per_step(config), check=progress.check
        )
        bound = float(found.value) if np.isfinite(found.value) else None
    seconds = solution.seconds + time.perf_counter() - started
    certificate = make_certificate(
        model.instance,
        config,
        solution,
        holdout,
        verdict,
        infeasible=[one.as_dict() for one in infeasible],
        bound=bound,
        seconds=seconds,
    )
    own = jax.tree.map(lambda leaf: jnp.asarray(own_part(leaf)), policy)
    values = values_of_units(problem, policy, solution, config, progress)
    return Plan(model, solution, own, holdout, certificate, values)


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
    prices = (problem.everywhere(solution.prices), problem.everywhere(solution.best.list_prices))
    return unit_values(problem, policy, prices, count, chunk=min(per_step(config), count), check=progress.check)


def plan(
    tables: Tables, config: Config, *, progress: AbstractProgress | None = None, state: State | None = None
) -> Plan:
    """Prepare, search and certify in one call."""
    model = prepare(tables, config)
    return certify(model, search(model, state, progress=progress), progress=progress)
