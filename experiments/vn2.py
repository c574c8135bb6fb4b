"""Question: what would our orders have cost in the VN2 Inventory Planning Challenge (2025), week by week?

    python experiments/vn2.py --data ../shared/data/vn2 --out experiments/results/vn2.json

599 store-products, weekly; after a week is seen an order is placed that arrives three weeks later; a lost sale costs
1.0, a unit left at the end of a week 0.2 (`vn2_parts/rules.py`). Windows of eight weeks, six of which orders reach, are
played within the recorded history, from weeks 85, 93, ..., 149. Demand is what was recorded; every window starts from
the stock that the official benchmark would have left, the same for all. Forecasts after a week are made of the weeks up
to it.

Policies: `benchmark` (the official one), `order_up_to` (position to the critical quantile of three weeks' demand),
`projected_mean` (expected stock at arrival by mean sales), `projected_level` (by sample paths with lost sales),
`least_cost` (least expected cost on the paths) and `blended` (mean of two rules of those kinds, whose two quantiles
were set on these windows); all but the first with the sample paths of `meio forecast`. `clairvoyant` knows all sales.

With `--competition DIR` the eight weeks of the competition are played from its own initial state: DIR holds CSV files
like `sales.csv` (and, if any, `in_stock.csv`) whose week columns after the history are those weeks. Known scores of
weeks 3 to 8: official benchmark 4,334.0, winner 3,763, clairvoyant 333.
"""

from __future__ import annotations

import datetime
import json
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer
from provenance import provenance
from vn2_parts import policies
from vn2_parts.forecasts import Forecasts
from vn2_parts.rules import WEEKS, Policy, State, clairvoyant, play, state_before

ORIGINS = tuple(range(85, 150, WEEKS))
KEYS = ["Store", "Product"]
OURS = ("least_cost", "blended")


def _weeks(path: Path) -> pl.DataFrame:
    return pl.read_csv(path).sort(KEYS)


def _flags(frame: pl.DataFrame) -> np.ndarray:
    return frame.drop(KEYS).select(pl.all().cast(pl.String).str.to_lowercase() == "true").to_numpy()


def read(data: Path, competition: Path | None) -> tuple[Forecasts, int]:
    """Sales and flags, with the competition's weeks after the history where they are given; weeks of the history."""
    sales, stock = _weeks(data / "sales.csv"), _weeks(data / "in_stock.csv")
    history = sales.width - len(KEYS)
    last = sales.columns[-1][:10]
    for path in sorted(competition.glob("*.csv")) if competition is not None else ():
        frame = _weeks(path)
        flags = "stock" in path.stem.lower()
        if not flags and "sales" not in path.stem.lower():
            continue
        target = stock if flags else sales
        later = [
            name for name in frame.columns if name[:10] > last and name[:4].isdigit() and name not in target.columns
        ]
        joined = target.join(frame.select(*KEYS, *later), on=KEYS, how="left", maintain_order="left")
        sales, stock = (sales, joined) if flags else (joined, stock)
    available = np.ones((sales.height, sales.width - len(KEYS)), bool)
    flags_known = _flags(stock)
    available[:, : flags_known.shape[1]] = flags_known
    start = datetime.date.fromisoformat(sales.columns[len(KEYS)][:10])
    return Forecasts(sales.drop(KEYS).to_numpy().astype(float), available, start), history


def first_state(data: Path) -> State:
    """The competition's state after the last week of the history."""
    frame = _weeks(data / "initial_state.csv")
    due = tuple(frame[f"In Transit W+{week}"].to_numpy().astype(float) for week in (1, 2))
    return State(frame["End Inventory"].to_numpy().astype(float), (due[0], due[1]))


def contenders(forecasts: Forecasts) -> dict[str, Policy]:
    """All policies of a window."""
    paths = forecasts.paths()
    ways = (
        policies.order_up_to,
        policies.projected_mean,
        policies.projected_level,
        policies.least_cost,
        policies.blended,
    )
    return {"benchmark": policies.benchmark, **{make.__name__: make(paths) for make in ways}}


def window(forecasts: Forecasts, origin: int, state: State) -> dict[str, dict[str, float]]:
    """Costs of every policy in one window: all, of lost sales and of stock, in the weeks that orders reach."""
    sales, in_stock = forecasts.sales, forecasts.in_stock
    rows = {}
    for name, policy in contenders(forecasts).items():
        played = play(sales, in_stock, origin, state, policy)
        rows[name] = {"cost": played.cost, "lost": float(played.lost[2:].sum()), "held": float(played.held[2:].sum())}
    rows["clairvoyant"] = {"cost": clairvoyant(sales, origin, state)}
    return rows


def summary(windows: dict[int, dict[str, dict[str, float]]]) -> list[dict]:
    """Mean cost by policy, and on how many windows ours cost less, paired."""
    names = next(iter(windows.values())).keys()
    cost = {name: np.asarray([rows[name]["cost"] for rows in windows.values()]) for name in names}
    return [
        {
            "policy": name,
            "mean": round(float(own.mean()), 1),
            "by_window": [round(float(value), 1) for value in own],
            **{f"{ours}_below": int((cost[ours] < own).sum()) for ours in OURS},
            **{f"{ours}_pct": round(100 * float(cost[ours].sum() / own.sum() - 1), 2) for ours in OURS},
        }
        for name, own in cost.items()
    ]


def main(
    data: Annotated[Path, typer.Option(help="folder of the competition's history")],
    out: Annotated[Path, typer.Option(help="JSON file to write")],
    competition: Annotated[Path | None, typer.Option(help="folder of the competition's eight weeks")] = None,
) -> None:
    """Play every window, or the competition's."""
    begun = time.perf_counter()
    forecasts, history = read(data, competition)
    windows = {}
    for origin in ORIGINS if competition is None else (history,):
        state = state_before(forecasts.sales, forecasts.in_stock, origin, policies.benchmark)
        windows[origin] = window(forecasts, origin, state if competition is None else first_state(data))
        told = {name: round(row["cost"]) for name, row in windows[origin].items()}
        print(f"from week {origin}, after {time.perf_counter() - begun:.0f} s: {told}", flush=True)
    table = summary(windows)
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=200):
        print(pl.DataFrame(table).drop("by_window"))
    command = f"python experiments/vn2.py --data {data} --out {out}"
    command += "" if competition is None else f" --competition {competition}"
    content = {
        "command": command,
        "date": time.strftime("%Y-%m-%d"),
        **provenance(),
        "seconds": round(time.perf_counter() - begun, 1),
        "origins": list(windows),
        "table": table,
        "windows": {str(origin): rows for origin, rows in windows.items()},
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
