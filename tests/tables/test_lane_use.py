"""Which lanes supply, and which transship."""

from __future__ import annotations

import polars as pl
import pytest
from tiny import tiny_frames, tiny_settings

from meio_jax.errors import InputError
from meio_jax.tables import Tables
from meio_jax.tables.lane_use import supply_pairs, transships

NODES = pl.DataFrame({"node_id": ["d", "e", "a", "b", "s"], "kind": ["dc", "dc", "fc", "fc", "same_day"]})


def lanes(*rows: tuple) -> pl.DataFrame:
    full = [(*row, None) if len(row) == 2 else row for row in rows]
    return pl.DataFrame(full, schema={"from_node": pl.String, "to_node": pl.String, "use": pl.String}, orient="row")


@pytest.mark.parametrize(
    ("table", "beside"),
    [
        (lanes(("d", "a"), ("a", "b"), ("b", "s")), [False, False, False]),
        (lanes(("d", "a"), ("d", "b"), ("a", "b"), ("b", "a")), [False, False, True, True]),
        (lanes(("d", "a"), ("a", "d")), [False, True]),
        (lanes(("d", "a"), ("a", "s"), ("s", "d")), [False, False, True]),
        (lanes(("d", "e"), ("e", "a"), ("a", "d")), [True, False, True]),
        (lanes(("a", "b", "supply"), ("b", "a")), [False, True]),
        # One that is marked closes no cycle.
        (lanes(("a", "b"), ("b", "a", "transshipment")), [False, True]),
        (lanes(("d", "a", "transshipment")), [True]),
        (lanes(), []),
    ],
)
def test_lanes_on_a_cycle_supply_downward_only(table: pl.DataFrame, beside: list[bool]) -> None:
    assert transships(table, NODES).tolist() == beside


def test_without_the_column_lanes_are_as_they_were() -> None:
    table = lanes(("d", "a"), ("a", "b")).drop("use")
    assert supply_pairs(table, NODES) == [("d", "a"), ("a", "b")]


def test_lanes_both_ways_are_taken_and_none_of_no_days() -> None:
    frames = tiny_frames()
    pair = [("fc1", "fc2"), ("fc2", "fc1")]
    more = pl.DataFrame(pair, schema=["from_node", "to_node"], orient="row").with_columns(lead_time=pl.lit(1))
    lanes = pl.concat([frames["lanes"], more], how="diagonal_relaxed").with_columns(pl.col("share").fill_null(1.0))
    tables = Tables.from_frames(tiny_settings(), **{**frames, "lanes": lanes})
    assert transships(tables.lanes, tables.nodes).tolist() == [False, False, True, True]
    idle = lanes.with_columns(pl.when(pl.col("from_node") == "fc2").then(0).otherwise("lead_time").alias("lead_time"))
    with pytest.raises(InputError, match=r"lead_time: found 0; expected .*>= 1"):
        Tables.from_frames(tiny_settings(), **{**frames, "lanes": idle})
