"""Question: how long does a joint step take on the device at hand, and which share of its bandwidth does it reach?

    python experiments/gpu_step.py --out experiments/results/gpu_step.json

Generated catalogs (5 + 30 + 15 nodes, 100 regions, 3 speeds, 4 weeks) of growing size are made ready as a solve does
it, and the part of a joint step that simulates the items is run some times. `bytes` and `launches` are counted in the
program that runs (`gpu_parts/count.py`; of a CPU program they mean little); the bandwidth beside them is a triad's.
Preference rounds are one kernel (`fused`) or several (`sparse`); on the device at hand both must give the same totals.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import typer
from gpu_parts.count import count
from provenance import provenance
from rich.console import Console
from rich.table import Table

from meio_jax.config import make_config
from meio_jax.generate import GenerateOptions, generate_instance
from meio_jax.planner import Model, prepare
from meio_jax.solver.solve import _moment, initial_state
from meio_jax.solver.store import part_step
from meio_jax.tables import read_instance

SIZES, PER_STEP = (500, 5_000), 16
AGREEMENT = 1e-4


@dataclass(frozen=True)
class Row:
    """Seconds of a step are the least of some; `bandwidth_share` is of the triad measured beside it."""

    items: int
    form: str
    block_items: int
    blocks: int
    launches: int
    bytes: int
    compile_s: float
    step_s: float
    bandwidth_share: float
    cost: float


def triad() -> float:
    """Bytes a second of a triad: two reads and a write."""
    size = 2**26
    a, b = jnp.ones(size, jnp.float32), jnp.full(size, 2, jnp.float32)
    run = jax.jit(lambda a, b: a + 3 * b)
    return 12 * size / least_seconds(lambda: run(a, b), 10)


def least_seconds(call: Any, repeats: int) -> float:
    """Least seconds of a call that has run once before."""
    jax.block_until_ready(call())
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        jax.block_until_ready(call())
        taken.append(time.perf_counter() - begun)
    return min(taken)


def model_of(items: int, form: str) -> Model:
    """A generated catalog, ready to solve."""
    options = GenerateOptions(
        items=items, nodes_per_tier=(5, 30, 15), regions=100, speeds=3, waves=1, periods=28, vendors=40
    )
    config = make_config(
        scenarios={"train": PER_STEP, "per_step": PER_STEP, "store_gib": 0.0},
        solve={"devices": 1},
        fulfilment={"form": form},
    )
    with TemporaryDirectory() as folder:
        return prepare(read_instance(generate_instance(options, Path(folder))), config)


def measure(items: int, form: str, bandwidth: float, repeats: int) -> Row:
    """One catalog in one form."""
    model = model_of(items, form)
    state = initial_state(model.store, model.method)
    at = _moment(model.method, model.store.damping, state.shared)
    given = (model.problem, state.items, at)
    arrays, static = eqx.partition(given, eqx.is_array)
    program = jax.jit(lambda arrays: part_step(*eqx.combine(arrays, static)))
    begun = time.perf_counter()
    compiled = program.lower(arrays).compile()
    compile_s = time.perf_counter() - begun
    seconds = least_seconds(lambda: compiled(arrays), repeats)
    whole = count(compiled.as_text())
    blocks, each = model.problem.catalog.keys.shape[:2]
    return Row(
        items=items,
        form=form,
        block_items=each,
        blocks=blocks,
        launches=whole.launches,
        bytes=whole.bytes,
        compile_s=compile_s,
        step_s=seconds,
        bandwidth_share=whole.bytes / seconds / bandwidth,
        cost=float(compiled(arrays)[0].value),
    )


def show(rows: list[Row]) -> Table:
    """The rows as a table."""
    table = Table(*Row.__dataclass_fields__)
    for row in rows:
        table.add_row(*(f"{v:.4g}" if isinstance(v, float) else str(v) for v in asdict(row).values()))
    return table


def main(
    out: Annotated[Path | None, typer.Option(help="JSON file of the results.")] = None,
    items: Annotated[list[int] | None, typer.Option(help="Catalog sizes; default 500, 5,000.")] = None,
    repeats: Annotated[int, typer.Option(help="Timed steps.")] = 5,
) -> None:
    """Measure and write."""
    bandwidth, rows = triad(), []
    for size in items or SIZES:
        both = [measure(size, form, bandwidth, repeats) for form in ("fused", "sparse")]
        rows += both
        Console(width=160).print(show(both))
        if not np.isclose(both[0].cost, both[1].cost, rtol=AGREEMENT):
            raise SystemExit(f"{size} items: the forms differ, cost {both[0].cost} and {both[1].cost}")
    command = " ".join(["python", "experiments/gpu_step.py", *sys.argv[1:]])
    about = {"command": command, "date": time.strftime("%Y-%m-%d"), **provenance()}
    if out is not None:
        report = {**about, "triad_bytes_per_s": bandwidth, "rows": [asdict(row) for row in rows]}
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
