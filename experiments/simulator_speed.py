"""Question: how many customer orders a second does the simulator serve on one core?

    python experiments/simulator_speed.py --instance DIR --out FILE.json

The network of an instance with its demand scaled up (sales form: `--units-per-day` for all items together), served
order by order under the national baseline; every unit is an order of its own. Both clocks are given: wall time, which
other work on the machine stretches, and the processor time of this process, which it does not. The order stream
counts, reading the instance and compiling do not. Writes {"orders", "wall_seconds", "cpu_seconds",
"orders_per_second_wall", "orders_per_second_cpu"} with the circumstances.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer
from labs_parts.about import about

from meio_jax.backtest import Options, read_world, simulate
from meio_jax.backtest.baselines import BASELINES
from meio_jax.errors import InputError
from meio_jax.tables import read_instance


def sales(items: list[str], days: int, units: int, seed: int) -> pl.DataFrame:
    """Recorded sales of about `units` a day over all items, by a long-tailed law of popularity."""
    rng = np.random.default_rng(seed)
    share = rng.pareto(1.2, len(items)) + 0.05
    counts = rng.poisson(np.outer(share / share.sum() * units, np.ones(days)))
    item, day = np.indices(counts.shape).reshape(2, -1)
    return pl.DataFrame({"item_id": pl.Series(items).gather(item), "period": day, "units": counts.reshape(-1)})


def enough(demand: pl.DataFrame, sites: pl.DataFrame) -> pl.DataFrame:
    """Stock for nearly all orders at every site that ships, so that they are served and not turned away at once."""
    total = demand.group_by("item_id", maintain_order=True).agg(pl.col("units").sum().cast(pl.Float64))
    return total.join(sites, how="cross").select("item_id", "node_id", "units")


def main(
    instance: Annotated[Path, typer.Option(help="instance folder")],
    out: Annotated[Path, typer.Option(help="JSON file to write")],
    units_per_day: Annotated[int, typer.Option(min=1)] = 50_000,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Measure and print."""
    try:
        tables = read_instance(instance)
        plan = BASELINES["national_two_day"](tables)
        demand = sales(tables.items["item_id"].to_list(), tables.settings.periods, units_per_day, seed)
        tables = tables.replace(on_hand=enough(demand, tables.cutoffs.select("node_id").unique(maintain_order=True)))
        world = read_world(tables)
        options = Options.unlimited(actual=demand)
        simulate(tables, plan, seed=seed, options=options, world=world)  # compiles
        cpu = time.process_time()
        outcome = simulate(tables, plan, seed=seed, options=options, world=world)
        cpu = time.process_time() - cpu
    except InputError as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(2) from None
    orders = int(outcome.replications["orders"].sum())
    wall = float(outcome.replications["seconds"].sum())
    result = {
        "instance": instance.resolve().name,
        "orders": orders,
        "wall_seconds": round(wall, 2),
        "cpu_seconds": round(cpu, 2),
        "orders_per_second_wall": round(orders / wall),
        "orders_per_second_cpu": round(orders / max(cpu, 1e-9)),
        "share_served": round(float(outcome.metrics()["shipped"] / outcome.metrics()["demand"]), 3),
    }
    print(json.dumps(result))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result | about(round(wall, 1)), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
