"""Question: how far are the planner's policies from optima that are known exactly or printed?

    python experiments/truth.py --out experiments/results/truth.json --plot docs/images/validation.svg

Every row of the truth tables (`--truth DIR`, by default the tables in tests/data/truth) is built as an instance, the
planner optimises it with the settings of its family, and the plan is judged on long holdout simulations. Add rows to
copies of the tables to test more instances. Writes a list of {"family", "instance", "reference", "ours", "ci95",
"gap_pct", "tolerance_pct", "seconds"} and beside it FILE.meta.json with command, date, device and versions.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import jax
import typer
from rich.console import Console
from rich.table import Table
from truth_families import capacity_newsvendor, dual_sourcing, one_warehouse, page, serial, zipkin_lost_sales
from truth_families.picture import draw
from truth_families.results import Family, Result
from truth_families.rows import TruthError, read_rows

from meio_jax.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
TRUTH = ROOT / "tests" / "data" / "truth"
FAMILIES: dict[str, Family] = {
    module.NAME: module for module in (capacity_newsvendor, zipkin_lost_sales, serial, dual_sourcing, one_warehouse)
}


def run_families(folder: Path, names: list[str], *, quick: bool, report: object) -> list[Result]:
    """All results of the tables that the folder has.

    Raises:
        TruthError: If a table cannot be used, or the folder has none of those wanted.
    """
    found: list[Result] = []
    paths = {name: folder / f"{name}.csv" for name in names}
    present = {name: path for name, path in paths.items() if path.is_file()}
    if not present:
        wanted = ", ".join(path.name for path in paths.values())
        raise TruthError(f"{folder}: none of {wanted}; expected a folder of truth tables")
    for name, path in present.items():
        rows = read_rows(path)

        def one(result: Result) -> None:
            found.append(result)
            report(result)

        FAMILIES[name].run(rows[:1] if quick else rows, quick=quick, report=one)
    return found


def show(results: list[Result]) -> None:
    """Print the table."""
    table = Table("family", "instance", "reference", "ours", "± 95 %", "gap %", "tolerance %", "met", "seconds")
    for one in results:
        half = (one.ci95[1] - one.ci95[0]) / 2
        numbers = [f"{one.reference:.4f}", f"{one.ours:.4f}", f"{half:.4f}", f"{one.gap_pct:+.3f}"]
        met = "yes" if one.met else "NO"
        table.add_row(one.family, one.instance, *numbers, f"{one.tolerance_pct:g}", met, f"{one.seconds:.0f}")
    Console(width=160).print(table)


def circumstances(seconds: float) -> dict:
    """What a reader needs to repeat the run."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    packages = ("meio-jax", "jax", "jaxlib", "equinox", "optax", "numpy", "polars")
    return {
        "command": " ".join(["python", "experiments/truth.py", *sys.argv[1:]]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip() or "unknown",
        "device": f"{jax.default_backend()}: {jax.devices()[0].device_kind}",
        "machine": f"{platform.processor() or platform.machine()}, {platform.system()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "seconds": round(seconds, 1),
    }


def main(
    out: Annotated[Path, typer.Option(help="JSON file to write")],
    truth: Annotated[Path, typer.Option(help="folder of truth tables")] = TRUTH,
    family: Annotated[list[str] | None, typer.Option(help="only this family; may be repeated")] = None,
    quick: Annotated[bool, typer.Option(help="the first row of each family with little effort")] = False,
    plot: Annotated[Path | None, typer.Option(help="picture of the gaps to write")] = None,
    docs: Annotated[Path | None, typer.Option(help="page whose table is written anew from the results")] = None,
) -> None:
    """Run, print a table, write JSON. Exit status 1 if a tolerance is missed, 2 if a table cannot be used."""
    started = time.perf_counter()
    names = family or list(FAMILIES)
    console = Console(stderr=True)
    if unknown := sorted(set(names) - set(FAMILIES)):
        typer.echo(f"--family {unknown[0]}: unknown; choose one of {', '.join(FAMILIES)}", err=True)
        raise typer.Exit(2)

    def report(one: Result) -> None:
        console.print(f"{one.family}  {one.instance}  gap {one.gap_pct:+.3f} %  ({one.seconds:.0f} s)", highlight=False)

    try:
        results = run_families(truth, names, quick=quick, report=report)
    except (TruthError, InputError, ValueError) as problem:
        typer.echo(f"truth: {problem}", err=True)
        raise typer.Exit(2) from problem
    show(results)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps([one.as_dict() for one in results], indent=1) + "\n", encoding="utf-8")
    header = json.dumps(circumstances(time.perf_counter() - started), indent=1) + "\n"
    out.with_suffix(".meta.json").write_text(header, encoding="utf-8")
    if plot is not None:
        draw(results, plot)
    if docs is not None:
        page.write(out, docs)
    if not quick and not all(one.met for one in results):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
