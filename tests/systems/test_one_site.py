"""Base-stock with backorders at one site against its closed form: fixed and crossing lead times."""

from collections.abc import Callable

import numpy as np
import one_site
import polars as pl
import pytest
from marks import some_slow
from measured import agrees, measure
from one_site import Continuous, Whole
from scipy import stats
from truth_families.laws import law, mean_forecast
from truth_families.network import Item, Offer, Setting, Site, build

from meio_jax.tables import Tables

HOLDING, PENALTY, PERIODS, WARMUP = 1.0, 9.0, 60, 20
MEAN = 4.0
# Between whole numbers, where the slope of whole demand is defined; from scarce to ample.
LEVELS = np.array([6.3, 9.6, 12.5, 14.45, 18.7])


def instance(demand: str, lead: int, empirical: list[int] | None = None) -> Tables:
    """An item for every level."""
    names = [f"i{number}" for number in range(len(LEVELS))]
    sd = 2.0 if demand == "gamma" else None
    tables = build(
        Setting(
            settings={"name": "one site", "periods": PERIODS, "bucket_periods": PERIODS, "warmup_periods": WARMUP}
            | {"terminal_credit": 0.0, "stationary_targets": True, "forecast": "mean"},
            sites=[Site("site")],
            items=[Item(name, {"site": 1.0}, HOLDING, PENALTY, unmet="backorder") for name in names],
            offers=[Offer(name, "site", lead) for name in names],
            forecast=mean_forecast({name: law(demand, MEAN, sd) for name in names}, PERIODS),
        )
    )
    if empirical is None:
        return tables
    offers = tables.offers.with_columns(lead_time_law=pl.lit("empirical"))
    vendors = offers["vendor_id"].unique().to_list()
    seen = pl.DataFrame({"vendor_id": [v for v in vendors for _ in empirical], "days": empirical * len(vendors)})
    return Tables.from_frames(tables.settings, **tables.replace(offers=offers).frames() | {"lead_times": seen})


CASES: dict[str, tuple[Callable[[], Tables], Callable[[], Whole | Continuous]]] = {
    "Poisson": (lambda: instance("poisson", 3), lambda: one_site.poisson(3 * MEAN)),
    # Three days of gamma demand with mean 4 and standard deviation 2 (shape 4, scale 1).
    "gamma": (lambda: instance("gamma", 3), lambda: Continuous(stats.gamma(12.0))),
    "crossing": (lambda: instance("poisson", 3, [1, 2, 6]), lambda: one_site.outstanding(MEAN, [1, 2, 6])),
}


@pytest.mark.parametrize("name", some_slow(sorted(CASES), quick=["crossing"]))
def test_cost_and_slope_are_those_of_the_closed_form(x64: None, name: str) -> None:
    tables, demand = CASES[name][0](), CASES[name][1]()
    found = measure(tables, LEVELS[None])
    costs = np.array([one_site.cost(demand, level, HOLDING, PENALTY) for level in LEVELS])
    slopes = np.array([one_site.slope(demand, level, HOLDING, PENALTY) for level in LEVELS])
    agrees(found.cost, found.cost_error, costs, of=costs)
    agrees(found.slope[0], found.slope_error[0], slopes, of=PENALTY)


def test_the_slope_is_zero_at_the_fractile(x64: None) -> None:
    demand = Continuous(stats.gamma(12.0))
    best = float(stats.gamma.ppf(PENALTY / (PENALTY + HOLDING), 12.0))
    assert one_site.slope(demand, best, HOLDING, PENALTY) == pytest.approx(0, abs=1e-12)
    found = measure(instance("gamma", 3), np.full((1, len(LEVELS)), best))
    agrees(found.slope[0], found.slope_error[0], np.zeros(len(LEVELS)), of=PENALTY)


@pytest.mark.parametrize("level", [0.0, 3.0, 7.6, 20.2])
def test_the_closed_form_is_right(level: float) -> None:
    """Against sums and integrals of the definition, and its slope against differences."""
    exact = stats.gamma(12.0)
    direct = exact.expect(lambda x: HOLDING * max(level - x, 0) + PENALTY * max(x - level, 0), lb=0, ub=80)
    assert one_site.cost(Continuous(exact), level, HOLDING, PENALTY) == pytest.approx(direct, rel=1e-6)
    for demand in (one_site.poisson(9.0), one_site.outstanding(3.0, [1, 4])):
        step = 1e-6
        ahead, here = (one_site.cost(demand, level + shift, HOLDING, PENALTY) for shift in (step, 0.0))
        assert (ahead - here) / step == pytest.approx(one_site.slope(demand, level, HOLDING, PENALTY), abs=1e-6)


def test_fixed_lead_times_are_the_special_case_of_crossing_ones() -> None:
    fixed, crossing = one_site.poisson(3 * MEAN).probability, one_site.outstanding(MEAN, [3]).probability
    size = min(len(fixed), len(crossing))
    np.testing.assert_allclose(crossing[:size], fixed[:size], atol=1e-13)


def test_outstanding_orders_are_as_little_says() -> None:
    assert one_site.outstanding(MEAN, [1, 2, 6]).mean == pytest.approx(MEAN * 3.0)
