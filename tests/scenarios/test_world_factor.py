"""The factor that all items share: one law for every item, stratified over scenarios, means kept in every form."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from sampling import forms, mean_demand, totals
from scipy import stats

from meio_jax.scenarios import HOLDOUT, TRAINING
from meio_jax.scenarios.worlds import GROUP, world_factors

CV = 0.3
LAW = stats.lognorm(np.sqrt(np.log1p(CV**2)), scale=1 / np.sqrt(1 + CV**2))
FIXED = 3


def factors(count: int, *, persistence: float = 1.0, weeks: int = 1, seed: int = 3, purpose: int = TRAINING):
    return np.asarray(world_factors(CV, persistence, weeks, seed, jnp.arange(count), purpose), float)


def test_all_items_meet_the_same_world_and_no_other_item_changes_it() -> None:
    mean = np.array([10.0, 200.0, 3.0])
    drawn = totals(mean_demand(mean, 0.0, FIXED, items=3), scenarios=40, world=CV)
    together = drawn / mean[:, None]
    np.testing.assert_allclose(together, np.broadcast_to(factors(40)[0], together.shape), rtol=1e-5)
    alone = totals(mean_demand(10.0, 0.0, FIXED), scenarios=40, world=CV)
    np.testing.assert_array_equal(alone[:, 0], drawn[:, 0])


def test_the_law_is_lognormal_of_mean_one() -> None:
    drawn = factors(1600)[0]
    assert stats.kstest(drawn, LAW.cdf).pvalue > 0.01
    assert abs(drawn.mean() - 1) < 2e-3
    assert abs(drawn.std() - CV) < 0.02


def test_every_group_holds_one_world_of_each_part_and_groups_differ() -> None:
    drawn = factors(20 * GROUP, persistence=0.5, weeks=3)
    part = np.floor(LAW.cdf(drawn[0]) * GROUP).astype(int).reshape(-1, GROUP)
    np.testing.assert_array_equal(np.sort(part, axis=1), np.broadcast_to(np.arange(GROUP), part.shape))
    assert len({tuple(row) for row in part}) == len(part)


@pytest.mark.parametrize("persistence", [0.0, 0.7, 1.0])
def test_weeks_are_tied_as_the_persistence_says(persistence: float) -> None:
    state = np.log(factors(8000, persistence=persistence, weeks=4))
    correlation = np.corrcoef(state)
    expected = persistence ** np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    np.testing.assert_allclose(correlation, expected, atol=0.05)


def test_seed_and_purpose_change_the_worlds_and_numbers_name_them() -> None:
    base = factors(32)
    assert (base != factors(32, seed=4)).all()
    assert (base != factors(32, purpose=HOLDOUT)).all()
    some = np.asarray(world_factors(CV, 1.0, 1, 3, jnp.asarray([20, 3, 31]), TRAINING), float)
    np.testing.assert_array_equal(some[0], base[0][[20, 3, 31]])


@pytest.mark.parametrize("form", ["few_paths", "history", "mean", "paths", "quantiles"])
def test_every_form_follows_the_world_and_keeps_its_mean(form: str) -> None:
    items, scenarios = 6, 4096
    rng = np.random.default_rng(5)
    demand = forms(items, rng)[form]
    drawn = {cv: totals(demand, scenarios=scenarios, world=cv) for cv in (0.0, CV)}
    mean, plain = drawn[CV].mean((0, 2)), drawn[0.0].mean((0, 2))
    np.testing.assert_allclose(mean, plain, rtol=0.04, atol=0.02)
    # The world is what all items have in common: per world, the catalog's demand moves in proportion to it.
    whole = drawn[CV].sum((0, 1)) / drawn[0.0].sum((0, 1))
    slope = np.polyfit(factors(scenarios)[0], whole, 1)[0]
    assert abs(slope - 1) < 0.15
    whole_units = np.asarray(demand.whole())
    np.testing.assert_array_equal(drawn[CV][:, whole_units], np.round(drawn[CV][:, whole_units]))
