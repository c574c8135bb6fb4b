"""Question: how far is a plan from what solvers see that nobody here wrote?

    python experiments/other_solvers.py --out results.json [--count 20] [--instance DIR ...] [--part NAME ...]
        [--docs docs/other_solvers.md]

Parts: `two_stage` the planner and the clairvoyant bound against extensive-form linear programs (HiGHS);
`fulfilment` preference rounds against the optimal assignment (HiGHS) per wave; `simulation` given base-stock
policies simulated by stockpyl and by the planner; `rate` the Monte-Carlo error against the number of scenarios.
Every part prints a table; the file holds the rows of all. With --instance, further networks for `fulfilment`.
docs/other_solvers.md explains what is compared.
"""

from __future__ import annotations

import importlib.metadata
import json
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from provenance import provenance
from rich.console import Console
from rich.table import Table
from solvers import fulfilment, page, rate, stockpyl_simulation, two_stage
from solvers.newsvendor_network import Size

from meio_jax.distributed.compile_cache import drop_programs


class Part(StrEnum):
    """Parts of the experiment."""

    two_stage = "two_stage"
    fulfilment = "fulfilment"
    simulation = "simulation"
    rate = "rate"


COLUMNS = {
    Part.two_stage: ("reference", "ours", "gap_pct", "orders_pct", "fulfilment_pct", "worst_price_pct", "clairvoyant"),
    Part.fulfilment: ("waves", "scarce_pct", "regret_pct", "outbound_regret_pct", "worst_regret_pct"),
    Part.simulation: ("reference", "ours", "ci95_low", "ci95_high", "same_paths_pct"),
    Part.rate: ("slope", "interval_low", "interval_high"),
}


def shown(part: Part, rows: list[dict]) -> Table:
    """The rows of a part as a table."""
    table = Table("family", "instance", *COLUMNS[part], "met", title=part.value)
    for row in rows:
        numbers = [f"{row[name]:.4g}" if abs(row[name]) < 1 else f"{row[name]:.2f}" for name in COLUMNS[part]]
        table.add_row(row["family"], str(row["instance"]), *numbers, "yes" if row["met"] else "NO")
    return table


def rows_of(part: Part, count: int, instances: list[Path]) -> Iterator[dict]:
    """Run one part, row by row."""
    if part is Part.two_stage:
        return (two_stage.compare(seed, kind, Size()) for kind in two_stage.KINDS for seed in range(count))
    if part is Part.fulfilment:
        return fulfilment.compare_all(instances)
    return stockpyl_simulation.compare_all() if part is Part.simulation else rate.measure_all()


def about(part: Part, out: Path, count: int, instances: list[Path]) -> dict:
    """Command, date, device, versions and commit of a part."""
    options = f" --count {count}" if part is Part.two_stage else ""
    options += "".join(f" --instance {folder.name}" for folder in instances) if part is Part.fulfilment else ""
    versions = {name: importlib.metadata.version(name) for name in ("highspy", "stockpyl")}
    command = f"python experiments/other_solvers.py --out {out} --part {part.value}{options}"
    return {"command": command, "date": time.strftime("%Y-%m-%d"), **provenance(), **versions}


def main(
    out: Annotated[Path, typer.Option(help="JSON file to write; parts that are not run are kept from it")],
    count: Annotated[int, typer.Option(help="two-stage instances of each kind", min=1)] = 20,
    instance: Annotated[list[Path] | None, typer.Option(help="instance folder, for `fulfilment`")] = None,
    part: Annotated[list[Part] | None, typer.Option(help="parts to run; default: all")] = None,
    docs: Annotated[Path | None, typer.Option(help="page whose tables are written anew from the file")] = None,
    run: Annotated[bool, typer.Option(help="--no-run: only print and write what the file has")] = True,
) -> None:
    """Compare, print tables, write JSON."""
    results = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    out.parent.mkdir(parents=True, exist_ok=True)
    for one in (part or list(Part)) if run else []:
        known, rows = about(one, out, count, instance or []), []
        for row in rows_of(one, count, instance or []):
            rows.append(row)
            # Every network compiles its own programs, each of which holds memory maps: a process has only so many.
            drop_programs()
            results[one.value] = {**known, "rows": rows}
            out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    for one in Part:
        if one.value in results:
            Console(width=160).print(shown(one, results[one.value]["rows"]))
    if docs:
        page.write(docs, results)
    if not all(row["met"] for done in results.values() for row in done["rows"]):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
