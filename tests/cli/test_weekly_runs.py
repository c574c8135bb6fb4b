"""Periods of a week: the same numbers as days, a week apart; and what the calendar changes."""

import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from small_runs import Command, Finished, config_content, write_config
from tiny import ITEMS, PERIODS, START, tiny_frames, tiny_settings

from meio_jax.config.settings import Config
from meio_jax.demand import HistoryDemand
from meio_jax.errors import InputError
from meio_jax.instance import build_instance
from meio_jax.planner.model import settings_of
from meio_jax.tables import InstanceSettings, Tables, write_instance
from meio_jax.tables.availability import filled_sales


def weekly(form: str = "mean", **changes: object) -> InstanceSettings:
    """The tiny instance in weeks. Buckets as those of the days, so that plans can be compared."""
    return tiny_settings(form).model_copy(update={"period": "week", **changes})


def test_defaults_follow_the_length_of_a_period() -> None:
    plain = {"name": "a", "start_date": START, "periods": 26, "wave_ends": [24.0], "forecast": "history"}
    week = InstanceSettings.model_validate({**plain, "period": "week"})
    assert (week.bucket_periods, week.history_block, week.lead_time_limit) == (1, 4, 52)
    assert InstanceSettings.model_validate({**plain, "period": "week", "bucket_periods": 4}).bucket_periods == 4
    assert InstanceSettings.model_validate(plain).bucket_periods == 7
    assert week.end_date == START + datetime.timedelta(days=26 * 7)
    assert week.date_of(3) == START + datetime.timedelta(days=21)
    assert week.periods_of(np.asarray([START, START + datetime.timedelta(days=8)], "datetime64[D]")).tolist() == [0, 1]


@pytest.mark.slow
def test_orders_of_weeks_are_those_of_days_a_week_apart(meio: Command, finished: Finished, tmp_path: Path) -> None:
    """The finished run is that of the same tables in days."""
    write_instance(Tables.from_frames(weekly(), **tiny_frames()), tmp_path / "weeks")
    content = config_content(tmp_path / "weeks", tmp_path / "run_weeks")
    content["solve"] = {**content["solve"], "slack_items": 0}
    config = write_config(tmp_path / "weeks.yaml", content)
    assert meio("solve", config, "--quiet").status in (0, 3)
    plans = {
        name: {table: pl.read_parquet(run / f"plan/{table}.parquet") for table in ("orders", "transfers")}
        for name, run in (("days", finished.folder), ("weeks", tmp_path / "run_weeks"))
    }
    for table, placed in (("orders", "order_date"), ("transfers", "ship_date")):
        days, weeks = plans["days"][table], plans["weeks"][table]
        assert_frame_equal(days.drop("due_date"), weeks.drop("due_date"))
        ahead = [(plan["due_date"] - plan[placed]).dt.total_days() for plan in (days, weeks)]
        assert (ahead[1] == 7 * ahead[0]).all()
    assert plans["days"]["orders"].height > 0
    report = meio("report", tmp_path / "run_weeks")
    assert report.status == 0, report.err
    page = (tmp_path / "run_weeks/report.html").read_text(encoding="utf-8")
    assert "units in 14 weeks" in page
    explained = meio("explain", tmp_path / "run_weeks", "--item", ITEMS[0])
    assert "14 weeks" in explained.out


def _history(days: list[int], units: list[float], **more: list) -> pl.DataFrame:
    dates = [START - datetime.timedelta(days=day) for day in days]
    parts = [pl.DataFrame({"item_id": [item] * len(days), "ds": dates, "units": units, **more}) for item in ITEMS]
    return pl.concat(parts)


def test_past_weeks_are_read_by_week_and_drawn_from_any_week() -> None:
    """Rows on any day of a week, daily rows added up; no weekday is kept, since there are none."""
    days = [*range(35, 28, -1), 22, 21, 8, 1]
    frames = {**tiny_frames("history"), "forecast": _history(days, [1.0] * 7 + [20.0, 30.0, 40.0, 2.0])}
    tables = Tables.from_frames(weekly("history", history_block=1), **frames)
    demand = build_instance(tables, block_items=3).catalog.demand
    assert isinstance(demand, HistoryDemand)
    np.testing.assert_array_equal(np.asarray(demand.history)[0, :, 0], [7, 20, 30, 40, 2])
    assert demand.cycle == 1


def test_demand_of_a_week_has_its_own_shared_factor() -> None:
    tables = Tables.from_frames(weekly(shared_factor_cv=0.3), **tiny_frames())
    config = Config.model_validate(config_content(Path("instance"), Path("run")))
    assert settings_of(config, build_instance(tables, block_items=3)).scenarios.factor_periods == 1
    daily = Tables.from_frames(tiny_settings(), **tiny_frames())
    assert settings_of(config, build_instance(daily, block_items=3)).scenarios.factor_periods == 7


def test_quantiles_are_dated_by_week() -> None:
    frames = tiny_frames("quantiles")
    table = frames["forecast"].with_columns(
        ds=pl.lit(START) + pl.duration(days=7 * (pl.col("ds") - pl.lit(START)).dt.total_days())
    )
    Tables.from_frames(weekly("quantiles"), **{**frames, "forecast": table})
    with pytest.raises(InputError, match="12 of 14 periods missing"):
        Tables.from_frames(weekly("quantiles"), **frames)
    assert table["ds"].max() == START + datetime.timedelta(days=7 * (PERIODS - 1))


def test_days_out_of_stock_take_the_mean_of_their_weekday() -> None:
    """Mondays 10, other days 2; one Monday and one Tuesday out of stock, the Tuesday after 5 were sold."""
    units = np.tile([10.0, 2, 2, 2, 2, 2, 2], 6)[:, None]
    available = np.ones(units.shape, bool)
    units[21], available[21] = 0, False
    units[29], available[29] = 5, False
    found = filled_sales(units, available, 7)
    assert found[21, 0] == 10
    assert found[29, 0] == 5
    untouched = available[:, 0]
    np.testing.assert_array_equal(found[untouched], units[untouched])
    frames = {**tiny_frames("history"), "forecast": _history([3, 2, 1], [4.0, 0.0, 6.0], available=[True, False, True])}
    tables = Tables.from_frames(tiny_settings("history").model_copy(update={"history_block": 1}), **frames)
    demand = build_instance(tables, block_items=3).catalog.demand
    np.testing.assert_array_equal(np.asarray(demand.history)[0, :, 0], [4, 5, 6])
