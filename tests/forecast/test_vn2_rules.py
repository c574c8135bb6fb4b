"""The rules by which experiments/vn2.py plays: what is seen, when orders arrive, what weeks cost."""

import datetime

import numpy as np
import pytest
from vn2_parts import policies
from vn2_parts.forecasts import Forecasts
from vn2_parts.rules import ORDERS, Seen, State, clairvoyant, play, state_before

ORIGIN = 70


def _state(stock: float, first: float, second: float, items: int = 1) -> State:
    return State(np.full(items, stock), (np.full(items, first), np.full(items, second)))


def test_an_order_is_sold_from_three_weeks_later_and_weeks_cost_what_the_rules_say() -> None:
    """By hand: stock 3, due 2 and 1; sales 4, 5, 6, 0, ...; 5 are ordered after week 0 and nothing later."""
    sales = np.zeros((1, ORIGIN + 8))
    sales[0, ORIGIN : ORIGIN + 3] = 4, 5, 6
    orders = iter([5.0, *[0.0] * 5])
    played = play(sales, sales >= 0, ORIGIN, _state(3, 2, 1), lambda seen: np.asarray([next(orders)]))
    # Week 1: 5 - 4 leave 1. Week 2: 2 for 5. Week 3: the 5 for 6. Then nothing is left and nothing sold.
    np.testing.assert_allclose(played.lost, [0, 3, 1, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(played.held, [0.2, 0, 0, 0, 0, 0, 0, 0])
    assert played.cost == pytest.approx(1.0)
    assert played.orders.shape == (ORDERS, 1)


def test_what_is_seen_is_the_weeks_before_and_the_state_after_them() -> None:
    sales = np.tile(np.arange(ORIGIN + 8.0), (2, 1))
    seen: list[Seen] = []

    def keep(now: Seen) -> np.ndarray:
        seen.append(now)
        return np.full(2, 100.0)

    play(sales, sales >= 0, ORIGIN, _state(0, 0, 0, 2), keep)
    assert [now.sales.shape[1] for now in seen] == list(range(ORIGIN, ORIGIN + 6))
    assert [now.left for now in seen] == [5, 4, 3, 2, 1, 0]
    # After week 1 the first order is due in two weeks, after week 2 it is the next to come.
    np.testing.assert_array_equal(seen[1].state.due, [[0, 0], [100, 100]])
    np.testing.assert_array_equal(seen[2].state.due, [[100, 100], [100, 100]])


@pytest.fixture(scope="module")
def made() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    sales = rng.poisson(rng.gamma(2, 2, (6, 1)), (6, ORIGIN + 8)).astype(float)
    return sales, rng.random(sales.shape) < 0.95


def _every(sales: np.ndarray, in_stock: np.ndarray) -> dict[str, policies.Policy]:
    forecasts = Forecasts(sales, in_stock, datetime.date(2023, 1, 2))
    found: dict[str, policies.Policy] = {"benchmark": policies.benchmark}
    paths = forecasts.paths()
    for make in (policies.order_up_to, policies.projected_mean, policies.projected_level, policies.least_cost):
        found[make.__name__] = make(paths)
    return {**found, "blended": policies.blended(paths)}


def test_no_policy_sees_a_week_too_much(made: tuple[np.ndarray, np.ndarray]) -> None:
    """A spike in week 3 moves no order placed before it was seen, and moves those after."""
    sales, in_stock = made
    state = state_before(sales, in_stock, ORIGIN, policies.benchmark)
    spiked = sales.copy()
    spiked[:, ORIGIN + 2] += 500
    for (name, plain), (_, told) in zip(_every(sales, in_stock).items(), _every(spiked, in_stock).items(), strict=True):
        orders = [play(one, in_stock, ORIGIN, state, who).orders for one, who in ((sales, plain), (spiked, told))]
        np.testing.assert_array_equal(orders[0][:3], orders[1][:3], err_msg=name)
        assert (orders[0][3:] != orders[1][3:]).any(), name


def test_nobody_is_cheaper_than_who_knows_the_sales(made: tuple[np.ndarray, np.ndarray]) -> None:
    sales, in_stock = made
    state = state_before(sales, in_stock, ORIGIN, policies.benchmark)
    least = clairvoyant(sales, ORIGIN, state)
    for name, policy in _every(sales, in_stock).items():
        assert play(sales, in_stock, ORIGIN, state, policy).cost >= least, name


def test_the_least_cost_order_is_the_critical_quantile_where_stock_is_no_matter() -> None:
    """One item, no stock, the last order: the newsvendor's quantile, 5/6, of week 3."""
    drawn = np.zeros((600, 1, 7))
    drawn[:, 0, 2] = np.arange(600)
    seen = Seen(np.zeros((1, 9)), np.ones((1, 9), bool), _state(0, 0, 0), 0)
    assert policies.least_cost(lambda _: drawn)(seen)[0] == 499
    for policy in (policies.projected_level, policies.projected_mean):
        assert policy(lambda _: drawn)(seen)[0] == 499
