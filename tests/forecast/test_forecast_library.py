"""The models of the library, on sales whose mean is known."""

import numpy as np
import pytest
from made_sales import steady

from meio_jax.forecast.classes import demand_class
from meio_jax.forecast.rates import MODELS, rates
from meio_jax.forecast.spread import look_back


@pytest.mark.parametrize(
    ("kind", "mean", "dispersion"),
    [("smooth", 40.0, 0.02), ("erratic", 20.0, 1.0), ("intermittent", 0.3, 0.0), ("lumpy", 3.0, 5.0)],
)
def test_every_class_has_a_model_that_finds_the_mean(kind: str, mean: float, dispersion: float) -> None:
    rng = np.random.default_rng(7)
    found = []
    for _ in range(30):
        units = steady(rng, 364, mean, dispersion)
        assert demand_class(units) == kind
        rate = rates(look_back(units), kind, 14)
        assert rate.shape == (14,)
        assert rate.min() >= 0
        found.append(rate.mean())
    # Thirty items: the level that is followed is some weeks of sales.
    error = 4 * np.sqrt((mean + dispersion * mean**2) / (30 * 20))
    assert np.mean(found) == pytest.approx(mean, abs=error)


def test_the_week_is_in_the_rate_of_smooth_and_of_slow_items() -> None:
    week = np.asarray([0.2, 0.2, 1.0, 1.0, 1.0, 1.8, 1.8])
    rng = np.random.default_rng(8)
    for kind, mean in (("smooth", 60.0), ("intermittent", 4.0)):
        rate = rates(look_back(rng.poisson(mean * np.tile(week, 52)).astype(float)), kind, 14)
        assert rate[[5, 6, 12, 13]].mean() > 2 * rate[[0, 1, 7, 8]].mean()


def test_every_class_has_a_model() -> None:
    from meio_jax.forecast.classes import CLASSES

    assert set(MODELS) == set(CLASSES)
