"""New items take the forecast of a like item, or one at a given rate; none of them refuses the catalog."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from folders import settings_content, write_raw
from marks import some_slow
from polars.testing import assert_frame_equal
from tiny import PERIODS, forecast_frame, tiny_frames, tiny_settings

from meio_jax.errors import InputError
from meio_jax.tables import Tables, read_instance, read_item_block
from meio_jax.tables.new_items import poisson_quantile

FORMS = ["mean", "paths", "quantiles", "history"]


def frames(form: str, kept: pl.Expr | None = None, **columns: list) -> dict[str, pl.DataFrame]:
    """The tiny instance whose item C has no rows in the forecast (or those of `kept`); more columns of items."""
    found, name = tiny_frames(form), "unique_id" if form == "quantiles" else "item_id"
    own = pl.col(name) != "C" if kept is None else (pl.col(name) != "C") | kept
    items = found["items"].with_columns(
        **{key: pl.Series(key, values, strict=False) for key, values in columns.items()}
    )
    return {**found, "forecast": forecast_frame(form).filter(own), "items": items}


def rows(tables: Tables, item: str) -> pl.DataFrame:
    name = "unique_id" if "unique_id" in tables.forecast.columns else "item_id"
    return tables.forecast.filter(pl.col(name) == item).drop(name)


@pytest.mark.parametrize("form", some_slow(FORMS, quick=["paths", "history"]))
def test_rows_of_a_like_item_are_taken(form: str) -> None:
    tables = Tables.from_frames(tiny_settings(form), **frames(form, like_item=[None, None, "A"]))
    assert_frame_equal(rows(tables, "C"), rows(tables, "A"), check_row_order=False)
    assert [one.count for one in tables.warnings if one.kind == "new items"] == [1]


def test_a_factor_keeps_whole_units_whole() -> None:
    """0, 1, 2, 3 a day in turn, halved: the running sum 0, 0.5, 1.5, 3 is rounded, so 0, 1, 1, 1."""
    halved = {"like_item": [None, None, "A"], "like_factor": [1.0, 1.0, 0.5]}
    found = rows(Tables.from_frames(tiny_settings("paths"), **frames("paths", **halved)), "C")
    first = found.filter(pl.col("path") == 0).sort("period")["units"].to_list()
    assert first[:8] == [0, 1, 1, 1, 0, 1, 1, 1]
    means = rows(Tables.from_frames(tiny_settings("mean"), **frames("mean", **halved)), "C")
    assert means["mean"].to_list() == [0.5] * PERIODS


def test_own_sales_stand_after_those_of_the_like_item() -> None:
    last_days = pl.col("ds") >= forecast_frame("history")["ds"].max() - pl.duration(days=3)
    tables = Tables.from_frames(tiny_settings("history"), **frames("history", last_days, like_item=[None, None, "B"]))
    whole = Tables.from_frames(tiny_settings("history"), **tiny_frames("history"))
    assert_frame_equal(rows(tables, "C").sort("ds"), rows(whole, "C").sort("ds"))


def test_a_rate_is_poisson_demand() -> None:
    rate = {"rate": [None, None, 2.0]}
    by_form = {form: rows(Tables.from_frames(tiny_settings(form), **frames(form, **rate)), "C") for form in FORMS}
    assert by_form["mean"].select("mean", "dispersion", "law").unique().rows() == [(2.0, 0.0, "negative_binomial")]
    # P(0) = 0.135, P(<= 1) = 0.406, P(<= 2) = 0.677, P(<= 3) = 0.857, P(<= 4) = 0.947.
    assert by_form["quantiles"].select("q0.1", "q0.5", "q0.9").unique().rows() == [(0.0, 2.0, 4.0)]
    assert by_form["paths"].height == 2 * PERIODS
    past = by_form["history"]
    assert past.height == 28
    assert past["units"].mean() == pytest.approx(2.0, abs=4 * (2 / 28) ** 0.5)
    assert poisson_quantile(1e4, 0.5) == pytest.approx(1e4, abs=1)


@pytest.mark.parametrize("form", ["mean", "paths", "quantiles"])
def test_an_item_without_a_forecast_has_no_demand_and_is_told(form: str) -> None:
    tables = Tables.from_frames(tiny_settings(form), **frames(form))
    values = [name for name in rows(tables, "C").columns if name in ("units", "mean") or name.startswith("q")]
    assert rows(tables, "C").select(pl.sum_horizontal(pl.col(values).sum())).item() == 0
    assert "items without a forecast" in {one.kind for one in tables.warnings}
    # Ids that match nowhere are no new items.
    others = forecast_frame(form).with_columns(pl.col("unique_id" if form == "quantiles" else "item_id") + "x")
    with pytest.raises(InputError, match="rows for every item"):
        Tables.from_frames(tiny_settings(form), **{**frames(form), "forecast": others})


def test_a_like_item_must_have_rows_of_its_own() -> None:
    with pytest.raises(InputError, match=r"like_item.*rows of its own"):
        Tables.from_frames(tiny_settings(), **frames("mean", like_item=[None, None, "Z"]))


@pytest.mark.parametrize("form", some_slow(FORMS, quick=["quantiles"]))
def test_an_item_read_alone_has_the_same_rows(tmp_path: Path, form: str) -> None:
    content = frames(form, like_item=["B", None, "A"], rate=[None, None, 1.0])
    folder = write_raw(tmp_path / "a", content, settings_content(form), "parquet")
    whole = read_instance(folder)
    alone = read_item_block(folder, ["C"])
    assert alone.items.height == 1
    assert_frame_equal(rows(alone, "C"), rows(whole, "C"), check_row_order=False)
    assert alone.forecast.height == rows(alone, "C").height
