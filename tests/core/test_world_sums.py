"""Sums over items by scenario, their quantiles, the risk of the total, and what a search remembers of scenarios."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.stats import mstats

from meio_jax.certify.worlds import error_of_mean, risk_of_total, without_one
from meio_jax.model.resources import Resources, Usage
from meio_jax.model.total_risk import TotalRisk
from meio_jax.model.worlds import Worlds, quantile_of
from meio_jax.solver.world_memory import WorldMemory

MEASURES = [TotalRisk("cvar", level=0.8), TotalRisk("entropic", aversion=2.0), TotalRisk("cvar", level=0.9, weight=0.3)]


@pytest.mark.parametrize("share", [0.55, 0.75, 0.9, 0.95])
def test_quantiles_are_those_of_harrell_and_davis(share: float) -> None:
    values = np.random.default_rng(1).lognormal(0, 0.5, 300)
    exact = float(mstats.hdquantiles(values, [share])[0])
    assert quantile_of(values[None], share)[0] == pytest.approx(exact, rel=3e-3)


@pytest.mark.parametrize("share", [0.6, 0.9])
def test_quantiles_of_large_samples_are_those_of_the_law(share: float) -> None:
    values = stats.lognorm(0.5).ppf((np.random.default_rng(2).permutation(4000) + 0.5) / 4000)
    found = quantile_of(np.stack([values, 2 * values]), share)
    np.testing.assert_allclose(found, np.array([1, 2]) * stats.lognorm(0.5).ppf(share), rtol=2e-3)


def value(risk: TotalRisk, cost: jax.Array, size: jax.Array) -> jax.Array:
    """Mean and risk of costs; the size that an aversion refers to is given."""
    mean, known = jnp.mean(cost), jnp.ones(cost.shape, bool)
    return mean + risk.above_mean(cost - mean, known, size)


@pytest.mark.parametrize("risk", MEASURES, ids=lambda risk: f"{risk.measure}-{risk.weight}")
def test_weights_are_the_derivative_of_the_risk(risk: TotalRisk) -> None:
    cost = jnp.asarray(np.random.default_rng(3).gamma(2, 50, 40), jnp.float32)
    size = jnp.mean(cost)
    found = risk.weights(cost - size, jnp.ones(40, bool), size)
    slope = jax.grad(lambda given: value(risk, given, size))(cost)
    np.testing.assert_allclose(np.asarray(found) / 40, np.asarray(slope), rtol=2e-3, atol=1e-6)
    assert float(jnp.mean(found)) == pytest.approx(1.0, rel=1e-4)


def test_what_is_not_known_counts_for_nothing() -> None:
    cost = np.random.default_rng(4).gamma(2, 50, 24)
    apart = jnp.asarray(np.concatenate([cost - cost.mean(), np.full(40, 1e6)]), jnp.float32)
    known, mean = jnp.arange(64) < 24, jnp.asarray(cost.mean(), jnp.float32)
    for risk in MEASURES:
        alone = risk.above_mean(apart[:24], known[:24], mean)
        assert float(risk.above_mean(apart, known, mean)) == pytest.approx(float(alone), rel=1e-4)
        assert not np.asarray(risk.weights(apart, known, mean))[24:].any()


def test_risks_of_items_that_move_together_add_up_and_of_independent_ones_are_less() -> None:
    parts, risk = np.arange(400.0), TotalRisk("cvar", level=0.9)
    one, two = np.sort(np.random.default_rng(5).gamma(2, 1, (2, 400)))
    of = lambda cost, how=risk: risk_of_total(how, Worlds(jnp.zeros((1, 0, cost.size)), jnp.asarray(cost)), parts)
    total = of(one + two)
    assert total.risk == pytest.approx(of(one).risk + of(two).risk, rel=1e-4)
    shuffled = of(one + np.random.default_rng(6).permutation(two))
    assert shuffled.risk < 0.95 * total.risk
    # Entropic risk of independent costs adds up at one rate: all pairs of worlds of either are the worlds of both.
    left, right = one[::20], two[::20]
    both = (left[:, None] + right[None]).reshape(-1)
    rate = 2.0 / both.mean()
    alone = sum(float(np.log(np.mean(np.exp(rate * cost))) / rate) for cost in (left, right))
    assert of(both, TotalRisk("entropic", aversion=2.0)).risk == pytest.approx(alone, rel=1e-4)


def test_the_blend_is_reported_beside_the_risk() -> None:
    cost = np.random.default_rng(7).gamma(2, 1, 320)
    worlds = Worlds(jnp.zeros((1, 0, 320)), jnp.asarray(cost, jnp.float32))
    found = risk_of_total(TotalRisk("cvar", level=0.75, weight=0.4), worlds, np.arange(320.0))
    assert found.risk == pytest.approx(np.sort(cost)[240:].mean(), rel=1e-5)
    assert found.objective == pytest.approx(0.6 * cost.mean() + 0.4 * found.risk, rel=1e-5)
    assert risk_of_total(None, worlds, np.arange(320.0)) is None


def remembered(draw, steps: int, kept: int = 64) -> WorldMemory:
    memory = WorldMemory(jnp.zeros((1, 1, kept)), jnp.zeros(kept), jnp.zeros((), jnp.int32), None)
    for step in range(steps):
        use = jnp.asarray(draw(step), jnp.float32)
        memory = memory.extended(Worlds(use[None, None], use))
    return memory


def test_memory_holds_the_newest_deviations_from_the_means_of_their_steps() -> None:
    draw = lambda step: (1 + step) * (1 + np.linspace(-0.3, 0.3, 16))
    memory = remembered(draw, 2)
    assert int(memory.count) == 32
    np.testing.assert_allclose(np.asarray(memory.used)[0, 0, :16], np.linspace(-0.3, 0.3, 16), atol=1e-6)
    np.testing.assert_allclose(
        np.asarray(memory.cost)[:32], np.tile(np.linspace(-0.3, 0.3, 16), 2) * np.repeat([2, 1], 16), atol=1e-6
    )
    full = remembered(draw, 9)
    assert int(full.count) == 64
    # The scale of a step does not show in shares of its mean: nine steps of ever more use have the same deviations.
    np.testing.assert_allclose(np.asarray(full.used)[0, 0], np.tile(np.linspace(-0.3, 0.3, 16), 4), atol=1e-6)


def test_errors_of_stratified_means_hold() -> None:
    rng, found, errors = np.random.default_rng(8), [], []
    for _ in range(400):
        place = np.argsort(rng.random((6, 16)), axis=1)
        world = (place + rng.random((6, 16))) / 16
        own = (3 * world + 0.2 * rng.normal(size=world.shape)).reshape(-1)
        found.append(own.mean())
        errors.append(error_of_mean(own, world.reshape(-1)))
    assert np.mean(np.square(errors)) == pytest.approx(np.var(found), rel=0.25)
    # Far less than of as many independent scenarios.
    assert np.std(found) < 0.3 * np.std(own) / np.sqrt(own.size)


def test_leaving_a_group_out_gives_one_estimate_for_each() -> None:
    rng = np.random.default_rng(9)
    groups = [
        Usage(jnp.zeros((2, 3)), jnp.zeros((2, 3)), Worlds(jnp.asarray(rng.random((2, 1, 16))), jnp.zeros(16)))
        for _ in range(5)
    ]
    nothing, whole = jnp.zeros((3, 0)), jnp.zeros(3, jnp.int32)
    rows = Resources(
        *[nothing] * 4,
        service=jnp.zeros((3, 0, 0)),
        offer=jnp.zeros((0, 0)),
        order_vendor=jnp.zeros(0, jnp.int32),
        measure=whole,
        storage_class=whole,
        is_service=jnp.zeros(3, bool),
        capacity=jnp.zeros((2, 3)),
        present=jnp.ones((2, 3), bool),
        order_index=(),
        held_index=(1,),
        held_share=(0.9,),
    )
    left = without_one(rows, groups)
    assert left.shape == (5, 2, 1)
    rest = np.concatenate([np.asarray(one.worlds.used) for one in groups[1:]], axis=-1)
    np.testing.assert_allclose(left[0, :, 0], quantile_of(rest[:, 0], 0.9), rtol=1e-6)
