"""The search of one item at fixed prices against the newsvendor, and what counts as better."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from marks import some_slow
from one_shop import shop
from test_explain_newsvendor import critical, law

from meio_jax.model.resources import Usage
from meio_jax.policy import policy_family
from meio_jax.policy.base_stock import BaseStock
from meio_jax.solver.refine import Judged, Pace, Refining, Surroundings, begin, clearly_better, judge, refine

PER_STEP, CHUNKS, STEPS = 256, 4, 60
# Three standard errors of the quantile of so many draws, where one unit holds about 4 % of the demand.
UNITS = 3 * 0.5 / np.sqrt(PER_STEP * CHUNKS) / 0.04


def surroundings() -> tuple[Surroundings, tuple]:
    one = shop(20.0)
    around = Surroundings(
        network=one.instance.network,
        resources=one.instance.resources,
        profiles=one.instance.catalog.profiles,
        prices=one.problem.prices,
        list_prices=one.problem.prices,
        settings=dataclasses.replace(one.settings, scenarios_per_step=PER_STEP),
        stationary=False,
    )
    return around, jax.tree.map(lambda leaf: leaf[0], one.instance.catalog.per_block())


def best(around: Surroundings, one: tuple, now: Refining) -> float:
    pace = Pace.of(STEPS, now.cost.dtype)
    return float(refine(around, one, now, pace, CHUNKS).policy().target[0, 0, 0])


@pytest.mark.parametrize("away", some_slow([0.4, 1.7], quick=[1.7]))
def test_the_search_ends_at_the_critical_fractile(x64: None, away: float) -> None:
    with jax.numpy_dtype_promotion("standard"):  # as users have it: the optimiser library needs it
        around, one = surroundings()
        now = begin(around, policy_family("base_stock"), one)
        found = best(
            around,
            one,
            now.continued(
                *(
                    jax.tree.map(change, now.raw)
                    for change in (lambda leaf: jnp.ones(leaf.shape, bool), lambda leaf: away * leaf, jnp.zeros_like)
                )
            ),
        )
        assert found == pytest.approx(float(law().ppf(critical())), abs=UNITS)
        there, start = (
            judge(around, one, BaseStock(jnp.asarray([level, 0.0]).reshape(1, 2, 1)), 512)
            for level in (found, away * 20)
        )
        assert float(there.total[0]) < float(start.total[0])
        assert bool(clearly_better(there, start)[0])
        assert not bool(clearly_better(start, there)[0])
        other = judge(around, one, now.policy(), 512, jnp.asarray(512, jnp.int32))
        assert float(other.total[0]) != float(judge(around, one, now.policy(), 512).total[0]), "other scenarios"


def judged(sample: np.ndarray) -> Judged:
    nothing = jnp.zeros((1, 1))
    mean = jnp.asarray(sample.mean(1))
    return Judged(mean, jnp.zeros_like(mean), mean, mean, jnp.asarray(sample), Usage(nothing, nothing))


def test_better_is_more_than_chance(x64: None) -> None:
    rng = np.random.default_rng(0)
    old = rng.gamma(2.0, 50.0, (3, 64))
    noise = rng.normal(0, 8, (64,))
    noise = (noise - noise.mean()) / noise.std() * 8  # a standard error of 1, near enough
    new = np.stack([old[0] - 0.01, old[1] - 0.5 + noise, old[2] - 1.5 + noise])
    np.testing.assert_array_equal(clearly_better(judged(new), judged(old)), [True, False, True])
