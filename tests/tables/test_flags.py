"""Columns of true and false, as CSV files, Parquet files and spreadsheets write them."""

import polars as pl
import pytest
from tiny import tiny_frames, tiny_settings

from meio_jax.errors import InputError
from meio_jax.tables import Tables


def _read(values: list) -> list[bool]:
    frames = tiny_frames("history")
    rows = frames["forecast"].height
    column = pl.Series("available", (values * rows)[:rows])
    tables = Tables.from_frames(
        tiny_settings("history"), **{**frames, "forecast": frames["forecast"].with_columns(column)}
    )
    return tables.forecast["available"].to_list()[: len(values)]


@pytest.mark.parametrize(
    "values",
    [[True, False], ["true", "False"], ["YES", "no"], ["1", "0"], [1, 0], [1.0, 0.0]],
    ids=["flags", "words", "yes", "texts", "numbers", "floats"],
)
def test_true_and_false_are_read_however_they_are_written(values: list) -> None:
    assert _read(values) == [True, False]


def test_an_empty_flag_is_the_default() -> None:
    assert _read([None, "false"]) == [True, False]


@pytest.mark.parametrize("value", ["perhaps", 2])
def test_what_is_no_flag_is_told(value: object) -> None:
    with pytest.raises(InputError, match="true or false"):
        _read([value, value])
