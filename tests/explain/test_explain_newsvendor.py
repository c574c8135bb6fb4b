"""An explanation against the newsvendor: Arrow, Harris and Marschak (1951), and sums over the same scenarios."""

import numpy as np
import pytest
from helpers import close
from marks import some_slow
from one_shop import (
    CREDIT,
    DISPERSION,
    HOLDING,
    INBOUND_PRICE,
    LOST,
    MEAN,
    STORAGE_PRICE,
    UNIT_COST,
    VOLUME,
    demand,
    shop,
)
from scipy import stats

from meio_jax.errors import InputError
from meio_jax.explain import explain

COUNT = 1024
# Share of scenarios below a level: four standard errors.
NOISE = 4 * 0.5 / np.sqrt(COUNT)
# What a unit left over costs, beyond what a unit sold costs.
LEFT = HOLDING + STORAGE_PRICE * VOLUME - CREDIT * UNIT_COST
BUY = UNIT_COST + INBOUND_PRICE


def law() -> object:
    """Negative binomial of the forecast: variance = mean + dispersion x mean^2."""
    return stats.nbinom(1 / DISPERSION, 1 / (1 + DISPERSION * MEAN))


def critical() -> float:
    """Share of demand that the best level covers: BUY + LEFT F - LOST (1 - F) = 0."""
    return (LOST - BUY) / (LOST + LEFT)


@pytest.mark.slow
@pytest.mark.parametrize("level", some_slow([8.5, 20.5, 31.5], quick=[20.5]))
def test_every_term_is_that_of_the_newsvendor(x64: None, level: float) -> None:
    one = shop(level)
    found = explain(one, "shop", COUNT)
    below = float(np.mean(demand(one, COUNT) < level))
    assert below == pytest.approx(law().cdf(level), abs=NOISE)
    expected = {
        "purchase": UNIT_COST,
        "holding": HOLDING * below,
        "lost_sale": -LOST * (1 - below),
        "terminal": -CREDIT * UNIT_COST * below,
    }
    assert set(found.terms) == set(expected)
    for name, value in expected.items():
        close(found.terms[name], value, tolerance=1e-9, what=name)
    close(found.charges["storage"], STORAGE_PRICE * VOLUME * below, tolerance=1e-9)
    close(found.storage_rent, STORAGE_PRICE * VOLUME, tolerance=1e-9)
    close(found.charges["inbound"], INBOUND_PRICE, tolerance=1e-9)
    close(found.slope, BUY + LEFT * below - LOST * (1 - below), tolerance=1e-9)
    # A unit on the shelf today need not be bought or received, but takes room tonight.
    close(found.worth_today, BUY - HOLDING - STORAGE_PRICE * VOLUME, tolerance=1e-9)


def test_the_sum_is_zero_at_the_critical_fractile(x64: None) -> None:
    best = float(law().ppf(critical()))
    found = explain(shop(best - 0.5), "shop", COUNT)
    mass = float(law().pmf(best))
    assert abs(found.slope) < (LOST + LEFT) * (NOISE + mass)
    low, high = explain(shop(best - 8.5), "shop", COUNT).slope, explain(shop(best + 8.5), "shop", COUNT).slope
    assert low < -0.5 < 0.5 < high


def test_whole_units_and_what_would_change_them(x64: None) -> None:
    units = 22
    one = shop(units + 0.3)
    found = explain(one, "shop", COUNT)
    wanted = demand(one, COUNT)
    up, down = float(np.mean(wanted <= units)), float(np.mean(wanted < units))
    step = lambda below: BUY + LEFT * below - LOST * (1 - below)
    assert found.units == [units]
    close(sum(found.plus_one.values()), step(up), tolerance=1e-9)
    close(sum(found.minus_one.values()), -step(down), tolerance=1e-9)
    changes = {change.name: change for change in found.changes}
    penalty = changes["lost-sale cost"]
    assert (penalty.more_when, penalty.less_when) == ("above", "below")
    close(penalty.more_at, (BUY + LEFT * up) / (1 - up), tolerance=1e-9)
    close(penalty.less_at, (BUY + LEFT * down) / (1 - down), tolerance=1e-9)
    shelf = changes["price of shelf"]
    assert (shelf.now, shelf.more_when, shelf.less_when) == (STORAGE_PRICE, "below", "above")
    rest = LEFT - STORAGE_PRICE * VOLUME
    tipping = (LOST * (1 - down) - BUY - rest * down) / (VOLUME * down)
    close(shelf.less_at, tipping, tolerance=1e-9)
    holding = changes["holding cost"]
    close(holding.less_at, HOLDING + (tipping - STORAGE_PRICE) * VOLUME, tolerance=1e-9)


def test_a_risk_averse_objective_weighs_the_bad_scenarios(x64: None) -> None:
    level, tail = 20.5, 0.25
    one = shop(level, name="cvar", options={"level": 1 - tail, "weight": 1.0})
    found = explain(one, "shop", COUNT)
    wanted = demand(one, COUNT)
    cost = UNIT_COST * level + np.where(
        wanted > level, LOST * (wanted - level), (HOLDING - CREDIT * UNIT_COST) * (level - wanted)
    )
    worst = np.argsort(-cost)[: round(tail * COUNT)]
    close(found.terms["lost_sale"], -LOST * float(np.mean(wanted[worst] > level)), tolerance=1e-6)


def test_a_site_where_the_item_may_not_be_is_refused(x64: None) -> None:
    with pytest.raises(InputError, match="choose one of shop"):
        explain(shop(20.0), "depot", 64)


def test_the_site_that_holds_most_is_taken(x64: None) -> None:
    assert explain(shop(20.0), None, 64).node_id == "shop"
