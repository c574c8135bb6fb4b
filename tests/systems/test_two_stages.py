"""Two stages in series against the closed form at given echelon levels, and at the published best ones."""

import numpy as np
import one_site
import pytest
from measured import agrees, measure
from truth_families.laws import law, mean_forecast
from truth_families.network import Item, Offer, Setting, Site, build
from two_stages import Chain

MEAN, LEADS, HOLDING, PENALTY = 4.0, (2, 3), (1.0, 0.4), 9.0
PERIODS, WARMUP = 70, 25
CHAIN = Chain(one_site.poisson(2 * MEAN), one_site.poisson(3 * MEAN), HOLDING, PENALTY)
# Downstream and echelon levels, not whole, nor their differences: scarce, ample upstream, ample downstream, balanced.
LEVELS = np.array([[9.35, 20.1], [11.4, 31.15], [16.6, 24.25], [12.3, 25.75]])


@pytest.mark.slow
def test_cost_and_slopes_are_those_of_the_closed_form(x64: None) -> None:
    names = [f"i{number}" for number in range(len(LEVELS))]
    tables = build(
        Setting(
            settings={"name": "series", "periods": PERIODS, "bucket_periods": PERIODS, "warmup_periods": WARMUP}
            | {"terminal_credit": 0.0, "stationary_targets": True, "forecast": "mean"},
            sites=[Site("one"), Site("two", holding_factor=HOLDING[1] / HOLDING[0], sells=False)],
            items=[Item(name, {"one": 1.0}, HOLDING[0], PENALTY, unmet="backorder") for name in names],
            offers=[Offer(name, "two", LEADS[1]) for name in names],
            forecast=mean_forecast({name: law("poisson", MEAN) for name in names}, PERIODS),
            lanes=[("two", "one", LEADS[0])],
        )
    )
    found = measure(tables, LEVELS.T, policy="echelon")
    costs = np.array([CHAIN.cost(*pair) for pair in LEVELS])
    slopes = np.array([CHAIN.slopes(*pair) for pair in LEVELS]).T
    agrees(found.cost, found.cost_error, costs, of=costs)
    agrees(found.slope, found.slope_error, slopes, of=PENALTY)


@pytest.mark.parametrize("pair", LEVELS.tolist())
def test_slopes_are_those_of_the_cost(pair: list[float]) -> None:
    step = 1e-6
    for stage, slope in enumerate(CHAIN.slopes(*pair)):
        ahead = [level + step * (place == stage) for place, level in enumerate(pair)]
        back = [level - step * (place == stage) for place, level in enumerate(pair)]
        assert (CHAIN.cost(*ahead) - CHAIN.cost(*back)) / (2 * step) == pytest.approx(slope, abs=1e-6)


def test_the_closed_form_is_cheapest_at_the_published_levels() -> None:
    """Snyder and Shen, example 6.1 with Poisson(5): echelon costs 3, 2, 2 and levels 9, 15, 26, penalty 37.12.

    The levels of a stage do not depend on those above it (Clark and Scarf), so the two lower stages alone, supplied
    without limit, are cheapest at 9 and 15. Without the third stage local costs are 5 and 2, and what the third one
    charges on all stock below it is a cost of waiting less.
    """
    lower = Chain(one_site.poisson(5.0), one_site.poisson(5.0), (5.0, 2.0), 37.12 + 2.0)
    grid = {(s1, s2): lower.cost(s1, s2) for s1 in range(6, 13) for s2 in range(11, 20)}
    assert min(grid, key=lambda pair: grid[pair]) == (9, 15)
