"""Question: do today's orders depend on where the horizon of the plan ends?

    python experiments/horizon.py --out FILE.json

Every shape (local, national, global, and the small US instance) is planned with a horizon of H days, 2 H and 3 H, with
capacities and without, from several seeds. What is known of the days that remain is the same. Compared are today's
orders (`plan/orders`, units by item and node):

* *bias*: units in all, against the plan of 3 H with the same seed; mean over the seeds (asked: within 5 %);
* *difference*: sum of absolute differences by item and node between H (or 2 H) and 3 H of one seed, as a share of the
  units of the latter; and between two seeds of 3 H (asked: the former is no larger);
* *levels*: with constant demand and no capacity, how far the target of a node, summed over its items, moves over the
  reported buckets (asked: within 3 %).

What is solved is kept beside the output; started again, the experiment goes on.
"""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer
from horizon_parts.instances import SHAPES, constant, cut, free, longest
from provenance import provenance
from rich.console import Console
from rich.table import Table

from meio_jax.config.settings import make_config
from meio_jax.planner import plan
from meio_jax.tables import Tables

HORIZONS = (1, 2, 3)
MOVEMENT_ASKED, BIAS_ASKED = 0.03, 0.05


def planned(tables: Tables, seed: int, steps: int) -> dict:
    """Today's orders by item and node, and the target of every node and bucket, of one cold solve."""
    began = time.perf_counter()
    config = make_config(
        seed=seed,
        scenarios={"holdout": 128, "clairvoyant": 0},
        solve={"max_steps": steps, "feasibility_steps": 0, "slack_items": 0},
    )
    found = plan(tables, config)
    frames = found.frames()
    orders = frames["plan/orders"].group_by("item_id", "node_id", maintain_order=True).agg(pl.col("units").sum())
    targets = frames["plan/targets"].group_by("node_id", "bucket").agg(pl.col("target").sum()).sort("node_id", "bucket")
    by_node = targets.group_by("node_id", maintain_order=True).agg("target")
    return {
        "orders": {f"{item}|{node}": units for item, node, units in orders.iter_rows()},
        "targets": dict(by_node.iter_rows()),
        "result": str(found.result),
        "cost": found.certificate.holdout_cost,
        "seconds": round(time.perf_counter() - began, 1),
    }


def difference(left: dict[str, float], right: dict[str, float]) -> float:
    """Sum of absolute differences as a share of the units of `right`."""
    parts = sum(abs(left.get(key, 0.0) - right.get(key, 0.0)) for key in left.keys() | right.keys())
    return parts / max(sum(right.values()), 1.0)


def compared(rows: list[dict], shape: str, capacities: bool) -> list[dict]:
    """A line for H and one for 2 H of an instance; none where the plans of 3 H are missing."""
    mine = [row for row in rows if (row["shape"], row["capacities"], row["constant"]) == (shape, capacities, False)]
    plans = {(row["times"], row["seed"]): row["orders"] for row in mine}
    whole = {seed: orders for (times, seed), orders in plans.items() if times == HORIZONS[-1]}
    pairs = [difference(whole[a], whole[b]) for a, b in itertools.permutations(whole, 2)]
    lines = []
    for times in HORIZONS[:-1]:
        seeds = [seed for seed in whole if (times, seed) in plans]
        if not seeds:
            continue
        bias = [sum(plans[times, s].values()) / max(sum(whole[s].values()), 1.0) - 1 for s in seeds]
        apart = [difference(plans[times, s], whole[s]) for s in seeds]
        lines.append(
            {
                "shape": shape,
                "capacities": capacities,
                "horizon": times,
                "seeds": len(seeds),
                "units": float(np.mean([sum(whole[s].values()) for s in seeds])),
                "bias_pct": 100 * float(np.mean(bias)),
                "difference_pct": 100 * float(np.mean(apart)),
                "difference_of_seeds_pct": 100 * float(np.mean(pairs)) if pairs else None,
                "bias_holds": abs(float(np.mean(bias))) <= BIAS_ASKED,
                "difference_holds": bool(pairs) and float(np.mean(apart)) <= float(np.mean(pairs)),
            }
        )
    return lines


def level_movement(row: dict) -> dict:
    """How far the levels of the nodes move over the buckets, with constant demand."""
    moved = {node: max(levels) / max(min(levels), 1e-9) - 1 for node, levels in row["targets"].items() if max(levels)}
    worst = max(moved, key=lambda node: moved[node])
    days = {"shape": row["shape"], "horizon": row["times"], "node": worst}
    return {**days, "moved_pct": 100 * moved[worst], "holds": moved[worst] <= MOVEMENT_ASKED}


def show(lines: list[dict], console: Console) -> None:
    """One table of equal rows."""
    if lines:
        table = Table(*lines[0])
        for line in lines:
            table.add_row(*(f"{value:.2f}" if isinstance(value, float) else str(value) for value in line.values()))
        console.print(table)


def wanted(shapes: list[str], seeds: int) -> list[tuple[str, bool, bool, int, int]]:
    """What is to be solved: shape, capacities, constant demand, horizon, seed."""
    plain = itertools.product(range(seeds), shapes, (False, True), HORIZONS)
    flat = [(shape, False, True, 1, 0) for shape in shapes if shape != "us_small"]
    return flat + [(shape, capacities, False, times, seed) for seed, shape, capacities, times in plain]


def main(
    out: Annotated[Path, typer.Option(help="JSON file to write")],
    shape: Annotated[list[str] | None, typer.Option(help=f"only this one of {', '.join(SHAPES)}; may repeat")] = None,
    days: Annotated[int, typer.Option(min=7, help="H, days")] = 28,
    items: Annotated[int, typer.Option(min=1, help="items of a generated instance")] = 60,
    seeds: Annotated[int, typer.Option(min=1, help="seeds of the solves")] = 5,
    steps: Annotated[int, typer.Option(min=1, help="most steps of a solve")] = 150,
    data: Annotated[Path, typer.Option(help="public data of the US instance")] = Path("../shared/data/us"),
) -> None:
    """Plan with three horizons and compare what is ordered today."""
    console, began = Console(width=150), time.perf_counter()
    log = out.with_suffix(".log.jsonl")
    out.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    names = ("shape", "capacities", "constant", "times", "seed")
    known = {tuple(row[name] for name in names) for row in rows}
    with tempfile.TemporaryDirectory() as home:
        whole: dict[str, Tables] = {}
        for one in wanted(list(shape or SHAPES), seeds):
            if one in known:
                continue
            name, capacities, flat, times, seed = one
            if name not in whole:
                whole[name] = longest(name, items, HORIZONS[-1] * days, Path(home), data)
            tables = cut(whole[name], times * days)
            tables = tables if capacities else free(tables)
            row = {**dict(zip(names, one, strict=True)), **planned(constant(tables) if flat else tables, seed, steps)}
            rows.append(row)
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            units = sum(row["orders"].values())
            console.print(f"{one}: {units:,.0f} units today, {row['result']}, {row['seconds']} s", highlight=False)
    chosen = list(shape or SHAPES)
    lines = [line for name in chosen for capacities in (False, True) for line in compared(rows, name, capacities)]
    levels = [level_movement(row) for row in rows if row["constant"] and row["shape"] in chosen]
    content = {
        "command": f"python experiments/horizon.py --days {days} --items {items} --seeds {seeds} --steps {steps}",
        "date": time.strftime("%Y-%m-%d"),
        **provenance(),
        "orders": lines,
        "levels": levels,
        "solves": len(rows),
        "seconds_of_solves": round(sum(row["seconds"] for row in rows)),
        "seconds_of_the_last_call": round(time.perf_counter() - began),
    }
    out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    show(lines, console)
    show(levels, console)


if __name__ == "__main__":
    typer.run(main)
