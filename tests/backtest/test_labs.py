"""The machinery of the labs: a fair trial by item, intervals that mean what they say, and what plans are made of."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from backtest_instances import same_targets, small_network
from labs_parts.compare import DRAWS, capacity_rows, item_rows, violations, with_landed
from labs_parts.placement import nodes_without_lanes, our_levels_old_placement
from labs_parts.trial import Felt, item_table, item_value_at_start, run_trial
from labs_parts.worlds import first_days, without_cutoffs

from meio_jax.backtest import Options, PlanTable, read_world, simulate
from meio_jax.errors import InputError
from meio_jax.tables import Tables, read_instance, write_instance

FREE = replace(Options.unlimited(), detail=True)
SPEEDS = ["fast", "next", "slow"]


def plan(tables: Tables, name: str, *, low: int) -> PlanTable:
    return PlanTable(same_targets(tables, D=4 * low, F1=low, F2=low, S=low // 2), name=name)


def metrics(rows: list[dict]) -> dict[str, dict]:
    return {row["metric"]: row for row in rows}


def test_a_plan_against_itself_makes_no_difference() -> None:
    tables = small_network(resources=[])
    world = read_world(tables)
    same = plan(tables, "same", low=10)
    sides = run_trial(tables, world, (same, same), FREE, seed=3, replications=2)
    for name, values in sides.baseline.items():
        np.testing.assert_array_equal(values, sides.ours[name], err_msg=name)
    nothing = np.zeros(len(world.items))
    rows = item_rows(with_landed(sides.baseline, nothing), with_landed(sides.ours, nothing), SPEEDS, seed=0)
    for row in rows:
        assert row["difference_pct"] in (0.0, None), row
        assert row["ci95_low_pct"] in (0.0, None), row


def test_where_items_share_nothing_each_side_is_what_all_items_would_do() -> None:
    """Without capacities an item does not feel which plan the others follow, so the halves fit together exactly."""
    tables = small_network(resources=[])
    world = read_world(tables)
    small, large = plan(tables, "small", low=4), plan(tables, "large", low=16)
    sides = run_trial(tables, world, (small, large), FREE, seed=5, replications=2)
    for side, own in ((sides.baseline, small), (sides.ours, large)):
        whole = [
            item_table(simulate(tables, own, seed=5 + k, replications=1, options=FREE, world=world), world)
            for k in range(2)
        ]
        for name, values in side.items():
            np.testing.assert_allclose(values, np.mean([one[name] for one in whole], axis=0), err_msg=name)
    assert sides.ours["lost"].sum() < sides.baseline["lost"].sum()


def test_the_total_charges_what_was_there_at_the_start() -> None:
    """What is left is credited at replacement cost; a plan that only keeps its stock has used nothing of it."""
    tables = small_network(resources=[])
    world = read_world(tables)
    outcome = simulate(tables, plan(tables, "any", low=10), seed=1, replications=1, options=FREE, world=world)
    table = item_table(outcome, world)
    assert table["total"].sum() == pytest.approx(outcome.cost + item_value_at_start(world).sum())
    # 20 on hand and 5 under way of each item, at 9.5 each, all of it credited.
    np.testing.assert_allclose(item_value_at_start(world), 25 * 9.5)
    np.testing.assert_allclose(table["left"], 25 + table["purchased"] - table["shipped"])


def table_of(total: np.ndarray) -> dict[str, np.ndarray]:
    """An item table in which only the total and the units asked for and kept are not zero."""
    names = ("outbound", "inbound", "transfer", "handling", "holding", "lost_sale", "lost", "shipped", "stock", "left",
             "transferred", "waited", "carbon_kg", "unit_km", "on_time", "demand", "landed")  # fmt: skip
    zeros = {name: np.zeros_like(total) for name in names}
    asked = {f"{what}_{speed}": np.zeros_like(total) for what in ("asked", "kept", "sent") for speed in SPEEDS}
    return zeros | asked | {"total": total}


def test_intervals_are_those_of_a_paired_mean() -> None:
    """Base 1 for every item, so the difference is a mean of independent numbers: 1.96 standard errors either way."""
    rng = np.random.default_rng(0)
    change = rng.normal(-0.1, 0.5, 400)
    row = metrics(item_rows(table_of(np.ones(400)), table_of(1 + change), SPEEDS, seed=1))["total_cost"]
    half = 196 * change.std() / np.sqrt(400)
    assert row["difference_pct"] == pytest.approx(100 * change.mean())
    # The quantile of a few thousand draws is known to some percent of the half width.
    assert row["ci95_low_pct"] == pytest.approx(row["difference_pct"] - half, abs=0.1 * half)
    assert row["ci95_high_pct"] == pytest.approx(row["difference_pct"] + half, abs=0.1 * half)
    assert DRAWS >= 2000


def test_items_are_paired() -> None:
    """A cost that differs a lot between items and not at all between plans leaves no interval."""
    size = np.random.default_rng(2).lognormal(0, 2, 100)
    row = metrics(item_rows(table_of(size), table_of(0.9 * size), SPEEDS, seed=1))["total_cost"]
    assert row["ci95_low_pct"] == pytest.approx(-10)
    assert row["ci95_high_pct"] == pytest.approx(-10)


def felt(*usage: tuple[str, int, str, float, float]) -> Felt:
    columns = ["resource_id", "bucket", "kind", "usage", "capacity"]
    return Felt(pl.DataFrame(usage, schema=columns, orient="row"), {})


def test_violations_are_of_means_over_worlds() -> None:
    seen = felt(
        ("dock", 0, "inbound", 12.0, 10.0), ("dock", 0, "inbound", 10.0, 10.0),  # 10 % over on average
        ("dock", 1, "inbound", 30.0, 10.0), ("dock", 1, "inbound", -20.0, 10.0),  # 50 % under, one world far over
        ("hall", 0, "storage", 9.0, 10.0), ("hall", 0, "storage", 10.0, 10.0),
        ("floor", 0, "service", 0.8, 0.9), ("floor", 0, "service", 0.82, 0.9),  # a floor: less is worse
    )  # fmt: skip
    worst = {row["kind"]: row["over"] for row in violations(seen).to_dicts()}
    assert worst == pytest.approx({"inbound": 0.1, "storage": 0.0, "service": 0.1})
    error = violations(seen).filter(pl.col("kind") == "inbound")["error"].item()
    assert error == pytest.approx(np.std([1.2, 1.0], ddof=1) / np.sqrt(2))
    rows = metrics(capacity_rows(seen, seen, ""))
    assert rows["capacity_violation_pct"]["ours"] == pytest.approx(10)
    assert rows["violation_pct_storage"]["ours"] == 0


def test_our_levels_at_the_old_places() -> None:
    key = {"item_id": ["a", "a", "b"], "bucket": [0, 0, 0]}
    ours = PlanTable(pl.DataFrame({**key, "node_id": ["x", "y", "x"], "target_units": [7, 6, 3]}))
    old = PlanTable(
        pl.DataFrame(
            {"item_id": ["a", "a", "a", "b", "b"], "bucket": [0] * 5, "node_id": ["top", "x", "y", "x", "y"]}
            | {"target_units": [26, 10, 16, 0, 0]}
        ),
        echelon=frozenset({"top"}),
    )
    found = our_levels_old_placement(ours, old, {"top"}).targets.sort("item_id", "node_id")
    # 13 units of `a`, as before in the ratio 10 : 16; `b`, which the old system does not hold, stays out.
    assert found["target_units"].to_list() == [13, 5, 8, 0, 0]
    assert nodes_without_lanes(pl.DataFrame({"from_node": ["top"], "to_node": ["x"]}), ["top", "x"]) == {"top"}
    assert nodes_without_lanes(pl.DataFrame({"from_node": [], "to_node": []}), ["x", "y"]) == {"x", "y"}


def test_a_planner_blind_to_cutoffs_sees_all_demand_before_them(tmp_path: Path) -> None:
    tables = small_network()
    source = write_instance(tables, tmp_path / "seen")
    blind = read_instance(without_cutoffs(source, tmp_path / "blind"))
    assert blind.shares["wave"].unique().to_list() == [0]
    by = ["profile", "region_id", "speed_id"]
    before, after = (t.shares.group_by(by).agg(pl.col("share").sum()).sort(by) for t in (tables, blind))
    assert after.select(by).equals(before.select(by))
    np.testing.assert_allclose(after["share"], before["share"])
    early = tables.replace(cutoffs=tables.cutoffs.with_columns(pl.lit(11.0).alias("cutoff_hour")))
    with pytest.raises(InputError, match="first wave"):
        without_cutoffs(write_instance(early, tmp_path / "early"), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_the_first_days_are_those_of_the_whole_horizon() -> None:
    tables = small_network()
    cut = first_days(tables, 14)
    assert cut.settings.periods == 14
    whole, part = read_world(tables), read_world(cut)
    same = plan(tables, "same", low=10)
    full = simulate(tables, same, seed=2, replications=1, world=whole)
    short = simulate(cut, same, seed=2, replications=1, world=part)
    assert 0 < short.items["demand"].sum() < full.items["demand"].sum()
    assert first_days(tables, 28) is tables
