"""Question: how much of a solve does a warm start from yesterday's run save?

    python experiments/warm_start.py --out experiments/results/warm_start.json

Instances of different shapes are solved. Then comes the next day: the calendar and the forecast move by a day, 2 % of
the items are new and 2 % gone, one node has 10 % less capacity, and stock, goods under way and review days are what a
day by the plan leaves. That day is solved from nothing and from the run of
the day before, by `meio solve` in processes of their own, with the same configuration and tolerances. Compiled programs
are kept from command to command, as they are every day: a solve that compiled something is made once more, and the
second time counts (`once_s`: seconds of the first). The table gives steps and seconds until the search met the
tolerances (with the loading of its first step, and without), seconds of the whole command, and what the certificate
says on holdout scenarios. Rows of other instances that the file already has are kept.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import polars as pl
import typer
import yaml
from provenance import provenance
from rich.console import Console
from rich.table import Table

from meio_jax.generate import GenerateOptions, generate_instance
from meio_jax.generate.next_day import NextDay, next_day
from meio_jax.tables import read_instance, write_instance

HOME = Path(__file__).parents[1]
_MEIO = [sys.executable, "-c", "from meio_jax.cli import main; main()"]

GENERATED: dict[str, dict[str, Any]] = {
    "local": {"shape": "local", "items": 1500, "nodes_per_tier": (1, 4, 2), "regions": 16, "speeds": 2, "seed": 12},
    "national": {"shape": "national", "items": 1500, "nodes_per_tier": (2, 5, 3), "regions": 8, "speeds": 3, "seed": 0},
    "global": {"shape": "global", "items": 1000, "nodes_per_tier": (3, 5, 3), "regions": 8, "speeds": 3, "seed": 0},
    "small": {
        "shape": "local",
        "items": 400,
        "nodes_per_tier": (1, 4, 2),
        "regions": 16,
        "speeds": 2,
        "seed": 12,
    },
}
# Node with less capacity; otherwise the first. Goods that are ordered already would fill the smaller dock of an import
# centre, which no plan can help.
SMALLER = {"local": "FC02", "small": "FC02", "global": "FC02"}
SETTINGS: dict[str, Any] = {"scenarios": {"holdout": 512, "clairvoyant": 0}, "fulfilment": {"rounds": 3}}


@dataclass(frozen=True)
class Solved:
    """One solve: exit status, steps, seconds of the search with and without its first step, of the whole command.

    `once_s` is the whole command where its programs are not compiled yet.
    """

    exit_status: int
    steps: int
    search_s: float
    steps_s: float
    command_s: float
    once_s: float
    violation_pct: float
    gap_pct: float
    cost: float
    report: str


@dataclass(frozen=True)
class Day:
    """The next day from nothing and from the run of the day before, and the shares that are left."""

    instance: str
    first_day: Solved
    cold: Solved
    warm: Solved
    steps_share: float
    search_share: float
    steps_time_share: float
    command_share: float


def prepared(name: str, home: Path) -> dict[str, Any]:
    """Write today's instance and give the configuration without a run folder."""
    generate_instance(GenerateOptions(periods=28, waves=2, **GENERATED[name]), home / "today")
    return {**SETTINGS, "instance": {"path": str(home / "today")}}


def solve(config: dict[str, Any], instance: Path, run: Path, warm: Path | None = None, *, kept: bool = True) -> Solved:
    """Run `meio solve` and read what it left; with `kept`, once more if it had to compile programs."""
    path = run.with_suffix(".yaml")
    path.write_text(yaml.safe_dump({**config, "instance": {"path": str(instance)}, "run": str(run)}), encoding="utf-8")
    words = [*_MEIO, "solve", str(path), *([] if warm is None else ["--warm-start", str(warm)])]
    programs = run.parent / "programs"
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(programs)}
    seconds, known = [], -1
    while not seconds or (kept and len(seconds) < 2 and known != len(list(programs.glob("*-cache")))):
        known = len(list(programs.glob("*-cache")))
        shutil.rmtree(run, ignore_errors=True)
        begun = time.perf_counter()
        done = subprocess.run(words, cwd=HOME, env=environment, capture_output=True, text=True, check=False)
        seconds.append(time.perf_counter() - begun)
    if not (run / "certificate.json").exists():
        raise SystemExit(f"{path}: status {done.returncode}\n{done.stderr[-2000:]}")
    certificate = json.loads((run / "certificate.json").read_text(encoding="utf-8"))
    clock = pl.read_parquet(run / "metrics.parquet")["seconds"]
    said = [line.split(": ", 1)[-1] for line in done.stderr.splitlines() if "warm start from" in line]
    return Solved(
        exit_status=done.returncode,
        steps=certificate["steps"],
        search_s=clock[-1],
        steps_s=clock[-1] - clock[0],
        command_s=seconds[-1],
        once_s=seconds[0],
        violation_pct=100 * certificate["largest_violation"],
        gap_pct=100 * certificate["coupling_gap"],
        cost=certificate["holdout_cost"],
        report=said[0] if said else "",
    )


def day(name: str, home: Path) -> Day:
    """Solve today, and tomorrow twice."""
    config = prepared(name, home)
    today, tomorrow = home / "today", home / "tomorrow"
    first = solve(config, today, home / "first", kept=False)
    plan = {name: pl.read_parquet(home / f"first/plan/{name}.parquet") for name in ("orders", "transfers", "expected")}
    write_instance(next_day(read_instance(today), NextDay(node=SMALLER.get(name)), plan), tomorrow)
    cold = solve(config, tomorrow, home / "cold")
    warm = solve(config, tomorrow, home / "warm", home / "first")
    return Day(
        instance=name,
        first_day=first,
        cold=cold,
        warm=warm,
        steps_share=warm.steps / cold.steps,
        search_share=warm.search_s / cold.search_s,
        steps_time_share=warm.steps_s / cold.steps_s,
        command_share=warm.command_s / cold.command_s,
    )


def show(rows: list[dict[str, Any]]) -> Table:
    """The rows as a table: of every pair the cold and the warm figure."""
    table = Table("instance", "steps", "search s", "after step 1 s", "command s", "violation %", "gap %", "cost")
    for row in rows:
        pair = lambda key, form, row=row: " / ".join(format(row[side][key], form) for side in ("cold", "warm"))
        table.add_row(
            row["instance"],
            f"{pair('steps', 'd')} ({row['steps_share']:.0%})",
            f"{pair('search_s', '.1f')} ({row['search_share']:.0%})",
            f"{pair('steps_s', '.1f')} ({row['steps_time_share']:.0%})",
            f"{pair('command_s', '.1f')} ({row['command_share']:.0%})",
            pair("violation_pct", ".3f"),
            pair("gap_pct", ".3f"),
            pair("cost", ",.0f"),
        )
    return table


def main(
    out: Annotated[Path, typer.Option(help="JSON file of the results.")],
    names: Annotated[list[str] | None, typer.Argument(help="Instances; default all.")] = None,
) -> None:
    wanted = names or list(GENERATED)
    kept = json.loads(out.read_text(encoding="utf-8"))["days"] if out.exists() else []
    rows = {row["instance"]: row for row in kept}
    for name in wanted:
        with TemporaryDirectory() as folder:
            rows[name] = asdict(day(name, Path(folder)))
        rows[name]["warm"]["report"] = rows[name]["warm"]["report"].split(": ", 1)[-1]
        Console(width=160).print(show([rows[name]]))
        print(rows[name]["warm"]["report"], flush=True)
        command = "python experiments/warm_start.py --out experiments/results/warm_start.json"
        content = {"command": command, "date": time.strftime("%Y-%m-%d"), **provenance(), "days": list(rows.values())}
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
