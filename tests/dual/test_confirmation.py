"""When a search may stop: what its steps, or groups of holdout scenarios, say of its capacities."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close
from jaxtyping import Array
from toy import Levels, SharedNewsvendors, capacities, newsvendors

from meio_jax.certify.confirm import kept, violations, violations_by_steps
from meio_jax.dual import DUAL_METHODS, BestSoFar
from meio_jax.model.resources import Usage
from meio_jax.solver.solve import averaging_weight, effective_steps, initial_state, joint_step
from meio_jax.solver.store import Moment
from meio_jax.solver.subproblem import Totals

TOLERANCE, SPREAD, GROUPS = 0.005, 0.008, 64
# What an excess over a capacity of nothing is a share of.
USUAL = np.full((1, 1), 50.0)


def seen(used: np.ndarray, wanted: np.ndarray | None = None) -> Usage:
    """Usage of some capacities, `[buckets, resources]`, and the demand that a floor refers to."""
    return Usage(jnp.asarray(used, jnp.float32), jnp.asarray(0 * used if wanted is None else wanted, jnp.float32))


def groups(rng: np.random.Generator, count: int, mean: float, *, buckets: int = 4) -> list[Usage]:
    """Usage of a capacity of 10 that is missed by a share of `mean`, in groups that differ by `SPREAD`."""
    used = 10 * (1 + mean + SPREAD * rng.standard_normal((count, buckets, 1)))
    return [seen(one) for one in used]


def test_violations_and_their_errors() -> None:
    """The mean is that of all groups; the error is on average that of a mean of independent numbers."""
    rng = np.random.default_rng(0)
    resources, errors = capacities(10.0, buckets=4), []
    for _ in range(200):
        usage = groups(rng, 8, 0.01)
        mean, error = violations(resources, usage, USUAL)
        close(mean, np.mean([one.used for one in usage], axis=0) / 10 - 1, tolerance=1e-6, of=1.0)
        errors.append(error[0, 0] ** 2)
    assert np.sqrt(np.mean(errors)) == pytest.approx(SPREAD / np.sqrt(8), rel=0.05)


def test_a_floor_is_missed_from_below() -> None:
    rng = np.random.default_rng(1)
    wanted = rng.uniform(50, 150, (6, 1, 1))
    usage = [seen(0.81 * asked, asked) for asked in wanted]
    mean, error = violations(capacities(0.9, service=True), usage, USUAL)
    close(mean, np.asarray([[0.1]]), tolerance=1e-5)
    np.testing.assert_allclose(error, 0, atol=1e-6)


def test_a_capacity_of_nothing_is_missed_by_any_use() -> None:
    usage = [seen(np.asarray([[units]])) for units in (1.0, 2.0)]
    assert kept(capacities(0.0), usage, TOLERANCE, USUAL, ended=True) is False
    assert kept(capacities(0.0), [seen(np.zeros((1, 1)))] * 8, TOLERANCE, USUAL, ended=False) is True


def answer(rng: np.random.Generator, mean: float) -> tuple[bool, int]:
    """What the sequential test says of a violation, and after how many groups."""
    usage: list[Usage] = []
    resources = capacities(10.0, buckets=4)
    while True:
        usage += groups(rng, 1, mean)
        said = kept(resources, usage, TOLERANCE, USUAL, ended=len(usage) == GROUPS)
        if said is not None:
            return said, len(usage)


@pytest.mark.parametrize(("mean", "right"), [(-0.01, True), (-0.003, True), (0.013, False), (0.02, False)])
def test_the_sequential_test_is_right_where_it_matters(mean: float, right: bool) -> None:
    """Of plans that keep or miss capacities by more than the tolerance, few are judged wrongly."""
    rng = np.random.default_rng(2)
    said = [answer(rng, mean) for _ in range(100)]
    assert sum(one is right for one, _ in said) >= 97


@pytest.mark.slow
def test_what_is_clear_needs_few_scenarios() -> None:
    rng = np.random.default_rng(3)
    far, near = ([answer(rng, mean)[1] for _ in range(50)] for mean in (-0.03, 0.003))
    assert np.median(far) < 10
    assert np.median(near) > 20


def test_how_many_steps_the_means_are_worth() -> None:
    """Against the weights of all steps, written out."""
    for window in (1, 8, 64):
        weights = np.zeros(0)
        for step in range(150):
            weight = float(averaging_weight(jnp.asarray(step), window, jnp.dtype(jnp.float32)))
            weights = np.append(weights * (1 - weight), weight)
            expected = 1 / np.sum(weights**2)
            assert effective_steps(step + 1, window) == pytest.approx(expected, rel=1e-5)
    assert effective_steps(0, 64) == 0


def test_one_group_alone_is_judged_by_its_mean() -> None:
    assert kept(capacities(10.0), [seen(np.asarray([[10.04]]))], TOLERANCE, USUAL, ended=True) is True
    assert kept(capacities(10.0), [seen(np.asarray([[10.06]]))], TOLERANCE, USUAL, ended=True) is False


class Recorded(SharedNewsvendors):
    """A capacity whose excess is written down, step by step."""

    excess: Array = eqx.field(default_factory=lambda: jnp.zeros(1))

    def sweep(self, at: Moment, items: Levels) -> tuple[Totals, Levels]:
        totals, _ = super().sweep(at, items)
        number = items.level[0].astype(jnp.int32)
        now = (self.capacity * (1 + self.excess[number])).reshape(1, 1)
        return eqx.tree_at(lambda t: t.usage.used, totals, now), Levels(items.level + 1)

    def start(self) -> Levels:
        return Levels(jnp.zeros(4))


def by_steps(excess: np.ndarray, given: float = 10.0, aimed: float = 9.9) -> tuple[float, float]:
    """What the means over the recorded steps say of a capacity of which a little is kept back."""
    base = newsvendors(aimed)
    problem = Recorded(base.mean, base.capacity, excess=jnp.asarray(excess))
    method = BestSoFar(DUAL_METHODS["augmented"](), averaging=64)
    state = initial_state(problem, method)
    for _ in excess:
        state, _ = joint_step(problem, method, jnp.zeros(1, jnp.int32), state)
    mean, error = violations_by_steps(capacities(given), capacities(aimed), state.shared, 64)
    return float(mean[0, 0]), float(error[0, 0])


def test_means_over_steps_refer_to_the_capacity_that_was_given() -> None:
    mean, error = by_steps(np.full(12, 0.01))
    assert mean == pytest.approx(0.99 * 1.01 - 1, abs=1e-6)
    assert error == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("trend", [0.0, -0.1])
def test_the_error_of_means_over_steps(trend: float) -> None:
    """The spread of the means over many searches, whether or not the plan moves meanwhile."""
    rng, steps, repeats = np.random.default_rng(4), 16, 150
    path = trend * (np.arange(steps) / steps - 1)
    found = np.asarray([by_steps(path + SPREAD * rng.standard_normal(steps)) for _ in range(repeats)])
    means, errors = found[:, 0], np.sqrt(np.mean(found[:, 1] ** 2))
    assert errors == pytest.approx(means.std(ddof=1), rel=0.25)
