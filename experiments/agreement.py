"""Question: does the order-by-order simulator charge a plan what the planner's own simulation expects of it?

    python experiments/agreement.py --run RUN --instance DIR --out FILE.json

Expected cost by item (`plan/expected_items` of the run: fluid, real targets, holdout scenarios) against the mean
cost in the simulator (whole units and targets, orders one by one, capacities measured and not enforced, as the
planner's simulation has it), by demand rate. Also how many orders a second the simulator serves on one core.

Days of high demand cost more in both: what the simulator's customers asked for beyond the mean of the planner's is
taken out by regression of cost on demand over replications (a control variate): most of the noise goes.

Writes a list of {"instance", "class", "items", "units_per_day", "rollout", "simulator", "difference_pct",
"ci95_low_pct", "ci95_high_pct"} and beside it FILE.meta.json. Intervals: the noise of the simulator's replications.
"""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer
from labs_parts.about import about
from rich.console import Console
from rich.table import Table

from meio_jax.backtest import Options, Outcome, read_run, simulate
from meio_jax.errors import InputError
from meio_jax.tables import read_instance

EDGES = (0.0, 0.5, 1.0, 2.0, 4.0, np.inf)
FAST = 4.0
"""Units a day in the whole network from which an item is a fast mover."""


def classes(rate: np.ndarray) -> dict[str, np.ndarray]:
    """Items by demand rate, units a day; empty classes are left out."""
    out = {}
    for low, high in itertools.pairwise(EDGES):
        name = f"{low:g} to {high:g} units a day" if np.isfinite(high) else f"fast movers, {low:g} and more"
        out[name] = (rate >= low) & (rate < high)
    out["slow movers, all"] = rate < FAST
    out["all items"] = np.ones(len(rate), bool)
    return {name: mask for name, mask in out.items() if mask.any()}


def at_demand(cost: np.ndarray, demand: np.ndarray, expected: float) -> np.ndarray:
    """Costs of replications moved to the expected demand along their regression line."""
    spread = demand - demand.mean()
    slope = float(spread @ cost) / max(float(spread @ spread), 1e-12)
    return cost - slope * (demand - expected)


def compare(name: str, expected: pl.DataFrame, outcome: Outcome, days: int) -> list[dict]:
    """Rows by demand class."""
    order = outcome.items.select("item_id").join(expected, on="item_id", how="left", maintain_order="left")
    planned, rate = order["total_cost"].to_numpy(), order["demand"].to_numpy() / days
    rows = []
    for label, mask in classes(rate).items():
        asked = float(order["demand"].to_numpy()[mask].sum())
        found = at_demand(outcome.item_costs[:, mask].sum(1), outcome.item_demand[:, mask].sum(1), asked)
        base, error = float(planned[mask].sum()), float(found.std(ddof=2) / np.sqrt(len(found)))
        change, half = 100 * (float(found.mean()) - base) / abs(base), 196 * error / abs(base)
        rows.append(
            {
                "instance": name,
                "class": label,
                "items": int(mask.sum()),
                "units_per_day": float(rate[mask].sum()),
                "rollout": base,
                "simulator": float(found.mean()),
                "difference_pct": change,
                "ci95_low_pct": change - half,
                "ci95_high_pct": change + half,
            }
        )
    return rows


def main(
    run: Annotated[Path, typer.Option(help="finished run")],
    instance: Annotated[Path, typer.Option(help="its instance")],
    out: Annotated[Path, typer.Option(help="JSON file to write")],
    replications: Annotated[int, typer.Option(min=2)] = 64,
    seed: Annotated[int, typer.Option(min=0)] = 7,
) -> None:
    """Compare, print a table, write JSON."""
    began = time.perf_counter()
    try:
        tables, plan = read_instance(instance), read_run(run)
        expected = pl.read_parquet(run / "plan" / "expected_items.parquet")
        simulate(tables, plan, seed=seed, options=Options.unlimited())  # compiled code is loaded outside the clock
        outcome = simulate(tables, plan, seed=seed, replications=replications, options=Options.unlimited())
    except InputError as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(2) from None
    rows = compare(instance.resolve().name, expected, outcome, tables.settings.periods)
    table = Table("class", "items", "units a day", "rollout", "simulator", "difference %", "95 % interval")
    for row in rows:
        low, high = row["ci95_low_pct"], row["ci95_high_pct"]
        figures = (f"{row['units_per_day']:.1f}", f"{row['rollout']:,.0f}", f"{row['simulator']:,.0f}")
        change = (f"{row['difference_pct']:+.2f}", f"{low:+.2f} .. {high:+.2f}")
        table.add_row(row["class"], str(row["items"]), *figures, *change)
    Console(width=130).print(table)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    meta = about(round(time.perf_counter() - began, 1)) | {"replications": replications, "seed": seed}
    out.with_suffix(".meta.json").write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
