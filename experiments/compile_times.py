"""Question: how long does a solve from nothing take to trace and compile, program by program?

    python experiments/compile_times.py configs/quickstart.yaml --out experiments/results/compile_times.json

Runs a short search of the configuration and certifies its plan, with nothing kept from before. Programs whose tracing
or compiling takes less than a quarter of a second are added up. Seconds are those of the clock: the machine should be
idle. `--before FILE` prints what an earlier result took beside it.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Annotated

import jax
import typer
from provenance import write_rows
from rich.console import Console
from rich.table import Table

from meio_jax.config import load_config
from meio_jax.planner import plan
from meio_jax.tables import read_instance

TRACE = ("/jax/core/compile/jaxpr_trace_duration", "/jax/core/compile/jaxpr_to_mlir_module_duration")
COMPILE = "/jax/core/compile/backend_compile_duration"
SHORT = 0.25
OTHERS = "others"


class Durations:
    """Seconds that JAX reports of every program: of tracing and of compiling."""

    def __init__(self) -> None:
        self.traced: dict[str, float] = defaultdict(float)
        self.compiled: dict[str, list[float]] = defaultdict(list)

    def __call__(self, event: str, seconds: float, **about: str | int) -> None:
        name = str(about.get("fun_name", OTHERS)).removeprefix("jit(").removesuffix(")")
        if event in TRACE:
            # A function that is traced inside of another is reported as well: only programs are looked up.
            self.traced[name] += seconds
        elif event == COMPILE:
            self.compiled[name].append(seconds)

    def rows(self) -> list[dict]:
        """A row for every program, the longest first, and one for all short ones."""
        rows, rest = [], {"program": OTHERS, "times": 0, "trace_s": 0.0, "compile_s": 0.0}
        for name, compiled in self.compiled.items():
            row = {"program": name, "times": len(compiled), "trace_s": self.traced[name], "compile_s": sum(compiled)}
            if row["trace_s"] + row["compile_s"] >= SHORT:
                rows.append(row)
            else:
                rest = {"program": OTHERS, **{key: rest[key] + row[key] for key in ("times", "trace_s", "compile_s")}}
        return [*sorted(rows, key=lambda row: -row["compile_s"]), rest]


def measured(configuration: Path, steps: int) -> tuple[list[dict], float]:
    """Rows by program, and seconds of the whole."""
    config = load_config(configuration)
    changes = {"max_steps": steps, "min_steps": 1, "devices": 1, "slack_items": 1, "feasibility_steps": 0}
    config = config.model_copy(update={"solve": config.solve.model_copy(update=changes)})
    config = config.model_copy(update={"scenarios": config.scenarios.model_copy(update={"holdout": 32})})
    durations = Durations()
    jax.monitoring.register_event_duration_secs_listener(durations)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as empty:
        jax.config.update("jax_compilation_cache_dir", empty)
        plan(read_instance(config.instance.path), config)
    return durations.rows(), time.perf_counter() - started


def show(rows: list[dict], before: dict[str, dict]) -> None:
    """Print the table, with an earlier result beside it where there is one."""
    table = Table("program", "times", "trace, s", "compile, s", *(["before, s"] if before else []))
    for row in rows:
        old = before.get(row["program"])
        earlier = [f"{old['trace_s'] + old['compile_s']:.1f}" if old else ""] if before else []
        table.add_row(row["program"], str(row["times"]), f"{row['trace_s']:.1f}", f"{row['compile_s']:.1f}", *earlier)
    Console().print(table)


def main(
    configuration: Annotated[Path, typer.Argument(help="A configuration whose instance is there.")],
    out: Annotated[Path, typer.Option(help="JSON file of the result.")],
    steps: Annotated[int, typer.Option(help="Steps of the search.")] = 2,
    before: Annotated[Path | None, typer.Option(help="An earlier result to compare with.")] = None,
) -> None:
    """Measure, print, and write."""
    earlier = json.loads(before.read_text())["rows"] if before is not None else []
    rows, seconds = measured(configuration, steps)
    total = {"program": "all", **{key: sum(row[key] for row in rows) for key in ("times", "trace_s", "compile_s")}}
    rows = [*rows, total]
    show(rows, {row["program"]: row for row in earlier})
    write_rows(out, rows, seconds)


if __name__ == "__main__":
    typer.run(main)
