"""Question: is a plan that is executed by its tables, every morning, what its certificate says?

    python experiments/execution.py --out FILE.json

On every instance (lead times 1 to 21, weekly review, packs 1 to 48, one vendor and two, one tier and three, lost sales
and backorders, fixed and random lead times) the command solves once. Then every morning of 14 days `plan/orders` and
`plan/transfers` are executed, and nothing else, in the order-by-order simulator, which writes the next morning's
instance:

* *fixed*: today's decisions at the levels of the first plan, in many worlds. That is the policy that the certificate
  judges, so that both must agree within their intervals.
* *warm*: `meio solve --warm-start` every morning, in one world. A plan that is renewed must not be worse than the one
  that is certified, by more than chance.

Writes a list of rows (costs of 14 days of all items, halves of 95 % intervals) and beside it FILE.meta.json.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from execution_parts.days import at_fixed_levels, by_warm_plans, certified, mean_and_half, solve_first, term_means
from execution_parts.instances import CASES, Case
from labs_parts.about import about
from rich.console import Console
from rich.table import Table


def lived(case: Case, work: Path, *, days: int, items: int, worlds: int, warm: bool, seed: int) -> dict:
    """One row of the result: certificate, fixed levels, renewed plans."""
    tables = case.tables(items, days)
    began = time.perf_counter()
    run = solve_first(tables, work / case.name, case.policy)
    solved = time.perf_counter()
    promised = certified(run)
    fixed = at_fixed_levels(tables, run, days, worlds, seed)
    cost, half = mean_and_half(fixed, case.mean * days)
    row = {
        "case": case.name,
        "certificate": promised.cost,
        "certificate_half": promised.half,
        "fixed": cost,
        "fixed_half": half,
        "fixed_over_pct": 100 * (cost / promised.cost - 1),
        "within": abs(cost - promised.cost) <= math.hypot(half, promised.half),
        "terms": term_means(fixed),
        "certificate_terms": promised.terms,
        "solve_seconds": solved - began,
    }
    if warm:
        began = time.perf_counter()
        found, spread = mean_and_half([by_warm_plans(tables, run, days, seed + 1)], case.mean * days)
        row |= {
            "warm": found,
            "warm_half": spread,
            "warm_over_pct": 100 * (found / promised.cost - 1),
            "warm_within": found <= promised.cost + math.hypot(spread, promised.half),
            "warm_seconds_per_day": (time.perf_counter() - began) / max(days - 1, 1),
        }
    return row


def show(rows: list[dict], console: Console) -> None:
    """A line per instance."""
    table = Table("instance", "certificate", "fixed levels", "over %", "within", "warm plans", "over %", "within")
    number = lambda value, half: f"{value:,.1f} ± {half:,.1f}"
    for row in rows:
        cells = [row["case"], number(row["certificate"], row["certificate_half"])]
        cells += [number(row["fixed"], row["fixed_half"]), f"{row['fixed_over_pct']:+.2f}", str(row["within"])]
        if "warm" in row:
            cells += [number(row["warm"], row["warm_half"]), f"{row['warm_over_pct']:+.2f}", str(row["warm_within"])]
        table.add_row(*cells)
    console.print(table)


def main(
    out: Annotated[Path, typer.Option(help="JSON file to write")],
    days: Annotated[int, typer.Option(min=1, help="days lived, and horizon of the plans")] = 14,
    items: Annotated[int, typer.Option(min=1, help="equal items of an instance")] = 24,
    worlds: Annotated[int, typer.Option(min=1, help="worlds at fixed levels")] = 40,
    warm: Annotated[bool, typer.Option(help="renew the plan every morning as well")] = True,
    seed: Annotated[int, typer.Option(min=0, help="seed of the worlds")] = 7,
    case: Annotated[list[str] | None, typer.Option(help="only this instance; may be repeated")] = None,
    work: Annotated[Path | None, typer.Option(help="folder for instances and runs; default: temporary")] = None,
) -> None:
    """Live by the tables of plans, and compare with their certificates."""
    known = {one.name: one for one in CASES}
    unknown = [name for name in case or [] if name not in known]
    if unknown:
        typer.echo(f"--case {unknown[0]}: expected one of {', '.join(known)}", err=True)
        raise typer.Exit(2)
    began, console, rows = time.perf_counter(), Console(width=140), []
    with tempfile.TemporaryDirectory() as scratch:
        for one in [known[name] for name in case] if case else CASES:
            folder = work or Path(scratch)
            rows.append(lived(one, folder, days=days, items=items, worlds=worlds, warm=warm, seed=seed))
            console.print(f"{one.name}: certificate {rows[-1]['certificate']:,.1f}, lived {rows[-1]['fixed']:,.1f}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    settings = {"days": days, "items": items, "worlds": worlds, "seed": seed}
    meta = about(round(time.perf_counter() - began, 1)) | settings
    out.with_suffix(".meta.json").write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
    show(rows, console)


if __name__ == "__main__":
    typer.run(main)
