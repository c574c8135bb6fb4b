"""Items of one season that share a capacity: at the exact price, the slope of each one's cost is minus its rent."""

import numpy as np
import one_site
import pytest
import shared_capacity
from measured import agrees, measure
from one_site import Continuous
from shared_capacity import Season
from truth_families.laws import law, mean_forecast
from truth_families.network import Item, Offer, Setting, Site, build

SEASONS = [
    Season(mean=20.0, sd=8.0, holding=1.0, penalty=9.0, volume=1.0),
    Season(mean=35.0, sd=10.0, holding=0.5, penalty=4.0, volume=0.4),
    Season(mean=8.0, sd=6.0, holding=2.0, penalty=20.0, volume=2.5),
]
CAPACITY = 45.0


def test_cost_and_slope_at_the_exact_purchases(x64: None) -> None:
    price = shared_capacity.price_of(SEASONS, CAPACITY)
    assert price > 0.5
    levels = shared_capacity.bought(SEASONS, price)
    names = [f"i{number}" for number in range(len(SEASONS))]
    items = [
        Item(name, {"site": 1.0}, season.holding, season.penalty, volume=season.volume)
        for name, season in zip(names, SEASONS, strict=True)
    ]
    laws = {name: law("gamma", season.mean, season.sd) for name, season in zip(names, SEASONS, strict=True)}
    tables = build(
        Setting(
            settings={"name": "season", "periods": 2, "bucket_periods": 2, "warmup_periods": 1, "ordering": "morning"}
            | {"terminal_credit": 0.0, "stationary_targets": True, "forecast": "mean"},
            sites=[Site("site", review_period=2)],
            items=items,
            offers=[Offer(name, "site", 1) for name in names],
            forecast=mean_forecast(laws, periods=2, first=1),
        )
    )
    found = measure(tables, levels[None])
    costs = np.array(
        [
            one_site.cost(Continuous(season.law), level, season.holding, season.penalty)
            for season, level in zip(SEASONS, levels, strict=True)
        ]
    )
    agrees(found.cost, found.cost_error, costs, of=costs)
    rent = np.array([price * season.volume for season in SEASONS])
    agrees(found.slope[0], found.slope_error[0], -rent, of=rent)


def test_the_price_is_the_derivative_of_the_optimum() -> None:
    def optimum(capacity: float) -> float:
        levels = shared_capacity.bought(SEASONS, shared_capacity.price_of(SEASONS, capacity))
        return sum(
            one_site.cost(Continuous(season.law), level, season.holding, season.penalty)
            for season, level in zip(SEASONS, levels, strict=True)
        )

    step = 0.01
    derivative = (optimum(CAPACITY + step) - optimum(CAPACITY - step)) / (2 * step)
    assert -derivative == pytest.approx(shared_capacity.price_of(SEASONS, CAPACITY), rel=1e-4)
    ample = shared_capacity.use(SEASONS, 0.0) + 1
    assert shared_capacity.price_of(SEASONS, ample) == 0
