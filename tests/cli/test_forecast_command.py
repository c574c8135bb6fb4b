"""`meio forecast`: sales in, an instance that solves out."""

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from made_sales import MeanModels, sales_frame, steady
from polars.testing import assert_frame_equal
from small_runs import Command, config_content, write_config
from tiny import ITEMS, PERIODS, tiny_frames, tiny_settings, tiny_tables

from meio_jax.forecast import ForecastOptions, forecast_run, rates
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


@pytest.fixture
def plain_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_library", lambda: MeanModels)


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
    config = write_config(tmp_path / "config.yaml", config_content(out, tmp_path / "run"))
    assert meio("solve", config, "--quiet").status in (0, 3)
    assert (tmp_path / "run/certificate.json").is_file()


def test_blocks_order_and_form_of_the_source_change_nothing(plain_models: None, instance: Path, tmp_path: Path) -> None:
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


def test_json_is_the_calibration(plain_models: None, meio: Command, instance: Path, tmp_path: Path) -> None:
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
def test_sales_that_cannot_be_used(
    plain_models: None, meio: Command, tmp_path: Path, change: object, words: str
) -> None:
    change(sales_frame({"a": np.ones(40)})).write_csv(tmp_path / "sales.csv")
    called = meio("forecast", tmp_path / "sales.csv", "--out", tmp_path / "out")
    assert called.status == 2
    assert words in called.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sales.csv"]


def test_what_else_is_refused(plain_models: None, meio: Command, instance: Path, tmp_path: Path) -> None:
    other = write_instance(tiny_tables("mean"), tmp_path / "mean")
    (tmp_path / "empty").mkdir()
    for words, expected in (
        ((other, "--out", tmp_path / "out"), "form history"),
        ((tmp_path / "nothing.csv", "--out", tmp_path / "out"), "no such table"),
        ((tmp_path / "empty", "--out", tmp_path / "out"), "without instance.yaml"),
        ((instance, "--out", other), "a new or empty folder"),
        ((instance, "--out", instance / "inside"), "outside the instance"),
        ((instance, "--out", tmp_path / "out", "--paths", 1, "--holdout", -1), "--holdout"),
    ):
        called = meio("forecast", *words)
        assert called.status == 2, words
        assert expected in called.err
        assert not (tmp_path / "out").exists()


def test_a_missing_library_is_named(
    meio: Command, instance: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    called = meio("forecast", instance, "--out", tmp_path / "out")
    assert called.status == 2
    assert ".[forecast]" in called.err
    assert not (tmp_path / "out").exists()


def test_the_horizon_follows_the_last_day_of_all(plain_models: None, tmp_path: Path) -> None:
    """An item whose last row is earlier has not sold since."""
    units = np.ones(60)
    stopped = np.where(np.arange(60) < 20, 30.0, 0.0)
    sales_frame({"on": units, "off": stopped}).write_parquet(tmp_path / "sales.parquet")
    forecast_run(tmp_path / "sales.parquet", tmp_path / "out", ForecastOptions(paths=60, periods=7, holdout=0))
    table = pl.read_parquet(tmp_path / "out/forecast/*.parquet")
    assert set(table.filter(item_id="on", path=4)["units"]) == {1.0}
