"""Question: does a run that is killed at any moment and resumed end as if nothing had happened?

    python experiments/kill_resume.py --out results/kill_resume.json

A small instance is solved once without a break. Then runs of the same configuration are killed with SIGKILL, at a
random moment or while a checkpoint is being written, and continued with `meio resume`. Every table of the plan must be
the same to the last bit. The table gives the moment of each kill and what was found.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import polars as pl
import typer
import yaml
from provenance import provenance
from rich.console import Console
from rich.table import Table

from meio_jax.generate import GenerateOptions, generate_instance

_MEIO = [sys.executable, "-c", "from meio_jax.cli import main; main()"]
_UNFINISHED = "*orbax-checkpoint-tmp*"


@dataclass(frozen=True)
class Killed:
    """One killed run: what was awaited, when it died, what the kill left, and whether the resumed plan is the same."""

    kill: int
    moment: str
    seconds: float
    checkpoints_left: str
    save_under_way: bool
    continued_after_step: str
    identical: bool


def configuration(home: Path, run: Path) -> Path:
    """A run of some seconds that saves often."""
    content = {
        "instance": {"path": str(home / "instance")},
        "run": str(run),
        "scenarios": {"train": 32, "per_step": 16, "holdout": 16, "clairvoyant": 0},
        "solve": {"max_steps": 90, "min_steps": 90, "feasibility_steps": 0},
        "checkpoint": {"every": 3, "keep": 2},
    }
    path = home / f"{run.name}.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def start(*words: object) -> subprocess.Popen:
    """Start the command; its output is kept for the table."""
    return subprocess.Popen(
        [*_MEIO, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def _wait_for(process: subprocess.Popen, pattern: str, run: Path) -> None:
    """Until a file of that pattern stands among the checkpoints, or the program ends."""
    while process.poll() is None and not any((run / "checkpoints").glob(f"1-of-1/{pattern}")):
        time.sleep(0.0005)


def kill_one(number: int, home: Path, whole: Path, seconds: float, rng: random.Random) -> Killed:
    """Kill a run once and resume it; every third kill waits for a save to be under way."""
    run = home / f"run{number}"
    process = start("solve", configuration(home, run), "--quiet")
    during = number % 3 == 0
    _wait_for(process, "[0-9]*", run)
    begun = time.perf_counter()
    time.sleep(rng.uniform(0, 0.8) * seconds)
    if during:
        _wait_for(process, _UNFINISHED, run)
    moment = time.perf_counter() - begun
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    left = sorted(int(path.name) for path in (run / "checkpoints/1-of-1").iterdir() if path.name.isdigit())
    under_way = any((run / "checkpoints/1-of-1").glob(_UNFINISHED))
    resumed = start("resume", run)
    text = resumed.communicate()[0]
    after = [line for line in text.splitlines() if "continuing after" in line or "from the beginning" in line]
    return Killed(
        kill=number,
        moment="during a save" if during else "random",
        seconds=round(moment, 3),
        checkpoints_left=" ".join(map(str, left)) or "none",
        save_under_way=under_way,
        continued_after_step=after[0].split("step ")[-1].strip(" .") if after else "unknown",
        identical=same_tables(run, whole),
    )


def same_tables(run: Path, other: Path) -> bool:
    """Whether two runs hold the same tables to the last bit, but for the clock."""
    names = sorted(path.relative_to(other) for path in [*other.glob("plan/*.parquet"), *other.glob("*.parquet")])

    def table(folder: Path, name: Path) -> pl.DataFrame:
        return pl.read_parquet(folder / name).drop("seconds", strict=False)

    return all((run / name).exists() and table(run, name).equals(table(other, name)) for name in names)


def show(rows: list[Killed]) -> Table:
    """The rows as a table."""
    table = Table("kill", "moment", "s after first checkpoint", "checkpoints left", "save under way", "resumed", "same")
    for row in rows:
        table.add_row(*(str(value) for value in asdict(row).values()))
    return table


def main(
    out: Annotated[Path, typer.Option(help="JSON file of the results.")],
    kills: Annotated[int, typer.Option(help="Number of killed runs.")] = 12,
    seed: Annotated[int, typer.Option(help="Seed of the moments.")] = 0,
) -> None:
    rng = random.Random(seed)
    with TemporaryDirectory() as folder:
        home = Path(folder)
        # Compiled programs are kept between the runs, which makes them short; they are the same programs.
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(home / "compiled")
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        options = GenerateOptions(items=30, nodes_per_tier=(1, 3, 2), regions=4, periods=21, waves=2, speeds=2)
        generate_instance(options, home / "instance")
        whole = home / "whole"
        text = start("solve", configuration(home, whole), "--quiet").communicate()[0]
        if not (whole / "metrics.parquet").exists():
            raise SystemExit(f"the run without a break ended without a plan:\n{text}")
        clock = pl.read_parquet(whole / "metrics.parquet")["seconds"]
        seconds = clock[-1] - clock[0]  # the first step holds the compilation
        rows = [kill_one(number, home, whole, seconds, rng) for number in range(1, kills + 1)]
    Console().print(show(rows))
    out.parent.mkdir(parents=True, exist_ok=True)
    command = "python experiments/kill_resume.py --out experiments/results/kill_resume.json"
    about = {"command": command, "date": time.strftime("%Y-%m-%d"), **provenance()}
    report = {**about, "kills": [asdict(row) for row in rows]}
    out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if not all(row.identical for row in rows):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
