"""Question: does a Python process that solves again and again hold more and more memory maps?

    python experiments/many_solves.py --out experiments/results/many_solves.json

A small instance is solved again and again in one process, as `meio solve` does it, and after every tenth solve a
capacity is changed and solved again (`meio whatif --resolve`). Compiled programs hold memory maps, of which a process
may have some 65,000: one that asks for more is ended. The table says how many there are, and how much memory.
"""

from __future__ import annotations

import gc
import json
import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from provenance import provenance
from rich.console import Console
from rich.table import Table

from meio_jax.config import Config, make_config
from meio_jax.generate import GenerateOptions, generate_instance
from meio_jax.items.whatif import whatif_run
from meio_jax.progress import Silent
from meio_jax.runs.run import run_solve
from meio_jax.tables import read_instance

WHATIF_EVERY = 10
SHOWN = (1, 2, 10, 20, 50, 100, 150, 200)


def configuration(instance: Path, run: Path) -> Config:
    """A few steps."""
    return make_config(
        instance={"path": instance},
        run=run,
        scenarios={"train": 16, "per_step": 8, "holdout": 16, "clairvoyant": 0},
        solve={"max_steps": 4, "min_steps": 2, "check_every": 2, "feasibility_steps": 0, "slack_items": 8},
        warm={"max_steps": 3, "min_steps": 2},
        checkpoint={"every": 2, "keep": 1},
    )


def state(solves: int, began: float) -> dict[str, float]:
    """What the process holds now."""
    gc.collect()
    maps = len(Path("/proc/self/maps").read_text(encoding="utf-8").splitlines())
    memory = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * resource.getpagesize()
    seconds = round(time.perf_counter() - began, 1)
    return {"solves": solves, "memory_maps": maps, "resident_mib": round(memory / 2**20), "seconds": seconds}


def main(
    out: Annotated[Path, typer.Option(help="JSON file of the results.")],
    solves: Annotated[int, typer.Option(help="How many.")] = 200,
) -> None:
    rows, began = [], time.perf_counter()
    with TemporaryDirectory() as folder:
        home = Path(folder)
        shape = {"items": 5, "nodes_per_tier": (1, 1, 0), "regions": 2, "speeds": 2, "periods": 7, "waves": 1}
        instance = generate_instance(GenerateOptions.model_validate({**shape, "shape": "local"}), home / "instance")
        config = configuration(instance, home / "run")
        resource_id = read_instance(instance).resources["resource_id"][0]
        for number in range(1, solves + 1):
            run_solve(config, Silent(), overwrite=True)
            if number % WHATIF_EVERY == 0:
                whatif_run(config.run, resource_id, "+10%", None, resolve=True, progress=Silent())
            rows.append(state(number, began))
    shown = [row for row in rows if row["solves"] in (*SHOWN, solves)]
    table = Table("solves", "memory maps", "resident memory, MiB", "seconds")
    for row in shown:
        table.add_row(*map(str, row.values()))
    Console().print(table)
    about = {"command": f"python experiments/many_solves.py --solves {solves}", "date": time.strftime("%Y-%m-%d")}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({**about, **provenance(), "table": shown}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
