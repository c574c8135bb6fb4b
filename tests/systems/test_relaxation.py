"""The information relaxation against optima by dynamic programming: tight where it must be, never above."""

import itertools

import numpy as np
import pytest
from projected_parts.optimum import System
from relaxation_parts.bounds import Study
from relaxation_parts.chain import Chain
from relaxation_parts.paths import ExactValues, simulate, start

from meio_jax.certify.order_penalties import LostSales, clairvoyant_costs, penalised_least_costs

PERIODS = 12


def _chain(lead: int, penalty: float = 9.0, mean: float = 2.0) -> Chain:
    return Chain(System("poisson", penalty, lead, mean))


def _played(site: LostSales, demand: np.ndarray, orders: tuple[int, ...]) -> float:
    """Cost of given orders, by hand."""
    stock, cost, coming = site.on_hand, 0.0, [*site.due, *orders]
    for asked, receipt in zip(demand, [*coming, 0], strict=False):
        cost += site.holding * max(stock - asked, 0) + site.penalty * max(asked - stock, 0)
        stock = max(stock - asked, 0) + receipt
    return cost


@pytest.mark.parametrize("due", [(), (1,)])
def test_clairvoyance_is_the_best_of_all_orders(due: tuple[int, ...]) -> None:
    site = LostSales(1.0, 4.0, 1, due, 3, np.full(8, 0.125))
    demand = np.array([[0, 3], [2, 1], [3, 0], [1, 2]])
    choices = itertools.product(range(4), repeat=3 - len(due))
    tried = [[_played(site, demand[:, k], orders) for k in range(2)] for orders in choices]
    np.testing.assert_allclose(clairvoyant_costs(site, demand), np.min(tried, axis=0))


@pytest.mark.parametrize(("lead", "near"), [(1, 1), (2, 1), (3, 2)])
def test_with_the_optimal_cost_to_go_every_scenario_gives_the_optimum(lead: int, near: int) -> None:
    """Strong duality: nothing that knowledge of demand could save is left, in any scenario."""
    chain = _chain(lead)
    least, policy = chain.optimal(PERIODS)
    found, _ = Study(chain, policy, near, 4).bounds(seed=1)
    # Costs to go are kept in single precision.
    np.testing.assert_allclose(found, least[start(chain)], rtol=2e-5)


@pytest.mark.parametrize("level", [1.0, 3.0, 6.0])
def test_a_poor_reference_gives_a_loose_bound_and_no_wrong_one(level: float) -> None:
    chain = _chain(2)
    least, _ = chain.optimal(PERIODS)
    policy = chain.projected_level(level, PERIODS)
    found, paths = Study(chain, policy, 1, 400).bounds(seed=2)
    optimum, error = least[start(chain)], found.std() / 20
    assert found.mean() - 3 * error < optimum < chain.costs_of(policy)[0][start(chain)]
    assert found.mean() > clairvoyant_costs(Study(chain, policy, 1, 400).site(), paths.demand).mean()


def test_orders_that_are_not_near_enter_linearly_and_the_bound_stays_close() -> None:
    """Lead time 3 with one near receipt: below the optimum, and much nearer to it than clairvoyance."""
    chain = _chain(3, penalty=4.0)
    least, policy = chain.optimal(PERIODS)
    one = Study(chain, policy, 1, 200)
    found, paths = one.bounds(seed=3)
    optimum, error = least[start(chain)], found.std() / np.sqrt(200)
    assert found.mean() - 3 * error < optimum
    assert found.mean() > 0.95 * optimum > clairvoyant_costs(one.site(), paths.demand).mean()


def test_charges_of_an_order_are_zero_on_average() -> None:
    """What five units ordered now are charged beyond their cost, drawn again and again from one state."""
    chain = _chain(3, penalty=4.0)
    _, policy = chain.optimal(PERIODS)
    paths = simulate(chain, policy, 4000, seed=4)
    charged = ExactValues(chain, policy, paths, near=1).surprise(0)[5]
    assert charged.std() > 0
    assert abs(charged.mean()) < 4 * charged.std() / np.sqrt(4000)


def test_the_optimum_is_no_more_than_the_best_level() -> None:
    chain = _chain(2)
    least, policy = chain.optimal(PERIODS)
    levels = [chain.costs_of(chain.projected_level(level, PERIODS))[0][start(chain)] for level in (2.0, 3.0, 4.0)]
    assert least[start(chain)] == pytest.approx(chain.costs_of(policy)[0][start(chain)], rel=1e-5)
    assert least[start(chain)] < min(levels)
    with pytest.raises(ValueError, match="beyond the grid"):
        simulate(chain, np.full_like(policy, chain.orders - 1), 5, seed=1)


def test_costs_to_go_bound_by_hand() -> None:
    """One period: nobody can do anything, and the bound is the expected cost."""
    site = LostSales(1.0, 4.0, 2, (), 3, np.array([0.5, 0.0, 0.0, 0.5]))
    chain = _chain(1)
    _, policy = chain.optimal(1)
    by = ExactValues(chain, policy, simulate(chain, policy, 2, seed=1), near=1)
    # Half of the time two units are kept, else one is lost.
    np.testing.assert_allclose(penalised_least_costs(site, np.array([[0, 3]]), by), [3.0, 3.0])
