"""The one loop: how it ends, that it can be continued, and that it compiles once."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from helpers import close
from toy import SharedNewsvendors, newsvendors

from meio_jax.dual import DUAL_METHODS, BestSoFar, Tolerances
from meio_jax.progress import AbstractProgress, Step
from meio_jax.results import Result
from meio_jax.solver.solve import Limits, initial_state, joint_step, solve

NEVER = Tolerances(0.0, 0.0, 0.0)
KIND = jnp.zeros(1, jnp.int32)
METHOD = BestSoFar(DUAL_METHODS["augmented"]())


def run(problem: SharedNewsvendors, limits: Limits, **options: object):
    return solve(problem, METHOD, initial_state(problem, METHOD), limits, KIND, **options)


class StopAt(AbstractProgress):
    """Asks to stop after some steps, and counts."""

    def __init__(self, last: int) -> None:
        self.last, self.seen, self.closed = last, [], 0

    def update(self, step: Step) -> None:
        self.seen.append(step.step)

    def should_stop(self) -> bool:
        return len(self.seen) >= self.last

    def close(self) -> None:
        self.closed += 1


def test_every_result_has_a_message_and_its_own_status() -> None:
    for result in Result:
        assert result.message.endswith("."), result
        assert len(result.message.split()) > 5, result
    assert len({result.value for result in Result}) == len(Result)
    # 1 and 2 are taken: an unexpected error, and bad input.
    assert not {1, 2} & {result.value for result in Result}


def test_converges() -> None:
    solution = run(newsvendors(), Limits(400, 20, 5, Tolerances(1e-3, 1e-2, 1e-4)))
    assert solution.result is Result.CONVERGED
    assert solution.steps < 400
    assert solution.history[-1].violation <= 1e-3
    assert len(solution.history) == solution.steps


def test_runs_out_of_steps() -> None:
    solution = run(newsvendors(), Limits(7, 2, 5, NEVER))
    assert (solution.result, solution.steps) == (Result.MAX_STEPS, 7)


def test_stops_when_asked() -> None:
    progress = StopAt(3)
    solution = run(newsvendors(), Limits(50, 2, 5, NEVER), progress=progress)
    assert (solution.result, solution.steps) == (Result.INTERRUPTED, 3)
    assert progress.seen == [1, 2, 3]
    assert progress.closed == 1


def test_notices_what_is_not_a_number() -> None:
    solution = run(newsvendors(spoiled=True), Limits(50, 2, 5))
    assert solution.result is Result.NUMERICAL_FAILURE
    assert solution.steps <= 10


def test_continuing_is_the_same_as_not_stopping() -> None:
    problem = newsvendors()
    whole = run(problem, Limits(20, 2, 5, NEVER))
    half = run(problem, Limits(9, 2, 5, NEVER))
    rest = solve(problem, METHOD, half.state, Limits(20, 2, 5, NEVER), KIND, history=tuple(half.history))
    close(rest.state, whole.state, tolerance=0)
    assert [s.step for s in rest.history] == list(range(1, 21))
    assert [s.cost for s in rest.history] == [s.cost for s in whole.history]


def test_reports_by_kind() -> None:
    solution = run(newsvendors(), Limits(3, 2, 5, NEVER, ("storage",)))
    assert all(set(step.by_kind) == {"storage"} for step in solution.history)
    close(solution.history[0].by_kind["storage"], solution.history[0].violation, tolerance=0)


def test_warm_prices_are_the_first_prices() -> None:
    problem = newsvendors()
    state = initial_state(problem, METHOD, prices=jnp.full((1, 1), 0.7))
    _, trace = joint_step(problem, METHOD, KIND, state)
    close(trace.prices, jnp.full((1, 1), 0.7), tolerance=0)


class Counted(BestSoFar):
    """Counts how often it is traced."""

    traces: list = eqx.field(static=True, default_factory=list)

    def judge(self, seen, price, state):
        self.traces.append(jax.typeof(price))
        return super().judge(seen, price, state)


@pytest.mark.parametrize("name", sorted(DUAL_METHODS))
def test_joint_step_compiles_once(name: str) -> None:
    class Hashed(list):
        __hash__ = object.__hash__

    problem, method = newsvendors(), Counted(DUAL_METHODS[name](), traces=Hashed())
    state = initial_state(problem, method)
    for _ in range(4):
        state, _ = joint_step(problem, method, KIND, state)
    assert len(method.traces) == 1
