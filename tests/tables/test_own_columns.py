"""Columns of the user's own, and dates in place of numbers of periods."""

from __future__ import annotations

import datetime
from pathlib import Path

import polars as pl
import pytest
from folders import settings_content, write_raw
from polars.testing import assert_frame_equal
from tiny import START, forecast_frame, tiny_frames, tiny_settings

from meio_jax.errors import InputError
from meio_jax.tables import Tables, read_instance, read_item_block, write_instance

DUE = pl.DataFrame({"item_id": ["A", "A", "B"], "node_id": ["fc1", "fc2", "fc1"], "units": [5.0, 7.0, 9.0]})
DATES = [START + datetime.timedelta(days=days) for days in (0, 9, -2)]


def dated(**changes: pl.Series) -> dict[str, pl.DataFrame]:
    return {**tiny_frames(), "on_order": DUE.with_columns(**{"due_date": pl.Series(DATES), **changes})}


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_orders_are_due_on_dates(tmp_path: Path, suffix: str) -> None:
    """Period 0 is the start date; an order of two days before it is overdue and due now, as with numbers."""
    folder = write_raw(tmp_path / "a", dated(), settings_content("mean"), suffix)
    tables = read_instance(folder)
    assert tables.on_order["period_due"].to_list() == [0, 9, 0]
    assert [one.kind for one in tables.warnings if one.kind == "overdue orders"] == ["overdue orders"]
    assert "due_date" not in tables.on_order.columns
    assert read_item_block(folder, ["A"]).on_order["period_due"].to_list() == [0, 9]
    assert_frame_equal(read_instance(write_instance(tables, tmp_path / "b")).on_order, tables.on_order)


def test_a_date_of_a_week_is_its_week() -> None:
    settings = tiny_settings().model_copy(update={"period": "week"})
    tables = Tables.from_frames(settings, **dated())
    assert tables.on_order["period_due"].to_list() == [0, 1, 0]


def test_rows_may_give_the_one_or_the_other() -> None:
    mixed = dated(due_date=pl.Series([DATES[0], None, None]), period_due=pl.Series([None, 4, 6]))
    assert Tables.from_frames(tiny_settings(), **mixed).on_order["period_due"].to_list() == [0, 4, 6]


@pytest.mark.parametrize("form", ["mean", "paths"])
def test_forecasts_have_dates(form: str) -> None:
    plain = forecast_frame(form)
    day = pl.lit(START) + pl.duration(days=pl.col("period"))
    found = [
        Tables.from_frames(tiny_settings(form), **{**tiny_frames(form), "forecast": frame}).forecast
        for frame in (plain, plain.select(pl.exclude("period"), day.alias("ds")))
    ]
    assert_frame_equal(*found, check_column_order=False)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"period_due": pl.Series([0, 9, -2])}, "a due_date or a period_due, not both"),
        ({"due_date": pl.Series(["2025-03-03", "12.03.2025", "2025-03-01"])}, "'12.03.2025'"),
        ({"due_date": pl.Series([DATES[0], None, DATES[2]])}, "row 2"),
    ],
)
def test_dates_that_cannot_be_taken_are_told(changes: dict[str, pl.Series], said: str) -> None:
    with pytest.raises(InputError) as told:
        Tables.from_frames(tiny_settings(), **dated(**changes))
    assert said in str(told.value)
    assert "on_order" in str(told.value)


def test_columns_of_ones_own_are_left_alone() -> None:
    frames = tiny_frames()
    frames["items"] = frames["items"].with_columns(x_buyer=pl.lit("Ada"), Season=pl.lit(3))
    frames["forecast"] = frames["forecast"].with_columns(Season=pl.lit("s"))
    with pytest.raises(InputError, match="column Season"):
        Tables.from_frames(tiny_settings(), **frames)
    kept = tiny_settings().model_copy(update={"keep_columns": "planner; Season"})
    plain = Tables.from_frames(tiny_settings(), **tiny_frames())
    assert_frame_equal(Tables.from_frames(kept, **frames).items, plain.items)


def test_a_declared_column_is_read_though_it_is_listed() -> None:
    frames = tiny_frames()
    kept = tiny_settings().model_copy(update={"keep_columns": "price"})
    assert_frame_equal(Tables.from_frames(kept, **frames).items, Tables.from_frames(tiny_settings(), **frames).items)
