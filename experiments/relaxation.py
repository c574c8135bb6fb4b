"""Question: how near to the optimum does an information relaxation with martingale penalties come, and is it a bound?

    python experiments/relaxation.py --out experiments/results/relaxation.json

The 32 single-site systems with lost sales of `projected_level.py`, over so many periods from one state, whose least
expected cost is computed exactly by dynamic programming. The reference policy is the projected inventory level of least
simulated cost, and V is its own cost to go, so that nothing of the optimum enters the bound. With lead times of one and
two periods the inner problem has stock and one receipt as its state, with longer ones stock and two receipts; up to
three periods that is the whole state of the system. Beside the bound: the clairvoyant one, and the cost of the policy.

Systems with short lead times are bounded `--repeats` times more with other draws; counted are means above the optimum,
and means less 2.33 standard errors (the limit that a certificate would state) above it.

Writes {"command", "date", "seconds", "environment", "rows"}: by system the optimum, gaps in percent of it with the
standard error, and the repeats above it.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from projected_parts.optima import SYSTEMS
from projected_parts.optimum import System
from provenance import command_given, provenance, write_rows
from relaxation_parts.bounds import Study, best_level, study
from relaxation_parts.chain import Chain
from rich.console import Console
from rich.table import Table

# By how much fewer scenarios bound a system whose inner problem has three numbers as its state.
FEWER = {"poisson": 5, "geometric": 10}
# Stock under geometric demand has more than twice as many states: fewer repeats.
REPEATED = {"poisson": 1, "geometric": 6}


def row_of(system: System, periods: int, scenarios: int, repeats: int) -> dict:
    """Figures of a system."""
    started = time.perf_counter()
    chain = Chain(system)
    least, _ = chain.optimal(periods)
    level, policy = best_level(chain, periods)
    short = system.lead_time <= 2
    one = Study(chain, policy, 1 if short else 2, scenarios if short else max(scenarios // FEWER[system.demand], 2))
    found = study(one, least, repeats // REPEATED[system.demand] if short else 0)
    seconds = round(time.perf_counter() - started, 1)
    return {"system": system.label, "periods": periods, "level": level} | found | {"seconds": seconds}


def show(rows: list[dict]) -> None:
    """Print gaps below the optimum in percent, and their means."""
    table = Table("system", "optimum", "bound, %", "± s.e.", "clairvoyant, %", "policy, %", "repeats", "above", "limit")
    for row in rows:
        table.add_row(
            row["system"],
            f"{row['optimum']:.2f}",
            f"{-row['gap_pct']:+.2f}",
            f"{row['error_pct']:.2f}",
            f"{-row['clairvoyant_gap_pct']:+.1f}",
            f"{row['policy_pct']:+.2f}",
            *(str(row[key]) for key in ("repeats", "means_above", "limits_above")),
        )
    console = Console(width=130)
    console.print(table)
    gaps = [row["gap_pct"] for row in rows]
    console.print(
        f"mean gap {np.mean(gaps):.2f} %, largest {max(gaps):.2f} %, {len(rows)} systems; of "
        f"{sum(row['repeats'] for row in rows)} repeats {sum(row['means_above'] for row in rows)} means and "
        f"{sum(row['limits_above'] for row in rows)} limits above the optimum"
    )


def _effort(system: System) -> tuple:
    """What takes longest comes last."""
    return (system.demand == "geometric" and system.lead_time > 2, system.lead_time, system.demand == "geometric")


def main(
    out: Annotated[Path, typer.Option(help="JSON file to write")],
    periods: Annotated[int, typer.Option(help="length of an episode", min=10)] = 40,
    scenarios: Annotated[int, typer.Option(help="scenarios of a bound; fewer where lead times are long", min=20)] = 200,
    repeats: Annotated[int, typer.Option(help="further bounds of systems with short lead times", min=0)] = 10,
    lead: Annotated[list[int] | None, typer.Option(help="only these lead times; may be repeated")] = None,
) -> None:
    """Bound all systems, print the table, write JSON; rows of the same command on the same commit are kept."""
    same = (command_given(), provenance()["commit"])
    before = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    told = (before.get("command"), before.get("environment", {}).get("commit"))
    rows: list[dict] = before["rows"] if told == same else []
    known = {row["system"] for row in rows}
    for system in sorted(SYSTEMS, key=_effort):
        if system.label in known or (lead and system.lead_time not in lead):
            continue
        rows.append(row_of(system, periods, scenarios, repeats))
        last = rows[-1]
        typer.echo(
            f"{last['system']}: gap {last['gap_pct']:.2f} ± {last['error_pct']:.2f} %, {last['seconds']} s", err=True
        )
        write_rows(out, rows, sum(row["seconds"] for row in rows))
    show(rows)


if __name__ == "__main__":
    typer.run(main)
