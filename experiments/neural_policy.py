"""Question: how near to the optimum comes one network that corrects the projected level of all items?

    python experiments/neural_policy.py --out experiments/results/neural_policy.json

Part `train` (only if asked for) trains the network on drawn systems with lost sales: other means, dispersions,
penalties and lead times than those it is judged on. Part `optima`: the 32 single-site systems of `projected_level.py`,
whose least cost is computed by value iteration; one level per system is searched with the network as it is, moved to
what suits whole orders best, and judged in whole units on holdout scenarios, as for the policies there.

Writes {"train": ..., "optima": ...}, each with command, date, seconds, environment, and what was found.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from neural_parts import training
from projected_level import show
from projected_parts import optima
from provenance import provenance

import meio_jax as mj

PARTS = ("train", "optima")


def main(
    out: Annotated[Path, typer.Option(help="JSON file to write; parts that are not run are kept")],
    part: Annotated[list[str] | None, typer.Option(help="train or optima; may be repeated; by default optima")] = None,
    network: Annotated[
        Path | None, typer.Option(help="file of the network: train writes it, optima judges it; default: the package's")
    ] = None,
    start: Annotated[Path | None, typer.Option(help="file of the network that training goes on from")] = None,
    folder: Annotated[Path | None, typer.Option(help="checkpoints of the training, continued if there are any")] = None,
    steps: Annotated[int, typer.Option(help="steps of the training")] = 1500,
    policy: Annotated[list[str] | None, typer.Option(help="policies of part optima; default: neural")] = None,
    quick: Annotated[bool, typer.Option(help="few systems and little effort")] = False,
) -> None:
    """Run, print the tables, write JSON. Exit status 2 if a part is not known, or train has no file to write."""
    names = part or ["optima"]
    if unknown := sorted(set(names) - set(PARTS)):
        typer.echo(f"--part {unknown[0]}: unknown; choose one of {', '.join(PARTS)}", err=True)
        raise typer.Exit(2)
    if "train" in names:
        if network is None:
            typer.echo("--network: name the file that training writes", err=True)
            raise typer.Exit(2)
        report = Report(out, "train", {})
        report(training.train(network, folder, steps, quick=quick, start=start))
    if "optima" in names:
        judged = mj.Neural().correction if network is None else mj.read_correction(network)
        report = Report(out, "optima", {"network": judged.digest[:16]})
        rows = optima.run(
            policies=policy or ["neural"], quick=quick, report=lambda rows: report({"rows": rows}), correction=network
        )
        show(rows, "optima")


class Report:
    """Writes what a part has found so far into the file of results, beside the other parts."""

    def __init__(self, out: Path, name: str, about: dict[str, Any]) -> None:
        self._out, self._name, self._about, self._began = out, name, about, time.perf_counter()

    def __call__(self, what: dict[str, Any]) -> None:
        found = json.loads(self._out.read_text(encoding="utf-8")) if self._out.exists() else {}
        found[self._name] = {
            "command": " ".join(["python", "experiments/neural_policy.py", *sys.argv[1:]]),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - self._began, 1),
            "processor_seconds": round(time.process_time(), 1),
            "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "environment": provenance(),
            **self._about,
            **what,
        }
        self._out.parent.mkdir(parents=True, exist_ok=True)
        self._out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
