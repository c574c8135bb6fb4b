"""Question: do the named runs end converged, how long do they take from nothing, and with how much memory?

    python experiments/named_runs.py --out experiments/results/named_runs.json quickstart us_small

Each configuration is solved in a process of its own, its instance generated anew, from the folder that holds
`configs`. The table gives exit status, seconds of the whole command (start, compilation, search, holdout), processor
seconds, peak memory, steps, largest violation and coupling gap on holdout scenarios.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from provenance import provenance

from meio_jax.config import load_config

HOME = Path(__file__).parents[1]


def measured(name: str) -> dict:
    """Solve one configuration and say how it went."""
    config = load_config(HOME / "configs" / f"{name}.yaml")
    shutil.rmtree(HOME / config.instance.path, ignore_errors=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    command = [str(Path(sys.executable).with_name("meio")), "solve", f"configs/{name}.yaml", "--quiet", "--overwrite"]
    # As on a fresh machine: nothing that was compiled before.
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    done = subprocess.run(command, cwd=HOME, env=environment, check=False)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    certificate = json.loads((HOME / config.run / "certificate.json").read_text(encoding="utf-8"))
    low, high = certificate["holdout_cost_ci95"]
    return {
        "run": name,
        "exit_status": done.returncode,
        "result": certificate["result"],
        "seconds": round(seconds, 1),
        "processor_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "peak_mib": round(after.ru_maxrss / 1024),
        "steps": certificate["steps"],
        "largest_violation_pct": round(100 * certificate["largest_violation"], 3),
        "coupling_gap_pct": round(100 * certificate["coupling_gap"], 3),
        "holdout_cost": round(certificate["holdout_cost"]),
        "ci95_low": round(low),
        "ci95_high": round(high),
        "holdout_scenarios": certificate["holdout_scenarios"],
    }


def main(
    names: Annotated[list[str], typer.Argument(help="names of files in configs, without .yaml")],
    out: Annotated[Path, typer.Option(help="JSON file to write")],
) -> None:
    """Solve the named configurations one after the other."""
    rows = []
    for name in names:
        rows.append(measured(name))
        print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    command = "python experiments/named_runs.py --out " + " ".join([str(out), *names])
    content = {"command": command, "date": time.strftime("%Y-%m-%d"), "load_average": os.getloadavg()[0]}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({**content, **provenance(), "runs": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
