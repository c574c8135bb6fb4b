"""Question: how well do the sample paths of `meio forecast` fit sales that came later, and do simpler ways fit as well?

    python experiments/forecast_calibration.py --data ../shared/data/us --out experiments/results/forecast.json

Daily sales of one store, 823 items (docs/us_network.md says whose). From each of several days, 364 days of history are
forecast and the 28 days after are judged. Contenders: `meio` (what the command writes), `model` and `blocks` (its two
parts alone), `bootstrap_7` (blocks of a week: what an instance with a forecast of form `history` draws), `auto_ets`
(statsforecast's AutoETS for whatever item, 100 of its own simulated paths, rounded and cut off at zero; every fourth
item, since simulation is slow there). Losses in per cent are against `bootstrap_7` on the same items and days.

The constants of the method were set on the four months before the last day (origins "tuned"), so other months
(origins "fresh") are what counts.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer
from provenance import provenance
from statsforecast import models

from meio_jax.forecast.classes import CLASSES
from meio_jax.forecast.judge import COVERED, pinball, places
from meio_jax.forecast.paths import ItemForecast, block_paths, draw, forecast_item, generator

HISTORY, HORIZON, PATHS = 364, 28, 200
LAST = 1969
TUNED = tuple(LAST - 28 * back for back in range(1, 5))
FRESH = tuple(LAST - 28 * back for back in range(5, 41, 6))
MEANS = [
    f"{span}_{what}" for span in ("day", "sum") for what in ("pinball", *(f"inside_{int(100 * c)}" for c in COVERED))
]


def _model_alone(found: ItemForecast, rng: np.random.Generator) -> np.ndarray:
    """The paths that follow the model: four of every six."""
    paths = draw(found, PATHS * 3 // 2, rng)
    return paths[np.isin(np.arange(len(paths)) % 6, (0, 1, 2, 3))]


def _auto_ets(found: ItemForecast, rng: np.random.Generator) -> np.ndarray:
    model = models.AutoETS(season_length=7, model="ZNA")
    paths = model.simulate(h=HORIZON, n_paths=PATHS // 2, y=found.units, seed=int(rng.integers(2**31)))
    return np.rint(np.maximum(paths, 0))


CONTENDERS: dict[str, Callable[[ItemForecast, np.random.Generator], np.ndarray]] = {
    "meio": lambda found, rng: draw(found, PATHS, rng),
    "model": _model_alone,
    "blocks": lambda found, rng: block_paths(found.units, HORIZON, PATHS, rng),
    "bootstrap_7": lambda found, rng: block_paths(found.units, HORIZON, PATHS, rng, 7),
    "auto_ets": _auto_ets,
}


def judged(paths: np.ndarray, truth: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """Pinball loss, and the share of days (and whether the sum) lay inside each central interval."""
    row: dict[str, float] = {}
    total = truth.sum(keepdims=True)
    for span, own, true in (("day", paths, truth), ("sum", paths.sum(1, keepdims=True), total)):
        row[f"{span}_pinball"] = pinball(own, true)
        away = np.abs(places(own, true, rng) - 0.5)
        row |= {f"{span}_inside_{int(100 * share)}": float(np.mean(away <= share / 2)) for share in COVERED}
    return row


def rows_of(units: np.ndarray, names: list[str], origin: int, group: str) -> Iterator[dict]:
    """One row per item and contender, from a day on."""
    for number, (name, own) in enumerate(zip(names, units, strict=True)):
        past, truth = own[origin - HISTORY : origin], own[origin : origin + HORIZON]
        started = np.flatnonzero(own[:origin])
        # Before its first sale an item was not on the shelf.
        past = past[max(0, (started[0] if started.size else origin) - (origin - HISTORY)) :]
        if past.size < 2 * HORIZON:
            continue
        found = forecast_item(past, HORIZON)
        for contender, drawn in CONTENDERS.items():
            if contender == "auto_ets" and number % 4:
                continue
            rng = generator(0, name, f"{contender} {origin}")
            begun = time.perf_counter()
            paths = drawn(found, rng)
            seconds = time.perf_counter() - begun
            about = {"group": group, "origin": origin, "class": found.kind, "contender": contender, "item": name}
            yield {**about, "seconds": seconds, **judged(paths, truth, rng)}


def table(frame: pl.DataFrame) -> pl.DataFrame:
    """Means by group of origins, class (and all) and contender; loss also against the weekly bootstrap."""
    losses = [f"{span}_pinball" for span in ("day", "sum")]
    base = frame.filter(contender="bootstrap_7").select("origin", "item", pl.col(losses).name.suffix("_base"))
    both = frame.join(base, on=["origin", "item"])
    both = pl.concat([both, both.with_columns(pl.lit("all").alias("class"))])
    found = both.group_by("group", "class", "contender").agg(
        pl.len().alias("forecasts"),
        *(pl.col(name).mean().round(4) for name in MEANS),
        *((100 * (pl.col(one).sum() / pl.col(f"{one}_base").sum() - 1)).round(2).alias(f"{one}_pct") for one in losses),
        pl.col("seconds").mean().round(5),
    )
    order = {name: at for at, name in enumerate((*CLASSES, "all"))}
    rank = {name: at for at, name in enumerate(CONTENDERS)}
    return found.sort("group", pl.col("class").replace_strict(order), pl.col("contender").replace_strict(rank))


def main(
    data: Annotated[Path, typer.Option(help="folder of the real US data")],
    out: Annotated[Path, typer.Option(help="JSON file to write")],
    items: Annotated[int, typer.Option(help="items to take; 0: all")] = 0,
) -> None:
    """Judge every contender from every day."""
    warnings.filterwarnings("ignore")
    frame = pl.read_parquet(data / "daily_units_823_items_1969_days.parquet")
    frame = frame.head(items) if items else frame
    units = frame.select([f"d_{day}" for day in range(1, LAST + 1)]).to_numpy().astype(np.float64)
    names = frame["item_id"].to_list()
    started, rows = time.perf_counter(), []
    for group, origins in (("fresh", FRESH), ("tuned", TUNED)):
        for origin in origins:
            rows += rows_of(units, names, origin, group)
            print(f"{group} day {origin}: {time.perf_counter() - started:.0f} s", flush=True)
    found = table(pl.DataFrame(rows))
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=250):
        print(found)
    command = f"python experiments/forecast_calibration.py --data {data} --out {out}" + f" --items {items}" * bool(
        items
    )
    about = {"command": command, "date": time.strftime("%Y-%m-%d"), **provenance()}
    setting = {
        "items": len(names),
        "history": HISTORY,
        "horizon": HORIZON,
        "paths": PATHS,
        "fresh": FRESH,
        "tuned": TUNED,
    }
    seconds = round(time.perf_counter() - started, 1)
    content = {**about, **setting, "seconds": seconds, "rows": found.to_dicts()}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
