"""Question: does the memory of a streamed solve stay flat as the catalog grows, and its time per item constant?

    python experiments/streaming.py --out experiments/results/streaming.json

Catalogs of two sizes are solved by `meio solve` in processes of their own, their items made on the fly (`--folder`:
read from partitioned Parquet that is written beforehand), with the same blocks and parts. The network is small (3
nodes, 2 regions, 1 wave, 2 speeds, 14 days) and the steps
are few, so that the larger one ends in minutes. The table gives the largest resident memory of each process, seconds by
stage, and microseconds per item and step. A plan is written for every item, and its certificate covers all of them.
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

from meio_jax.generate import GenerateOptions, generate_instance

_MEIO = [sys.executable, "-c", "from meio_jax.cli import main; main()"]
_STEPS, _PART, _PER_STEP = 6, 4096, 4
NETWORK: dict[str, Any] = {
    "nodes_per_tier": [1, 1, 1], "regions": 2, "speeds": 2, "waves": 1, "periods": 14, "vendors": 8,
    "partition_items": _PART,
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A solve. `step_us_per_item` is the median step; `rest_us_per_item` all that is neither a step nor start-up."""

    source: str
    items: int
    parts: int
    status: int
    peak_mib: int
    wall_s: float
    step_s: float
    step_us_per_item: float
    us_per_item: float
    planned_items: int


def solve(home: Path, items: int, folder: bool) -> Row:
    """One streamed run in a process of its own."""
    name = f"{'folder' if folder else 'made'}-{items}"
    options = {**NETWORK, "items": items}
    if folder:
        generate_instance(GenerateOptions.model_validate(options), home / name)
    content = {
        "instance": {"path": str(home / name), "generate": options},
        "run": str(home / f"run-{name}"),
        "scenarios": {"train": 64, "per_step": _PER_STEP, "holdout": 8, "clairvoyant": 0},
        "solve": {"max_steps": _STEPS, "min_steps": _STEPS},
        "stream": {"above_items": 0, "part_items": _PART, "generate": not folder},
        "checkpoint": {"every": 3},
    }
    path = home / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    # Both sizes compile: programs that the first one left would spare the second one the memory of that.
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    words = [*_MEIO, "solve", str(path)]
    begun = time.perf_counter()
    process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = process.stdout.read() if process.stdout else b""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - begun
    run = home / f"run-{name}"
    if not (run / "certificate.json").exists():
        raise SystemExit(said.decode())
    seconds = pl.read_parquet(run / "metrics.parquet")["seconds"].to_numpy()
    step = float(np.median(np.diff(seconds)))
    planned = pl.scan_parquet(run / "plan/expected_items/*.parquet").select(pl.len()).collect().item()
    return Row(
        source="Parquet" if folder else "made on the fly",
        items=items,
        parts=-(-items // _PART),
        status=process.returncode,
        peak_mib=used.ru_maxrss // 1024,
        wall_s=round(wall, 1),
        step_s=round(step, 3),
        step_us_per_item=round(1e6 * step / items, 1),
        us_per_item=round(1e6 * wall / items, 1),
        planned_items=planned,
    )


def main(
    out: Annotated[Path, typer.Option(help="Result file (JSON).")],
    sizes: Annotated[str, typer.Option(help="Two numbers of items.")] = "20000,200000",
    folder: Annotated[bool, typer.Option(help="Read partitioned Parquet instead of making items.")] = False,
) -> None:
    """Solve both, print the table and write it down."""
    few, many = (int(size) for size in sizes.split(","))
    with TemporaryDirectory() as home:
        rows = [solve(Path(home), items, folder) for items in (few, many)]
    table = Table(title=f"Streamed solves of {_STEPS} steps, parts of {_PART} items")
    for name in asdict(rows[0]):
        table.add_column(name.replace("_", " "))
    for row in rows:
        table.add_row(*(str(value) for value in asdict(row).values()))
    Console(width=150).print(table)
    content = {
        "command": " ".join(["python", "experiments/streaming.py", *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%d"),
        **provenance(),
        "steps": _STEPS,
        "part_items": _PART,
        "scenarios_per_step": _PER_STEP,
        "memory_ratio": round(rows[1].peak_mib / rows[0].peak_mib, 3),
        "time_per_item_ratio": round(rows[1].step_us_per_item / rows[0].step_us_per_item, 3),
        "rows": [asdict(row) for row in rows],
    }
    print(f"memory ratio {content['memory_ratio']}, step time per item ratio {content['time_per_item_ratio']}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
