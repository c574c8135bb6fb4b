"""Plans of items that share a factor, against closed forms: room held in nine worlds of ten, and risk of the total."""

from __future__ import annotations

import numpy as np
import pytest
import worlds
from truth_families.laws import law, mean_forecast
from truth_families.network import Item, Offer, Setting, Site, build
from worlds import Shared

from meio_jax.config import make_config
from meio_jax.planner import Plan, plan
from meio_jax.tables import Tables

CV, SHARE, ROOM = 0.3, 0.9, 300.0
SEASONS = [Shared(200.0, 1.0, 9.0), Shared(350.0, 0.5, 4.0), Shared(80.0, 2.0, 20.0)]
ALIKE = [Shared(200.0, 1.0, 3.0), Shared(350.0, 1.0, 3.0)]


def season(items: list[Shared], resources: list[dict]) -> Tables:
    """One purchase for one day of demand; unmet demand is lost."""
    names = [f"i{number}" for number in range(len(items))]
    return build(
        Setting(
            settings={"name": "season", "periods": 2, "bucket_periods": 2, "warmup_periods": 1, "ordering": "morning"}
            | {"terminal_credit": 0.0, "stationary_targets": True, "forecast": "mean", "world_factor_cv": CV},
            sites=[Site("site", review_period=2)],
            items=[Item(name, {"site": 1.0}, i.holding, i.penalty) for name, i in zip(names, items, strict=True)],
            offers=[Offer(name, "site", 1) for name in names],
            forecast=mean_forecast(
                {name: law("fixed", i.mean) for name, i in zip(names, items, strict=True)}, periods=2, first=1
            ),
            resources=resources,
        )
    )


def planned(tables: Tables, **parts: dict) -> Plan:
    steps = {"max_steps": 300, "min_steps": 120, "devices": 1, "slack_items": 0, "probe": False}
    config = make_config(
        scenarios={"train": 1024, "holdout": 1024, "clairvoyant": 4, "unit_values": 0},
        solve=steps,
        **parts,
    )
    return plan(tables, config)


def purchases(found: Plan, items: int) -> np.ndarray:
    """Units that come in on the charged day, of each item."""
    return np.asarray(found.holdout.items.received, float).reshape(-1)[:items]


def room(held_in: float | None) -> list[dict]:
    row = {"resource_id": "room", "kind": "storage", "node_id": "site", "measure": "units", "capacity": ROOM}
    return [row if held_in is None else {**row, "held_in": held_in}]


def test_room_held_in_nine_worlds_of_ten_has_the_price_and_the_purchases_of_the_closed_form() -> None:
    found = planned(season(SEASONS, room(SHARE)))
    price, bought = worlds.held(SEASONS, worlds.factor(CV), ROOM, SHARE)
    (held,) = found.certificate.held
    assert held.asked == SHARE
    assert abs(held.kept - SHARE) < 0.01 + 3 * held.kept_error
    assert 0 < held.kept_error < 0.012
    assert found.certificate.result == "CONVERGED"
    np.testing.assert_allclose(purchases(found, 3), bought, rtol=0.02)
    assert float(np.asarray(found.solution.prices).max()) == pytest.approx(price, rel=0.1)
    assert held.use == pytest.approx(ROOM, rel=0.01)
    world = worlds.factor(CV).ppf((np.arange(2000) + 0.5) / 2000)
    left = [np.maximum(q - i.mean * world, 0) for i, q in zip(SEASONS, bought, strict=True)]
    assert held.mean_use == pytest.approx(np.sum(left, axis=0).mean(), rel=0.05)
    assert np.mean(np.sum(left, axis=0) <= ROOM) == pytest.approx(SHARE, abs=1e-3)


@pytest.mark.slow
def test_cvar_of_the_total_has_the_purchases_of_the_closed_form() -> None:
    level = 0.8
    found = planned(season(ALIKE, []), risk={"measure": "cvar", "level": level})
    law = worlds.factor(CV)
    best = np.array([worlds.least_cvar(item, law, level) for item in ALIKE])
    np.testing.assert_allclose(purchases(found, 2), best, rtol=0.02)
    risk = found.certificate.total_risk
    least = sum(worlds.cvar(item, purchase, law, level) for item, purchase in zip(ALIKE, best, strict=True))
    assert abs(risk.risk - least) < 3 * risk.risk_error + 0.005 * least
    assert risk.risk_error < 0.03 * least
    assert found.certificate.holdout_objective == risk.objective == risk.risk
    newsvendor = np.array([item.mean * law.ppf(item.penalty / (item.penalty + item.holding)) for item in ALIKE])
    # A plan for the mean is another one, and its risk is larger.
    assert (np.abs(best / newsvendor - 1) > 0.05).all()
    assert sum(worlds.cvar(i, q, law, level) for i, q in zip(ALIKE, newsvendor, strict=True)) > 1.02 * least


@pytest.mark.slow
def test_entropic_risk_of_the_total_is_least_where_the_closed_form_says() -> None:
    aversion, law = 0.3, worlds.factor(CV)
    found = planned(season(ALIKE, []), risk={"measure": "entropic", "aversion": aversion})
    whole = Shared(sum(item.mean for item in ALIKE), ALIKE[0].holding, ALIKE[0].penalty)
    grid = np.linspace(1.0, 1.8, 161) * whole.mean
    rate = aversion / found.certificate.total_risk.mean
    values = [worlds.entropic(whole, purchase, law, rate) for purchase in grid]
    assert purchases(found, 2).sum() == pytest.approx(grid[int(np.argmin(values))], rel=0.03)
    assert found.certificate.total_risk.risk == pytest.approx(min(values), rel=0.02)


@pytest.mark.slow
def test_room_that_is_kept_on_average_has_the_levels_of_the_charged_newsvendor() -> None:
    found = planned(season(SEASONS, room(None)))
    assert found.certificate.held == []
    law = worlds.factor(CV)
    price = float(np.asarray(found.solution.prices).max())
    bought = [i.mean * law.ppf(i.penalty / (i.penalty + i.holding + price)) for i in SEASONS]
    np.testing.assert_allclose(purchases(found, 3), bought, rtol=0.03)
