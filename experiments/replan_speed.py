"""Question: how long does it take to plan items again at a run's prices, and how good are the new levels?

    python experiments/replan_speed.py --out experiments/results/replan.json runs/quickstart runs/us_small

Of every finished run: seconds to open it, of the first call (which compiles) and of further calls, for one item and
for a hundred, whose data are as in the run or whose forecast has changed. Then what the levels cost, capacity charges
included, on holdout scenarios that chose nothing: with the run's levels, with the new ones, and with those of a search
of many more steps.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer
from provenance import provenance
from rich.console import Console
from rich.table import Table

from meio_jax.replan import Replanned, Replanner, ReplanOptions
from meio_jax.runs.run import config_of_run, configure_jax
from meio_jax.tables.overlay import item_column

MANY, CALLS, LONG = 100, 9, 60
FACTORS = (0.7, 1.0, 1.3)


@dataclass(frozen=True)
class Speed:
    """Seconds of a call for some items: the first one, and of further ones the median and the longest."""

    run: str
    items: int
    change: str
    first_s: float
    median_s: float
    longest_s: float


@dataclass(frozen=True)
class Quality:
    """Cost of items with the run's levels and with others, in percent of it, on fresh scenarios; items that moved."""

    run: str
    change: str
    items: int
    cost_run: float
    new_pct: float
    long_pct: float
    moved: int
    target_pct: float
    warnings: int


class Cases:
    """Items of a run, and what changes about them."""

    def __init__(self, run: Path, seed: int) -> None:
        configure_jax(config_of_run(run))
        begun = time.perf_counter()
        self.replanner = Replanner(run)
        self.open_s = time.perf_counter() - begun
        self.name = run.name
        self._rng = np.random.default_rng(seed)
        folder = self.replanner.folder
        self._items = pl.read_parquet(folder / "items.parquet")["item_id"].to_list()
        self._forecast = pl.read_parquet(folder / "forecast.parquet")
        self._column = item_column("forecast", self.replanner.network.settings.forecast)

    def some(self, count: int) -> list[str]:
        return self._rng.choice(self._items, min(count, len(self._items)), replace=False).tolist()

    def changes(self, names: list[str], factor: float) -> dict[str, pl.DataFrame]:
        """The items with `factor` times their forecast; 1: named only."""
        if factor == 1:
            return {"items": pl.DataFrame({"item_id": names})}
        units = [name for name in self._forecast.columns if name in ("mean", "units") or name.startswith("q0")]
        mine = self._forecast.filter(pl.col(self._column).is_in(names))
        return {"forecast": mine.with_columns(pl.col(name) * factor for name in units)}


def clocked(call: Callable[[], Replanned]) -> float:
    """Seconds of a call, as its caller sees them."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def speeds(cases: Cases) -> list[Speed]:
    rows = []
    for count in (1, MANY):
        for change, factor in (("none", 1.0), ("forecast", 1.3)):
            wanted = [cases.changes(cases.some(count), factor) for _ in range(CALLS + 1)]
            first, *rest = (clocked(lambda one=one: cases.replanner.replan(one)) for one in wanted)
            rows.append(Speed(cases.name, count, change, first, statistics.median(rest), max(rest)))
    return rows


def quality(cases: Cases) -> list[Quality]:
    rows = []
    names = cases.some(MANY)
    for factor in FACTORS:
        changes = cases.changes(names, factor)
        new = cases.replanner.replan(changes, ReplanOptions(fresh=256))
        longer = cases.replanner.replan(changes, ReplanOptions(steps=LONG, fresh=256))
        cost = float(new.items["cost_before"].sum())
        part = lambda found, base=cost: 100 * (float(found.items["cost_after"].sum()) - base) / abs(base)
        moved = (new.items["cost_before"] != new.items["cost_after"]).sum()
        kept = pl.read_parquet(cases.replanner.run / "plan/targets.parquet")
        both = new.frames["plan/targets"].join(kept, on=["item_id", "node_id", "bucket"], suffix="_run")
        target = 100 * (both["target"].sum() / both["target_run"].sum() - 1)
        warned = len(new.warnings)
        rows.append(
            Quality(
                cases.name, f"forecast x {factor}", len(names), cost, part(new), part(longer), moved, target, warned
            )
        )
    return rows


def show(rows: list, title: str) -> Table:
    """Rows of one kind as a table."""
    table = Table(*asdict(rows[0]), title=title)
    for row in rows:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in asdict(row).values()))
    return table


def main(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs.")],
    out: Annotated[Path, typer.Option(help="JSON file of the results.")],
    seed: Annotated[int, typer.Option(help="Seed of the choice of items.")] = 0,
) -> None:
    found: list[Speed] = []
    good: list[Quality] = []
    opened = {}
    command = f"python experiments/replan_speed.py --out {out} " + " ".join(map(str, runs))
    about = {"command": command, "date": time.strftime("%Y-%m-%d"), **provenance()}
    out.parent.mkdir(parents=True, exist_ok=True)
    for run in runs:
        cases = Cases(run, seed)
        opened[cases.name] = cases.open_s
        for rows, more in ((found, speeds), (good, quality)):
            rows += more(cases)
            Console().print(show(rows, more.__name__))
            tables = {"speed": [asdict(row) for row in found], "quality": [asdict(row) for row in good]}
            out.write_text(json.dumps({**about, "open_s": opened, **tables}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
