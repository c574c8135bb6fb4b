"""What takes the place of tables that are left out, and which cannot be left out."""

from __future__ import annotations

import datetime
from typing import Any

import polars as pl
import pytest
from tiny import tiny_frames, tiny_settings

from meio_jax.errors import InputError
from meio_jax.tables import InstanceSettings, Tables
from meio_jax.tables.defaults import with_defaults
from meio_jax.tables.summary import summary_of_tables

OPTIONAL = ("regions", "speeds", "transit", "cutoffs", "shares")


def smallest(sites: tuple[str, ...] = ("main",), **more: Any) -> Tables:
    """One item that every node buys, ten a day for a week."""
    settings = InstanceSettings(
        name="s", start_date=datetime.date(2026, 1, 5), periods=7, forecast="mean", **more.pop("settings", {})
    )
    costs = {"volume_m3": 0.01, "weight_kg": 1.0, "price": 30.0, "unit_cost": 18.0, "holding_cost": 0.02}
    tables: dict[str, Any] = {
        "items": [{"item_id": "kettle", **costs, "lost_sale_cost": 32.0}],
        "nodes": [{"node_id": node, "kind": "fc"} for node in sites],
        "offers": [
            {"item_id": "kettle", "vendor_id": "v", "node_id": node, "unit_cost": 18.0, "lead_time_mean": 2.0}
            for node in sites
        ],
        "forecast": [{"item_id": "kettle", "period": day, "mean": 10.0} for day in range(7)],
        **more,
    }
    return Tables.from_frames(settings, **{name: pl.DataFrame(rows) for name, rows in tables.items()})


def test_four_tables_are_an_instance() -> None:
    found = smallest()
    assert found.regions["region_id"].to_list() == ["everywhere"]
    assert found.speeds.select("speed_id", "promise_days", "deliver_by_hour").rows() == [("standard", 1, 24.0)]
    assert found.transit.select("node_id", "region_id", "hours", "cost_per_unit").rows() == [
        ("main", "everywhere", 0.0, 0.0)
    ]
    assert found.cutoffs.rows() == [("main", "standard", 24.0)]
    assert found.shares.rows() == [("all", "everywhere", "standard", 0, 1.0)]
    assert found.items["profile"].to_list() == ["all"]
    assert found.settings.wave_ends == (24.0,)
    assert not found.warnings
    assert sorted(found.assumed) == sorted(OPTIONAL)
    assert "not there: one region, everywhere" in summary_of_tables(found)


def test_what_was_taken_is_an_instance_that_says_the_same() -> None:
    found = smallest(("a", "b"))
    again = Tables.from_frames(found.settings, **found.frames())
    assert not again.assumed
    assert all(again.frames()[name].equals(frame) for name, frame in found.frames().items())


def test_nodes_that_supply_others_serve_no_customers() -> None:
    lanes = [{"from_node": "dc", "to_node": shop, "lead_time": 1} for shop in ("a", "b")]
    found = smallest(("dc", "a", "b"), lanes=lanes)
    assert found.transit["node_id"].to_list() == ["a", "b"]


def test_lanes_of_transshipment_make_no_node_one_that_supplies_others() -> None:
    lanes = [{"from_node": "dc", "to_node": shop, "lead_time": 1} for shop in ("a", "b")]
    more = [("a", "b"), ("b", "a"), ("a", "dc")]
    nodes: Any = [{"node_id": name, "kind": kind} for name, kind in (("dc", "dc"), ("a", "fc"), ("b", "fc"))]
    plain = smallest(("dc", "a", "b"), lanes=lanes, nodes=nodes)
    every = [*lanes, *({"from_node": start, "to_node": end, "lead_time": 1} for start, end in more)]
    assert smallest(("dc", "a", "b"), lanes=every, nodes=nodes).transit.equals(plain.transit)
    one_way = [{"from_node": "a", "to_node": "b", "lead_time": 1, "use": "transshipment"}]
    assert smallest(("a", "b"), lanes=one_way).transit["node_id"].to_list() == ["a", "b"]


def test_a_region_of_the_id_of_a_node_is_served_by_it() -> None:
    shares = [("all", "a", "standard", 0, 0.7), ("all", "elsewhere", "standard", 0, 0.3)]
    split = pl.DataFrame(shares, schema=["profile", "region_id", "speed_id", "wave", "share"], orient="row")
    speed = [{"speed_id": "standard", "promise_days": 3, "deliver_by_hour": 20.0}]
    found = smallest(("a", "b"), shares=split.to_dicts(), speeds=speed)
    assert found.regions["region_id"].to_list() == ["a", "elsewhere"]
    assert found.transit.select("node_id", "region_id").rows() == [("a", "a"), ("a", "elsewhere"), ("b", "elsewhere")]


def test_the_promise_is_kept_by_every_connection() -> None:
    transit = [
        {"node_id": "main", "region_id": region, "hours": hours, "cost_per_unit": 3.0}
        for region, hours in (("near", 5.0), ("far", 70.0))
    ]
    cutoffs_at_noon = [{"node_id": "main", "speed_id": "standard", "cutoff_hour": 12.0}]
    found = smallest(transit=transit)
    assert found.speeds["promise_days"].to_list() == [4]
    assert found.regions["region_id"].to_list() == ["near", "far"]
    assert found.shares["share"].to_list() == [0.5, 0.5]
    assert not found.warnings
    given = found.replace(cutoffs=pl.DataFrame(cutoffs_at_noon))
    assert not Tables.from_frames(given.settings, **given.frames()).warnings


def test_demand_is_split_by_population_and_by_the_hours_of_waves() -> None:
    regions = [{"region_id": "east", "population": 3e6}, {"region_id": "west", "population": 1e6}]
    speeds = [
        {"speed_id": "fast", "promise_days": 2, "deliver_by_hour": 24.0},
        {"speed_id": "slow", "promise_days": 5, "deliver_by_hour": 24.0},
    ]
    found = smallest(regions=regions, speeds=speeds, settings={"wave_ends": (6.0, 24.0)})
    assert set(found.shares["speed_id"]) == {"slow"}
    split = {row[:2]: row[2] for row in found.shares.select("region_id", "wave", "share").iter_rows()}
    assert split == pytest.approx({("east", 0): 3 / 16, ("east", 1): 9 / 16, ("west", 0): 1 / 16, ("west", 1): 3 / 16})


@pytest.mark.parametrize("name", ["items", "nodes", "forecast"])
def test_other_tables_are_needed(name: str) -> None:
    frames = {key: frame for key, frame in smallest().frames().items() if key != name and frame.height}
    with pytest.raises(InputError, match=f"a table {name}"):
        Tables.from_frames(smallest().settings, **frames)


def test_speeds_are_needed_where_others_name_several() -> None:
    frames = {name: frame for name, frame in tiny_frames().items() if name != "speeds"}
    assert frames["shares"]["speed_id"].n_unique() > 1
    frames = {name: frame for name, frame in frames.items() if name != "cutoffs"}
    with pytest.raises(InputError, match=r"a table speeds\.parquet") as told:
        Tables.from_frames(tiny_settings(), **frames)
    assert len(told.value.problems) == 1
    assert all(speed in str(told.value) for speed in frames["shares"]["speed_id"].unique())


def test_a_promise_that_what_was_assumed_cannot_keep_says_what_was() -> None:
    with pytest.raises(InputError, match="orders until midnight"):
        smallest(speeds=[{"speed_id": "today", "promise_days": 0, "deliver_by_hour": 20.0}])
    one_day = [{"speed_id": "tomorrow", "promise_days": 1, "deliver_by_hour": 20.0}]
    assert smallest(speeds=one_day).speeds.height == 1


def test_a_table_without_rows_is_no_table_that_was_left_out() -> None:
    with pytest.raises(InputError, match="at least one row"):
        smallest(shares=pl.DataFrame(schema={"profile": pl.String, "region_id": pl.String, "speed_id": pl.String,
                                             "wave": pl.Int64, "share": pl.Float64}))  # fmt: skip


def test_nothing_is_taken_without_what_it_depends_on() -> None:
    found, told = with_defaults({}, list(OPTIONAL), tiny_settings())
    assert set(found) == {"regions"}
    assert len(told) == 1
