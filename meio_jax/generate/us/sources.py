"""Reading the real data, and nothing else: sites, postal areas, parcel sizes, lead times, sales."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from meio_jax.errors import InputError, Note, Problem
from meio_jax.generate.geography import Places

# the contiguous United States; sites and postal areas outside are left out
LATITUDE = (24.0, 50.0)
LONGITUDE = (-125.0, -66.0)
LAST_DAY = 1969
FIRST_EVALUATED_DAY = 1942
# files, and the columns of each that are read
FILES = {
    "sites_fc_sc_ds.csv": ("list", "code", "lat", "lon"),
    "sites_named.csv": ("name", "type", "lat", "lng"),
    "zip3_population.csv": ("zip3", "population", "lat", "lon"),
    "parcel_rates_zone_weight.csv": ("service", "price_type", "weight_not_over_lb"),
    "daily_units_823_items_1969_days.parquet": ("item_id", "d_1", f"d_{LAST_DAY}"),
    "daily_units_30490_series_28_days.parquet": ("item_id", "state_id", f"d_{LAST_DAY}"),
    "item_prices.csv": ("item_id", "price"),
    "calendar.csv": ("date", "d"),
    "parcel_weights_dimensions.parquet": ("weight_g", "length_cm", "height_cm", "width_cm"),
    "purchase_order_lead_times.parquet": ("vendor", "lead_time_days"),
}
SITE_FILES = ("sites_named.csv", "sites_fc_sc_ds.csv", "sites_fc_sc_ds.csv")  # by tier
REMEDY = "give a folder with the files of docs/us_network.md as `instance.us.data` or `--data`"


@dataclass(frozen=True)
class Sales:
    """Past sales of I items on D days.

    Attributes:
        item_id, department: `[I]` (department as in the item id, for example FOODS_3).
        units: `[I, D]` whole units; the last day is the day before the horizon.
        start: first day of the horizon.
        future: `[I, F]` units from `start` on that were kept apart; F may be 0.
        first_day: number of the first of the D days (1 is the first day of the calendar).
        state_units: `[I, 3]` units in CA, TX and WI over the days for which stores of all three are known;
            all equal where these days are kept apart.
    """

    item_id: np.ndarray
    department: np.ndarray
    units: np.ndarray
    start: date
    future: np.ndarray
    first_day: int
    state_units: np.ndarray


def check_files(folder: Path) -> None:
    """Say at once which files and columns are missing.

    Raises:
        InputError: With one problem per file.
    """
    if not folder.is_dir():
        raise InputError([Problem(str(folder), "", "", None, "the folder of the real US data", REMEDY)])
    problems = [found for name, columns in FILES.items() if (found := _problem_of(folder / name, columns))]
    if problems:
        raise InputError(problems)


def _problem_of(path: Path, columns: tuple[str, ...]) -> Problem | None:
    if not path.is_file():
        return Problem(str(path), "", "", None, "a file of the real US data", REMEDY)
    try:
        found = (
            pl.read_parquet_schema(path).keys()
            if path.suffix == ".parquet"
            else pl.read_csv(path, n_rows=0, glob=False).columns
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        return Problem(str(path), "", "", str(error), f"a readable {path.suffix[1:]} table", REMEDY)
    missing = [name for name in columns if name not in found]
    if not missing:
        return None
    expected = f"the column{'s' * (len(missing) > 1)} {', '.join(missing)}"
    return Problem(str(path), "", "", Note(", ".join(list(found)[:12])), expected, REMEDY)


def too_few(path: Path, found: int, expected: str) -> InputError:
    """The error for data that cannot fill the size asked for."""
    return InputError([Problem(str(path), "", "", found, expected, "choose the size `small`, or give more data")])


def _inside(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("lat").is_between(*LATITUDE) & pl.col("lon").is_between(*LONGITUDE))


def _places(frame: pl.DataFrame, name: str, population: np.ndarray | None = None) -> Places:
    count = frame.height
    return Places(
        frame[name].to_numpy().astype(str),
        np.full(count, "US"),
        frame["lat"].to_numpy(),
        frame["lon"].to_numpy(),
        np.zeros(count) if population is None else population,
    )


def read_sites(folder: Path) -> tuple[Places, Places, Places]:
    """Candidate sites of the three tiers: cross-dock (type dist), fulfilment centres, delivery stations."""
    named = pl.read_csv(folder / "sites_named.csv", glob=False, infer_schema_length=None).rename({"lng": "lon"})
    listed = pl.read_csv(folder / "sites_fc_sc_ds.csv", glob=False, infer_schema_length=None)
    upper = named.filter(pl.col("type") == "dist").drop_nulls(["name", "lat", "lon"])
    parts = [upper.select(pl.col("name").alias("code"), "lat", "lon")]
    for tags in (["FC", "all_FCs"], ["DS", "all_DS"]):
        chosen = listed.filter(pl.col("list").is_in(tags)).drop_nulls(["code", "lat", "lon"])
        parts.append(chosen.select("code", "lat", "lon"))
    # one site per point: rows of a site may repeat under several codes
    found = [
        _inside(part)
        .with_columns(pl.col("code").cast(pl.String))
        .sort("code")
        .unique(["lat", "lon"], keep="first", maintain_order=True)
        .unique("code", keep="first", maintain_order=True)
        for part in parts
    ]
    return tuple(_places(part, "code") for part in found)  # type: ignore[return-value]


def read_areas(folder: Path) -> tuple[Places, float]:
    """Three-digit postal areas of the contiguous states, and the share of all people who live in them."""
    frame = pl.read_csv(folder / "zip3_population.csv", glob=False).with_columns(
        pl.col("zip3").cast(pl.Int64).cast(pl.String).str.zfill(3)
    )
    kept = _inside(frame).filter(pl.col("population") > 0).sort("zip3")
    everybody = float(frame["population"].to_numpy().sum())
    people = kept["population"].to_numpy()
    return _places(kept, "zip3", people), float(people.sum()) / everybody


def read_parcels(folder: Path, limit_kg: float) -> pl.DataFrame:
    """Sizes of real parcels up to a weight, `weight_kg` and `volume_m3`; rows without either left out."""
    frame = pl.read_parquet(folder / "parcel_weights_dimensions.parquet", glob=False)
    return frame.select(
        weight_kg=pl.col("weight_g") / 1000.0,
        volume_m3=pl.col("length_cm") * pl.col("height_cm") * pl.col("width_cm") / 1.0e6,
    ).filter(
        pl.col("weight_kg").is_between(0.0, limit_kg, closed="right")
        & (pl.col("volume_m3") > 0)
        & pl.all_horizontal(pl.all().is_finite())
    )


def read_lead_times(folder: Path, scale: float, at_least: int, limit: int) -> tuple[list[str], list[np.ndarray]]:
    """Vendors with enough purchase orders, the busiest first, and their scaled lead times in days.

    Args:
        folder: the data folder.
        scale: factor on the recorded days.
        at_least: fewest orders with a positive lead time.
        limit: longest scaled lead time, days.
    """
    frame = pl.read_parquet(
        folder / "purchase_order_lead_times.parquet", glob=False, columns=["vendor", "lead_time_days"]
    )
    frame = frame.filter(pl.col("lead_time_days") > 0)
    counted = (
        frame.group_by("vendor")
        .len()
        .filter(pl.col("len") >= at_least)
        .sort(["len", "vendor"], descending=[True, False])
    )
    names = counted["vendor"].to_list()
    days = []
    for name in names:
        seen = frame.filter(pl.col("vendor") == name)["lead_time_days"].to_numpy()
        days.append(np.clip(np.ceil(seen * scale), 1, limit).astype(int))
    return names, days


def read_prices(folder: Path) -> dict[str, float]:
    """Last known price of each item."""
    frame = pl.read_csv(folder / "item_prices.csv", glob=False)
    return dict(zip(frame["item_id"].to_list(), frame["price"].to_list(), strict=True))


def read_sales(folder: Path, size: str, evaluate: bool, history_days: int) -> Sales:
    """Sales of the small set (one store, many days) or of the full set (ten stores added up, 28 days)."""
    recent = pl.read_parquet(folder / "daily_units_30490_series_28_days.parquet", glob=False)
    tail = [name for name in recent.columns if name.startswith("d_")]
    states = (
        recent.select("item_id", "state_id", total=pl.sum_horizontal(tail))
        .pivot(on="state_id", index="item_id", values="total", aggregate_function="sum")
        .select("item_id", "CA", "TX", "WI")
    )
    last = FIRST_EVALUATED_DAY - 1 if evaluate else LAST_DAY
    if size == "small":
        table = pl.read_parquet(folder / "daily_units_823_items_1969_days.parquet", glob=False)
        first = last - history_days + 1
    else:
        if evaluate:
            expected = "no days kept apart: the full set has 28 recorded days, all of them history"
            place = str(folder / "daily_units_30490_series_28_days.parquet")
            raise InputError([Problem(place, "", "", "", expected, "choose the size `small` to evaluate")])
        table = recent.group_by("item_id").agg(pl.col(tail).sum())
        first = FIRST_EVALUATED_DAY
    table = (
        table.sort("item_id").join(states, on="item_id", how="left").with_columns(pl.col("CA", "TX", "WI").fill_null(1))
    )
    calendar = pl.read_csv(folder / "calendar.csv", glob=False, columns=["date", "d"])
    final = date.fromisoformat(calendar.filter(pl.col("d") == f"d_{last}")["date"].item())
    ids = table["item_id"].to_numpy().astype(str)
    return Sales(
        ids,
        np.array([name.rsplit("_", 1)[0] for name in ids]),
        table.select(f"d_{d}" for d in range(first, last + 1)).to_numpy(),
        final + timedelta(days=1),
        table.select(f"d_{d}" for d in range(last + 1, LAST_DAY + 1)).to_numpy()
        if evaluate
        else np.zeros((len(ids), 0)),
        first,
        # the days kept apart are among those by state: taste must not see them
        np.ones((len(ids), 3)) if evaluate else table.select("CA", "TX", "WI").to_numpy().astype(float),
    )
