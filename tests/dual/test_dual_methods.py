"""What every dual method must do, and that each finds the price of a problem with a closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close
from toy import newsvendors

from meio_jax.dual import DUAL_METHODS, BestSoFar, Observation, Progress, Tolerances
from meio_jax.dual.augmented import AugmentedPrices
from meio_jax.dual.best import amplified
from meio_jax.results import Result
from meio_jax.solver.solve import Limits, initial_state, solve

NEVER = Tolerances(0.0, 0.0, 0.0)
KIND = jnp.zeros(1, jnp.int32)


def seen(excess: float, price: float = 1.0) -> Observation:
    excess_table = jnp.asarray([[excess, -excess, 0.0]])
    one = jnp.ones((1, 3))
    return Observation(jnp.asarray(100.0), jnp.asarray(100.0), excess_table, 10 * one, price * one)


@pytest.mark.parametrize("name", sorted(DUAL_METHODS))
def test_prices_stay_non_negative(name: str) -> None:
    method = DUAL_METHODS[name]()
    state = method.init(jnp.asarray([[-1.0, 0.0, 0.5]]))
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert float(method.prices(state).min()) >= 0
        assert float(method.multipliers(state).min()) >= 0
        state = method.step(seen(float(rng.normal(0, 20))), state)


@pytest.mark.parametrize("name", sorted(DUAL_METHODS))
def test_prices_follow_the_excess(name: str) -> None:
    method = DUAL_METHODS[name]()
    state = method.init(jnp.full((1, 3), 0.5))
    before = np.asarray(method.prices(state))[0]
    for _ in range(3):
        state = method.step(seen(2.0), state)
    after = np.asarray(method.prices(state))[0]
    assert after[0] > before[0], "usage above capacity must raise the price"
    assert after[1] < before[1], "unused capacity must lower the price"
    assert after[2] == before[2], "a capacity that is just used keeps its price"


@pytest.mark.parametrize("name", sorted(DUAL_METHODS))
def test_a_wild_excess_moves_prices_by_its_logarithm(name: str) -> None:
    """A start that uses a capacity a thousand times must not throw its price, and yet be counted."""
    method = DUAL_METHODS[name]()
    start = method.init(jnp.ones((1, 3)))
    wild, full = (method.prices(method.step(seen(size), start))[0, 0] - 1 for size in (1e4, 10.0))
    close(wild, full * (1 + np.log(1e3)), tolerance=1e-5)


def test_the_integral_counts_large_excesses_like_small_ones() -> None:
    """Stock follows a price with a delay: an integral of large excesses would run up far beyond the price needed."""
    method = AugmentedPrices(step_size=3.0, near=0.03, settling=50.0)
    start = method.init(jnp.zeros((1, 3)))
    for size, moved in ((0.01, 0.03), (0.03, 0.09), (0.5, 0.09), (100.0, 0.09)):
        close(method.multipliers(method.step(seen(10 * size), start))[0, 0], moved, tolerance=1e-5)


def test_the_gain_of_the_integral_falls_with_the_steps() -> None:
    """From `step_size` as 1 / (1 + k / settling); prices that are known have settled, and go on with a third of it."""
    method = AugmentedPrices(step_size=3.0, near=0.03, settling=2.0)
    state = method.init(jnp.zeros((1, 3)))
    for gain in (3.0, 2.0, 1.5, 1.2):
        before, state = method.multipliers(state)[0, 0], method.step(seen(0.1), state)
        close(method.multipliers(state)[0, 0] - before, 0.01 * gain, tolerance=1e-5)
    known = method.init(jnp.ones((1, 3)))
    close(method.multipliers(method.step(seen(0.1), known))[0, 0] - 1, 0.01, tolerance=1e-4)


def test_of_plans_that_break_a_capacity_the_one_that_breaks_it_least_is_kept() -> None:
    """However cheap the others are, and however much prices charge for what is used beyond it."""
    ceiling = jnp.asarray([1000.0])
    method = BestSoFar(DUAL_METHODS["augmented"](), violation=0.005, gap=0.005, ceiling=ceiling)
    state = method.init(jnp.zeros((1, 1)))
    one = jnp.ones((1, 1))
    for value, excess, price, best in (
        (100.0, 20.0, 0.0, True),
        (1.0, 30.0, 0.0, False),
        (900.0, 5.0, 50.0, True),
        (400.0, 7.0, 0.0, False),
    ):
        money = jnp.asarray(value)
        state = method.judge(Observation(money, money, excess * one, one, one), price * one, state)
        assert bool(state.improved) is best


def test_where_one_capacity_cannot_be_kept_the_others_count_as_well() -> None:
    """Of the first, 8 times its size is used by any plan; a little less of it by one that breaks the second badly."""
    ceiling = jnp.asarray([100.0, 100.0])
    method = BestSoFar(DUAL_METHODS["augmented"](), violation=0.005, gap=0.005, ceiling=ceiling)
    state, one, money = method.init(jnp.zeros((1, 2))), jnp.ones((1, 2)), jnp.asarray(1000.0)
    for excess, best in (([8.0, 4.0], True), ([8.8, 0.0], True), ([8.0, 4.0], False)):
        state = method.judge(Observation(money, money, jnp.asarray([excess]), one, one), 50 * one, state)
        assert bool(state.improved) is best, excess


@pytest.mark.parametrize("name", sorted(DUAL_METHODS))
def test_prices_stay_below_their_ceiling(name: str) -> None:
    method = BestSoFar(DUAL_METHODS[name](), ceiling=jnp.asarray([3.0, jnp.inf, 2.0]))
    state = method.init(jnp.zeros((1, 3)))
    one = jnp.ones((1, 3))
    for _ in range(40):
        state = method.step(Observation(jnp.asarray(1.0), jnp.asarray(1.0), 5 * one, one, one), state)
    prices = method.prices(state)[0]
    assert prices[0] == 3
    assert prices[1] > 3
    assert prices[2] == 2


@pytest.mark.parametrize("name", sorted(DUAL_METHODS))
@pytest.mark.parametrize("capacity", [6.0, 10.0, 14.0])
def test_finds_the_price_of_the_closed_form(name: str, capacity: float) -> None:
    problem = newsvendors(capacity)
    method = BestSoFar(DUAL_METHODS[name]())
    found = solve(problem, method, initial_state(problem, method), Limits(300, tolerances=NEVER), KIND)
    price = float(method.multipliers(found.state.shared.dual)[0, 0])
    # A subgradient with falling steps is still within some percent after 300 of them; the others are far closer.
    close(price, problem.optimal_price(), tolerance=0.03, what=name)
    close(found.best_evaluation.value, problem.optimal_cost(), tolerance=0.01)
    # Weak duality (exact responses): no Lagrangian value exceeds the optimum, beyond float32 rounding.
    assert found.bound <= problem.optimal_cost() * (1 + 1e-5)
    close(found.bound, problem.optimal_cost(), tolerance=0.005)


@pytest.mark.parametrize("name", sorted(DUAL_METHODS))
def test_a_gain_finds_the_same_price(name: str) -> None:
    """It changes how fast prices move, not where they settle (whatever its size: the problem is a smooth one)."""
    problem = newsvendors(10.0)
    method = BestSoFar(DUAL_METHODS[name](), gain=3.0)
    found = solve(problem, method, initial_state(problem, method), Limits(300, tolerances=NEVER), KIND)
    close(method.multipliers(found.state.shared.dual)[0, 0], problem.optimal_price(), tolerance=0.03, what=name)


def test_a_gain_counts_what_is_near_the_capacity() -> None:
    """Of a capacity of 10 the first 0.3 units of an excess count four times; a capacity of nothing has no near."""
    excess = jnp.asarray([[0.1, -0.1, 0.3, 2.0, -2.0, 0.0]])
    one = jnp.ones_like(excess)
    before = Observation(jnp.asarray(1.0), jnp.asarray(1.0), excess, 10 * one, one)
    close(amplified(before, 4.0).excess, jnp.asarray([[0.4, -0.4, 1.2, 2.9, -2.9, 0.0]]), tolerance=1e-6)
    close(amplified(before, 1.0).excess, excess, tolerance=0)
    nothing = Observation(jnp.asarray(1.0), jnp.asarray(1.0), excess, 0 * one, one)
    close(amplified(nothing, 4.0).relative, nothing.relative, tolerance=0)


@pytest.mark.parametrize("name", sorted(DUAL_METHODS))
def test_loose_capacity_costs_nothing(name: str) -> None:
    problem = newsvendors(30.0)
    method = BestSoFar(DUAL_METHODS[name]())
    found = solve(problem, method, initial_state(problem, method), Limits(30, tolerances=NEVER), KIND)
    assert float(found.prices.max()) == 0
    close(found.best_evaluation.value, problem.optimal_cost(), tolerance=1e-6)


@pytest.mark.parametrize("name", sorted(DUAL_METHODS))
def test_merit_and_bound_are_monotone(name: str) -> None:
    problem = newsvendors(8.0)
    method = BestSoFar(DUAL_METHODS[name]())
    merits, bounds = [], []

    def record(state, step, trace) -> None:
        del step, trace
        merits.append(float(state.shared.dual.merit))
        bounds.append(float(state.shared.dual.bound))

    solve(problem, method, initial_state(problem, method), Limits(40, tolerances=NEVER), KIND, on_step=record)
    assert np.all(np.diff(merits) <= 0)
    assert np.all(np.diff(bounds) >= 0)


def test_an_iterate_within_tolerance_beats_a_cheaper_one_beyond() -> None:
    method = BestSoFar(DUAL_METHODS["subgradient"](), violation=0.01)
    state = method.init(jnp.zeros((1, 1)))
    one = jnp.ones((1, 1))
    for value, excess, best in ((10.0, 0.5, True), (12.0, 0.0, True), (11.0, 0.02, False), (11.5, 0.005, True)):
        money = jnp.asarray(value)
        state = method.judge(Observation(money, money, excess * one, one, one), one, state)
        assert bool(state.improved) is best


@pytest.mark.parametrize("name", sorted(DUAL_METHODS))
def test_termination(name: str) -> None:
    method = DUAL_METHODS[name]()
    tolerances = Tolerances(0.01, 0.01, 0.001)

    def ended(violation: float, gap: float, change: float) -> Result | None:
        return method.terminate(Progress(violation, gap, change), tolerances)

    assert ended(0.0, 0.005, 0.0005) is Result.CONVERGED
    assert ended(0.02, 0.005, 0.0005) is None
    assert ended(0.0, 0.02, 0.0005) is None
    assert ended(0.0, 0.005, float("inf")) is None
    assert ended(float("nan"), 0.005, 0.0) is Result.NUMERICAL_FAILURE
    assert ended(0.0, float("inf"), 0.0) is Result.NUMERICAL_FAILURE


def test_methods_run_under_jit_with_buckets_and_resources() -> None:
    for kind in DUAL_METHODS.values():
        method = kind()
        step = jax.jit(method.step)
        state = step(seen(1.0), method.init(jnp.zeros((1, 3))))
        assert jax.tree.structure(state) == jax.tree.structure(step(seen(1.0), state))
