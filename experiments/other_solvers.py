"""Question: how far is a plan from the optimum of a linear program that sees the same scenarios?

    python experiments/other_solvers.py --out results.json --count 20

Two-stage newsvendor networks with shared storage and outbound capacity, solved in extensive form by HiGHS and by the
planner, both on the same training scenarios. The table gives, per instance: the optimum, the planner's cost, the
largest violation, the gap, and the part of it that is due to fulfilment (the simulated cost of
the program's own orders).
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from solvers.newsvendor_network import PATHS, random_tables, solve_extensive, training_demand

from meio_jax.config import Config
from meio_jax.planner import Model, prepare, search
from meio_jax.resources import bound, excess

_STEPS = 400


def configuration() -> Config:
    """The same settings for every instance."""
    return Config.model_validate(
        {
            "instance": {"path": "unused"},
            "run": "unused",
            "scenarios": {"train": PATHS, "per_step": PATHS, "holdout": 2, "clairvoyant": 0},
            "dual": {"name": "augmented", "options": {"step_size": 0.02, "penalty": 0.1}},
            "solve": {
                "max_steps": _STEPS,
                "min_steps": _STEPS,
                "learning_rate": 0.1,
                "final_learning_rate": 0.001,
                "capacity_margin": 0.0,
                "violation": 0.001,
            },
        }
    )


def in_sample(model: Model, search_state: eqx.Module) -> tuple[float, float]:
    """Cost of fixed parameters over all training scenarios, and the largest relative violation.

    The solver itself reports a running mean over steps, each of which sees a part of the scenarios.
    """
    problem, resources = model.problem, model.problem.resources
    sweep = eqx.filter_jit(
        lambda part: problem.sweep(problem.zero_prices(), search_state.list_prices, search_state.raw, part)[0]
    )
    parts = [sweep(jnp.asarray(part, jnp.int32)) for part in range(problem.chunks)]
    total = jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *parts)
    over, size = excess(resources, total.usage), bound(resources, total.usage)
    relative = np.asarray(over / jnp.where(size > 0, size, 1))
    return float(total.value), float(max(relative.max(), 0))


def with_orders(model: Model, order: np.ndarray) -> eqx.Module:
    """Search state whose targets are the given orders `[items, nodes]`."""
    problem, item = model.problem, model.instance.layout.item
    scale = np.asarray(problem.scale.target)
    units = np.moveaxis(order[item], -1, -2)[:, None]
    raw = jnp.asarray(np.where(scale > 0, units / np.where(scale > 0, scale, 1), 0), scale.dtype)
    return eqx.tree_at(lambda s: s.raw.target, problem.init(), raw)


def compare(seed: int, *, several: bool) -> dict:
    """One instance by both solvers."""
    started = time.perf_counter()
    tables = random_tables(seed, several=several)
    model = prepare(tables, configuration())
    program = solve_extensive(tables, training_demand(model))
    solution = search(model)
    cost, violation = in_sample(model, solution.best)
    prices = np.asarray(solution.prices)[1]
    names = model.instance.ids.resources
    fulfilment, _ = in_sample(model, with_orders(model, program.order))
    return {
        "family": "newsvendor network, several nodes" if several else "newsvendor network, one node",
        "instance": seed,
        "reference": program.value,
        "ours": cost,
        "gap_pct": 100 * (cost / program.value - 1),
        "fulfilment_pct": 100 * (fulfilment / program.value - 1),
        "tolerance_pct": 2.0 if several else 0.5,
        "violation": violation,
        "lagrangian": solution.history[-1].lagrangian,
        "lagrangian_label": "estimate",
        "prices": {name: float(price) for name, price in zip(names, prices, strict=True)},
        "duals": program.duals,
        "seconds": time.perf_counter() - started,
    }


def main(
    out: Annotated[Path, typer.Option(help="JSON file to write")],
    count: Annotated[int, typer.Option(help="instances of each kind")] = 20,
) -> None:
    """Compare, print a table, write JSON."""
    rows, table = [], Table("family", "instance", "LP", "ours", "gap %", "fulfilment %", "violation", "met")
    for several in (False, True):
        for seed in range(count):
            row = compare(seed, several=several)
            rows.append(row)
            numbers = [f"{row[k]:.2f}" for k in ("reference", "ours", "gap_pct", "fulfilment_pct")]
            met = "yes" if row["gap_pct"] <= row["tolerance_pct"] and row["violation"] <= 1e-3 else "no"
            table.add_row(row["family"], str(seed), *numbers, f"{row['violation']:.4f}", met)
    Console().print(table)
    out.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
