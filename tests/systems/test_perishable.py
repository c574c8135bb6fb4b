"""Units that can be sold on two days, against the exact Markov chain; the chain against a printed optimal policy."""

import numpy as np
import polars as pl
import pytest
from measured import agrees, measure
from perishable import Chain, Costs, poisson, rounded_gamma
from truth_families.laws import law, mean_forecast
from truth_families.network import Item, Offer, Setting, Site, build

import meio_jax as mj
from meio_jax.tables import Tables

MEAN, COSTS = 4.0, Costs(purchase=3.0, short=12.0, waste=2.0, holding=0.5)
PERIODS, WARMUP = 60, 20

# De Moor, Gijsbrechts and Boute (2022), European Journal of Operational Research 301(2), Fig. 3, oldest first: what to
# order in the morning, before the demand, by units of which this is the first day (rows 0 to 8) and the last (columns).
PRINTED = """
4 4 4 4 4 4 4 4 4
4 4 3 3 3 3 3 3 3
4 3 3 3 2 2 2 2 2
3 3 2 2 1 1 1 1 1
3 2 2 1 1 1 1 0 0
2 2 1 1 0 0 0 0 0
2 1 1 0 0 0 0 0 0
1 1 0 0 0 0 0 0 0
1 0 0 0 0 0 0 0 0
"""


def system(lead: int, names: list[str], *, days: int = PERIODS, warmup: int = WARMUP) -> Tables:
    """Equal items of a site that orders in the evening; units keep for two days."""
    tables = build(
        Setting(
            settings={"name": "two days", "periods": days, "bucket_periods": days, "warmup_periods": warmup}
            | {"terminal_credit": 0.0, "stationary_targets": True, "forecast": "mean"},
            sites=[Site("site")],
            items=[Item(name, {"site": 1.0}, COSTS.holding, COSTS.short) for name in names],
            offers=[Offer(name, "site", lead, unit_cost=COSTS.purchase) for name in names],
            forecast=mean_forecast({name: law("poisson", MEAN) for name in names}, days),
        )
    )
    items = tables.items.with_columns(shelf_life=pl.lit(2), waste_cost=pl.lit(COSTS.waste))
    return Tables.from_frames(tables.settings, **{**tables.frames(), "items": items})


def chain(lead: int) -> Chain:
    return Chain(poisson(MEAN), lead, COSTS, 16)


@pytest.mark.slow
@pytest.mark.parametrize("lead", [1, 2])
def test_cost_is_that_of_the_chain(x64: None, lead: int) -> None:
    levels = np.array([3.0, 6.0, 9.0, 12.0])
    tables = system(lead, [f"i{number}" for number in range(len(levels))])
    found = measure(tables, levels[None])
    costs = np.array([chain(lead).cost_of_level(int(level)) for level in levels])
    agrees(found.cost, found.cost_error, costs, of=costs)
    # Without what is wasted the levels would cost something else: this is about that.
    kept = measure(Tables.from_frames(tables.settings, **{**tables.frames(), "items": _keeping(tables)}), levels[None])
    assert abs(kept.cost - costs)[-1] > 0.1 * costs[-1]


def _keeping(tables: Tables) -> pl.DataFrame:
    return tables.items.with_columns(shelf_life=pl.lit(None, pl.Int64), waste_cost=pl.lit(0.0))


@pytest.mark.slow
@pytest.mark.parametrize("lead", [1, 2])
def test_the_planner_finds_the_best_level(lead: int) -> None:
    """In whole units the best level, or one that costs less than a hundredth more; and what the optimum costs less."""
    exact = chain(lead)
    costs = {level: exact.cost_of_level(level) for level in range(2, 17)}
    best, least = min(costs, key=costs.__getitem__), exact.optimum()[0]
    tables = system(lead, ["i"])
    found = mj.plan(
        tables,
        policy=mj.BaseStock(),
        scenarios=mj.ScenarioOptions(train=256, per_step=64, holdout=256, clairvoyant=16),
        search=mj.SearchOptions(max_steps=80, min_steps=80, slack_items=0),
    )
    level = round(found.frames()["plan/targets"]["target"][0])
    assert costs[level] <= 1.01 * costs[best], (level, best)
    assert abs(level - best) <= 1
    # Levels do not see how old stock is: that is what they lose against the optimum.
    assert least <= costs[best] <= (1.002 if lead == 1 else 1.021) * least
    certificate, days = found.certificate, PERIODS - WARMUP
    low, high = certificate.holdout_cost_ci95
    assert low / days - 0.01 * costs[level] <= costs[level] <= high / days + 0.01 * costs[level]
    assert certificate.cost_terms["waste"] > 0
    assert certificate.clairvoyant_bound <= certificate.holdout_cost


def test_the_optimum_is_the_printed_one() -> None:
    """Ordering in the morning before the demand, a day ahead: lead time 2 of an evening's order."""
    costs = Costs(purchase=3.0, short=5.0, waste=7.0, holding=1.0)
    most = 10
    _, order = Chain(rounded_gamma(4.0, 0.5, 100), 2, costs, most).optimum(discount=0.99)
    # By units that are old in the morning, and that arrive in it.
    table = order.reshape(most + 1, most + 1)[:9, :9].T
    printed = np.array([[int(cell) for cell in row.split()] for row in PRINTED.split("\n") if row])
    assert (table == printed).all()
