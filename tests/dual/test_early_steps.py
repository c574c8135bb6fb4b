"""Steps of fewer scenarios at the beginning of a search, and how often its plan is checked."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy import SharedNewsvendors, newsvendors

from meio_jax.dual import DUAL_METHODS, BestSoFar
from meio_jax.progress import Step
from meio_jax.results import Result
from meio_jax.solver.solve import STEP_WORK, Answer, Early, Limits, Solution, State, initial_state, solve

FEW, ALL = 4, 16
LIMITS = Limits(max_steps=60, min_steps=10, check_every=5)
METHOD = BestSoFar(DUAL_METHODS["augmented"]())
KIND = jnp.zeros(1, jnp.int32)


class Counted(SharedNewsvendors):
    """Newsvendors whose steps are said to simulate so many scenarios."""

    count: int = eqx.field(static=True, default=ALL)

    @property
    def scenarios(self) -> int:
        return self.count


def store(count: int) -> Counted:
    plain = newsvendors()
    return Counted(plain.mean, plain.capacity, count=count)


def searched(
    near: Callable[[State, Step], bool],
    confirm: Callable[[State, Step], Answer],
    *,
    limits: Limits = LIMITS,
    state: State | None = None,
    history: tuple[Step, ...] = (),
) -> Solution:
    begun = initial_state(store(ALL), METHOD) if state is None else state
    early = Early(store(FEW), near)
    return solve(store(ALL), METHOD, begun, limits, KIND, history=history, confirm=confirm, early=early)


def unconfirmed(_: State, __: Step) -> Answer:
    return Answer(None, 0)


def test_few_scenarios_until_the_search_is_near() -> None:
    asked = []

    def near(state: State, report: Step) -> bool:
        asked.append(int(state.shared.step))
        assert report.step == asked[-1]
        return report.step >= 20

    found = searched(near, unconfirmed)
    assert [step.scenarios for step in found.history] == [FEW] * 20 + [ALL] * 40
    assert asked == [5, 10, 15, 20]


def test_the_last_third_of_the_steps_sees_all_scenarios() -> None:
    found = searched(lambda *_: False, unconfirmed)
    assert [step.scenarios for step in found.history] == [FEW] * 40 + [ALL] * 20


def test_no_plan_is_confirmed_while_the_search_is_far() -> None:
    near = lambda _, report: report.step >= 25
    found = searched(near, lambda *_: Answer("good", ALL))
    assert found.result is Result.CONVERGED
    assert found.steps == 25
    assert found.confirmed == "good"


@pytest.mark.parametrize("checked", [0, STEP_WORK * ALL * 3, STEP_WORK * ALL * 12])
def test_checks_take_no_longer_than_the_steps_between_them(checked: int) -> None:
    at = []

    def confirm(_: State, report: Step) -> Answer:
        at.append(report.step)
        return Answer(None, checked)

    searched(lambda *_: True, confirm)
    apart = max(checked // (STEP_WORK * ALL), LIMITS.check_every)
    every = -(-apart // LIMITS.check_every) * LIMITS.check_every
    # The first of them once there are enough steps, and one after the last step in any case.
    assert at == [*range(10, 60, every), 60]


@pytest.mark.parametrize("stop", [3, 5, 20, 21, 33, 45])
def test_a_search_that_is_continued_takes_the_same_steps(stop: int) -> None:
    near = lambda _, report: report.step >= 20
    confirm = lambda _, report: Answer("good" if report.step == 50 else None, STEP_WORK * ALL * 7)
    whole = searched(near, confirm)
    state, history = None, []

    def keep(now: State, report: Step, _: object) -> None:
        nonlocal state
        history.append(report)
        state = now if report.step == stop else state

    begun = initial_state(store(ALL), METHOD)
    solve(
        store(ALL),
        METHOD,
        begun,
        LIMITS,
        KIND,
        on_step=keep,
        confirm=confirm,
        early=Early(store(FEW), near),
    )
    rest = searched(near, confirm, state=state, history=tuple(history[:stop]))
    assert whole.steps == rest.steps
    assert [step.scenarios for step in whole.history] == [step.scenarios for step in rest.history]
    assert whole.confirmed == rest.confirmed == "good"
    same = jax.tree.map(lambda a, b: np.array_equal(a, b, equal_nan=True), whole.state, rest.state)
    assert all(jax.tree.leaves(same))
