"""Goods that a full dock cannot take wait outside, and every backtest says for how long."""

from __future__ import annotations

import polars as pl
import pytest
from loop_instance import loop_config, loop_tables

from meio_jax.backtest import read_world
from meio_jax.backtest.window import window
from meio_jax.backtest_loop.arms import baseline
from meio_jax.backtest_loop.customers import ground
from meio_jax.backtest_loop.live import Life, live
from meio_jax.backtest_loop.measures import result_frames
from meio_jax.backtest_loop.record import Record
from meio_jax.backtest_loop.summary import summary_of
from meio_jax.cli.backtest_text import delays
from meio_jax.tables import Tables

DOCK, LEAD, DAYS = 6, 2, 6


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> tuple[Life, object]:
    """A baseline lives six days at a dock that takes six units a day; nothing is under way at the start."""
    folder = tmp_path_factory.mktemp("full")
    dock = {"resource_id": "dock", "kind": "inbound", "node_id": "dc", "measure": "units", "capacity": float(DOCK)}
    tables = loop_tables()
    more = pl.concat([tables.resources, pl.DataFrame([dock])], how="diagonal_relaxed")
    tables = Tables.from_frames(tables.settings, **tables.frames() | {"resources": more})
    config = loop_config(folder, inbound="day", customers="sampled")
    at = ground(tables, folder, config.backtest)
    (found,) = live(at, [baseline("echelon_formulas")], DAYS, 1, Record(folder), lambda *_: None)
    return found, read_world(window(at.tables, 0, DAYS))


def test_what_waits_is_what_arrived_less_what_the_dock_took(life: tuple) -> None:
    found, world = life
    ordered = dict.fromkeys(range(DAYS), 0.0)
    for step in found.steps:
        ordered[step.day.day] = float(step.orders["units"].sum())
    waiting, expected = 0.0, {}
    for day in range(DAYS):
        waiting = max(waiting + (ordered[day - LEAD] if day >= LEAD else 0.0) - DOCK, 0.0)
        expected[day] = waiting
    assert max(expected.values()) > 0
    table = dict(result_frames([found], world))["docks"]
    assert set(table["node_id"]) == {"dc"}
    assert dict(table.select("day", "waiting_units").rows()) == {day: units for day, units in expected.items() if units}
    assert table["waiting_m3"].to_list() == pytest.approx([0.1 * units for units in table["waiting_units"]])


def test_the_summary_says_for_how_long_and_where(life: tuple) -> None:
    found, world = life
    table = dict(result_frames([found], world))["docks"]
    docks = summary_of([found], world, 0)["arms"][found.name]["docks"]
    assert docks["waiting_unit_days"] == table["waiting_units"].sum()
    received = found.outcome.items["received"].sum()
    assert docks["mean_delay_days"] == pytest.approx(table["waiting_units"].sum() / received)
    assert docks["worst"]["node_id"] == "dc"
    assert docks["worst"]["waiting_units"] == table["waiting_units"].max()
    assert "at dc" in delays(docks, "day")
