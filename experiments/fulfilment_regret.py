"""Question: how far above the best assignment with hindsight is the assignment of orders, by cost and by value?

    python experiments/fulfilment_regret.py --out experiments/results/fulfilment_regret.json

Networks of the kind of Jasin and Sinha (2015): 10 regions and 5 nodes, 99 regions and 10 nodes; one replenishment
cycle of four weeks, stock as they set it, or off by 30 % by chance (`skewed`). Part `rounds`: the planner's simulation,
demand of a day at a time. Part `orders`: the order-by-order simulator. Both are compared with the transportation
problem of the whole cycle's demand, solved with full knowledge of it, which no rule reaches that waits for customers.

Writes for each part its command, date, seconds, environment and rows: one per network and rule with the regret in
percent of the least cost, and half of its 95 % interval over items.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from fulfilment_parts import fluid, orders
from fulfilment_parts.hindsight import regret
from fulfilment_parts.networks import Shape
from provenance import command_given, provenance
from rich.console import Console
from rich.table import Table

PARTS: dict[str, Callable] = {"rounds": fluid.costs, "orders": orders.costs}
SMALL, LARGE = {"regions": 10, "nodes": 5, "stocked": 0.75}, {"regions": 99, "nodes": 10, "stocked": 0.5}
SKEWED = {"skew": 0.3}


def networks(items: int, units: float) -> dict[str, Shape]:
    """Networks by name."""
    more = {"items": items, "units": units}
    return {
        "10 x 5": Shape(**SMALL, **more),
        "10 x 5, skewed": Shape(**SMALL, **SKEWED, **more),
        "99 x 10": Shape(**LARGE, **more),
        "99 x 10, skewed": Shape(**LARGE, **SKEWED, **more),
    }


def rows_of(part: str, name: str, shape: Shape, seeds: int, worlds: int) -> Iterator[dict]:
    """A row for every rule."""
    runs = [PARTS[part](shape, seed, worlds) for seed in range(seeds)]
    best = np.concatenate([run[1] for run in runs])
    for rule in runs[0][0]:
        cost = np.concatenate([run[0][rule] for run in runs])
        share, half = regret(cost, best)
        row = {"network": name, "rule": rule, "regret_pct": share, "half_width": half, "least_cost": float(best.sum())}
        yield row | {"items": best.shape[0], "worlds": worlds}


def write_part(out: Path, part: str, rows: list[dict], seconds: float) -> None:
    """Put the rows of a part into the file; rows of networks that were not run are kept."""
    found = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    names = {row["network"] for row in rows}
    kept = [row for row in found.get(part, {}).get("rows", []) if row["network"] not in names]
    about = {"command": command_given(), "date": datetime.now(UTC).date().isoformat(), "seconds": round(seconds, 1)}
    found[part] = {**about, "environment": provenance(), "rows": kept + rows}
    out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def show(part: str, rows: list[dict]) -> None:
    """Print a part as a table."""
    table = Table(*rows[0], title=part)
    for row in rows:
        table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(width=150).print(table)


def main(
    out: Annotated[Path, typer.Option(help="JSON file to write; parts and networks that are not run are kept")],
    part: Annotated[list[str] | None, typer.Option(help="rounds or orders; may be repeated")] = None,
    network: Annotated[list[str] | None, typer.Option(help="only this network; may be repeated")] = None,
    items: Annotated[int, typer.Option(help="items of a network and seed")] = 10,
    units: Annotated[float, typer.Option(help="mean demand of an item in the cycle")] = 100.0,
    seeds: Annotated[int, typer.Option(help="draws of where items are stocked")] = 2,
    worlds: Annotated[int, typer.Option(help="scenarios of every item")] = 8,
) -> None:
    """Run, print the tables, write JSON. Exit status 2 if a part or network is not known."""
    shapes = networks(items, units)
    names, chosen = part or list(PARTS), network or list(shapes)
    for given, known in ((names, PARTS), (chosen, shapes)):
        if unknown := sorted(set(given) - set(known)):
            typer.echo(f"{unknown[0]}: unknown; choose one of {', '.join(known)}", err=True)
            raise typer.Exit(2)
    for one in names:
        started = time.perf_counter()
        rows = [row for name in chosen for row in rows_of(one, name, shapes[name], seeds, worlds)]
        write_part(out, one, rows, time.perf_counter() - started)
        show(one, rows)


if __name__ == "__main__":
    typer.run(main)
