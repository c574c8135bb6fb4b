"""Question: how much sooner does a search end that begins with a sample of its items, and is its plan as good?

    python experiments/sampled_start.py --items 3000 --sample 300 --out experiments/results/sampled_start.json

A generated catalog is searched from nothing, once all of it from the first step and once after a sample
(`solve.sample_items`), by the same settings, in one process and on one device. A search of one step before each
compiles what it needs. Seconds are those of the processor, from the built arrays to the end of the search, those of the
sample included; steps are those of all items. Cost, violation, gap and slack are those of the certificate, on scenarios
that no search saw.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from bench_solve import NETWORK, SETTINGS
from provenance import provenance
from rich.console import Console
from rich.table import Table

from meio_jax.config import Config, make_config
from meio_jax.generate import GenerateOptions, generate_instance
from meio_jax.planner import Model, certify, prepare, search
from meio_jax.tables import Tables, read_instance


@dataclass(frozen=True)
class Row:
    """A search: items of its sample (0: none), how it ended, processor seconds, and what the certificate says."""

    sample_items: int
    result: str
    steps: int
    search_s: float
    cost: float
    violation_pct: float
    gap_pct: float
    slack_pct: float


def configuration(sample: int) -> Config:
    """Settings of a search, with a sample of so many items or none."""
    return make_config(
        **SETTINGS,
        # Blocks that are small beside the groups of items, so that a sample can be.
        solve={"devices": 1, "sample_items": sample, "block_items": 32},
    )


def compiled(model: Model) -> None:
    """Run every program of a search once."""
    limits = replace(model.limits, max_steps=1, min_steps=1)
    solve = model.config.solve.model_copy(update={"sample_steps": 1})
    search(replace(model, limits=limits, config=model.config.model_copy(update={"solve": solve})))


def searched(tables: Tables, sample: int) -> Row:
    """Search, and judge the plan."""
    model = prepare(tables, configuration(sample))
    compiled(model)
    begun = time.process_time()
    found = search(model)
    seconds = time.process_time() - begun
    certificate = certify(model, found).certificate
    return Row(
        sample_items=sample,
        result=certificate.result,
        steps=found.steps,
        search_s=seconds,
        cost=certificate.holdout_cost,
        violation_pct=100 * certificate.largest_violation,
        gap_pct=100 * certificate.coupling_gap,
        slack_pct=100 * (certificate.slack or 0.0),
    )


def main(
    items: Annotated[int, typer.Option(help="Items of the catalog.")] = 3_000,
    sample: Annotated[int, typer.Option(help="Items of the sample.")] = 300,
    out: Annotated[Path | None, typer.Option(help="JSON file of the results.")] = None,
) -> None:
    console = Console(width=160)
    with TemporaryDirectory() as name:
        folder = generate_instance(GenerateOptions(items=items, **NETWORK), Path(name) / "instance")
        tables = read_instance(folder)
        rows = [searched(tables, wanted) for wanted in (0, sample)]
    table = Table(*Row.__dataclass_fields__)
    for row in rows:
        table.add_row(*(f"{v:,.4g}" if isinstance(v, float) else str(v) for v in asdict(row).values()))
    console.print(table)
    ratio = rows[1].search_s / rows[0].search_s
    console.print(f"With a sample {ratio:.2f} of the time.")
    if out is not None:
        command = " ".join(["python", "experiments/sampled_start.py", *sys.argv[1:]])
        about = {"command": command, "date": time.strftime("%Y-%m-%d"), **provenance(), "items": items}
        out.write_text(json.dumps({**about, "rows": [asdict(row) for row in rows], "ratio": ratio}, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
