"""Question: do many devices and processes end where one does, and what is left when a process dies?

    python experiments/many_devices.py --out experiments/results/many_devices.json

One small instance is solved for 50 steps by `meio solve`: on one device, on eight (forced host devices), by two and by
four processes that `jax.distributed` joins on this machine, and by two processes of four devices each. The table gives
the largest difference from one device: of the cost at any step, of final prices (as a share of the largest), of
targets (same), and of the cost on holdout scenarios. Then one of two processes is killed with SIGKILL: the table says
how the other one ended, and where `meio resume` led with another number of processes and devices.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import polars as pl
import typer
import yaml
from provenance import provenance
from rich.console import Console
from rich.table import Table

from meio_jax.generate import GenerateOptions, generate_instance

_MEIO = [sys.executable, "-c", "from meio_jax.cli import main; main()"]
_STEPS, _WAIT = 50, 400
OPTIONS = GenerateOptions(
    items=64, nodes_per_tier=(1, 2, 1), regions=3, periods=14, waves=1, speeds=2, vendors=4, partition_items=16
)


@dataclass(frozen=True)
class Row:
    """One run beside that of one device; differences are relative."""

    run: str
    processes: int
    devices_each: int
    status: int
    cost: float
    prices: float
    targets: float
    holdout_cost: float


@dataclass(frozen=True)
class Lost:
    """What became of a run that lost a process: how the other one ended, and where the resumed run led."""

    killed: int
    survivor_status: int
    survivor_says: str
    seconds_to_end: float
    resumed: Row


def configuration(home: Path, name: str, devices: int) -> Path:
    """A run of the instance on so many devices of each process."""
    content = {
        "instance": {"path": str(home / "instance")},
        "run": str(home / name),
        "scenarios": {"train": 16, "per_step": 4, "holdout": 16, "clairvoyant": 0},
        "solve": {"max_steps": _STEPS, "min_steps": _STEPS, "block_items": 4, "devices": devices},
        "checkpoint": {"every": 5},
    }
    content["solve"]["feasibility_steps"] = 0
    path = home / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def start(words: list[str], processes: int) -> list[subprocess.Popen]:
    """`meio WORDS` by so many processes that share the solve."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    started = []
    for index in range(processes):
        several = {
            "JAX_COORDINATOR_ADDRESS": address,
            "JAX_NUM_PROCESSES": str(processes),
            "JAX_PROCESS_ID": str(index),
        }
        environment = {**os.environ, **(several if processes > 1 else {})}
        started.append(
            subprocess.Popen(
                [*_MEIO, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        )
    return started


def ended(started: list[subprocess.Popen]) -> list[str]:
    """What the processes said, once all have ended."""
    try:
        return [process.communicate(timeout=_WAIT)[0] for process in started]
    finally:
        for process in started:
            process.kill()


def beside(run: Path, one: Path, name: str, shape: tuple[int, int], status: int) -> Row:
    """Differences of a run from that of one device."""

    def largest(table: str, column: str, keys: list[str]) -> float:
        ours, theirs = (pl.read_parquet(folder / table).sort(keys) for folder in (run, one))
        assert ours.select(keys).equals(theirs.select(keys)), f"{name}: other rows in {table}"
        values, truth = ours[column].to_numpy(), theirs[column].to_numpy()
        return float(np.abs(values - truth).max() / np.abs(truth).max())

    costs = [pl.read_parquet(folder / "metrics.parquet")["cost"].to_numpy() for folder in (run, one)]
    holdout = [json.loads((folder / "certificate.json").read_text())["holdout_cost"] for folder in (run, one)]
    return Row(
        name,
        *shape,
        status,
        float(np.abs(costs[0] / costs[1] - 1).max()),
        largest("prices.parquet", "price", ["resource_id", "bucket"]),
        largest("plan/targets.parquet", "target", ["item_id", "node_id", "bucket"]),
        abs(holdout[0] / holdout[1] - 1),
    )


def solved(home: Path, name: str, processes: int, devices: int) -> Row:
    """A run of so many processes with so many devices each."""
    started = start(["solve", str(configuration(home, name, devices))], processes)
    texts = ended(started)
    status = max(process.returncode for process in started)
    if not (home / name / "certificate.json").exists():
        raise SystemExit(f"{name}: status {status}\n" + "\n".join(texts))
    return beside(home / name, home / "one", name, (processes, devices), status)


def lost(home: Path, victim: int) -> Lost:
    """Kill one of two processes once checkpoints are there; resume with one process of eight devices."""
    name = f"lost-{victim}"
    config = configuration(home, name, 1)
    started = start(["solve", str(config)], 2)
    run, deadline = home / name, time.time() + _WAIT
    while len(list(run.glob("checkpoints/*/5/files.json"))) < 2 and time.time() < deadline:
        time.sleep(0.02)
    if len(list(run.glob("checkpoints/*/5/files.json"))) < 2:
        for process in started:
            process.kill()
        raise SystemExit(f"{name}: no checkpoint of both processes\n" + "\n".join(ended(started)))
    os.kill(started[victim].pid, signal.SIGKILL)
    killed = time.time()
    texts = ended(started)
    seconds = time.time() - killed
    other = started[1 - victim]
    said = next((line for line in texts[1 - victim].splitlines() if "lost another one" in line), "")
    text = (run / "config.yaml").read_text(encoding="utf-8")
    (run / "config.yaml").write_text(text.replace("devices: 1\n", "devices: 8\n"), encoding="utf-8")
    resumed = start(["resume", str(run)], 1)
    texts = ended(resumed)
    if "continuing after step" not in texts[0] or not (run / "certificate.json").exists():
        raise SystemExit(f"{name}: not resumed\n{texts[0]}")
    row = beside(run, home / "one", f"resumed after process {victim} died", (1, 8), resumed[0].returncode)
    return Lost(victim, other.returncode, said.replace(str(home), "RUNS"), seconds, row)


def main(out: Annotated[Path, typer.Option(help="Result file (JSON).")]) -> None:
    """Run all of them, print the tables and write them down."""
    with TemporaryDirectory() as folder:
        home = Path(folder)
        generate_instance(OPTIONS, home / "instance")
        shapes = {"one": (1, 1), "eight": (1, 8), "two": (2, 1), "four": (4, 1), "two by four": (2, 4)}
        rows = [solved(home, name, *shape) for name, shape in shapes.items()]
        losses = [lost(home, victim) for victim in (1, 0)]
    shown = [*rows, *(loss.resumed for loss in losses)]
    table = Table(title=f"Differences from one device after {_STEPS} steps (relative)")
    for name in asdict(shown[0]):
        table.add_column(name.replace("_", " "))
    for row in shown:
        table.add_row(*(f"{value:.1e}" if isinstance(value, float) else str(value) for value in asdict(row).values()))
    Console(width=140).print(table)
    for loss in losses:
        print(f"process {loss.killed} killed: the other ended with {loss.survivor_status} after", end=" ")
        print(f"{loss.seconds_to_end:.1f} s: {loss.survivor_says}")
    content = {
        "command": "python experiments/many_devices.py --out experiments/results/many_devices.json",
        "date": time.strftime("%Y-%m-%d"),
        **provenance(),
        "steps": _STEPS,
        "items": OPTIONS.items,
        "largest_difference": max(max(row.cost, row.prices, row.targets, row.holdout_cost) for row in shown),
        "rows": [asdict(row) for row in rows],
        "lost": [asdict(loss) for loss in losses],
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
