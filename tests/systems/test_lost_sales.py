"""Lost sales with a lead time against the exact Markov chain, and the chain against printed costs."""

import lost_sales
import numpy as np
import pytest
from measured import agrees, measure
from truth_families.laws import law, mean_forecast
from truth_families.network import Item, Offer, Setting, Site, build

MEAN, HOLDING, PENALTY = 2.0, 1.0, 9.0
PERIODS, WARMUP = 80, 30
LEVELS = np.array([2.0, 5.0, 8.0])


@pytest.mark.parametrize("lead", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_cost_is_that_of_the_chain(x64: None, lead: int) -> None:
    names = [f"i{number}" for number in range(len(LEVELS))]
    tables = build(
        Setting(
            settings={"name": "lost", "periods": PERIODS, "bucket_periods": PERIODS, "warmup_periods": WARMUP}
            | {"terminal_credit": 0.0, "stationary_targets": True, "forecast": "mean"},
            sites=[Site("site")],
            items=[Item(name, {"site": 1.0}, HOLDING, PENALTY) for name in names],
            offers=[Offer(name, "site", lead) for name in names],
            forecast=mean_forecast({name: law("poisson", MEAN) for name in names}, PERIODS),
        )
    )
    found = measure(tables, LEVELS[None])
    costs = np.array([lost_sales.cost(MEAN, lead, int(level), HOLDING, PENALTY) for level in LEVELS])
    agrees(found.cost, found.cost_error, costs, of=costs)
    assert (np.diff(costs) < 0).any()


@pytest.mark.parametrize(("lead", "level", "penalty", "printed"), [(1, 12, 4.0, 4.1628), (1, 13, 9.0, 5.5475)])
def test_the_chain_has_the_known_costs(lead: int, level: int, penalty: float, printed: float) -> None:
    """Zipkin's orders are placed before the demand of the period: his lead time L is L + 1 here."""
    assert lost_sales.cost(5.0, lead + 1, level, 1.0, penalty) == pytest.approx(printed, abs=6e-5)
