"""Question: is the whole system better than the one it replaced, on customers that neither has seen?

    python experiments/labs.py --instance DIR --out FILE.json

Lab 1: our levels with the old placement. Lab 2: the whole system, planned without cut-offs. Lab 3: the whole system
with cut-offs. Each against a baseline (`--baseline`), order by order in the independent simulator: a randomised A/B
by item with common random numbers, crossed over, with bootstrap intervals over items. Plans are made on a horizon
that is longer than the days judged (see docs/labs.md). Where the instance folder has `actuals/actual.parquet`, the
plans also face the sales that were recorded; these rows name the instance with ` (recorded days)`.

Writes a list of {"lab", "instance", "metric", "baseline", "ours", "difference_pct", "ci95_low_pct",
"ci95_high_pct"} and beside it FILE.meta.json. Metrics that end in `_unlimited` come from worlds where capacities are
only measured; capacity rows and prices have no interval, since items share them. Metrics that end in `_all_items` come
from worlds where all items follow one plan, so that neither side suffers from what the other does to capacities.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from labs_parts.about import about
from labs_parts.compare import capacity_rows, item_rows, price_rows, whole_rows, with_landed
from labs_parts.placement import nodes_without_lanes, our_levels_old_placement
from labs_parts.solving import solved
from labs_parts.trial import Felt, all_items_follow, run_trial
from labs_parts.worlds import first_days, longer, recorded, without_cutoffs
from rich.console import Console
from rich.table import Table

from meio_jax.backtest import Options, PlanTable, World, read_run, read_world
from meio_jax.backtest.baselines import BASELINES
from meio_jax.errors import InputError
from meio_jax.progress import Silent
from meio_jax.tables import Tables, read_instance

LABS = {
    1: "lab 1: our levels, old placement",
    2: "lab 2: whole system, cut-offs not modelled",
    3: "lab 3: whole system with cut-offs",
}
ROOT = Path(__file__).resolve().parent.parent
SHOWN = (
    "total_cost", "total_cost_landed", "outbound_cost", "fast_promise_share", "km_per_unit", "lost_units",
    "stock_units", "transfer_units", "capacity_violation_pct",
    "total_cost_all_items", "outbound_cost_all_items", "fast_promise_share_all_items", "lost_units_all_items",
)  # fmt: skip


def freight_of(world: World) -> np.ndarray:
    """Freight of an item's cheapest offer, money per unit, `[items]`: what landed cost adds to replacement cost."""
    supply = world.supply
    owner = np.repeat(np.arange(len(world.items)), np.diff(supply.offer_start))
    best = np.full(len(world.items), np.inf)
    np.minimum.at(best, owner, supply.offer_freight)
    return np.where(np.isfinite(best), best, 0.0)


@dataclass(frozen=True)
class Study:
    """What is compared and how long: see the options of the command."""

    instance: Path
    work: Path
    runs: tuple[Path | None, Path | None]
    baseline: str
    config: Path
    days: int
    ahead: int
    seed: int
    replications: int
    capacity_replications: int
    labs: tuple[int, ...]


@dataclass(frozen=True)
class Customers:
    """A world of customers: what the simulator enforces in it, and what capacities feel under the baseline, as they
    are enforced and where they are only measured."""

    tables: Tables
    world: World
    options: Options
    enforced: Felt
    measured: Felt


def _only_measured(options: Options) -> Options:
    return replace(options, storage="measure", inbound="measure", outbound="measure")


def _felt(tables: Tables, world: World, plan: PlanTable, options: Options, study: Study) -> tuple[Felt, Felt]:
    """What capacities feel where all items follow a plan: as they are enforced, and where they are only measured."""
    quick = replace(options, detail=False)
    play = lambda how: all_items_follow(
        tables, world, plan, how, seed=study.seed, replications=study.capacity_replications
    )
    return play(quick), play(_only_measured(quick))


def lab_rows(at: Customers, plans: tuple[PlanTable, PlanTable], study: Study) -> list[dict]:
    """All rows of one lab in one world of customers."""
    world, seed = at.world, study.seed
    sides = run_trial(at.tables, world, plans, at.options, seed=seed, replications=study.replications)
    freight = freight_of(world)
    rows = item_rows(with_landed(sides.baseline, freight), with_landed(sides.ours, freight), world.speeds, seed)
    enforced, measured = _felt(at.tables, world, plans[1], at.options, study)
    rows += capacity_rows(at.enforced, enforced, "")
    rows += capacity_rows(at.measured, measured, "_unlimited")
    rows += whole_rows(at.enforced, enforced, seed)
    return rows + price_rows(plans[1].prices, world.buckets)


def show(rows: list[dict], console: Console) -> None:
    """A short table of what is judged."""
    table = Table("lab", "instance", "metric", "baseline", "ours", "difference %", "95 % interval")
    for row in rows:
        if row["metric"] in SHOWN:
            change, low, high = (row[name] for name in ("difference_pct", "ci95_low_pct", "ci95_high_pct"))
            interval = "" if low is None else f"{low:+.2f} .. {high:+.2f}"
            difference = "" if change is None else f"{change:+.2f}"
            figures = (f"{row['baseline']:,.3f}", f"{row['ours']:,.3f}")
            table.add_row(row["lab"], row["instance"], row["metric"], *figures, difference, interval)
    console.print(table)


def plans_of(study: Study) -> tuple[PlanTable, dict[str, PlanTable]]:
    """The baseline, and the plan of each lab."""
    name = study.instance.resolve().name
    seen = longer(study.instance, study.work / name, study.days + study.ahead)
    tables = read_instance(seen)
    old = BASELINES[study.baseline](tables)
    plans = {}
    if 1 in study.labs or 3 in study.labs:
        ours = read_run(study.runs[0] or solved(seen, study.work / "runs" / name, study.config, Silent()))
        first = nodes_without_lanes(tables.lanes, tables.nodes["node_id"].to_list())
        # Lab 1 has no prices: the old placement knows none.
        plans[1] = our_levels_old_placement(ours, old, first)
        plans[3] = ours
    if 2 in study.labs:
        blind = without_cutoffs(seen, study.work / f"{name}_without_cutoffs")
        plans[2] = read_run(study.runs[1] or solved(blind, study.work / "runs" / blind.name, study.config, Silent()))
    return old, {LABS[lab]: plans[lab] for lab in study.labs}


def all_labs(study: Study) -> list[dict]:
    """Rows of the three labs, on sampled customers and on recorded sales where there are any."""
    old, plans = plans_of(study)
    tables = first_days(read_instance(study.instance), study.days)
    name = study.instance.resolve().name
    options = Options(inbound="bucket", outbound="bucket", detail=True)
    worlds = {name: options}
    sales = recorded(study.instance)
    if sales is not None:
        worlds[f"{name} (recorded days)"] = replace(options, actual=sales)
    rows, world = [], read_world(tables)
    for place, chosen in worlds.items():
        at = Customers(tables, world, chosen, *_felt(tables, world, old, chosen, study))
        for lab, plan in plans.items():
            rows += [{"lab": lab, "instance": place} | row for row in lab_rows(at, (old, plan), study)]
    return rows


def main(
    instance: Annotated[Path, typer.Option(help="instance folder")],
    out: Annotated[Path, typer.Option(help="JSON file to write")],
    run: Annotated[Path | None, typer.Option(help="finished run with cut-offs; default: solve")] = None,
    run_without_cutoffs: Annotated[Path | None, typer.Option(help="finished run without; default: solve")] = None,
    baseline: Annotated[str, typer.Option(help=", ".join(BASELINES))] = "national_two_day",
    days: Annotated[int, typer.Option(min=7, help="days judged, the first of the horizon")] = 28,
    ahead: Annotated[int, typer.Option(min=0, help="further days that plans look ahead")] = 28,
    replications: Annotated[int, typer.Option(min=1, help="worlds of the A/B")] = 24,
    capacity_replications: Annotated[int, typer.Option(min=2, help="worlds in which capacities are judged")] = 192,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    lab: Annotated[list[int] | None, typer.Option(min=1, max=3, help="only this lab; may be repeated")] = None,
    config: Annotated[Path, typer.Option(help="settings of the solves")] = ROOT / "configs" / "us_small.yaml",
    work: Annotated[Path | None, typer.Option(help="folder for instances and runs; default: temporary")] = None,
) -> None:
    """Run the three labs on one instance."""
    if baseline not in BASELINES:
        typer.echo(f"--baseline {baseline}: expected one of {', '.join(BASELINES)}", err=True)
        raise typer.Exit(2)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = work or Path(scratch)
        runs = (run, run_without_cutoffs)
        labs = tuple(lab or LABS)
        study = Study(
            instance, folder, runs, baseline, config, days, ahead, seed, replications, capacity_replications, labs
        )
        try:
            rows = all_labs(study)
        except InputError as problem:
            typer.echo(str(problem), err=True)
            raise typer.Exit(2) from None
    seconds = round(time.perf_counter() - began, 1)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    settings = {"baseline": baseline, "days": days, "ahead": ahead, "replications": replications}
    settings |= {"capacity_replications": capacity_replications, "seed": seed}
    out.with_suffix(".meta.json").write_text(json.dumps(about(seconds) | settings, indent=1) + "\n", encoding="utf-8")
    console = Console(width=130)
    show(rows, console)
    console.print(f"{len(rows)} rows in {seconds:.0f} s: {out}")


if __name__ == "__main__":
    typer.run(main)
