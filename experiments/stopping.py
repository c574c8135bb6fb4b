"""Question: does a search end where it should, and does the slack that it reports hold the true one?

    python experiments/stopping.py --out experiments/results/stopping.json

Fifteen small instances (few sample paths, slow movers, dear offers, late receipts, a closed first week, one tight lane,
tight storage, tight spend, and none of these) are solved by the usual settings. Then

* *slack*: at the final prices every item is searched four times as long from four starts, and the best levels of each
  are compared with the plan's on scenarios that neither searched nor chose. Asked: what they save lies in the interval
  that the certificate gives (two standard errors) on nine of ten instances;
* *best known*: the whole is solved four times as long from two seeds. Asked: no plan that ended as converged is more
  than 1 % of gross cost above the best of those that keep the capacities.

Writes command, date, environment and one row per instance; shares of gross cost.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from provenance import command_given, provenance
from rich.console import Console
from rich.table import Table
from stopping_parts.instances import INSTANCES, LAWS
from stopping_parts.reference import best_known, judge_of, saved_by_items

from meio_jax.config.settings import make_config
from meio_jax.planner import plan


def row(name: str, items: int, scenarios: int, long_seeds: int) -> dict:
    """One instance: what its certificate says, and what is true."""
    began = time.perf_counter()
    config = make_config(scenarios={"clairvoyant": 0}, solve={"feasibility_steps": 0})
    found = plan(INSTANCES[name](items), config)
    solved = time.perf_counter()
    said = found.certificate
    judge = judge_of(found, LAWS[name](items) if name in LAWS else None)
    saved, paid = saved_by_items(found, judge, scenarios)
    known = best_known(found, judge, scenarios, tuple(range(11, 11 + long_seeds)))
    true = float(saved.sum() / paid.sum())
    error = float(np.sqrt(saved.size) * (saved - true * paid).std(ddof=1) / paid.sum())
    slack, half = said.slack or 0.0, 2 * (said.slack_error or 0.0)
    return {
        "instance": name,
        "result": str(found.result),
        "steps": found.solution.steps,
        "violation": said.largest_violation,
        "coupling_gap": said.coupling_gap,
        "slack": slack,
        "slack_half": half,
        "true_slack": true,
        "true_slack_half": 2 * error,
        "held": bool(slack - half - 2 * error <= true <= slack + half + 2 * error),
        "above_best_known": max(known, true if said.coupling_gap == 0 else 0.0),
        "solve_seconds": round(solved - began, 1),
        "reference_seconds": round(time.perf_counter() - solved, 1),
    }


def main(
    out: Annotated[Path, typer.Option(help="JSON file to write")],
    items: Annotated[int, typer.Option(min=1, help="equal items of an instance")] = 24,
    scenarios: Annotated[int, typer.Option(min=256, help="scenarios of a comparison; a multiple of 256")] = 2048,
    long_seeds: Annotated[int, typer.Option(min=1, help="long searches of the whole")] = 2,
    instance: Annotated[list[str] | None, typer.Option(help="only this one; may be repeated")] = None,
) -> None:
    """Solve, search on for long, compare."""
    began, console = time.perf_counter(), Console(width=150)
    names = instance or list(INSTANCES)
    if unknown := [name for name in names if name not in INSTANCES]:
        typer.echo(f"--instance {unknown[0]}: expected one of {', '.join(INSTANCES)}", err=True)
        raise typer.Exit(2)
    rows = []
    for name in names:
        rows.append(row(name, items, scenarios, long_seeds))
        console.print(rows[-1], highlight=False)
        made = {"command": command_given(), "date": datetime.now(UTC).date().isoformat()} | provenance()
        text = json.dumps(made | {"seconds": round(time.perf_counter() - began, 1), "rows": rows}, indent=1)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n", encoding="utf-8")
    show(rows, console)


def show(rows: list[dict], console: Console) -> None:
    """Print what was found."""
    table = Table("instance", "result", "steps", "slack %", "true slack %", "held", "above best known %")
    for one in rows:
        slack = f"{one['slack']:.2%} ± {one['slack_half']:.2%}"
        true = f"{one['true_slack']:.2%} ± {one['true_slack_half']:.2%}"
        table.add_row(
            *(one["instance"], one["result"], str(one["steps"]), slack, true),
            *(str(one["held"]), f"{one['above_best_known']:.2%}"),
        )
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
