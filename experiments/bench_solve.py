"""Question: how do steps, time and memory of a solve grow with the catalog, cold and warm?

    python experiments/bench_solve.py --out experiments/results/bench_solve.json

Generated catalogs of 1,000, 10,000 and 100,000 items are solved to tolerance, each by `meio solve` in a process of its
own: cold, and then warm on the next day's instance (forecasts revised by 5 %, 2 % of the items new, 2 % gone, a node
with 10 % less capacity; docs/reruns.md has cold solves of such days beside them). The network is small (4 nodes, 3
regions, 2 speeds, 2 weeks), so that the largest catalog ends in minutes on two cores; `step_ns` is the time of a step
per item, scenario and period, which for other networks follows docs/performance.md. Step times are medians, without
the first step, which compiles. The exponent is the slope of the logarithm of seconds over that of the items.

Beside them some steps of the real-data US instance (configs/us_full.yaml), for its step time and memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import polars as pl
import typer
import yaml
from provenance import provenance
from rich.console import Console
from rich.table import Table

from meio_jax.config import load_config
from meio_jax.generate import GenerateOptions, generate_instance
from meio_jax.generate.next_day import NextDay, next_day
from meio_jax.planner import per_step
from meio_jax.tables import read_instance
from meio_jax.tables.write import write_instance

HOME = Path(__file__).parents[1]
SIZES = (1_000, 10_000, 100_000)
PERIODS, PER_STEP = 14, 4
NETWORK: dict[str, Any] = {
    "nodes_per_tier": (1, 2, 1), "regions": 3, "speeds": 2, "waves": 1, "periods": PERIODS, "vendors": 20,
}  # fmt: skip
SETTINGS: dict[str, Any] = {
    "scenarios": {"train": 4096, "per_step": PER_STEP, "holdout": 64, "clairvoyant": 0, "store_gib": 0.0},
    "fulfilment": {"rounds": 3},
}


@dataclass(frozen=True)
class Row:
    """A solve. Seconds: whole command, search, one step (median); `step_ns` per item, scenario and period."""

    instance: str
    items: int
    start: str
    exit_status: int
    result: str
    steps: int
    wall_s: float
    search_s: float
    step_s: float
    step_ns: float
    peak_mib: int
    violation_pct: float
    gap_pct: float


def solve(name: str, config: dict[str, Any], folder: Path, warm: Path | None = None) -> tuple[Row, Path]:
    """Run `meio solve` in a process of its own and read what it left."""
    start = "cold" if warm is None else "warm"
    run = folder / f"run-{name}-{start}"
    path = folder / f"{name}-{start}.yaml"
    path.write_text(yaml.safe_dump({**config, "run": str(run)}), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("meio")), "solve", str(path), "--quiet"]
    if warm is not None:
        command += ["--warm-start", str(warm)]
    begun = time.perf_counter()
    # Programs compiled for the cold solve are there for the warm one, as they are every day; none are at first.
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(folder / "programs")}
    process = subprocess.Popen(command, cwd=HOME, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - begun
    if not (run / "certificate.json").exists():
        raise SystemExit(f"{name}, {start}: status {process.returncode} and no certificate")
    certificate = json.loads((run / "certificate.json").read_text(encoding="utf-8"))
    about = json.loads((run / "instance.json").read_text(encoding="utf-8"))
    seconds = pl.read_parquet(run / "metrics.parquet")["seconds"].to_numpy()
    step = float(np.median(np.diff(seconds))) if seconds.size > 1 else float(seconds[0])
    settings = load_config(path)
    periods = yaml.safe_load((HOME / settings.instance.path / "instance.yaml").read_text(encoding="utf-8"))["periods"]
    draws = about["items"] * per_step(settings) * periods
    row = Row(
        instance=name,
        items=about["items"],
        start=start,
        exit_status=process.returncode,
        result=certificate["result"],
        steps=certificate["steps"],
        wall_s=wall,
        search_s=float(seconds[-1]),
        step_s=step,
        step_ns=1e9 * step / draws,
        peak_mib=used.ru_maxrss // 1024,
        violation_pct=100 * certificate["largest_violation"],
        gap_pct=100 * certificate["coupling_gap"],
    )
    return row, run


def catalog_rows(items: int, folder: Path) -> list[Row]:
    """Cold, and the next day warm."""
    today, tomorrow = folder / f"{items}", folder / f"{items}-next"
    generate_instance(GenerateOptions(items=items, **NETWORK), today)
    write_instance(next_day(read_instance(today), NextDay(revision=0.05)), tomorrow)
    of = lambda instance: {**SETTINGS, "instance": {"path": str(instance)}}
    first, run = solve(f"generated {items:,}", of(today), folder)
    warm, _ = solve(f"generated {items:,}, next day", of(tomorrow), folder, run)
    return [first, warm]


def us_full_row(steps: int, folder: Path) -> Row:
    """Some steps of the real-data instance, with its own settings otherwise."""
    config = {
        "base": str(HOME / "configs" / "us_full.yaml"),
        "solve": {"max_steps": steps, "min_steps": steps},
    }
    return solve("us_full", config, folder)[0]


def fitted_exponent(rows: list[Row]) -> dict[str, float]:
    """Slope of log seconds by log items: of all steps, and of the whole command."""
    cold = [
        row
        for row in rows
        if row.start == "cold" and row.instance.startswith("generated") and "next" not in row.instance
    ]
    items = np.log([row.items for row in cold])
    slope = lambda seconds: float(np.polyfit(items, np.log(seconds), 1)[0])
    return {
        "step": slope([row.step_s for row in cold]),
        "steps": slope([row.step_s * row.steps for row in cold]),
        "command": slope([row.wall_s for row in cold]),
    }


def show(rows: list[Row]) -> Table:
    """The rows as a table."""
    table = Table(*Row.__dataclass_fields__)
    for row in rows:
        table.add_row(*(f"{v:.3g}" if isinstance(v, float) else str(v) for v in asdict(row).values()))
    return table


def main(
    out: Annotated[Path | None, typer.Option(help="JSON file of the results.")] = None,
    items: Annotated[list[int] | None, typer.Option(help="Catalog sizes; default 1,000, 10,000, 100,000.")] = None,
    us_full_steps: Annotated[int, typer.Option(help="Steps of the real-data instance; 0: leave it out.")] = 3,
) -> None:
    console, rows = Console(width=200), []
    with TemporaryDirectory() as name:
        folder = Path(name)
        for size in items or SIZES:
            rows += catalog_rows(size, folder)
            console.print(show(rows[-2:]))
        if us_full_steps:
            rows.append(us_full_row(us_full_steps, folder))
    command = " ".join(["python", "experiments/bench_solve.py", *sys.argv[1:]])
    about = {"command": command, "date": time.strftime("%Y-%m-%d"), **provenance()}
    report: dict[str, Any] = {**about, "rows": [asdict(row) for row in rows]}
    if len(items or SIZES) > 1:
        report["exponent"] = fitted_exponent(rows)
    console.print(show(rows))
    console.print({"exponent": report.get("exponent")})
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
