"""The US instance on a made-up data folder, and on the real one where MEIO_US_DATA names it."""

import os
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from meio_jax.config import Config
from meio_jax.errors import InputError
from meio_jax.generate.us import build_us_instance
from meio_jax.generate.us.rates import fit_rates
from meio_jax.progress import Silent
from meio_jax.runs.run import ensure_instance
from meio_jax.tables import read_instance

REAL = os.environ.get("MEIO_US_DATA")
STATES = {"CA_1": "CA", "TX_3": "TX", "WI_1": "WI"}
ITEMS = [f"FOODS_{d}_{k:03d}" for d in (1, 2) for k in range(1, 5)]


def write_sales(folder: Path, rng: np.random.Generator) -> None:
    days = {f"d_{d}": rng.poisson(1.5, len(ITEMS)) for d in range(1, 1970)}
    long = pl.DataFrame({"store_id": ["TX_3"] * len(ITEMS), **days, "item_id": ITEMS})
    long.write_parquet(folder / "daily_units_823_items_1969_days.parquet")
    rows = []
    for store, state in STATES.items():
        units = {f"d_{d}": rng.poisson(2.0, len(ITEMS)) for d in range(1942, 1970)}
        rows.append(pl.DataFrame({"item_id": ITEMS, "store_id": store, "state_id": state, **units}))
    pl.concat(rows).write_parquet(folder / "daily_units_30490_series_28_days.parquet")
    first = date(2011, 1, 29)
    dates = [str(first + timedelta(days=d)) for d in range(1969)]
    pl.DataFrame({"date": dates, "d": [f"d_{d}" for d in range(1, 1970)]}).write_csv(folder / "calendar.csv")
    pl.DataFrame({"item_id": ITEMS, "price": np.linspace(0.5, 9.0, len(ITEMS))}).write_csv(folder / "item_prices.csv")


def write_places(folder: Path, rng: np.random.Generator) -> None:
    def points(count: int) -> dict:
        return {"lat": rng.uniform(30, 47, count), "lon": rng.uniform(-120, -75, count)}

    named = points(8)
    pl.DataFrame({"name": [f"D{k}" for k in range(8)], "type": ["dist"] * 8, "lat": named["lat"],
                  "lng": named["lon"]}).write_csv(folder / "sites_named.csv")  # fmt: skip
    sites = {"list": ["FC"] * 45 + ["DS"] * 45, "code": [f"S{k}" for k in range(90)], **points(90)}
    sites["lat"][0] = None
    pl.DataFrame(sites, strict=False).write_csv(folder / "sites_fc_sc_ds.csv")
    areas = {"zip3": list(range(10, 110)), "population": rng.uniform(1e5, 1e6, 100), **points(100)}
    areas["lat"][0] = 61.0  # Alaska is left out
    pl.DataFrame(areas).write_csv(folder / "zip3_population.csv")


def write_rest(folder: Path, rng: np.random.Generator) -> None:
    steps = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0]
    services = {"Ground Advantage": 1.0, "Priority Mail": 1.4}
    rates = [
        {"service": service, "price_type": "commercial", "weight_not_over_lb": step}
        | {f"zone{z}": factor * (4.0 + 0.2 * z + step * (0.4 + 0.1 * z)) for z in range(1, 10)}
        for service, factor in services.items()
        for step in steps
    ]
    pl.DataFrame(rates).write_csv(folder / "parcel_rates_zone_weight.csv")
    size = {f"{side}_cm": rng.uniform(5, 40, 50) for side in ("length", "height", "width")}
    pl.DataFrame({"weight_g": [0.0, *rng.uniform(50, 4000, 49)], **size}).write_parquet(
        folder / "parcel_weights_dimensions.parquet"
    )
    pl.DataFrame(
        {"vendor": ["A"] * 30 + ["B"] * 20 + ["C"] * 3, "lead_time_days": rng.uniform(0, 300, 53).round()}
    ).write_parquet(folder / "purchase_order_lead_times.parquet")


@pytest.fixture
def made_up(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    rng = np.random.default_rng(0)
    write_sales(folder, rng)
    write_places(folder, rng)
    write_rest(folder, rng)
    return folder


def test_small_keeps_the_last_days_apart(made_up: Path, tmp_path: Path) -> None:
    parts = build_us_instance(made_up, tmp_path / "us", "small", history_days=60)
    tables = read_instance(tmp_path / "us")
    assert tables.settings.forecast == "history"
    assert tables.nodes["kind"].value_counts().sort("count")["count"].to_list() == [4, 6, 10]
    assert tables.regions.height == 40
    assert parts.covered < 1.0
    actual = pl.read_parquet(tmp_path / "us" / "actuals" / "actual.parquet")
    assert actual.columns == ["item_id", "ds", "units"]
    assert actual["ds"].min() == tables.settings.start_date
    assert actual["ds"].n_unique() == 28
    assert tables.forecast["ds"].max() < tables.settings.start_date
    source = pl.read_parquet(made_up / "daily_units_823_items_1969_days.parquet").sort("item_id")
    assert actual.sort("item_id", "ds")["units"].to_list()[0] == source["d_1942"][0]
    last = tables.forecast.filter(pl.col("ds") == pl.col("ds").max()).sort("item_id")
    assert last["units"].to_list() == source["d_1941"].to_list()


def test_full_has_means_and_no_actuals(made_up: Path, tmp_path: Path) -> None:
    build_us_instance(made_up, tmp_path / "us", "full", periods=14)
    tables = read_instance(tmp_path / "us")
    assert tables.settings.forecast == "mean"
    assert tables.settings.start_date == date(2016, 6, 20)
    assert not (tmp_path / "us" / "actuals").exists()
    assert tables.forecast["mean"].mean() == pytest.approx(6.0, rel=0.1)  # three stores of two units a day
    assert set(tables.items["profile"]) == {"FOODS_1", "FOODS_2"}


def test_it_says_what_is_wrong(made_up: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="28 recorded days"):
        build_us_instance(made_up, tmp_path / "us", "full", evaluate=True)
    (made_up / "calendar.csv").unlink()
    prices = made_up / "item_prices.csv"
    prices.write_text(prices.read_text(encoding="utf-8").replace("price", "cost"), encoding="utf-8")
    (made_up / "parcel_weights_dimensions.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match=r"(?s)item_prices.*column price.*calendar\.csv.*us_network\.md") as caught:
        build_us_instance(made_up, tmp_path / "us", "small")
    assert caught.value.count == 3
    with pytest.raises(InputError, match=r"nowhere.*us_network\.md"):
        build_us_instance(tmp_path / "nowhere", tmp_path / "us", "small")
    assert not (tmp_path / "us").exists()


def test_too_few_sites_are_told(made_up: Path, tmp_path: Path) -> None:
    named = made_up / "sites_named.csv"
    pl.read_csv(named).head(6).write_csv(named)
    with pytest.raises(InputError, match=r"sites_named\.csv: found 6; expected at least 8 sites of tier 0"):
        build_us_instance(made_up, tmp_path / "us", "full")
    assert not (tmp_path / "us").exists()


def test_a_configuration_builds_it_or_says_how(made_up: Path, tmp_path: Path) -> None:
    def configuration(data: Path) -> Config:
        us = {"data": str(data), "size": "small"}
        return Config.model_validate({"instance": {"path": str(tmp_path / "us"), "us": us}, "run": str(tmp_path)})

    with pytest.raises(InputError, match=r"instance\.us\.data"):
        ensure_instance(configuration(tmp_path / "nowhere"), Silent())
    assert not (tmp_path / "us").exists()
    folder = ensure_instance(configuration(made_up), Silent())
    assert read_instance(folder).items.height == len(ITEMS)


def test_an_installed_package_says_that_it_lacks_the_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "meio_jax.generate.us", None)
    config = Config.model_validate(
        {"instance": {"path": tmp_path / "us", "us": {"data": tmp_path}}, "run": tmp_path / "r"}
    )
    with pytest.raises(InputError, match=r"instance\.us.*checkout"):
        ensure_instance(config, Silent())
    assert not (tmp_path / "us").exists()


def test_parcel_rates_are_recovered(made_up: Path) -> None:
    weights = np.array([0.5, 1.0, 2.0, 5.0, 10.0, 20.0]) * 0.45359237
    fit = fit_rates(made_up, weights)
    zone = np.arange(1, 9)
    assert fit.per_parcel == pytest.approx(4.0 + 0.2 * zone)
    assert fit.per_kg == pytest.approx((0.4 + 0.1 * zone) / 0.45359237)
    assert fit.rmse == pytest.approx(np.zeros(8), abs=1e-9)
    assert fit.fast_factor == pytest.approx(1.4)


@pytest.mark.skipif(REAL is None, reason="MEIO_US_DATA names no folder of real data")
@pytest.mark.parametrize(("size", "nodes", "regions"), [("small", 20, 40), ("full", 60, 200)])
def test_real_data(tmp_path: Path, size: str, nodes: int, regions: int) -> None:
    build_us_instance(Path(str(REAL)), tmp_path, size)
    tables = read_instance(tmp_path)
    assert tables.nodes.height >= nodes
    assert tables.regions.height >= regions
    assert tables.items.height == (200 if size == "small" else 3049)
