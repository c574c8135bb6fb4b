"""The summary of an instance says what else was given, in the periods of the instance."""

from __future__ import annotations

import datetime

import polars as pl
from tiny import START, tiny_frames, tiny_settings

from meio_jax.tables import Tables
from meio_jax.tables.summary import daily_units, summary_of_tables


def test_owed_units_closed_days_and_items_phased_out_are_counted() -> None:
    frames = tiny_frames()
    later = START + datetime.timedelta(days=5)
    frames["items"] = frames["items"].with_columns(
        unmet=pl.Series(["backorder", "lost", "lost"]), phase_out=pl.Series([None, START, later])
    )
    frames["backlog"] = pl.DataFrame({"item_id": ["A", "A"], "units": [3.0, 4.0]})
    # Fourteen days from a Monday on have two Sundays.
    frames["calendar"] = pl.DataFrame({"node_id": ["fc1", "fc2"], "weekdays": ["sun", "sun"]})
    text = summary_of_tables(Tables.from_frames(tiny_settings(), **frames))
    assert "14 days from 2025-03-03" in text
    assert "owed to customers: 7 units, items: 1" in text
    assert "phased out: 2 items, 1 of them from the start on" in text
    assert "calendar: 2 nodes without receipts on some days (4 in all), 0 vendors" in text


def test_figures_of_weeks_are_by_the_week() -> None:
    """Two weeks of past sales, 14 and 28: 21 a week."""
    weeks = [START - datetime.timedelta(days=days) for days in (14, 7)]
    frames = tiny_frames("history")
    frames["forecast"] = pl.DataFrame(
        {"item_id": ["A", "A", "B", "C"], "ds": [*weeks, *weeks], "units": [14.0, 28.0, 1.0, 1.0]}
    )
    settings = tiny_settings("history").model_copy(update={"period": "week", "history_block": 1})
    tables = Tables.from_frames(settings, **frames)
    assert dict(daily_units(tables).iter_rows())["A"] == 21
    assert "units a week (history)" in summary_of_tables(tables)
    assert "14 weeks from" in summary_of_tables(tables)


def test_capacities_are_beside_what_is_asked_of_them() -> None:
    """By hand: stock and demand in the measure of each, money at the cheapest offers."""
    frames = tiny_frames()
    demand = dict(daily_units(Tables.from_frames(tiny_settings(), **frames)).iter_rows())
    frames["items"] = frames["items"].with_columns(
        units_per_pallet=pl.Series([10.0, 20.0, 40.0]),
        hours_per_unit=pl.Series([0.5, 0.25, 0.1]),
        units_per_line=pl.Series([2.0, 1.0, 1.0]),
    )
    rows = [
        ("hall", "storage", "fc1", "pallets", 50.0),
        ("door", "inbound", "dc1", "hours", 20.0),
        ("dock", "inbound", "fc2", "hours", 1000.0),
        ("receipts", "inbound", "dc1", "lines", 9.0),
        ("picks", "outbound", "fc1", "lines", 100.0),
        ("desk", "vendor", None, "units", 30.0),
        ("money", "spend", None, "money", 5000.0),
    ]
    schema = ["resource_id", "kind", "node_id", "measure", "capacity"]
    limits = pl.DataFrame(rows, schema=schema, orient="row")
    frames["resources"] = limits.with_columns(vendor_id=pl.when(pl.col("kind") == "vendor").then(pl.lit("v1")))
    tables = Tables.from_frames(tiny_settings(), **frames)
    text = summary_of_tables(tables)
    assert "fc2" not in tables.offers["node_id"].to_list()
    assert "dc1" in tables.offers["node_id"].to_list()
    sized = lambda sizes: sum(units * sizes[name] for name, units in demand.items())
    here = frames["on_hand"].filter(node_id="fc1").select("item_id", "units")
    stock = sum(units * {"A": 0.1, "B": 0.05, "C": 0.025}[name] for name, units in here.iter_rows())
    hours, lines = sized({"A": 0.5, "B": 0.25, "C": 0.1}), sized({"A": 0.5, "B": 1.0, "C": 1.0})
    cost = 7 * sized(dict(frames["offers"].group_by("item_id").agg(pl.col("unit_cost").min()).iter_rows()))
    sources = frames["offers"].group_by("item_id").agg(pl.col("vendor_id").unique().sort())
    alone = [name for name, vendors in sources.iter_rows() if vendors == ["v1"]]
    only = sum(demand[name] for name in alone)
    assert 0 < len(alone) < 3
    for line in (
        f"storage capacity of 1 of 3 nodes: 50.0 pallets, starting stock {stock:,.1f} ({stock / 50:.0%})",
        f": 20.0 hours, demand for what vendors deliver {hours:,.1f} ({hours / 20:.0%})",
        f"outbound capacity of 1 of 2 nodes: 100.0 order lines, demand {lines:,.1f} ({lines / 100:.0%})",
        f"vendor capacity of 1 of 2 vendors: 30.0 units, demand for what only they offer {only:,.1f} ({only / 30:.0%})",
        f"in 7 days, demand at the cheapest offers {cost:,.0f} ({cost / 5000:.0%})",
    ):
        assert line in text, text
    assert text.count("inbound") == 1
