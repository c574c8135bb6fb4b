"""Frames of pandas and Arrow tables are taken wherever frames of polars are."""

from __future__ import annotations

import datetime
import subprocess
import sys

import polars as pl
import pytest
from tiny import tiny_frames, tiny_settings, tiny_tables

from meio_jax.backtest import PlanTable
from meio_jax.errors import InputError
from meio_jax.tables import Tables, item_block_from_frames, network_from_frames
from meio_jax.tables.frames import as_polars
from meio_jax.tables.read import NETWORK_TABLES
from meio_jax.tables.schema import ITEM_TABLES

pandas = pytest.importorskip("pandas", reason="needs pandas")


@pytest.mark.parametrize("form", ["mean", "history"])
@pytest.mark.parametrize("kind", ["pandas", "arrow", "lazy"])
def test_an_instance_is_the_same_whatever_its_frames_are(form: str, kind: str) -> None:
    """Empty cells, dates and whole numbers among them: pandas makes floats and NaN of whole numbers with gaps."""
    turned = {"pandas": lambda f: f.to_pandas(), "arrow": lambda f: f.to_arrow(), "lazy": lambda f: f.lazy()}[kind]
    frames = {name: turned(frame) for name, frame in tiny_frames(form).items()}
    found, expected = Tables.from_frames(tiny_settings(form), **frames), tiny_tables(form)
    for name, frame in expected.frames().items():
        assert found.frames()[name].equals(frame), name


def test_the_other_doors() -> None:
    frames = tiny_frames()
    network = network_from_frames(tiny_settings(), {n: frames[n].to_pandas() for n in NETWORK_TABLES if n in frames})
    block = item_block_from_frames(network, {n: frames[n].to_pandas() for n in ITEM_TABLES if n in frames})
    assert block.items.equals(tiny_tables().items)
    assert tiny_tables().replace(items=frames["items"].to_pandas()).items["item_id"].to_list() == ["A", "B", "C"]
    targets = pl.DataFrame({"item_id": ["A"], "node_id": ["fc1"], "target": [3.0]})
    assert PlanTable(targets.to_pandas()).targets.equals(targets)


def test_a_frame_of_polars_stays_the_object_it_is() -> None:
    frame = tiny_frames()["items"]
    assert as_polars(frame, "items") is frame


def test_an_index_with_a_name_is_a_column() -> None:
    frame = pandas.DataFrame({"item_id": ["A", "B"], "node_id": ["x", "y"], "units": [1.0, float("nan")]})
    expected = pl.DataFrame({"item_id": ["A", "B"], "node_id": ["x", "y"], "units": [1.0, None]})
    assert as_polars(frame, "on_hand").equals(expected)
    assert as_polars(frame.set_index("item_id"), "on_hand").equals(expected)
    assert as_polars(frame.set_index(["item_id", "node_id"]), "on_hand").equals(expected)
    assert as_polars(frame.iloc[::-1], "on_hand").columns == expected.columns


def test_categories_nullable_types_and_times_of_midnight() -> None:
    frame = pandas.DataFrame(
        {
            "item_id": pandas.Categorical(["A", "B"]),
            "units": pandas.array([1, None], dtype="Int64"),
            "ds": pandas.to_datetime(["2026-03-01", "2026-03-02"]),
        }
    )
    found = as_polars(frame, "x")
    assert found["item_id"].cast(pl.String).to_list() == ["A", "B"]
    assert found["units"].to_list() == [1, None]
    assert found["ds"].cast(pl.Date).to_list() == [datetime.date(2026, 3, 1), datetime.date(2026, 3, 2)]


def test_what_is_no_frame_is_told_with_the_other_problems() -> None:
    frames = tiny_frames()
    mixed = frames["items"].to_pandas().astype({"price": object})
    mixed.loc[0, "price"] = "20"
    twice = pandas.concat([frames["lanes"].to_pandas()] * 2, axis=1)
    with pytest.raises(InputError) as told:
        Tables.from_frames(tiny_settings(), **{**frames, "items": mixed, "nodes": [1, 2], "lanes": twice})
    text = str(told.value)
    assert "items: " in text
    assert "columns of one type each" in text
    assert "nodes: found a list; expected a data frame of polars or pandas" in text
    assert "lanes, header, column from_node: expected every column once" in text


def test_pandas_is_not_imported_for_others() -> None:
    code = (
        "import sys, polars as pl\n"
        "from meio_jax.tables.frames import as_polars\n"
        "as_polars(pl.DataFrame({'a': [1]}).to_arrow(), 'a'); as_polars(pl.DataFrame({'a': [1]}), 'a')\n"
        "assert 'pandas' not in sys.modules and 'fastexcel' not in sys.modules and 'duckdb' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
