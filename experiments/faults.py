"""Question: is anything that was complete lost, whatever happens to a command at whatever moment?

    python experiments/faults.py --out experiments/results/faults.json

Commands are killed (SIGKILL, SIGTERM, SIGINT, once or twice) at random moments, run out of space at random writes, and
meet damaged files. After each fault: what was complete before is as it was, to the last byte; the end was one line with
a documented exit status; and the command, given again (or `meio resume`), ends with the plan of a run that nothing
happened to, to the last bit. The table counts faults and what was found. What is done is kept beside the output;
started again, the experiment goes on.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from faults_parts.bench import Bench, Fault
from faults_parts.damage import damaged_file
from faults_parts.kills import a_kill
from faults_parts.space import no_space
from provenance import provenance
from rich.console import Console
from rich.table import Table

KINDS: dict[str, Callable[[Bench, random.Random, int], Fault]] = {
    "kills": a_kill,
    "writes": no_space,
    "damages": damaged_file,
}


def caused(bench: Bench, kind: str, seed: int, number: int) -> Fault:
    """One fault, made from the seed and its number alone; what goes wrong with the experiment itself is a bad one."""
    try:
        return KINDS[kind](bench, random.Random(f"{seed}/{kind}/{number}"), number)
    except Exception as error:  # noqa: BLE001 - whatever a command raises in this process is a traceback
        said = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        return Fault(kind, "", str(number), 1, said, documented=False, kept=False, same=False)


def done(wanted: list[tuple[str, int]], seed: int) -> Iterator[tuple[str, Fault]]:
    """Cause faults, one after the other."""
    with TemporaryDirectory() as folder:
        # Compiled programs are kept between the runs, which makes them short; they are the same programs.
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(folder) / "compiled"))
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        bench = Bench(Path(folder))
        for kind, number in wanted:
            yield f"{kind}/{number}", caused(bench, kind, seed, number)


def table_of(found: list[Fault]) -> list[dict[str, object]]:
    """Faults by kind and command: how many, and how many of them ended well."""
    rows: list[dict[str, object]] = []
    for kind, command in dict.fromkeys((one.kind, one.command) for one in found):
        own = [one for one in found if (one.kind, one.command) == (kind, command)]
        good = {name: sum(getattr(one, name) for one in own) for name in ("documented", "kept", "same")}
        slowest = max(one.seconds for one in own)
        rows.append({"fault": kind, "command": command, "number": len(own), **good, "slowest_end": slowest})
    return rows


def show(found: list[Fault]) -> Table:
    """The same on a terminal."""
    table = Table("fault", "command", "number", "documented end", "nothing lost", "same in the end", "slowest end, s")
    for row in table_of(found):
        table.add_row(*map(str, row.values()))
    return table


def main(
    out: Annotated[Path, typer.Option(help="JSON file of the results.")],
    kills: Annotated[int, typer.Option(help="Number of kills.")] = 64,
    writes: Annotated[int, typer.Option(help="Number of commands that run out of space.")] = 18,
    damages: Annotated[int, typer.Option(help="Number of damaged files.")] = 60,
    seed: Annotated[int, typer.Option(help="Seed of the moments, writes and files.")] = 0,
    only: Annotated[str, typer.Option(help="One fault alone, such as `kills/3`.")] = "",
) -> None:
    wanted = [
        (kind, number) for kind, count in zip(KINDS, (kills, writes, damages), strict=True) for number in range(count)
    ]
    if only:
        wanted = [(only.split("/")[0], int(only.split("/")[1]))]
    log = out.with_suffix(".log.jsonl")
    kept = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    known = {one["name"]: Fault(**one["fault"]) for one in kept if one["seed"] == seed and not only}
    out.parent.mkdir(parents=True, exist_ok=True)
    missing = [one for one in wanted if "/".join(map(str, one)) not in known]
    for name, one in done(missing, seed) if missing else ():
        known[name] = one
        if not one.good or only:
            Console(stderr=True).print(name, one, markup=False)
        if not only:
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"name": name, "seed": seed, "fault": asdict(one)}) + "\n")
    found = [known[f"{kind}/{number}"] for kind, number in wanted]
    Console().print(show(found))
    if not only:
        _write(found, out, f"--kills {kills} --writes {writes} --damages {damages} --seed {seed}")
        log.unlink()
    if not all(one.good for one in found):
        raise typer.Exit(1)


def _write(found: list[Fault], out: Path, options: str) -> None:
    about = {"command": f"python experiments/faults.py {options}", "date": time.strftime("%Y-%m-%d"), **provenance()}
    about["xla_flags"] = os.environ.get("XLA_FLAGS", "")
    content = {**about, "table": table_of(found), "faults": [asdict(one) for one in found]}
    out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
