"""Question: is anything that was complete lost, whatever happens to a command at whatever moment?

    python experiments/faults.py --out experiments/results/faults.json

Commands are killed (SIGKILL, SIGTERM, SIGINT, once or twice) at random moments, run out of space at random writes, and
meet damaged files. After each fault: what was complete before is as it was, to the last byte; the end was one line with
a documented exit status; and the command, given again (or `meio resume`), ends with the plan of a run that nothing
happened to, to the last bit. The table counts faults and what was found.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from faults_parts.bench import Bench, Fault
from faults_parts.damage import damaged_files
from faults_parts.kills import kills
from faults_parts.space import no_space
from provenance import provenance
from rich.console import Console
from rich.table import Table


def faults(bench: Bench, rng: random.Random, count: int, writes: int, damages: int) -> Iterator[Fault]:
    """All faults in turn."""
    yield from kills(bench, rng, count)
    yield from no_space(bench, rng, writes)
    yield from damaged_files(bench, rng, damages)


def show(found: list[Fault]) -> Table:
    """Faults by kind and command: how many, and how many of them ended well."""
    table = Table("fault", "command", "number", "documented end", "nothing lost", "same in the end")
    for key in dict.fromkeys((one.kind, one.command) for one in found):
        own = [one for one in found if (one.kind, one.command) == key]
        good = [sum(getattr(one, name) for one in own) for name in ("documented", "kept", "same")]
        table.add_row(*key, str(len(own)), *map(str, good))
    return table


def main(
    out: Annotated[Path, typer.Option(help="JSON file of the results.")],
    kills: Annotated[int, typer.Option(help="Number of kills.")] = 64,
    writes: Annotated[int, typer.Option(help="Number of commands that run out of space.")] = 16,
    damages: Annotated[int, typer.Option(help="Number of damaged files.")] = 60,
    seed: Annotated[int, typer.Option(help="Seed of the moments, writes and files.")] = 0,
) -> None:
    begun = time.perf_counter()
    found: list[Fault] = []
    with TemporaryDirectory() as folder:
        # Compiled programs are kept between the runs, which makes them short; they are the same programs.
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(Path(folder) / "compiled")
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        bench = Bench(Path(folder))
        for one in faults(bench, random.Random(seed), kills, writes, damages):
            found.append(one)
            if not one.good:
                Console(stderr=True).print(one, markup=False)
    Console().print(show(found))
    out.parent.mkdir(parents=True, exist_ok=True)
    command = "python experiments/faults.py --out experiments/results/faults.json"
    about = {"command": command, "date": time.strftime("%Y-%m-%d"), **provenance()}
    seconds = round(time.perf_counter() - begun)
    report = {**about, "seed": seed, "seconds": seconds, "faults": [asdict(one) for one in found]}
    out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if not all(one.good for one in found):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
