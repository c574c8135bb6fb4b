"""The public suite's transition against figures worked out by hand, and against its published oracle."""

import numpy as np
import pytest
from peers_parts.demand import DEMANDS, PERIODS, goodwill_after
from peers_parts.networks import DIVERGENT, SERIAL
from peers_parts.oracle import best_profit
from peers_parts.published import ORACLE, published, scenarios
from peers_parts.tables import tables_of
from peers_parts.world import Setting, World

ASKED = 2 * 600 / 481
"""Demand of the first period of the recorded series: 2 of 481 units, scaled to a mean of 20 over 30 periods."""


def _recorded(backlog: bool = True) -> World:
    return World(Setting(SERIAL, DEMANDS["recorded"], backlog), seed=1)


def test_a_period_by_hand() -> None:
    world = _recorded()
    world.step(np.array([10.0, 20.0, 5.0]))
    assert world.stock == pytest.approx({1: 100 - ASKED, 2: 90, 3: 185})
    held = 0.03 * (100 - ASKED) + 0.02 * 90 + 0.01 * 185
    under_way = 0.01 * 10 + 0.005 * 20
    assert world.profit[0] == pytest.approx(2 * ASKED - held - under_way - 0.01 * 20 - 0.5 * 5)


def test_an_order_arrives_after_its_lead_time_and_is_charged_until_then() -> None:
    world = _recorded()
    world.step(np.array([10.0, 0, 0]))
    assert world.due(0) == {3: 10.0}
    charged = [world.profit[0]]
    for _ in range(4):
        before = world.stock[1]
        world.step(np.zeros(3))
        charged.append(world.profit[world.period - 1])
    assert world.stock[1] == pytest.approx(before + 10 - world.asked[4])
    without = _recorded()
    for _ in range(5):
        without.step(np.zeros(3))
    # Ten units left a shelf at 0.02 and were 0.01 under way for four periods, then lie on one at 0.03.
    np.testing.assert_allclose(charged - without.profit[:5], [0.1, 0.1, 0.1, 0.1, -0.1], atol=1e-12)


def test_what_is_asked_of_a_site_is_granted_in_order_within_its_stock_and_capacity() -> None:
    world = World(Setting(DIVERGENT, DEMANDS["stationary"], backlog=True), seed=1)
    wanted = np.zeros(len(DIVERGENT.links))
    wanted[0], wanted[2], wanted[3] = 500, 60, 60
    world.step(wanted)
    assert world.ordered[0, 0] == 110
    assert (world.ordered[0, 2], world.ordered[0, 3]) == (60, 30)


@pytest.mark.parametrize("backlog", [True, False])
def test_what_is_missing_is_owed_or_lost(backlog: bool) -> None:
    world = _recorded(backlog)
    world.stock[1] = 1.0
    world.step(np.zeros(3))
    assert world.missing[0] == pytest.approx(ASKED - 1)
    world.step(np.zeros(3))
    second = 3 * 600 / 481
    assert world.missing[1] == pytest.approx(second + (ASKED - 1 if backlog else 0))


def test_goodwill_grows_slowly_falls_fast_and_is_bounded() -> None:
    assert goodwill_after(1.0, 0.0) == pytest.approx(1.01)
    assert goodwill_after(1.0, 0.1) == pytest.approx(0.9)
    assert goodwill_after(0.21, 5.0) == 0.2
    assert goodwill_after(1.99, 0.0) == 2.0


def test_means_by_hand() -> None:
    mean = DEMANDS["trend+seasonal+shock"].means()
    assert mean[0] == pytest.approx(20)
    # A quarter of the cycle is between periods 7 and 8; in period 15 the season is over and the shock begins.
    assert mean[15] == pytest.approx(20 * 1.75 * 2)
    assert mean[5] == pytest.approx(20 * 1.25 * (1 + 0.5 * np.sin(np.pi / 3)))


PRINTED = {
    "divergent trend+seasonal+shock lost": (2039.4, 2028.4),
    "divergent stationary owed": (857.9, 873.5),
    "serial trend+seasonal owed": (1529.3, 1546.9),
    "serial stationary lost": (1032.1, 1042.7),
    "serial recorded owed": (942.4, 942.4),
}


@pytest.mark.parametrize("name", PRINTED)
def test_what_could_have_been_earned_is_what_was_published(name: str) -> None:
    """Seeds 42 and 123: the same draws of demand, the same costs and constraints."""
    setting = scenarios()[name]
    for seed, printed in zip((42, 123), PRINTED[name], strict=True):
        world = World(setting, seed)
        for _ in range(PERIODS):
            world.step(np.zeros(len(setting.network.links)))
        assert best_profit(setting, world.asked) == pytest.approx(printed, abs=0.051)


def test_mean_gaps_of_published_agents() -> None:
    """Over the 22 scenarios, as the paper states them in percent."""
    table = published()
    assert len(table) == 22
    gap = lambda agent: 100 * np.mean([1 - row[agent] / row[ORACLE] for row in table.values()])
    assert [round(gap(agent), 1) for agent in ("MSSP-I", "PPO-Transformer", "Newsvendor-I")] == [5.1, 25.5, 29.7]


def test_the_planner_is_told_what_is_under_way_and_owed() -> None:
    world = _recorded()
    world.stock[1] = 1.0
    world.step(np.array([10.0, 20.0, 5.0]))
    tables = tables_of({"one": world})
    assert tables.lanes["lead_time"].to_list() == [5, 5]
    assert sorted(tables.on_order.select("node_id", "period_due", "units").rows()) == [
        ("site 1", 3, 10.0),
        ("site 2", 3, 20.0),
    ]
    assert tables.backlog["units"].to_list() == [pytest.approx(ASKED - 1)]
    assert tables.forecast.sort("period")["mean"][0] == pytest.approx(3 * 600 / 481)
    assert tables.forecast.sort("period")["mean"][PERIODS - 1] == 0
