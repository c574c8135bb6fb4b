"""Docks that queue, by hand: days of a fluid queue, and stock and sales that follow from it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lived import DAYS, built, lived, policy_of

from meio_jax.certify.docks import QueuedDocks
from meio_jax.certify.waits import dock_figures, waits_of
from meio_jax.cli.summary import docks_line
from meio_jax.instance import Instance
from meio_jax.model.docks import DockDays, mean_shares, queue_up
from meio_jax.model.queues import Docks, Shares
from meio_jax.policy.base_stock import BaseStock
from meio_jax.simulation.outcome import Outcome

EVERYWHERE: list[dict[str, Any]] = []


def dock(kind: str, capacity: float, node: str = "site", **more: Any) -> dict[str, Any]:
    usual = {"resource_id": f"{kind} {node}", "kind": kind, "node_id": node, "measure": "units"}
    return {**usual, "capacity": capacity, **more}


def plain_docks(capacity: list[float], loads: int = 1) -> Docks:
    """One queue of units, or of several measures of which each has a capacity of its own."""
    rows = jnp.asarray(np.asarray(capacity, float).reshape(-1, loads))
    one = jnp.ones((rows.shape[0], 1, 1))
    return Docks(
        (0,), (False,), (0,) * (loads + 1), (-1, *range(loads)), (0,) * (loads + 1), (False,) * (loads + 1),
        rows, Shares(one, one),
    )  # fmt: skip


def days_of(docks: Docks, units: list[float]) -> DockDays:
    due = jnp.asarray(np.asarray(units, float))[:, None, None]
    return queue_up(docks, jnp.broadcast_to(due, (len(units), len(docks.load_queue), 1)))


def test_a_hundred_at_a_dock_of_thirty() -> None:
    found = days_of(plain_docks([30.0] * 6), [0, 100, 0, 0, 0, 0])
    np.testing.assert_allclose(found.waiting[:, 0, 0], [0, 70, 40, 10, 0, 0], rtol=1e-6)
    # 30 of 100 on the first day, then 30 of 70, 30 of 40, and the last 10.
    np.testing.assert_allclose(found.shares.due[1, 0, 0], 0.3, rtol=1e-6)
    np.testing.assert_allclose(found.shares.waiting[2:5, 0, 0], [3 / 7, 3 / 4, 1], rtol=1e-6)


def test_what_waits_goes_before_what_is_due() -> None:
    found = days_of(plain_docks([30.0] * 3), [50, 50, 0])
    # The second day: the 20 of the day before, and 10 of its own 50.
    np.testing.assert_allclose(found.shares.waiting[1, 0, 0], 1, rtol=1e-6)
    np.testing.assert_allclose(found.shares.due[1, 0, 0], 0.2, rtol=1e-6)
    np.testing.assert_allclose(found.waiting[:, 0, 0], [20, 40, 10], rtol=1e-6)


def test_a_closed_dock_passes_nothing_and_one_without_a_limit_all() -> None:
    found = days_of(plain_docks([np.inf, 0.0, 30.0]), [80, 20, 0])
    np.testing.assert_allclose(found.waiting[:, 0, 0], [0, 20, 0], rtol=1e-6)


def test_the_tighter_of_two_measures_decides() -> None:
    docks = plain_docks([[50.0, 20.0]] * 3, loads=2)
    found = days_of(docks, [60, 0, 0])
    np.testing.assert_allclose(found.waiting[:, 0, 0], [40, 20, 0], rtol=1e-6)


def test_mean_shares_keep_what_waits_on_average() -> None:
    docks = plain_docks([30.0] * 4)
    due = jnp.asarray([[[100.0, 0, 20]], [[0, 60, 20]], [[0, 0, 20]], [[0, 0, 20]]])
    due = jnp.broadcast_to(due, (4, 2, 3))
    days = queue_up(docks, due)
    mean = mean_shares(docks, due, days)
    waiting = 0.0
    for day in range(4):
        waiting = waiting * (1 - mean.waiting[day, 0, 0]) + due[day, 0].mean() * (1 - mean.due[day, 0, 0])
        np.testing.assert_allclose(waiting, days.waiting[day, 0].mean(), rtol=1e-5)


def settled(made: Instance, policy: BaseStock, sweeps: int = 6) -> tuple[np.ndarray, Outcome, DockDays]:
    """The life of the items at docks whose shares are those that they cause."""
    for _ in range(sweeps):
        stock, outcome = lived(made, policy)
        docks = made.network.docks
        days = queue_up(docks, outcome.loads)
        made = replace(made, network=eqx.tree_at(lambda n: n.docks.shares, made.network, days.shares))
    return stock, outcome, days


def test_goods_wait_before_a_full_dock_and_sales_are_lost_meanwhile() -> None:
    """100 units are due on day 2 at a dock of 30 a day, ten are sold a day, and nothing more is ordered."""
    made = built(
        ["a"], EVERYWHERE, settings={"docks": "queue"}, resources=[dock("inbound", 30.0)],
        on_hand=[{"item_id": "a", "node_id": "site", "units": 15.0}],
        on_order=[{"item_id": "a", "node_id": "site", "period_due": 2, "units": 100.0}],
    )  # fmt: skip
    stock, outcome, days = settled(made, policy_of(made, 0.0))
    site = stock[:, 0, 0]
    # 15 - 10, 0 (5 of 10 sold), then 30, 30, 30 and 10 come in, and ten go every day.
    np.testing.assert_allclose(site[:7], [5, 0, 20, 40, 60, 60, 50], atol=1e-4)
    np.testing.assert_allclose(days.waiting[:7, 0, 0], [0, 0, 70, 40, 10, 0, 0], atol=1e-4)
    # 115 units for 21 days of ten.
    assert float(outcome.units.lost[0]) == pytest.approx(10 * DAYS - 115, abs=1e-3)
    # What waits outside is held: 70 + 40 + 10 unit-days beside the stock.
    assert float(outcome.costs.holding[0]) == pytest.approx(site.sum() + 120, rel=1e-5)
    # The use of the dock is what is brought to it, when it is.
    assert float(np.asarray(outcome.flows.inbound)[0].sum()) == pytest.approx(100, abs=1e-3)
    assert float(np.asarray(outcome.flows.outside).sum()) == pytest.approx(120, abs=1e-3)


def test_a_dock_that_is_wide_changes_nothing() -> None:
    narrow = built(["a"], EVERYWHERE, resources=[dock("inbound", 1e6), dock("outbound", 1e6)])
    queued = built(
        ["a"], EVERYWHERE, settings={"docks": "queue"}, resources=[dock("inbound", 1e6), dock("outbound", 1e6)]
    )
    policy = policy_of(narrow, 40.0)
    before, plain = lived(narrow, policy)
    after, found = lived(queued, policy)
    np.testing.assert_array_equal(before, after)
    for name, term in plain.costs.by_name().items():
        np.testing.assert_allclose(term, vars(found.costs)[name], rtol=1e-6, err_msg=name)


def test_items_share_a_dock_by_what_they_bring() -> None:
    """Two items of 60 and 40 units, of one m3 each, at a dock of 30 m3 a day."""
    rows = {"resources": [dock("inbound", 30.0, measure="m3")], "settings": {"docks": "queue"}}
    on_order = [
        {"item_id": "a", "node_id": "site", "period_due": 1, "units": 60.0},
        {"item_id": "b", "node_id": "site", "period_due": 1, "units": 40.0},
    ]
    made = built(["a", "b"], EVERYWHERE, mean=0.0, on_order=on_order, **rows)
    stock, _, _ = settled(made, policy_of(made, 0.0))
    at = {name: number for number, name in enumerate(made.items)}
    # 100 m3 stand there; every item gets its part of the 30 of a day.
    np.testing.assert_allclose(stock[1:5, 0, at["a"]], [18, 36, 54, 60], rtol=1e-5)
    np.testing.assert_allclose(stock[1:5, 0, at["b"]], [12, 24, 36, 40], rtol=1e-5)


def test_customers_wait_before_a_full_outbound_dock() -> None:
    """Ten are promised a day, and eight can leave: two more wait every evening, and the hall holds them."""
    made = built(
        ["a"], EVERYWHERE, settings={"docks": "queue"},
        resources=[dock("outbound", 8.0), {"resource_id": "f", "kind": "service", "capacity": 0.5}],
        on_hand=[{"item_id": "a", "node_id": "site", "units": 500.0}],
    )  # fmt: skip
    stock, outcome, days = settled(made, policy_of(made, 0.0))
    waits = 2.0 * np.arange(1, DAYS + 1)
    np.testing.assert_allclose(days.waiting[:, 0, 0], waits, rtol=1e-5)
    free = 500 - 10.0 * np.arange(1, DAYS + 1)
    np.testing.assert_allclose(stock[:, 0, 0], free, rtol=1e-5)
    # Of the ten of day t the eight less what waits leave at once: 8, 6, 4, 2, and none from the fifth day on.
    served = float(np.asarray(outcome.flows.served).sum())
    assert served == pytest.approx(8 + 6 + 4 + 2, rel=1e-5)
    assert float(np.asarray(outcome.flows.stock).sum()) == pytest.approx(free.sum() + waits.sum(), rel=1e-5)
    assert float(outcome.units.shipped[0]) == pytest.approx(10 * DAYS, rel=1e-5)
    assert float(np.asarray(outcome.flows.outbound).sum()) == pytest.approx(10 * DAYS, rel=1e-5)


def test_waits_of_a_hundred_at_a_dock_of_thirty() -> None:
    """30 pass at once, 30 after a day, 30 after two, 10 after three: 1.2 days on average, three at most."""
    docks = plain_docks([30.0] * 8)
    due = np.zeros((8, 2, 2))
    due[1], due[5, :, 1] = 100.0, 10.0
    queued = QueuedDocks(docks, due, jax.tree.map(np.asarray, queue_up(docks, jnp.asarray(due))), 0.0, 2)
    waits = waits_of(queued, np.ones(8), 4)
    np.testing.assert_allclose(waits.due[:, 0], [100, 5], rtol=1e-6)
    np.testing.assert_allclose(waits.waited[:, 0], [70, 0], atol=1e-4)
    # The last ten wait for the evening of day 3, which is in the first bucket.
    np.testing.assert_allclose(waits.unit_periods[:, 0], [120, 0], atol=1e-4)
    np.testing.assert_allclose(waits.largest[:, 0], [70, 0], atol=1e-4)
    np.testing.assert_allclose(waits.longest[:, 0], [3, 0])
    found = dock_figures(queued, waits, ["site"])
    assert (found.node, found.direction, found.bucket, found.settled) == ("site", "inbound", 0, True)
    assert found.waited_share == pytest.approx(70 / 105, rel=1e-5)
    assert found.mean_wait == pytest.approx(120 / 105, rel=1e-5)
    assert "66.7%" in docks_line(found.as_dict())
    assert "3.0 periods at site" in docks_line(found.as_dict())


def test_days_that_are_not_charged_are_left_out() -> None:
    docks = plain_docks([30.0] * 4)
    due = np.zeros((4, 2, 1))
    due[0] = 100.0
    queued = QueuedDocks(docks, due, jax.tree.map(np.asarray, queue_up(docks, jnp.asarray(due))), 0.0, 2)
    waits = waits_of(queued, np.asarray([0.0, 0.0, 1.0, 1.0]), 4)
    np.testing.assert_allclose(waits.unit_periods[:, 0], [10], atol=1e-4)
    assert float(waits.due.sum()) == 0


def test_without_the_line_nothing_queues() -> None:
    assert built(["a"], EVERYWHERE, resources=[dock("inbound", 5.0)]).network.docks is None
