"""Question: does `meio forecast` beat seasonal-naive forecasts, and AutoETS with conformal intervals?

    python experiments/forecast_calibration.py --data ../shared/data --out experiments/results/forecast.json

Three kinds of sales, each from rolling origins: `m5`, days of one store's food items (docs/us_network.md says whose);
`vn2`, weeks of the VN2 competition's history, with its in-stock flags (periods out of stock are neither learnt as
demand nor judged); `parts`, made monthly sales of slow spare parts (few sales, sizes of one to some, rates that wander
and fall, one part in seven given up).

Contenders: `meio` (what the command writes), `seasonal_naive` (last week, or the same time last year, plus its own past
errors by random draws), `auto_ets` (statsforecast's AutoETS with conformal intervals; its seasons end at 24 periods, so
the weeks of a year are beyond it), `bootstrap` (pieces of the past). AutoETS takes seconds a series and is run on every
`ets_every`-th; its loss is compared on those. Loss: pinball loss, mean of seven quantiles, of single periods and of
the sum over the horizon (paths only). Bias: total foretold over total sold.

The constants of the method were set on other items and days of `m5`, on `vn2` itself (the competition's own weeks are
kept apart), and on parts made from other seeds.
"""

from __future__ import annotations

import datetime
import json
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer
from provenance import provenance
from statsforecast import StatsForecast
from statsforecast.models import AutoETS
from statsforecast.utils import ConformalIntervals

from meio_jax.forecast.bootstrap import block_paths
from meio_jax.forecast.judge import BASELINE_BLOCK, LEVELS
from meio_jax.forecast.model import fit, learn
from meio_jax.forecast.panel import Calendar, Panel, make_panel
from meio_jax.forecast.paths import draw, generator
from meio_jax.tables.periods import PeriodLength, period_date

PATHS = 400
COVERED = (0.5, 0.8, 0.95)
SEASON: dict[PeriodLength, int] = {"day": 7, "week": 52, "month": 12}
MOST_SEASON = 24


@dataclass(frozen=True)
class Sales:
    """Recorded sales `[items, periods]`, where they are demand, the first day, and how they are judged."""

    name: str
    period: PeriodLength
    units: np.ndarray
    available: np.ndarray
    start: datetime.date
    history: int
    horizon: int
    origins: tuple[int, ...]
    ets_every: int

    def panel(self, origin: int) -> Panel:
        """What was known at an origin."""
        first = max(0, origin - self.history)
        calendar = Calendar(self.period, period_date(self.start, origin, self.period), origin - first, self.horizon)
        names = [f"{self.name}{at}" for at in range(len(self.units))]
        return make_panel(names, self.units[:, first:origin], self.available[:, first:origin], calendar)


def m5(folder: Path, items: int) -> Sales:
    """Items and days that no constant was set on."""
    frame = pl.read_parquet(folder / "us" / "daily_units_823_items_1969_days.parquet")
    units = frame.select([f"d_{day}" for day in range(1, 1970)]).to_numpy().astype(float)
    tuned = set(np.linspace(0, len(units) - 1, 150).astype(int).tolist())
    fresh = [at for at in range(len(units)) if at not in tuned]
    units = units[fresh[:: max(len(fresh) // items, 1)][:items]]
    first = pl.read_csv(folder / "us" / "calendar.csv")["date"][0]
    start = datetime.date.fromisoformat(str(first)[:10])
    return Sales("m5", "day", units, np.ones(units.shape, bool), start, 1098, 28, tuple(range(1241, 1942, 140)), 6)


def vn2(folder: Path) -> Sales:
    """All store-products of the competition."""
    sales, stock = (
        pl.read_csv(folder / "vn2" / f"{name}.csv").drop("Store", "Product") for name in ("sales", "in_stock")
    )
    available = stock.select(pl.all().cast(pl.String).str.to_lowercase() == "true").to_numpy()
    start = datetime.date.fromisoformat(sales.columns[0][:10])
    return Sales("vn2", "week", sales.to_numpy().astype(float), available, start, 157, 8, tuple(range(85, 150, 8)), 6)


def parts(items: int, periods: int = 63, seed: int = 17) -> Sales:
    """Made sales of spare parts: sold in few months, a few at a time, less and less, some given up."""
    rng = np.random.default_rng(seed)
    often, size = rng.beta(1.2, 4, (items, 1)), 1 + rng.gamma(1, 1, (items, 1))
    level = np.exp(np.cumsum(rng.normal(-0.01, 0.08, (items, periods)), 1))
    given_up = np.where(rng.random((items, 1)) < 0.15, rng.integers(20, periods, (items, 1)), periods)
    sold = rng.random((items, periods)) < np.clip(often * level * (np.arange(periods) < given_up), 0, 1)
    units = sold * (1.0 + rng.poisson(np.broadcast_to(size - 1, sold.shape)))
    start = datetime.date(2019, 1, 1)
    return Sales("parts", "month", units, np.ones(units.shape, bool), start, 63, 6, (39, 45, 51, 57), 6)


def _meio(panel: Panel) -> np.ndarray:
    found = fit(panel, learn(panel))
    return np.stack([draw(found, at, PATHS, generator(0, name)) for at, name in enumerate(panel.names)])


def _naive(panel: Panel) -> np.ndarray:
    """The season before, plus errors that it made before."""
    calendar = panel.calendar
    season = min(SEASON[calendar.length], calendar.past // 2)
    ahead = calendar.past - season + np.arange(calendar.horizon) % season
    count = min(4 * season, calendar.past - season)
    error = panel.units[:, -count:] - panel.units[:, -count - season : -season]
    drawn = error[:, np.random.default_rng(0).integers(0, count, (PATHS, calendar.horizon))]
    return np.maximum(panel.units[:, None, ahead] + drawn, 0)


def _bootstrap(panel: Panel) -> np.ndarray:
    calendar, rng = panel.calendar, np.random.default_rng(0)
    block = BASELINE_BLOCK[calendar.length]
    pasts = [units[known] if known.any() else units for units, known in zip(panel.units, panel.known, strict=True)]
    return np.stack([block_paths(past, calendar.horizon, PATHS, rng, block, calendar.cycle) for past in pasts])


def _auto_ets(panel: Panel, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles `[levels, items, horizon]` and point forecasts of some items."""
    calendar = panel.calendar
    # Too short for a season, or too long a season: smoothed without one.
    long_enough = int(panel.known[items].sum(1).min()) >= 3 * calendar.horizon + 3 * SEASON[calendar.length]
    season = SEASON[calendar.length] if SEASON[calendar.length] <= MOST_SEASON and long_enough else 1
    rows = [
        (panel.names[at], period, units)
        for at in items
        for period, units in enumerate(panel.units[at][np.argmax(panel.known[at]) :])
    ]
    frame = pl.DataFrame(rows, ["unique_id", "ds", "y"], orient="row").to_pandas()
    intervals = ConformalIntervals(h=calendar.horizon, n_windows=3)
    model = AutoETS(season_length=season, prediction_intervals=intervals)
    models = StatsForecast([model], freq=1, n_jobs=1)
    found = pl.from_pandas(models.forecast(df=frame, h=calendar.horizon, level=[50, 80, 90]))
    sides = ("lo-90", "lo-80", "lo-50", "", "hi-50", "hi-80", "hi-90")
    order = {panel.names[at]: number for number, at in enumerate(items)}
    found = found.sort(pl.col("unique_id").replace_strict(order), "ds", maintain_order=True)
    tables = [found[f"AutoETS-{side}" if side else "AutoETS"].to_numpy().reshape(len(items), -1) for side in sides]
    return np.maximum(np.stack(tables), 0), np.maximum(tables[3], 0)


def _loss(quantiles: np.ndarray, truth: np.ndarray) -> np.ndarray:
    levels = np.asarray(LEVELS).reshape(-1, *[1] * truth.ndim)
    error = truth - quantiles
    return np.maximum(levels * error, (levels - 1) * error).mean(0)


def _quantiles(paths: np.ndarray) -> np.ndarray:
    return np.quantile(paths, LEVELS, axis=1, method="inverted_cdf")


def _judged(paths: np.ndarray, truth: np.ndarray, known: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Figures by item: loss of periods and of the sum, foretold, and whether the sum lay in the central intervals."""
    total, sums = np.where(known, truth, 0).sum(1), np.where(known[:, None], paths, 0).sum(2)
    below, at_most = (sums < total[:, None]).mean(1), (sums <= total[:, None]).mean(1)
    away = np.abs(below + rng.random(len(below)) * (at_most - below) - 0.5)
    return {
        "loss": np.where(known, _loss(_quantiles(paths), truth), 0).sum(1),
        "sum_loss": _loss(_quantiles(sums), total),
        "foretold": sums.mean(1),
        **{f"inside_{int(100 * share)}": (away <= share / 2).astype(float) for share in COVERED},
    }


def rows_of(sales: Sales, origin: int) -> Iterator[pl.DataFrame]:
    """One row per item and contender."""
    panel = sales.panel(origin)
    sold_before = panel.known.sum(1) >= 3 * sales.horizon + 12
    truth, known = (one[:, origin : origin + sales.horizon] for one in (sales.units, sales.available))
    about = {"item": panel.names, "sold": np.where(known, truth, 0).sum(1), "kept": sold_before}
    rng = np.random.default_rng(origin)
    for contender, drawn in (("meio", _meio), ("seasonal_naive", _naive), ("bootstrap", _bootstrap)):
        begun = time.perf_counter()
        figures = _judged(drawn(panel), truth, known, rng)
        seconds = (time.perf_counter() - begun) / len(panel.names)
        yield pl.DataFrame({**about, **figures}).with_columns(contender=pl.lit(contender), seconds=seconds)
    some = np.flatnonzero(sold_before)[:: sales.ets_every]
    begun = time.perf_counter()
    quantiles, point = _auto_ets(panel, some)
    seconds = (time.perf_counter() - begun) / some.size
    yield pl.DataFrame(
        {
            "item": [panel.names[at] for at in some],
            "sold": about["sold"][some],
            "kept": sold_before[some],
            "loss": np.where(known[some], _loss(quantiles, truth[some]), 0).sum(1),
            "foretold": np.where(known[some], point, 0).sum(1),
        }
    ).with_columns(contender=pl.lit("auto_ets"), seconds=seconds)


def table(frame: pl.DataFrame) -> pl.DataFrame:
    """Figures by data set and contender; loss of `meio` on the same items and origins beside each."""
    ours = frame.filter(contender="meio").select("data", "origin", "item", "loss", "sum_loss")
    both = frame.join(ours, on=["data", "origin", "item"], suffix="_meio")
    inside = [f"inside_{int(100 * share)}" for share in COVERED]
    found = both.group_by("data", "contender", maintain_order=True).agg(
        pl.len().alias("forecasts"),
        pl.col("loss").mean().round(4),
        pl.col("sum_loss").mean().round(4),
        (100 * (pl.col("loss_meio").sum() / pl.col("loss").sum() - 1)).round(2).alias("meio_loss_pct"),
        pl.when(pl.col("sum_loss").count() > 0)
        .then((100 * (pl.col("sum_loss_meio").sum() / pl.col("sum_loss").sum() - 1)).round(2))
        .alias("meio_sum_loss_pct"),
        (100 * (pl.col("foretold").sum() / pl.col("sold").sum() - 1)).round(2).alias("bias_pct"),
        *(pl.col(name).mean().round(3) for name in inside),
        pl.col("seconds").mean().round(5),
    )
    return found


def main(
    data: Annotated[Path, typer.Option(help="folder that holds us/ and vn2/")],
    out: Annotated[Path, typer.Option(help="JSON file to write")],
    items: Annotated[int, typer.Option(help="items of m5 and of parts")] = 150,
) -> None:
    """Judge every contender from every origin."""
    warnings.filterwarnings("ignore")
    started, frames, origins = time.perf_counter(), [], {}
    for sales in (m5(data, items), vn2(data), parts(2 * items)):
        origins[sales.name] = {"items": len(sales.units), "origins": sales.origins, "horizon": sales.horizon}
        for origin in sales.origins:
            for rows in rows_of(sales, origin):
                named = rows.with_columns(data=pl.lit(sales.name), origin=pl.lit(origin))
                frames.append(named.filter("kept"))
            print(f"{sales.name} from {origin}: {time.perf_counter() - started:.0f} s", flush=True)
    frame = pl.concat(frames, how="diagonal")
    found = table(frame)
    by_origin = table(frame.with_columns(pl.format("{} {}", "data", "origin").alias("data")))
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=250):
        print(found)
    command = f"python experiments/forecast_calibration.py --data {data} --out {out} --items {items}"
    about = {"command": command, "date": time.strftime("%Y-%m-%d"), **provenance()}
    seconds = round(time.perf_counter() - started, 1)
    bias = by_origin.filter(contender="meio").select("data", "bias_pct").to_dicts()
    content = {**about, "data": origins, "paths": PATHS, "seconds": seconds, "rows": found.to_dicts()}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({**content, "meio_bias_by_origin": bias}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
