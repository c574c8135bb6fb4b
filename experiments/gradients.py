"""Question: are the gradients right, for every policy, objective and kind of unmet demand?

    python experiments/gradients.py --out experiments/results/gradients.json [--docs docs/gradients.md]

A centre with two vendors supplies a shop; one item loses unmet demand, another lets it wait. For every policy, with
protection levels and without, and every objective: both modes of reverse differentiation against each other, against
finite differences along a random direction, and, in every parameter, against the slope of a simulation that shares
nothing with the planner's. A line per policy, objective and kind of unmet demand.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import jax
import numpy as np
import typer
from gradient_parts import matrix, page, system
from gradient_parts.matrix import Case, Effort
from gradient_parts.values import VALUES
from provenance import provenance

from meio_jax.policy import POLICIES

# Rounding of double precision over 30 periods; of differences with a step of 1e-6, as a share of the gradient.
MODES, DIFFERENCE, SAME_PATHS = 1e-9, 1e-5, 1e-9
# In standard errors of the difference. Of about a thousand comparisons, few of them independent, one may be at 3.5.
LARGEST_SCORE = 4.0


def rows_of(case: Case, effort: Effort, paths: int) -> list[dict]:
    """A row for every objective and item."""
    agreed, here, there = matrix.agreement(case, paths), matrix.here(case, effort), matrix.there(case, effort)
    found = []
    for o, objective in enumerate(VALUES):
        for number in range(len(system.ITEMS)):
            exact = {name: agreed[name][o, number] for name in ("modes", "difference", "finite")}
            exact["same_paths"] = agreed["same_paths"][number]
            found.append(row(case, objective, number, exact, parameters(here, there, o, number)))
    return found


def parameters(here: dict[str, np.ndarray], there: dict[str, np.ndarray], objective: int, item: int) -> list[dict]:
    """Both slopes of an objective in every parameter, with standard errors over batches."""
    found = []
    # A share of a node's only source is w / w: its derivative is 0 up to the rounding of two terms that cancel.
    nothing = 1e-12 * max(float(np.abs(leaf[:, objective, :, item]).max()) for leaf in here.values())
    for name in here:
        for at in range(here[name].shape[2]):
            ours, long = here[name][:, objective, at, item], there[name][:, objective, at, item]
            errors = [float(one.std(ddof=1) / np.sqrt(len(one))) for one in (ours, long)]
            spread = float(np.hypot(*errors))
            gap = float(ours.mean() - long.mean())
            found.append(
                {
                    "parameter": f"{name}[{at}]",
                    "gradient": float(ours.mean()),
                    "gradient_error": errors[0],
                    "slope": float(long.mean()),
                    "slope_error": errors[1],
                    # A parameter that nobody uses has no slope at all, in either.
                    "idle": bool(np.abs(ours).max() <= nothing and np.abs(long).max() <= nothing),
                    "score": gap / spread if spread > 0 else 0.0 if gap == 0 else float("inf"),
                }
            )
    return found


def row(case: Case, objective: str, item: int, agreed: dict, compared: list[dict]) -> dict:
    """What one policy, objective and kind of unmet demand showed."""
    used = [one for one in compared if not one["idle"]]
    worst = max(abs(one["score"]) for one in used)
    nonzero = all(one["gradient"] != 0 and one["slope"] != 0 for one in used)
    exact = agreed["modes"] <= MODES and agreed["difference"] <= DIFFERENCE and agreed["same_paths"] <= SAME_PATHS
    return {
        "policy": case.name,
        "protection": case.protection,
        "objective": objective,
        "unmet": "backorder" if system.ITEMS[item].waits else "lost",
        "modes": float(agreed["modes"]),
        "difference": float(agreed["difference"]),
        "same_paths": float(agreed["same_paths"]),
        "finite": bool(agreed["finite"]),
        "used": len(used),
        "idle": len(compared) - len(used),
        "worst_score": worst,
        "parameters": compared,
        "met": bool(exact and agreed["finite"] and nonzero and worst <= LARGEST_SCORE),
    }


def main(
    out: Annotated[Path, typer.Option(help="JSON file to write")],
    docs: Annotated[Path | None, typer.Option(help="page whose table is written anew")] = None,
    policy: Annotated[list[str] | None, typer.Option(help="policies; default: all")] = None,
    batches: Annotated[int, typer.Option(help="batches of the long simulation; a quarter of it here", min=4)] = 192,
) -> None:
    """Compare, print a line for each policy, write JSON."""
    jax.config.update("jax_enable_x64", True)
    effort = Effort(batches=batches // 4, long_batches=batches)
    problem, rows = system.problem(), []
    for name in policy or sorted(POLICIES):
        for protection in (False, True):
            started = time.perf_counter()
            rows += rows_of(Case(problem, name, protection), effort, 256)
            mine = [one for one in rows if one["policy"] == name and one["protection"] == protection]
            seconds = time.perf_counter() - started
            print(page.line(name, protection, mine), f"{seconds:.0f} s", flush=True)
    command = f"python experiments/gradients.py --out {out}" + "".join(f" --policy {name}" for name in policy or ())
    content = {"command": command, "date": time.strftime("%Y-%m-%d"), **provenance()}
    content |= {"paths": effort.paths, "batches": effort.batches, "long_batches": effort.long_batches, "rows": rows}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if docs:
        page.write(docs, content)
    if not all(one["met"] for one in rows):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
