"""Orders assigned by the value of the unit given up: the simulator by hand, and beside the planner's rollout.

Region r1 is served from node A for 1.0 or from node B for 1.5, region r2 from A for 1.0 or from B for 10. Each asks for
a unit a day on three days; A has three units, B as many as anyone wants, and nothing arrives before the fourth day.
"""

from __future__ import annotations

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from backtest_instances import ITEM, NODE, instance, orders, targets

from meio_jax.backtest import Options, PlanTable, simulate
from meio_jax.backtest.unit_values import UNIT_VALUES, look_ahead
from meio_jax.config import make_config
from meio_jax.errors import InputError
from meio_jax.instance import Instance, build_instance
from meio_jax.planner.model import settings_of
from meio_jax.plans.order_system import node_value_frame
from meio_jax.policy.base_stock import BaseStock
from meio_jax.scenarios.sampling import Scenarios
from meio_jax.simulation.node_values import NodeValues, worth_of
from meio_jax.simulation.rollout import rollout
from meio_jax.solver.subproblem import block_lists
from meio_jax.tables import Tables

DAYS = 3
COSTS = {("A", "r1"): 1.0, ("A", "r2"): 1.0, ("B", "r1"): 1.5, ("B", "r2"): 10.0}
BY_VALUE = make_config(fulfilment={"by": "value", "dither": 0.0})


def two_nodes() -> Tables:
    nodes, regions = ("A", "B"), ("r1", "r2")
    offer = {"item_id": "i", "vendor_id": "v", "unit_cost": 0.0, "lead_time_mean": float(DAYS)}
    where = {"latitude": 40.0, "longitude": -100.0}
    return instance(
        {"periods": DAYS, "ordering": "morning"},
        items=[{"item_id": "i"} | ITEM | {"holding_cost": 0.0, "lost_sale_cost": 30.0}],
        nodes=[{"node_id": node} | NODE for node in nodes],
        regions=[{"region_id": region} | where for region in regions],
        speeds=[{"speed_id": "s", "promise_days": 2, "deliver_by_hour": 24.0}],
        transit=[
            {"node_id": node, "region_id": region, "hours": 1.0, "cost_per_unit": cost}
            for (node, region), cost in COSTS.items()
        ],
        cutoffs=[{"node_id": node, "speed_id": "s", "cutoff_hour": 24.0} for node in nodes],
        offers=[offer | {"node_id": node} for node in nodes],
        shares=[{"profile": "p", "region_id": region, "speed_id": "s", "wave": 0, "share": 0.5} for region in regions],
        forecast=[{"item_id": "i", "period": day, "mean": 2.0} for day in range(DAYS)],
        on_hand=[{"item_id": "i", "node_id": "A", "units": 3}, {"item_id": "i", "node_id": "B", "units": 50}],
    )


def outbound_of_planner(made: Instance, settings: object) -> float:
    """Outbound cost of the rollout of one scenario, in which both regions ask for a unit every day."""
    block = jax.tree.map(lambda leaf: leaf[0], made.catalog.block)
    lists = block_lists(made.network, made.resources, settings, block, jnp.zeros_like(made.resources.capacity))
    kind, horizon = block.volume.dtype, made.network.horizon
    wanted = jnp.ones((horizon, 1, 1, 2, block.items), kind)
    lead = jnp.full((horizon, *block.offer_lead.shape), DAYS, jnp.int32)
    lanes = jnp.ones((horizon, 0, block.items), jnp.int32)
    levels = BaseStock(jnp.zeros((made.network.buckets, 2, block.items), kind))
    found = eqx.filter_jit(rollout)(made.network, levels, block, Scenarios(wanted, lead, lanes), lists)
    return float(found.costs.outbound[0])


def outbound_of_simulator(tables: Tables, values: pl.DataFrame | None) -> float:
    asked = orders(*[("i", region, "s", day, 9.0 + k) for day in range(DAYS) for k, region in enumerate(("r1", "r2"))])
    options = Options.unlimited(orders=asked, ordering="morning")
    lived = simulate(tables, PlanTable(targets(("i", "A", 0), ("i", "B", 0)), values=values), options=options)
    return float(lived.metrics()["outbound"])


def test_planner_and_simulator_keep_the_last_units_for_whom_they_save_most() -> None:
    tables = two_nodes()
    made = build_instance(tables, block_items=1, dtype=np.float32)
    by_value = settings_of(BY_VALUE, made)
    values = node_value_frame(made, by_value, np.zeros(made.resources.capacity.shape, np.float32))
    assert values is not None
    a = values.filter(pl.col("node_id") == "A").row(0, named=True)
    # Without a unit of A r1 pays 0.5 more and r2, which is half of those who ask, pays 9 more.
    assert [a[name] for name in ("scarce_value", "dearer_value", "first_share")] == pytest.approx([0.5, 8.5, 0.5])
    assert (a["daily_mean"], a["cover_days"]) == (2.0, DAYS)
    best = DAYS * (1.5 + 1.0)
    assert outbound_of_planner(made, by_value) == pytest.approx(best)
    assert outbound_of_simulator(tables, values) == pytest.approx(best)
    # First come, first served: r1 and r2 on day 0, r1 on day 1; then r2, r1 and r2 from B.
    assert outbound_of_simulator(tables, None) == pytest.approx(3 * 1.0 + 10 + 1.5 + 10)
    by_cost = replace(by_value, by_value=False)
    assert node_value_frame(made, by_cost, np.zeros(made.resources.capacity.shape)) is None
    assert outbound_of_planner(made, by_cost) > 2 * best


def test_a_constant_on_all_values_moves_no_order() -> None:
    tables = two_nodes()
    row = {"item_id": "i", **dict.fromkeys(UNIT_VALUES[1:], 0.0)}
    table = lambda a, b: pl.DataFrame(
        [row | {"node_id": "A", "base_value": a}, row | {"node_id": "B", "base_value": b}]
    )
    assert outbound_of_simulator(tables, table(7.0, 7.0)) == outbound_of_simulator(tables, None)
    # A unit of A worth 5 more than one of B: r1 asks B for 1.5, r2 still asks A.
    assert outbound_of_simulator(tables, table(5.0, 0.0)) == pytest.approx(DAYS * 2.5)


def test_both_expect_the_same_of_a_day() -> None:
    """The planner's look ahead and the simulator's, written twice, on random stock and receipts."""
    rng = np.random.default_rng(3)
    nodes, items, days = 4, 5, 9
    mean, variance = rng.uniform(0.1, 3, (2, nodes, items))
    cover = rng.integers(1, days, (nodes, items))
    stock = rng.integers(0, 15, (nodes, items))
    due = rng.integers(0, 4, (nodes, days, items)) * (rng.random((nodes, days, items)) < 0.3)
    due[:, 0] = 0
    number = lambda values: jnp.asarray(values, jnp.float32)
    part = rng.uniform(0, 1, (nodes, items))
    three = [number(values) for values in (mean, part, part)]
    values = NodeValues(*three, number(part), number(mean), number(variance), jnp.asarray(cover, jnp.int32))
    ours = worth_of(values, number(stock), number(due))
    node, wait, item = np.nonzero(due)
    table = np.moveaxis(np.stack([mean, part, part, part, mean, variance, cover], axis=-1), 0, 1)
    theirs = look_ahead(table, stock.T, (item, node, due[node, wait, item], wait), chunk=2)
    np.testing.assert_allclose(theirs[..., 0].T, ours.expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(theirs[..., 1].T, ours.spread, rtol=1e-5)
    np.testing.assert_allclose(theirs[..., 2].T, ours.first, rtol=1e-5)


def test_values_that_lack_a_column_are_refused() -> None:
    with pytest.raises(InputError, match="scarce_value"):
        outbound_of_simulator(two_nodes(), pl.DataFrame({"item_id": ["i"], "node_id": ["A"], "base_value": [1.0]}))
