"""Data frames of other libraries, taken wherever those of polars are: pandas, pyarrow, and what speaks Arrow."""

from __future__ import annotations

from typing import Any

import polars as pl

from meio_jax.errors import InputError, Note, Problem

Frame = Any
"""A `polars.DataFrame` or `LazyFrame`, a `pandas.DataFrame`, a `pyarrow.Table`, or anything with the Arrow C stream
interface."""


def as_polars(frame: Frame, name: str) -> pl.DataFrame:
    """A table as a frame of polars; one that is such a frame already stays the same object.

    Nothing is imported for that: whoever has a frame of pandas has pandas. There an empty cell is NaN, so NaN becomes
    no value. An index with a name, as `set_index("item_id")` makes it, becomes a column; one without is left out.

    Args:
        frame: The table.
        name: Its name, for messages.

    Raises:
        InputError: If it is no table, or a column holds values of several kinds.
    """
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, pl.LazyFrame):
        return pl.DataFrame(frame.collect())
    try:
        if type(frame).__module__.split(".")[0] == "pandas" and hasattr(frame, "columns"):
            return _of_pandas(frame, name)
        if hasattr(frame, "__arrow_c_stream__"):
            return pl.DataFrame(frame)
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        # Errors of pyarrow are of these kinds as well.
        found = Note(" ".join(str(error).split()))
        remedy = "give every column one type (`frame.astype`), or convert the frame with `polars.from_pandas`"
        raise InputError([Problem(name, "", "", found, "columns of one type each", remedy)]) from None
    found = Note(f"a {type(frame).__name__}")
    expected = "a data frame of polars or pandas, or an Arrow table"
    raise InputError([Problem(name, "", "", found, expected, "convert it")])


def _of_pandas(frame: Any, name: str) -> pl.DataFrame:
    named = [one for one in frame.index.names if one is not None]
    frame = frame.reset_index(level=named) if named else frame
    texts = [str(column) for column in frame.columns]
    twice = sorted({text for text in texts if texts.count(text) > 1})
    if twice:
        remedy = "remove or rename one of the two"
        raise InputError([Problem(name, "header", column, "", "every column once", remedy) for column in twice])
    return pl.DataFrame(pl.from_pandas(frame, nan_to_null=True))
