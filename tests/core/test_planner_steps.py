"""The sweep over items: independent of how items are cut into blocks, and compiled once."""

from dataclasses import replace
from types import ModuleType

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import close
from tiny import tiny_tables

import meio_jax.certify.plan_sweep
import meio_jax.solver.subproblem
from meio_jax.certify.certificate import relative_violation
from meio_jax.certify.confirm import confirmation
from meio_jax.certify.holdout import HoldoutEvaluation
from meio_jax.certify.plan_sweep import unstored
from meio_jax.certify.sample import Sample
from meio_jax.certify.unit_values import SIDE, unit_values
from meio_jax.config import Config
from meio_jax.distributed import kept_programs
from meio_jax.planner import Model, prepare
from meio_jax.policy import AbstractPolicy
from meio_jax.progress import Step
from meio_jax.scenarios.sampling import HOLDOUT, TRAINING, VALIDATION, purpose_of
from meio_jax.solver.optimiser import SearchOptions
from meio_jax.solver.solve import State, Trace, initial_state, joint_step
from meio_jax.solver.store import part_sweep
from meio_jax.solver.subproblem import InventorySubproblem, SweepInputs, Totals

# float32 sums over three items in another order, hundreds of units.
ROUNDING = 2e-5


def model(block_items: int) -> Model:
    config = Config.model_validate(
        {
            "instance": {"path": "none"},
            "run": "none",
            "scenarios": {"train": 3, "per_step": 3, "holdout": 3, "clairvoyant": 0},
            "fulfilment": {"weight_bands": 1},
            "solve": {"block_items": block_items},
        }
    )
    return prepare(tiny_tables(), config)


def stepped(one: Model, steps: int) -> tuple[State, Trace]:
    with jax.numpy_dtype_promotion("standard"):
        state = initial_state(one.store, one.method)
        for _ in range(steps):
            state, trace = joint_step(one.store, one.method, one.kind_of, state)
    return state, trace


@pytest.fixture(scope="module")
def wide() -> Model:
    return model(3)


@pytest.fixture(scope="module")
def narrow() -> Model:
    return model(1)


@pytest.mark.slow
def test_block_size_changes_nothing(wide: Model, narrow: Model) -> None:
    """Items one by one, and two ambient items with a padding item that must not be charged."""
    assert float(wide.instance.catalog.block.live.min()) == 0
    assert float(narrow.instance.catalog.block.live.min()) == 1
    ours, theirs = stepped(wide, 2)[1], stepped(narrow, 2)[1]
    size = float(jnp.abs(ours.evaluation.value))
    close(ours.evaluation.value, theirs.evaluation.value, tolerance=ROUNDING)
    close(ours.evaluation.terms, theirs.evaluation.terms, tolerance=ROUNDING, of=size)
    close(ours.evaluation.excess, theirs.evaluation.excess, tolerance=ROUNDING, of=100)
    join = lambda one, leaf: one.instance.layout.join(np.asarray(leaf), 3)
    close(join(wide, wide.problem.first.target), join(narrow, narrow.problem.first.target), tolerance=ROUNDING)


@pytest.mark.slow
def test_blocks_simulated_at_once_change_nothing(wide: Model, narrow: Model) -> None:
    """As a step does on a GPU: three blocks of one item at once, with lists of their own, in the form of a GPU."""
    settings = replace(narrow.problem.settings, together=3, form="fused")
    problem = eqx.tree_at(lambda one: one.settings, narrow.problem, settings)
    at_once = replace(narrow, store=eqx.tree_at(lambda store: store.problem, narrow.store, problem))
    assert narrow.instance.catalog.blocks == 3
    (ours, mine), (theirs, other) = stepped(at_once, 2), stepped(wide, 2)
    close(mine.evaluation.value, other.evaluation.value, tolerance=ROUNDING)
    close(mine.evaluation.excess, other.evaluation.excess, tolerance=ROUNDING, of=100)
    join = lambda one, state: one.instance.layout.join(np.asarray(state.items.raw.target), 3)
    close(join(at_once, ours), join(wide, theirs), tolerance=ROUNDING)


def rollouts_traced(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with every simulation that a program of the module is traced with, none of which were kept."""
    traced: list[int] = []
    original = module.rollout

    def counted(*arguments: object, **options: object):
        traced.append(1)
        return original(*arguments, **options)

    monkeypatch.setattr(module, "rollout", counted)
    monkeypatch.setattr(kept_programs, "_folder", lambda: None)
    return traced


def test_the_joint_step_compiles_once(wide: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    traced = rollouts_traced(meio_jax.solver.subproblem, monkeypatch)
    state, _ = stepped(wide, 1)
    first = len(traced)
    with jax.numpy_dtype_promotion("standard"):
        for _ in range(3):
            state, _ = joint_step(wide.store, wide.method, wide.kind_of, state)
    assert len(traced) == first


def test_values_of_units_are_slopes_of_the_program_that_searched(wide: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other scenarios and another stock of today are arguments; more stock saves as a difference of sweeps says."""
    traced = rollouts_traced(meio_jax.solver.subproblem, monkeypatch)
    problem = unstored(wide.problem)
    problem = eqx.tree_at(lambda p: p.settings, problem, replace(problem.settings, whole_usage=False))
    prices, raw, nothing = problem.zero_prices(), problem.first, jnp.zeros((), problem.item_scale.dtype)

    def value(more: float) -> float:
        inputs = SweepInputs(prices, prices, jnp.asarray(0, jnp.int32), purpose_of(HOLDOUT), nothing + more)
        return float(part_sweep(problem, inputs, raw)[0].terms.total)

    with jax.numpy_dtype_promotion("standard"):
        size = 1e-3
        dearer, cheaper = value(-SIDE - size), value(-SIDE + size)
        first = len(traced)
        found = unit_values(problem, raw, (prices, prices), problem.settings.scenarios_per_step)
    assert len(traced) == first > 0
    # Totals are of the horizon without its tail, which values include: the two agree in sign, not in size.
    assert found.last.shape == np.asarray(problem.catalog.block.on_hand).shape
    assert np.isfinite(found.following).all()
    assert (cheaper - dearer) / (2 * size) < 0 < found.last.sum()


def test_plans_are_compared_and_certified_by_one_program(wide: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the scenarios are for is an argument: the program is the same, the scenarios are others."""
    traced = rollouts_traced(meio_jax.certify.plan_sweep, monkeypatch)
    policy, prices = wide.problem.policy(wide.problem.first), jnp.zeros_like(wide.store.resources.capacity)
    with jax.numpy_dtype_promotion("standard"):
        # So many scenarios that no other test has this program.
        certified = HoldoutEvaluation(wide.problem, policy, prices, 5).upto(5).sums.objective
        first = len(traced)
        compared = Sample(lambda: [(wide.problem, policy)], prices, 5).upto(5).objective()
    assert first == len(traced) > 0
    assert float(certified) != compared


@pytest.mark.slow
def test_holdout_scenarios_may_be_simulated_in_parts(wide: Model) -> None:
    """However many at a time, and whether or not someone looks in between."""
    policy, prices = wide.problem.policy(wide.problem.first), jnp.zeros_like(wide.store.resources.capacity)
    with jax.numpy_dtype_promotion("standard"):
        parts, whole = (HoldoutEvaluation(wide.problem, policy, prices, chunk) for chunk in (3, 12))
        assert parts.upto(6).scenarios == 6
        more, once = parts.upto(12), whole.upto(12)
    assert more.scenarios == once.scenarios == 12
    close(more.items, once.items, tolerance=ROUNDING, of=abs(float(once.sums.objective)))
    close(more.usage, once.usage, tolerance=ROUNDING, of=100)


@pytest.mark.parametrize("stored", [pytest.param(True, marks=pytest.mark.slow), False])
def test_steps_of_fewer_scenarios_are_those_of_all_in_turn(wide: Model, stored: bool) -> None:
    """Three steps of one scenario each add up to one of three, read from memory or drawn anew."""

    def sweep(problem: InventorySubproblem, chunk: int) -> tuple[Totals, AbstractPolicy]:
        first = jnp.asarray(chunk * problem.settings.scenarios_per_step)
        inputs = SweepInputs(*prices, first, purpose_of(TRAINING), jnp.zeros((), problem.item_scale.dtype))
        totals, slopes = part_sweep(problem, inputs, raw)
        return totals, slopes.levels

    with jax.numpy_dtype_promotion("standard"):
        problem = wide.problem if stored else unstored(wide.problem)
        assert (problem.catalog.scenarios is not None) is stored
        prices, raw = (problem.zero_prices(), problem.zero_prices()), problem.first
        single = problem.with_scenarios(1)
        assert (single.chunks, single.settings.scenarios_per_step) == (3 * problem.chunks, 1)
        whole, gradient = sweep(problem, 0)
        parts = [sweep(single, chunk) for chunk in range(3)]
        totals, gradients = jax.tree.map(lambda *leaves: sum(leaves) / 3, *parts)
    close(totals, whole, tolerance=ROUNDING, of=100)
    close(gradients, gradient, tolerance=ROUNDING, of=1)
    assert len({float(one[0].value) for one in parts}) == 3
    with pytest.raises(ValueError, match="no whole part"):
        problem.with_scenarios(2)


@pytest.mark.slow
def test_a_sample_is_of_all_parts(wide: Model) -> None:
    """Two parts that are alike use and cost twice what one does; groups of scenarios add up to all of them."""
    one = (wide.problem, wide.problem.policy(wide.problem.first))
    prices = jnp.zeros_like(wide.store.resources.capacity)
    with jax.numpy_dtype_promotion("standard"):
        single = Sample(lambda: [one], prices, 3).upto(6)
        double, coarse = (Sample(lambda: [one, one], prices, chunk).upto(6) for chunk in (3, 6))
    assert (double.scenarios, len(double.usage), len(coarse.usage)) == (6, 2, 1)
    close(double.mean_usage().used, 2 * single.mean_usage().used, tolerance=1e-12)
    assert double.objective() == pytest.approx(2 * single.objective(), rel=1e-12)
    assert double.gross() == pytest.approx(2 * single.gross(), rel=1e-12)
    close(coarse.mean_usage(), double.mean_usage(), tolerance=ROUNDING, of=100)


@pytest.mark.parametrize("factor", [0.5, 1.5])
def test_a_plan_is_confirmed_as_the_certificate_would(wide: Model, factor: float) -> None:
    """Where the steps leave it open, the simulation decides: whether all scenarios are below the tolerance."""
    with jax.numpy_dtype_promotion("standard"):
        state, _ = stepped(wide, 3)
        given, ranking = wide.instance.resources, state.shared.mean.list_prices
        used = Sample(lambda: wide.store.plans(state.items, True), ranking, 3).upto(24).mean_usage()
        violation = float(relative_violation(given, used.used, used.wanted)[0].max())
        assert violation > 0
        settings = {"violation": factor * violation, "gap": 1e9}
        config = wide.config.model_copy(update={"solve": wide.config.solve.model_copy(update=settings)})
        config = config.model_copy(update={"scenarios": config.scenarios.model_copy(update={"holdout": 24})})
        jump = jnp.full_like(state.shared.mean.jump, 10.0)
        noisy = eqx.tree_at(lambda s: s.shared.mean.jump, state, jump)
        asked = confirmation(wide.store, given, config, 64, 3)
        answer = asked(noisy, Step(3, 3, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    assert (answer.found is not None) is (factor > 1)
    assert 0 < answer.scenarios <= 2 * 24


def test_a_plan_that_misses_on_holdout_scenarios_is_not_confirmed(wide: Model) -> None:
    """Validation scenarios keep the tolerance and holdout scenarios do not: the search goes on."""
    with jax.numpy_dtype_promotion("standard"):
        state, _ = stepped(wide, 3)
        given, ranking = wide.instance.resources, state.shared.mean.list_prices

        def violation(purpose: int, count: int) -> float:
            sample = Sample(lambda: wide.store.plans(state.items, True), ranking, 3, purpose=purpose).upto(count)
            used = sample.mean_usage()
            return float(relative_violation(given, used.used, used.wanted)[0].max())

        count = next(n for n in range(3, 60, 3) if violation(HOLDOUT, n) > 1.02 * violation(VALIDATION, n) > 0)
        between = (violation(HOLDOUT, count) + violation(VALIDATION, count)) / 2
        jump = jnp.full_like(state.shared.mean.jump, 10.0)
        noisy = eqx.tree_at(lambda s: s.shared.mean.jump, state, jump)

        def confirmed(tolerance: float) -> bool:
            solve = wide.config.solve.model_copy(update={"violation": tolerance, "gap": 1e9})
            scenarios = wide.config.scenarios.model_copy(update={"holdout": count})
            config = wide.config.model_copy(update={"solve": solve, "scenarios": scenarios})
            asked = confirmation(wide.store, given, config, 64, 3)
            return asked(noisy, Step(3, 3, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)).found is not None

        assert not confirmed(between)
        assert confirmed(1.01 * violation(HOLDOUT, count))


def test_steps_of_levels_settle_before_a_search_ends(wide: Model) -> None:
    """What has not converged after `decay_steps` goes on by small steps, as the schedule of the library has them."""
    solve, search = wide.config.solve, wide.problem.search
    assert solve.decay_steps < solve.max_steps == wide.limits.max_steps
    first, last = solve.learning_rate, solve.final_learning_rate
    schedule = optax.cosine_decay_schedule(first, solve.decay_steps, alpha=last / first)
    steps = jnp.arange(2 * solve.decay_steps)
    with jax.numpy_dtype_promotion("standard"):
        np.testing.assert_allclose(search.rate(steps), schedule(steps), rtol=2e-6)
    np.testing.assert_allclose(search.rate(solve.max_steps), last, rtol=1e-6)


def test_searches_of_other_lengths_are_one_program(wide: Model) -> None:
    """Length and rates of a search are values that the compiled step is given."""
    other = eqx.tree_at(lambda p: p.search, wide.problem, SearchOptions(0.3, 0.01, 7))
    shapes = lambda problem: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), eqx.filter(problem, eqx.is_array))
    assert jax.tree.structure(other) == jax.tree.structure(wide.problem)
    assert jax.tree.all(jax.tree.map(lambda one, two: one == two, shapes(other), shapes(wide.problem)))
