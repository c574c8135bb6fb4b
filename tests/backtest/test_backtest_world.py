"""What must hold in any world: units conserved, stock never negative, equal seeds equal worlds."""

import datetime

import numpy as np
import polars as pl
import pytest
from backtest_instances import orders, same_targets, small_network, targets

from meio_jax.backtest import Options, PlanTable, read_run, read_world, simulate
from meio_jax.backtest.lots_at_start import lots_at_start
from meio_jax.backtest.orders import order_source, read_demand, state_of
from meio_jax.backtest.simulation import Simulation
from meio_jax.errors import InputError
from meio_jax.tables import Tables

LEVELS = {"D": 40, "F1": 12, "F2": 12, "S": 4}


@pytest.mark.parametrize("options", [Options(), Options.unlimited(units_per_order=3), Options(inbound="bucket")])
def test_units_are_conserved_and_stock_is_never_negative(options: Options) -> None:
    tables = small_network()
    world = read_world(tables)
    plan = PlanTable(same_targets(tables, **LEVELS).with_columns(fast_target=pl.lit(8.0)))
    state = state_of(5, 0)
    run = Simulation(world, plan, options, state)
    source = order_source(world, read_demand(world, tables, options), state, options.units_per_order)
    start = int(world.on_hand.sum() + world.on_order[2].sum())
    for day in range(world.periods):
        run.day(source, day)
        assert run.state.on_hand.min() >= 0
        assert run.state.on_order.min() >= 0
        now = int(run.state.on_hand.sum() + run.state.on_order.sum())
        bought, sold, wasted = run.books.flow.sum(0)
        assert start + bought == sold + wasted + now
        assert run.state.on_order.sum() >= run.queue[2].sum()


def test_stock_of_every_age_is_all_the_stock() -> None:
    """Docks and halls that are full, several sources, and items that keep for three to seven days, or longer."""
    base = small_network()
    lives = pl.Series("shelf_life", [(3, 5, 7, None)[k % 4] for k in range(base.items.height)], pl.Int64)
    tables = Tables.from_frames(base.settings, **{**base.frames(), "items": base.items.with_columns(lives)})
    world, options, state = read_world(tables), Options(storage="day", inbound="day"), state_of(5, 0)
    run = Simulation(world, PlanTable(same_targets(tables, **LEVELS)), options, state)
    source = order_source(world, read_demand(world, tables, options), state, options.units_per_order)
    start = int(world.on_hand.sum() + world.on_order[2].sum())
    ages = run.state.lot_row >= 0
    for day in range(world.periods):
        run.day(source, day)
        assert run.state.lots.min() >= 0
        assert (run.state.lots.sum(2) == run.state.on_hand[ages]).all()
        assert run.state.lots[:, :, : day + 1].sum() == 0
    bought, sold, wasted = run.books.flow.sum(0)
    assert wasted > 0
    assert start + bought == sold + wasted + int(run.state.on_hand.sum() + run.state.on_order.sum())
    assert run.books.flow[~ages, 2].sum() == 0


def test_fractions_of_units_leave_no_lot_below_zero() -> None:
    """Stock of 1.8 is two whole units, and the three parts of 0.6 that it is told in are three."""
    base = small_network()
    first = base.on_hand.with_row_index("row").with_columns(
        units=pl.when(pl.col("row") == 0).then(1.8).otherwise(pl.col("units"))
    )
    place = base.on_hand.select("item_id", "node_id").head(1)
    told = pl.concat([place.with_columns(units=pl.lit(0.6), last_period=pl.lit(day, pl.Int64)) for day in (0, 1, 2)])
    items = base.items.with_columns(shelf_life=pl.lit(5, pl.Int64))
    frames = {**base.frames(), "items": items, "on_hand": first.drop("row"), "expiries": told}
    world = read_world(Tables.from_frames(base.settings, **frames))
    lots, rows = lots_at_start(world)
    assert lots.min() >= 0
    assert (lots.sum(2) == world.on_hand).all()
    assert lots[rows[0]].sum(0)[:3].tolist() == [1, 1, 0]


def test_every_unit_of_demand_has_one_fate() -> None:
    tables = small_network()
    outcome = simulate(tables, PlanTable(same_targets(tables, **LEVELS)), seed=2, replications=2)
    row = outcome.balance.row(1, named=True)
    assert row["start"] + row["purchased"] == row["shipped"] + row["end"]
    total = outcome.metrics()
    lost_items = outcome.items.filter(pl.col("backordered") == 0)
    downgraded_and_shipped = lost_items["shipped"] - lost_items["on_time"]
    assert (downgraded_and_shipped >= 0).all()
    assert (lost_items["shipped"] + lost_items["lost"] == lost_items["demand"]).all()
    assert total["total"] == pytest.approx(outcome.item_costs.mean(0).sum())
    assert outcome.items["total"].to_numpy() == pytest.approx(outcome.item_costs.mean(0))
    assert outcome.sites["units"].sum() == pytest.approx(total["shipped"])
    assert outcome.sites["outbound_cost"].sum() == pytest.approx(total["outbound"])


def test_equal_seeds_give_equal_outcomes_and_others_do_not() -> None:
    tables = small_network()
    plan = PlanTable(same_targets(tables, **LEVELS))
    first, again, other = (simulate(tables, plan, seed=seed, replications=2) for seed in (1, 1, 2))
    assert first.item_costs.tolist() == again.item_costs.tolist()
    assert first.item_costs.tolist() != other.item_costs.tolist()
    assert first.item_costs[0].tolist() != first.item_costs[1].tolist()


def test_an_item_meets_the_same_customers_whatever_the_plan_and_the_catalog() -> None:
    tables = small_network(items=8)
    fewer = small_network(items=5)
    assert fewer.items["item_id"].to_list() == tables.items["item_id"].to_list()[:5]
    runs = [
        simulate(tables, PlanTable(same_targets(tables, **LEVELS)), options=Options.unlimited()),
        simulate(tables, PlanTable(same_targets(tables, D=1)), options=Options.unlimited()),
        simulate(fewer, PlanTable(same_targets(fewer, **LEVELS)), options=Options.unlimited()),
    ]
    demand = [run.items["demand"].to_list() for run in runs]
    assert demand[0] == demand[1]
    assert demand[0][:5] == demand[2]
    # without shared capacities an item's whole life is the same in a smaller catalog
    assert runs[0].items["total"].to_list()[:5] == pytest.approx(runs[2].items["total"].to_list())


def test_items_of_a_mixture_live_as_in_their_own_plan() -> None:
    tables = small_network(items=6)
    low, high = (PlanTable(same_targets(tables, **levels)) for levels in ({"D": 10, "F1": 3}, LEVELS))
    chosen = ["i1", "i4"]
    free = Options.unlimited()
    costs = {
        name: dict(zip(run.items["item_id"], run.items["total"], strict=True))
        for name, run in (
            ("low", simulate(tables, low, options=free)),
            ("high", simulate(tables, high, options=free)),
            ("mixed", simulate(tables, low.mixed(high, chosen), options=free)),
        )
    }
    for item, cost in costs["mixed"].items():
        assert cost == pytest.approx(costs["high" if item in chosen else "low"][item])


def test_warm_up_days_are_simulated_but_not_charged() -> None:
    short = small_network(settings={"warmup_periods": 14})
    plan = PlanTable(same_targets(short, **LEVELS))
    outcome, full = simulate(short, plan), simulate(small_network(), plan)
    assert 0 < outcome.metrics()["demand"] < full.metrics()["demand"]
    assert outcome.stock["units"].to_list() == full.stock["units"].to_list()


def test_a_run_folder_can_be_simulated(tmp_path) -> None:
    tables = small_network(items=4)
    (tmp_path / "plan").mkdir()
    rows = same_targets(tables, **LEVELS).rename({"target_units": "target"})
    frame = pl.concat([rows.with_columns(bucket=pl.lit(b), target=pl.col("target") + b) for b in range(4)])
    frame.with_columns(
        target_units=pl.col("target"),
        fast_target=pl.lit(None, pl.Float64),
        order_cap=pl.lit(None, pl.Float64),
    ).write_parquet(tmp_path / "plan" / "targets.parquet")
    plan = read_run(tmp_path)
    assert plan.levels(read_world(tables)).target.shape == (4, 4, 4)
    assert simulate(tables, plan).cost == pytest.approx(simulate(tables, PlanTable(frame)).cost)
    with pytest.raises(InputError, match="targets"):
        read_run(tmp_path / "nowhere")
    # Levels of expected stock are no levels of a position: followed as such they would buy far too little.
    (tmp_path / "config.yaml").write_text("seed: 1\npolicy:\n  name: projected_level\n", encoding="utf-8")
    with pytest.raises(InputError, match="projected_level"):
        read_run(tmp_path)
    (tmp_path / "config.yaml").write_text("policy: {name: 'echelon', protection: false}\n", encoding="utf-8")
    assert read_run(tmp_path).echelon == frozenset(frame["node_id"].unique())


def test_bad_plans_and_options_are_told() -> None:
    tables = small_network(items=2)
    with pytest.raises(InputError, match="'ghost'"):
        simulate(tables, PlanTable(targets(("ghost", "D", 1))))
    with pytest.raises(InputError, match="target"):
        simulate(tables, PlanTable(pl.DataFrame({"item_id": ["i0"], "node_id": ["D"]})))
    with pytest.raises(InputError, match="replications"):
        simulate(tables, PlanTable(same_targets(tables, D=1)), replications=0)
    with pytest.raises(InputError, match="units_per_order"):
        Options(units_per_order=0)
    with pytest.raises(InputError, match="hour"):
        simulate(tables, PlanTable(same_targets(tables, D=1)), options=Options(orders=orders().drop("hour")))


def test_recorded_sales_are_replayed_to_the_unit() -> None:
    tables = small_network(items=3)
    start = datetime.date(2025, 6, 2)
    sales = [(f"i{k}", start + datetime.timedelta(days=t), (k + t) % 5) for k in range(3) for t in range(28)]
    actual = pl.DataFrame(sales, schema=["item_id", "ds", "units"], orient="row")
    outcome = simulate(tables, PlanTable(same_targets(tables, **LEVELS)), options=Options(actual=actual))
    wanted = actual.group_by("item_id").agg(pl.col("units").sum()).sort("item_id")["units"].to_list()
    assert outcome.items["demand"].to_list() == wanted


def test_a_month_of_many_orders_is_served_alike_every_time() -> None:
    """Tens of thousands of orders; how many a second is measured by `experiments/simulator_speed.py`."""
    tables = small_network(items=60, settings={"periods": 56})
    plan = PlanTable(same_targets(tables, D=400, F1=120, F2=120, S=20))
    first, again = (simulate(tables, plan, world=read_world(tables)) for _ in range(2))
    assert first.replications["orders"].sum() > 30_000
    assert np.isfinite(first.cost)
    assert first.cost == again.cost
