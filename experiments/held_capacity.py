"""Question: what does it cost to keep capacities in nine worlds of ten, and what does risk of the total change?

    python experiments/held_capacity.py --out experiments/results/held_capacity.json

A national instance whose items share a factor on demand (coefficient of variation 0.25, one for the whole horizon),
with storage capacities and nothing in stock at the start. Plans of it:

* `average`: capacities kept on average over scenarios;
* `nine of ten`: every capacity held in 90 % of the scenarios;
* `cvar`: on average, and half mean, half CVaR of the total cost at 90 %;

All are judged alike: on the same holdout scenarios (`kept`: share of the worlds in which a capacity is kept within
0.5 %, in its worst week among those that are priced in the plan `average`; the mean and the CVaR of the total cost),
and in the order-by-order simulator, which draws customers and worlds of its own (`kept_lived`). `rent` is what the
capacities cost at their prices.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer
from provenance import write_rows
from rich.console import Console
from rich.table import Table

from meio_jax.backtest import Options, PlanTable, simulate
from meio_jax.certify.holdout import evaluate_holdout
from meio_jax.certify.worlds import error_of_mean, kept_shares, parts_of, risk_of_total
from meio_jax.config import Config, make_config
from meio_jax.generate import GenerateOptions, generate_instance
from meio_jax.model.total_risk import TotalRisk
from meio_jax.planner import plan, prepare
from meio_jax.planner.finished import Plan
from meio_jax.tables import Tables, read_instance

CV, SHARE, LEVEL = 0.25, 0.9, 0.9
KINDS = ("storage",)
RISKS = {
    "cvar": {"measure": "cvar", "level": LEVEL, "weight": 0.5},
}
WAYS = ("average", "nine of ten", *RISKS)
# A price below this share of the largest is chance.
_PRICED = 0.05


def instance(items: int, folder: Path) -> Tables:
    """A national instance whose items share a factor."""
    options = GenerateOptions(
        shape="national", items=items, nodes_per_tier=(1, 2, 0), regions=4, speeds=1, waves=1, periods=28,
        vendors=4, resources=KINDS, seed=5, tightness=0.6,
    )  # fmt: skip
    generate_instance(options, folder / "instance")
    tables = read_instance(folder / "instance")
    settings = tables.settings.model_copy(update={"world_factor_cv": CV})
    # Stock at the start would fill the rooms of the first weeks in worlds of low demand, whatever is planned.
    empty = {name: tables.frames()[name].clear() for name in ("on_hand", "on_order") if name in tables.frames()}
    return Tables.from_frames(settings, **{**tables.frames(), **empty})


def held(tables: Tables) -> Tables:
    """The same with every capacity held in a share of the scenarios."""
    return tables.replace(resources=tables.resources.with_columns(held_in=pl.lit(SHARE)))


def configuration(way: str, holdout: int) -> Config:
    """How a plan is made."""
    scenarios = {"train": 4096, "holdout": holdout, "clairvoyant": 0, "unit_values": 0}
    solve = {"slack_items": 0, "feasibility_steps": 0, "max_steps": 120, "devices": 1}
    return make_config(scenarios=scenarios, solve=solve, risk=RISKS.get(way, {}))


def planned(tables: Tables, way: str, holdout: int) -> tuple[Plan, float]:
    """A plan and its seconds."""
    began = time.perf_counter()
    given = held(tables) if way == "nine of ten" else tables
    return plan(given, configuration(way, holdout)), time.perf_counter() - began


def judged(tables: Tables, found: Plan, tight: np.ndarray, holdout: int) -> dict:
    """What the plan costs, and in how many worlds it keeps the capacities, on holdout scenarios."""
    model = prepare(held(tables), configuration("average", holdout))
    usage = evaluate_holdout(model.problem, found.policy, found.solution.list_prices, holdout).usage
    parts = parts_of(CV, 1.0, model.config.seed, holdout)
    kept, error = kept_shares(model.instance.resources, usage, parts, model.config.solve.violation)
    cost = np.asarray(usage.worlds.cost, float)
    risk = risk_of_total(TotalRisk("cvar", level=LEVEL), usage.worlds, parts)
    shown = np.where(tight, kept, np.inf)
    worst = np.unravel_index(np.argmin(shown), kept.shape)
    return {
        "cost": float(cost.mean()), "cost_error": float(error_of_mean(cost, parts)),
        "cvar": risk.risk, "cvar_error": risk.risk_error,
        "kept": float(kept[worst]), "kept_error": float(error[worst]), "kept_mean": float(kept[tight].mean()),
    }  # fmt: skip


def expected(found: Plan) -> pl.DataFrame:
    """Units that a node expects to sell on a day of each bucket: the planner counts them as gone when nodes order."""
    instance = found.model.instance
    network, join = instance.network, lambda leaf: instance.layout.join(np.asarray(leaf), len(instance.items))
    share, mean = join(instance.catalog.block.own_share), join(instance.catalog.block.mean_demand)
    by_bucket = mean[: network.buckets * network.bucket_periods].reshape(network.buckets, network.bucket_periods, -1)
    today = by_bucket.mean(axis=1)[:, None, :] * share[None]
    bucket, node, item = (axis.reshape(-1) for axis in np.indices(today.shape))
    names = {"item_id": np.asarray(instance.items)[item], "node_id": np.asarray(instance.ids.nodes)[node]}
    return pl.DataFrame({**names, "bucket": bucket, "today": today.reshape(-1)})


def lived(tables: Tables, found: Plan, tight: np.ndarray, replications: int) -> dict:
    """In how many replications of the order-by-order simulator the plan keeps the capacities."""
    options = Options(storage="measure", outbound="measure", inbound="measure", ordering="morning")
    targets = found.frames()["plan/targets"].join(expected(found), on=["item_id", "node_id", "bucket"], how="left")
    levels = targets.with_columns(pl.col("target_units") + pl.col("today").fill_null(0).round().cast(pl.Int64))
    run = simulate(tables, PlanTable(levels), seed=1, replications=replications, options=options)
    names = tables.resources["resource_id"].unique(maintain_order=True).to_list()
    kept = np.full(tight.shape, np.nan)
    for name, bucket, share in run.capacity.select("resource_id", "bucket", "kept_in").iter_rows():
        kept[bucket, names.index(name)] = share
    return {"kept_lived": float(kept[tight].min()), "kept_lived_mean": float(kept[tight].mean())}


def rows(items: int, holdout: int, replications: int, folder: Path, console: Console) -> list[dict]:
    """One row per plan."""
    tables, plans = instance(items, folder), {}
    for way in WAYS:
        console.print(f"plan: {way}")
        plans[way] = planned(tables, way, holdout)
    prices = np.asarray(plans["average"][0].solution.prices, float)
    tight = prices > _PRICED * prices.max(axis=0).clip(1e-12)
    tight &= prices.max(axis=0) > 0
    tight[0] = False  # what is in stock at the start is no matter of the plan
    found = []
    for way, (made, seconds) in plans.items():
        certificate, resources = made.certificate, made.model.instance.resources
        capacity = np.where(resources.present, resources.capacity, 0)
        rent = float(np.sum(np.asarray(made.solution.prices, float) * capacity))
        found.append(
            {
                "plan": way,
                "result": certificate.result,
                "largest_violation": certificate.largest_violation,
                "coupling_gap": certificate.coupling_gap,
                "steps": certificate.steps,
                "seconds": seconds,
                "step_seconds": float(np.median(np.diff([step.seconds for step in made.solution.history]))),
                "rent": rent,
                "tight": int(tight.sum()),
                **judged(tables, made, tight, holdout),
                **lived(tables, made, tight, replications),
            }
        )
    return found


def shown(found: list[dict]) -> Table:
    """The rows for a person."""
    table = Table(title="Capacities on average and in nine worlds of ten; risk of the total cost")
    for name in (
        "plan",
        "mean cost",
        "CVaR 90 %",
        "rent",
        "kept, worst",
        "kept, mean",
        "lived, worst",
        "lived, mean",
        "s",
    ):
        table.add_column(name, justify="left" if name == "plan" else "right")
    for row in found:
        table.add_row(
            row["plan"], f"{row['cost']:,.0f} ± {1.96 * row['cost_error']:,.0f}",
            f"{row['cvar']:,.0f} ± {1.96 * row['cvar_error']:,.0f}", f"{row['rent']:,.0f}",
            f"{row['kept']:.1%} ± {1.96 * row['kept_error']:.1%}", f"{row['kept_mean']:.1%}",
            f"{row['kept_lived']:.1%}", f"{row['kept_lived_mean']:.1%}", f"{row['seconds']:.0f}",
        )  # fmt: skip
    return table


def main(
    out: Annotated[Path | None, typer.Option(help="where the rows go, as JSON")] = None,
    items: Annotated[int, typer.Option(help="items of the instance")] = 24,
    holdout: Annotated[int, typer.Option(help="holdout scenarios")] = 1024,
    replications: Annotated[int, typer.Option(help="replications of the simulator")] = 200,
) -> None:
    """Plan, judge, and print the table."""
    console = Console(stderr=True)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = rows(items, holdout, replications, Path(folder), console)
    Console().print(shown(found))
    if out is not None:
        sizes = {"items": items, "holdout": holdout, "replications": replications}
        write_rows(out, found, time.perf_counter() - began, **sizes)


if __name__ == "__main__":
    typer.run(main)
