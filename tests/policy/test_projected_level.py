"""What a node expects for the day on which its order arrives: by hand where demand is certain, else by draws."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import NODES, PERIODS, Case, close, make_case, make_policy

from meio_jax.policy.base import Arrival
from meio_jax.simulation.first_orders import first_orders
from meio_jax.simulation.outcome import Record
from meio_jax.simulation.outlook import (
    Expectation,
    due_by_day,
    expected_arrival,
    flow_of,
    longest_lead,
    outlooks,
)
from meio_jax.simulation.rollout import rollout

ROUNDING = 1e-10
# Node 3 sells, and is supplied by node 1 alone, in two periods; node 1 by node 0, in one.
SHOP, CENTRE = 3, 1


def certain(case: Case) -> Case:
    """Demand that varies from day to day and never from its forecast; of nodes 0, 1 and 3 only the shop sells."""
    own = case.block.own_share.at[jnp.asarray([0, CENTRE])].set(0).at[SHOP].set(1)
    given = (own, 0 * case.block.demand_variance)
    return replace(case, block=eqx.tree_at(lambda b: (b.own_share, b.demand_variance), case.block, given))


def arrival(case: Case, rows: tuple[int, ...], *, period: int = 0, stock: float = 20.0, late: float = 0.0) -> Arrival:
    """What rows expect in a period, from the pipelines at the start; `late` more is due after everything else."""
    network, block = case.network, case.block
    flow = flow_of(network, block)
    forecast = outlooks(network, block, flow, before=False)
    forecast = type(forecast)(forecast.ahead[period], forecast.cover[period], forecast.usual[period])
    due = due_by_day(network, block.vendor_pipeline, block.lane_pipeline)
    on_order = due[:, 1:].sum(1) + late
    there = jnp.full((NODES, block.items), stock)
    return expected_arrival(network, Expectation(flow, forecast), there, due, on_order, rows)


def test_certain_demand_by_hand(x64: None) -> None:
    case = certain(make_case())
    demand, lane = np.asarray(case.block.mean_demand)[:, 0], np.asarray(case.block.lane_pipeline)[:, :, 0]
    shop = lane[case.network.lane_nodes.index(SHOP)]
    seen = arrival(case, (SHOP,), period=1)
    # Sales of today and tomorrow, what arrives tomorrow and the day after, and nothing of the order itself.
    close(seen.stock[0, 0], 20 - demand[1:3].sum() + shop[1:].sum(), tolerance=1e-6)
    # The shop reviews on two days of three: the order lasts for two days, rounded, from its arrival on day 3.
    close(seen.cover[0, 0], demand[3:5].sum(), tolerance=ROUNDING)
    # The centre ships nothing more today; its lead time is one day, and lower nodes cannot make it lose a sale.
    close(arrival(case, (CENTRE,), stock=-3.0).stock[0, 0], -3 + lane[0, 1:].sum(), tolerance=1e-6)


def test_demand_beyond_stock_is_lost_or_waits(x64: None) -> None:
    case = certain(make_case(backorder=(False, True)))
    demand, lane = np.asarray(case.block.mean_demand), np.asarray(case.block.lane_pipeline)[2]
    seen = np.asarray(arrival(case, (SHOP,), stock=0.0).stock)[0]
    close(seen[0], max(lane[1, 0] - demand[1, 0], 0) + lane[2, 0], tolerance=2e-3)
    close(seen[1], lane[1:, 1].sum() - demand[:2, 1].sum(), tolerance=1e-6)


def test_what_is_due_later_counts_once(x64: None) -> None:
    case = certain(make_case())
    close(arrival(case, (SHOP,), late=2.5).stock, arrival(case, (SHOP,)).stock + 2.5, tolerance=ROUNDING)


def test_random_demand_by_draws(x64: None) -> None:
    """Poisson demand of a shop that sells everything, three days on: the mean of a hundred thousand draws."""
    case = make_case()
    block = eqx.tree_at(
        lambda b: (b.demand_variance, b.own_share, b.mean_demand),
        case.block,
        (jnp.asarray([[1.0], [0.0]]), case.block.own_share.at[SHOP].set(1), jnp.full((PERIODS, 1), 5.0)),
    )
    case = replace(case, block=block)
    rng, stock = np.random.default_rng(0), np.full(100_000, 7.0)
    for receipts in np.asarray(block.lane_pipeline)[2, 1:, 0]:
        stock = np.maximum(stock - rng.poisson(5.0, stock.size), 0) + receipts
    seen = float(arrival(case, (SHOP,), stock=7.0).stock[0, 0])
    # The normal law stands for the Poisson law: a few hundredths of a day's demand.
    assert seen == pytest.approx(stock.mean(), abs=0.15)
    without_loss = 7.0 - 10 + float(block.lane_pipeline[2, 1:, 0].sum())
    assert stock.mean() - without_loss > 5 * 0.15


def test_forecast_goes_on_after_the_horizon_like_its_last_bucket(x64: None) -> None:
    case = make_case()
    network, demand = case.network, np.asarray(case.block.mean_demand)
    ahead = np.asarray(outlooks(network, case.block, flow_of(network, case.block), before=False).ahead)
    assert ahead.shape[1] == longest_lead(network)
    last = demand[-network.bucket_periods :]
    close(ahead[-1], np.concatenate([demand[-1:], last])[: longest_lead(network)], tolerance=0)
    close(ahead[0], demand[: longest_lead(network)], tolerance=0)


def test_usual_demand_is_the_mean_of_the_bucket(x64: None) -> None:
    case = make_case()
    forecast = outlooks(case.network, case.block, flow_of(case.network, case.block), before=False)
    length = case.network.bucket_periods
    close(forecast.usual[0], np.asarray(forecast.cover)[:length].mean(0), tolerance=ROUNDING)
    close(forecast.usual[-1], np.asarray(forecast.cover)[2 * length :].mean(0), tolerance=ROUNDING)


def test_level_moves_with_the_forecast() -> None:
    column = lambda *values: jnp.asarray(values, jnp.float32)[:, None]
    expected = Arrival(column(0, 0, 0, 0), column(6, 6, 2, 3), column(4, 4, 4, 0), column(1.5, 1.5, 0.5, 1))
    # Beyond usual demand, below it, below it on a slack day, and without any forecast.
    close(expected.level(column(10, 2, 10, 7)), column(6 + 9, 3, 2 + 3, 7), tolerance=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("evening", [False, True])
def test_what_is_issued_is_what_every_scenario_does_first(x64: None, evening: bool) -> None:
    """First orders and shipments of simulations in whole units are those of `plan/orders` and `plan/transfers`."""
    case = make_case(backorder=(False, True), evening=evening, samples=2)
    policy = make_policy(case, "projected_level")
    first = eqx.tree_at(lambda p: p.target, policy, policy.target[0])
    issued = first_orders(case.network, first, case.block)
    charged = jnp.zeros_like(case.network.charged).at[0].set(1)
    network = eqx.tree_at(lambda n: n.charged, case.network, charged)
    record = Record(orders=2)
    timing = rollout(network, policy, case.block, case.scenarios, case.lists, record=record, whole=True).timing
    units = np.concatenate([issued.offer, issued.lane])
    # In the evening days begin with that before period 0.
    close(timing.daily[0], units, tolerance=ROUNDING)
    assert units.sum() > 0
