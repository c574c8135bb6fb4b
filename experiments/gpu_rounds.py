"""Question: do the kernels of all preference rounds give on the device what the rounds one by one give, and how fast?

    python experiments/gpu_rounds.py --out experiments/results/gpu_rounds.json

Random demand, stock and preference lists of one speed (100 classes, 50 nodes, 3 rounds). `differs` is ‖fused - one by
one‖ / ‖one by one‖, forward (what is left open, stock, costs, carbon) and of the derivatives, at one size and seed
each; it must stay below 1e-4. Shares of the bandwidth are by the fewest bytes: every argument read once, every result
written once. Seconds are medians of calls that are waited for one by one.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import typer
from gpu_parts.timing import seconds_of, triad
from meio_kernels.assignment import serve_rounds
from provenance import provenance
from rich.console import Console
from rich.table import Table

CLASSES, NODES, ROUNDS = 100, 50, 3
MOST_DIFFERENCE = 1e-4


@dataclass(frozen=True)
class Row:
    """A number of columns (items x scenarios): seconds and share of a triad's bandwidth, forward and with gradient."""

    columns: int
    differs: float
    gradient_differs: float
    fused_s: float
    sparse_s: float
    fused_gradient_s: float
    sparse_gradient_s: float
    bandwidth_share: float
    gradient_bandwidth_share: float


def arguments(columns: int, seed: int) -> tuple[tuple, tuple]:
    """Demand, stock, lists and weights of random numbers, and derivatives by the four results."""
    rng = np.random.default_rng(seed)
    # Not of whole units: where exactly as much is asked as there is, rounding decides which derivative is taken.
    demand = rng.poisson(0.4, (CLASSES, columns)) * rng.uniform(0.5, 1.5, (CLASSES, columns))
    stock = rng.poisson(1.0, (NODES, columns)) * rng.uniform(0.5, 1.5, (NODES, columns))
    choice = jnp.asarray(rng.integers(0, NODES + 1, (ROUNDS, CLASSES)), jnp.int32)
    tables = rng.uniform(0.1, 2, (3, ROUNDS, CLASSES))
    single = lambda array: jnp.asarray(array, jnp.float32)
    given = (single(demand), single(stock), choice, *map(single, tables), single(rng.uniform(0.1, 3, columns)))
    bars = tuple(single(rng.normal(size=shape)) for shape in ((CLASSES, columns), (NODES, columns), columns, columns))
    return given, bars


def differs(ours: Any, theirs: Any) -> float:
    """Relative difference in norm; NaN where any number is not finite."""
    join = lambda tree: np.concatenate([np.ravel(np.asarray(leaf, float)) for leaf in jax.tree.leaves(tree)])
    one, other = join(ours), join(theirs)
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


def measure(columns: int, seed: int, bandwidth: float, repeats: int) -> Row:
    """Both forms on the same numbers."""
    given, bars = arguments(columns, seed)

    def programs(form: str) -> tuple[Callable, Callable]:
        forward = jax.jit(lambda given: serve_rounds(*given, form))

        @jax.jit
        def gradient(given: tuple, bars: tuple) -> tuple:
            _, back = jax.vjp(lambda *moving: serve_rounds(*moving, *given[2:], form), *given[:2])
            return back(bars)

        return forward, gradient

    (fused, fused_back), (sparse, sparse_back) = programs("fused"), programs("sparse")
    size = lambda tree: sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
    forward_bytes = size(given) + size(bars)
    # Going back, arguments and derivatives by the results are read, those by demand and stock written.
    gradient_bytes = size(given) + size(bars) + size(given[:2])
    row = [float(np.median(seconds_of(lambda one=one: one(given), repeats))) for one in (fused, sparse)]
    back = [
        float(np.median(seconds_of(lambda one=one: one(given, bars), repeats))) for one in (fused_back, sparse_back)
    ]
    return Row(
        columns,
        differs(fused(given), sparse(given)),
        differs(fused_back(given, bars), sparse_back(given, bars)),
        *row,
        *back,
        forward_bytes / row[0] / bandwidth,
        gradient_bytes / back[0] / bandwidth,
    )


def main(
    out: Annotated[Path | None, typer.Option(help="JSON file of the results.")] = None,
    columns: Annotated[list[int] | None, typer.Option(help="Columns; default 1,000, 100,000, 1,000,000.")] = None,
    repeats: Annotated[int, typer.Option(help="Timed calls.")] = 20,
) -> None:
    """Compare, measure and write; exit status 1 where the forms differ."""
    bandwidth = triad()
    rows = [measure(size, seed, bandwidth, repeats) for seed, size in enumerate(columns or (1_000, 100_000, 1_000_000))]
    table = Table(*Row.__dataclass_fields__)
    for row in rows:
        table.add_row(*(f"{v:.3g}" if isinstance(v, float) else f"{v:,}" for v in asdict(row).values()))
    Console(width=180).print(table)
    command = " ".join(["python", "experiments/gpu_rounds.py", *sys.argv[1:]])
    about = {"command": command, "date": time.strftime("%Y-%m-%d"), **provenance()}
    if out is not None:
        report = {**about, "triad_bytes_per_s": bandwidth, "rows": [asdict(row) for row in rows]}
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if not all(max(row.differs, row.gradient_differs) < MOST_DIFFERENCE for row in rows):
        raise SystemExit("the forms differ")


if __name__ == "__main__":
    typer.run(main)
