"""`meio forecast`: sales in, an instance that solves out."""

import datetime
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from made_sales import sales_frame, steady
from polars.testing import assert_frame_equal
from small_runs import Command, config_content, write_config
from tiny import ITEMS, PERIODS, tiny_frames, tiny_settings, tiny_tables

from meio_jax.forecast import ForecastOptions, forecast_run
from meio_jax.tables import Tables, read_instance, write_instance

DAYS = 120


def sales() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(9)
    means = dict(zip(ITEMS, (4.0, 1.0, 0.2), strict=True))
    return {name: steady(rng, DAYS, mean, 0.3) for name, mean in means.items()}


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    frames = {**tiny_frames("history"), "forecast": sales_frame(sales())}
    return write_instance(Tables.from_frames(tiny_settings("history"), **frames), tmp_path / "instance")


@pytest.mark.slow
def test_an_instance_with_paths_solves(meio: Command, instance: Path, tmp_path: Path) -> None:
    out = tmp_path / "with_paths"
    called = meio("forecast", instance, "--out", out, "--paths", 12, "--quiet")
    assert called.status == 0, called.err
    for part in ("12 paths of 14 days from 2025-03-03 on for 3 items", "Calibration on the last 28 days", "bootstrap"):
        assert part in called.out, part
    tables = read_instance(out)
    assert tables.settings == tiny_settings("paths")
    assert tables.forecast.height == 3 * 12 * PERIODS
    assert (tables.forecast["units"] == tables.forecast["units"].round()).all()
    assert_frame_equal(tables.offers, read_instance(instance).offers)
    judged = json.loads((out / "calibration.json").read_text())
    assert judged["items"] == 3
    content = config_content(out, tmp_path / "run")
    content["solve"] = {**content["solve"], "slack_items": 0}
    content["scenarios"] = {**content["scenarios"], "unit_values": 0}
    config = write_config(tmp_path / "config.yaml", content)
    assert meio("solve", config, "--quiet").status in (0, 3)
    assert (tmp_path / "run/certificate.json").is_file()


def test_blocks_order_and_form_of_the_source_change_nothing(instance: Path, tmp_path: Path) -> None:
    options = ForecastOptions(paths=6, holdout=0, periods=PERIODS)
    whole = forecast_run(instance, tmp_path / "whole", options)
    assert whole.calibration is None
    assert not (tmp_path / "whole/calibration.json").exists()
    small = ForecastOptions(paths=6, holdout=0, periods=PERIODS, block_items=1)
    file = tmp_path / "sales.csv"
    sales_frame({name: sales()[name] for name in reversed(ITEMS)}).write_csv(file)
    found = forecast_run(file, tmp_path / "file", small)
    assert (found.start, found.items) == ("2025-03-03", 3)
    assert len(list((tmp_path / "file/forecast").iterdir())) == 3
    key = ["item_id", "path", "period"]
    one, other = (pl.read_parquet(tmp_path / name / "forecast/*.parquet").sort(key) for name in ("whole", "file"))
    assert_frame_equal(one, other, check_exact=True)


def test_json_is_the_calibration(meio: Command, instance: Path, tmp_path: Path) -> None:
    called = meio("forecast", instance, "--out", tmp_path / "out", "--paths", 6, "--json", "--quiet")
    assert json.loads(called.out) == json.loads((tmp_path / "out/calibration.json").read_text())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows.with_columns(pl.lit(-1.0).alias("units")), "units"),
        (lambda rows: rows.drop("ds"), "column ds"),
        (lambda rows: pl.concat([rows, rows]), "the same key"),
        (lambda rows: rows.head(0), "no rows"),
        (lambda rows: rows.with_columns(pl.lit("soon").alias("ds")), "'soon'"),
    ],
)
def test_sales_that_cannot_be_used(meio: Command, tmp_path: Path, change: object, words: str) -> None:
    change(sales_frame({"a": np.ones(40)})).write_csv(tmp_path / "sales.csv")
    called = meio("forecast", tmp_path / "sales.csv", "--out", tmp_path / "out")
    assert called.status == 2
    assert words in called.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sales.csv"]


def test_what_else_is_refused(meio: Command, instance: Path, tmp_path: Path) -> None:
    other = write_instance(tiny_tables("mean"), tmp_path / "mean")
    (tmp_path / "empty").mkdir()
    for words, expected in (
        ((other, "--out", tmp_path / "out"), "form history"),
        ((tmp_path / "nothing.csv", "--out", tmp_path / "out"), "no such table"),
        ((tmp_path / "empty", "--out", tmp_path / "out"), "without instance.yaml"),
        ((instance, "--out", other), "an absent or empty folder"),
        ((instance, "--out", instance / "inside"), "outside the instance"),
        ((instance, "--out", tmp_path / "out", "--period", "week"), "the period of the instance"),
        ((instance, "--out", tmp_path / "out", "--paths", 1, "--holdout", -1), "--holdout"),
    ):
        called = meio("forecast", *words)
        assert called.status == 2, words
        assert expected in called.err
        assert not (tmp_path / "out").exists()


def test_the_horizon_follows_the_last_day_of_all(tmp_path: Path) -> None:
    """An item whose last row is earlier has not sold since: it is not foretold what it sold before."""
    units = np.ones(200)
    stopped = np.where(np.arange(200) < 60, 30.0, 0.0)
    sales_frame({"on": units, "off": stopped}).write_parquet(tmp_path / "sales.parquet")
    forecast_run(tmp_path / "sales.parquet", tmp_path / "out", ForecastOptions(paths=60, periods=7, holdout=0))
    table = pl.read_parquet(tmp_path / "out/forecast/*.parquet")
    assert table.filter(item_id="on")["units"].mean() == pytest.approx(1, abs=0.2)
    assert table.filter(item_id="off")["units"].mean() < 0.1


def test_events_prices_and_empty_shelves_are_read_from_files(meio: Command, tmp_path: Path) -> None:
    """A fair every 30 days trebles sales, also in the horizon; days without stock sold nothing and say nothing."""
    rng = np.random.default_rng(4)
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=at) for at in range(407)]
    fair = np.arange(407) % 30 == 5
    rows = []
    for item in range(12):
        units = rng.poisson(np.where(fair, 15.0, 5.0)).astype(float)
        out = (np.arange(407) >= 300) & (np.arange(407) < 330)
        units[out] = 0
        rows += [(f"i{item}", days[at], units[at], "no" if out[at] else "yes") for at in range(400)]
    pl.DataFrame(rows, ["item_id", "ds", "units", "available"], orient="row").write_csv(tmp_path / "sales.csv")
    pl.DataFrame({"event": ["fair"] * 14, "ds": [days[at] for at in np.flatnonzero(fair)]}).write_csv(
        tmp_path / "events.csv"
    )
    prices = pl.DataFrame({"item_id": ["i0"], "ds": [days[0]], "price": [2.0]})
    prices.write_csv(tmp_path / "prices.csv")
    files = ("--events", tmp_path / "events.csv", "--prices", tmp_path / "prices.csv")
    words = ("forecast", tmp_path / "sales.csv", "--out", tmp_path / "out", *files, "--periods", 7, "--paths", 200)
    called = meio(*words, "--quiet")
    assert called.status == 0, called.err
    mean = pl.read_parquet(tmp_path / "out/forecast/*.parquet").group_by("period").agg(pl.col("units").mean())
    found = mean.sort("period")["units"].to_numpy()
    expected = np.where(fair[400:], 15.0, 5.0)
    np.testing.assert_allclose(found, expected, rtol=0.15)
    prices.with_columns(price=-1.0).write_csv(tmp_path / "prices.csv")
    called = meio(*words[:3], tmp_path / "other", *files)
    assert called.status == 2
    assert "price" in called.err
