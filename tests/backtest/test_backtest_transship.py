"""Transshipment in the order-by-order simulator: by hand, and in lockstep with the planner's rollout."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from backtest_instances import ITEM, NODE, instance, orders, targets

from meio_jax.backtest import Options, PlanTable, simulate
from meio_jax.config import make_config
from meio_jax.errors import InputError
from meio_jax.instance import build_instance
from meio_jax.planner.model import settings_of
from meio_jax.plans.decisions import spare_of
from meio_jax.plans.spare_tables import spare_frame
from meio_jax.policy.base_stock import BaseStock
from meio_jax.scenarios.sampling import Scenarios
from meio_jax.simulation.rollout import rollout
from meio_jax.solver.subproblem import block_lists
from meio_jax.tables import Tables

DAYS, MEAN = 20, 12.0
SHOPS = ("a", "b", "c")
LEVELS = {"d": 240, "a": 30, "b": 26, "c": 34}
LEAD = {"a": 4, "b": 5, "c": 6}


def network(days: int) -> Tables:
    """A DC and three shops far from it that are close to each other; what a shop has too much of may go back."""
    where = {"latitude": 40.0, "longitude": -100.0}
    near = {"cost_per_unit": 0.23, "lead_time": 1, "use": "transshipment"}
    return instance(
        {"periods": days, "bucket_periods": 1, "ordering": "evening"},
        items=[{"item_id": "i"} | ITEM | {"holding_cost": 0.1, "lost_sale_cost": 60.0, "unit_cost": 5.0}],
        nodes=[{"node_id": n} | NODE | {"kind": "dc" if n == "d" else "fc"} for n in ("d", *SHOPS)],
        regions=[{"region_id": f"r{n}"} | where for n in SHOPS],
        speeds=[{"speed_id": "s", "promise_days": 2, "deliver_by_hour": 24.0}],
        transit=[{"node_id": n, "region_id": f"r{n}", "hours": 1.0, "cost_per_unit": 0.0} for n in SHOPS],
        cutoffs=[{"node_id": n, "speed_id": "s", "cutoff_hour": 24.0} for n in SHOPS],
        lanes=[
            *[{"from_node": "d", "to_node": n, "lead_time": LEAD[n], "cost_per_unit": 0.1, "use": None} for n in SHOPS],
            {"from_node": "a", "to_node": "b"} | near,
            {"from_node": "b", "to_node": "a"} | near,
            {"from_node": "c", "to_node": "a"} | near | {"cost_per_unit": 0.31, "lead_time": 2},
            {"from_node": "a", "to_node": "c"} | near | {"cost_per_unit": 0.37},
            {"from_node": "b", "to_node": "d"} | near | {"lead_time": 3},
        ],
        offers=[{"item_id": "i", "vendor_id": "v", "node_id": "d", "unit_cost": 5.0, "lead_time_mean": 7.0}],
        shares=[
            {"profile": "p", "region_id": f"r{n}", "speed_id": "s", "wave": 0, "share": part}
            for n, part in zip(SHOPS, (0.4, 0.33, 0.27), strict=True)
        ],
        forecast=[{"item_id": "i", "period": day, "mean": MEAN} for day in range(days)],
        on_hand=[{"item_id": "i", "node_id": n, "units": u} for n, u in {"d": 150, "a": 6, "b": 70, "c": 11}.items()],
    )


def sold(seed: int) -> np.ndarray:
    """Units that the customers of each shop ask for, by day; now and then many."""
    rng = np.random.default_rng(seed)
    asked = rng.poisson(MEAN / 3, (DAYS, len(SHOPS)))
    return np.where(rng.random(asked.shape) < 0.15, asked + 14, asked)


def planned(asked: np.ndarray) -> tuple[np.ndarray, np.ndarray, pl.DataFrame]:
    """Units by lane and day, and those in stock by evening, of the planner; the table of its rule."""
    made = build_instance(network(DAYS), block_items=1, dtype=np.float32)
    block = jax.tree.map(lambda leaf: leaf[0], made.catalog.block)
    settings = settings_of(make_config(), made)
    lists = block_lists(made.network, made.resources, settings, block, jnp.zeros_like(made.resources.capacity))
    wanted = jnp.asarray(asked[:, None, None, :, None], jnp.float32)
    lead = jnp.full((DAYS, 1, 1), 7, jnp.int32)
    lanes = jnp.broadcast_to(made.network.lane_lead[:, None], (DAYS, made.network.lanes, 1)).astype(jnp.int32)
    levels = jnp.asarray([LEVELS[n] for n in made.ids.nodes], jnp.float32)[None, :, None]
    found = eqx.filter_jit(rollout)(
        made.network, BaseStock(levels), block, Scenarios(wanted, lead, lanes), lists, whole=True
    )
    table = spare_frame(made, spare_of(made, None))
    return np.asarray(found.flows.lane)[..., 0], np.asarray(found.flows.stock)[..., 0], table


def lived(asked: np.ndarray, rule: pl.DataFrame | None) -> tuple[np.ndarray, np.ndarray]:
    """The same of the simulator, with a day before on which nobody asks."""
    tables = network(DAYS + 1)
    rows = [
        ("i", f"r{shop}", "s", day + 1, 9.0)
        for day in range(DAYS)
        for shop, units in zip(SHOPS, asked[day].tolist(), strict=True)
        for _ in range(units)
    ]
    plan = PlanTable(targets(*[("i", node, level) for node, level in LEVELS.items()]), transshipment=rule)
    out = simulate(tables, plan, options=Options.unlimited(orders=orders(*rows)))
    units = out.transfers["units"].to_numpy().reshape(tables.lanes.height, DAYS + 1).T
    stock = out.stock.pivot(on="node_id", index="day", values="units") if "node_id" in out.stock.columns else out.stock
    return units, stock.drop("day").to_numpy()


@pytest.mark.parametrize("seed", range(4))
def test_simulator_and_rollout_ship_the_same_on_every_day(seed: int) -> None:
    asked = sold(seed)
    ours, stock, rule = planned(asked)
    theirs, their_stock = lived(asked, rule)
    # The planner counts what is decided in the evening before its first day on that day.
    joined = np.concatenate([theirs[:1] + theirs[1:2], theirs[2:]])
    np.testing.assert_allclose(ours, joined, atol=1e-3)
    np.testing.assert_allclose(stock.sum(1), their_stock[1:].reshape(DAYS, -1).sum(1), atol=1e-2)
    assert (ours[:, 3:].sum(0) > 0).sum() >= 3  # most lanes of transshipment are used


def test_a_plan_without_the_rule_ships_nothing_beside() -> None:
    units, _ = lived(sold(0), None)
    assert units[:, :3].sum() > 0
    assert units[:, 3:].sum() == 0


def test_a_rule_for_a_lane_that_is_none_is_refused() -> None:
    rule = planned(sold(0))[2].with_columns(pl.lit("d").alias("to_node"))
    with pytest.raises(InputError, match="a lane of the instance"):
        lived(sold(0), rule)
