"""Question: how near to the optimum is the projected inventory level, and does it pay where demand follows a forecast?

    python experiments/projected_level.py --out experiments/results/projected_level.json

Part `optima`: 32 single-site systems with lost sales (Poisson and geometric demand of mean 5, lead times 1 to 4, lost
units at 4, 9, 19 and 39 times the holding cost of a period). The least cost of each is computed by value iteration, the
planner finds one level per system by simulation, and the plan is judged in whole units on holdout scenarios. Part
`forecast`: items whose demand has a weekly rhythm and a season, one target a week; the same search with both policies.

Writes {"optima": ..., "forecast": ...}, each with command, date, seconds, environment and rows: one per system and
policy with the reference, cost per period and half of its 95 % interval, gap and seconds.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from projected_parts import forecast, optima
from provenance import provenance
from rich.console import Console
from rich.table import Table

PARTS = {"optima": optima.run, "forecast": forecast.run}


def show(rows: list[dict], title: str) -> None:
    """Print a part as a table, with the mean and the largest gap of every policy."""
    table = Table("system", "policy", "reference", "cost", "± 95 %", "gap %", "seconds", title=title)
    for row in rows:
        figures = [f"{row[key]:.4f}" for key in ("reference", "cost", "half_width")]
        table.add_row(row["system"], row["policy"], *figures, f"{row['gap_pct']:+.2f}", f"{row['seconds']:.1f}")
    console = Console(width=120)
    console.print(table)
    for policy in dict.fromkeys(row["policy"] for row in rows):
        gaps = [row["gap_pct"] for row in rows if row["policy"] == policy]
        console.print(f"{policy}: mean gap {np.mean(gaps):+.2f} %, largest {max(gaps):+.2f} %, {len(gaps)} systems")


def main(
    out: Annotated[Path, typer.Option(help="JSON file to write; parts that are not run are kept")],
    part: Annotated[list[str] | None, typer.Option(help="optima or forecast; may be repeated")] = None,
    policy: Annotated[list[str] | None, typer.Option(help="only this policy; may be repeated")] = None,
    quick: Annotated[bool, typer.Option(help="few systems and little effort")] = False,
) -> None:
    """Run, print the tables, write JSON. Exit status 2 if a part is not known."""
    names = part or list(PARTS)
    if unknown := sorted(set(names) - set(PARTS)):
        typer.echo(f"--part {unknown[0]}: unknown; choose one of {', '.join(PARTS)}", err=True)
        raise typer.Exit(2)
    found = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    for name in names:
        started = time.perf_counter()

        def report(rows: list[dict], name: str = name, started: float = started) -> None:
            found[name] = {
                "command": " ".join(["python", "experiments/projected_level.py", *sys.argv[1:]]),
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "seconds": round(time.perf_counter() - started, 1),
                "environment": provenance(),
                "rows": rows,
            }
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

        show(PARTS[name](policies=policy, quick=quick, report=report), name)


if __name__ == "__main__":
    typer.run(main)
