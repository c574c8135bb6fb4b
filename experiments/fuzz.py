"""Question: does anything that may stand in the input end in a traceback, a crash, a NaN, or a table left out?

    python experiments/fuzz.py --mutations 5000 --solves 5000 --out experiments/results/fuzz.json

Small instances, one of each form of the forecast, and a configuration are damaged in one or two ways: cells, columns,
rows, files, settings, configuration. Each is validated in this process, and those that are accepted (as many as asked)
are solved for five steps, all in this process: an instance by a usual configuration, a configuration on an instance
to which nothing was done. Every mutation is made from the seed and its number alone, so that one
can be looked at by itself (`--only 1234`). What is done is kept beside the output; started again, the experiment goes
on (the results say how many processes it took, and how many memory maps the fullest of them held).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import polars as pl
import typer
import yaml
from fuzz_parts.everyday import EVERYDAY, add_everyday
from fuzz_parts.judge import BAD, Verdict, judge_config, judge_folder, judge_solve, rows_of, shortened, usual_config
from fuzz_parts.settings import mutate_yaml
from fuzz_parts.tables import mutate_cells, mutate_column, mutate_file, mutate_rows
from rich.console import Console

from meio_jax.config import Config
from meio_jax.generate import GenerateOptions, generate_instance
from meio_jax.tables import Tables, read_instance

FORMS = ("mean", "history", "paths", "quantiles")
FAMILIES = ("cells", "cells", "cells", "columns", "columns", "rows", "files", "files", "settings", "configuration")
SMALL = {"items": 3, "nodes_per_tier": (1, 1, 1), "regions": 2, "speeds": 2, "waves": 2, "periods": 10, "paths": 3}
SLACK_EVERY = 8
CONFIG = {
    "instance": {"path": "instance", "generate": {"items": 5, "periods": 14}},
    "run": "run",
    "seed": 3,
    "scenarios": {"train": 16, "per_step": 8, "holdout": 16, "clairvoyant": 0},
    "policy": {"name": "base_stock", "protection": False},
    "objective": {"name": "cvar", "options": {"level": 0.9}},
    "dual": {"name": "augmented"},
    "solve": {"max_steps": 5, "min_steps": 2, "gap": 0.01, "violation": 0.01, "learning_rate": 0.1},
    "stream": {"part_items": 100},
    "checkpoint": {"every": 2, "keep": 1},
}


Accepted = tuple[Tables, Config]


@dataclass(frozen=True)
class Base:
    """An instance that nothing was done to: its folder, its tables as they were written, and which are damaged."""

    folder: Path
    frames: dict[str, pl.DataFrame]
    settings: str
    damaged: tuple[str, ...]


def make_bases(home: Path, forms: tuple[str, ...] = FORMS) -> dict[str, Base]:
    """An instance of each form of the forecast; `everyday` is one with the tables that a retailer adds."""
    bases = {}
    for form in forms:
        forecast = "mean" if form == "everyday" else form
        options = GenerateOptions.model_validate({**SMALL, "shape": "local", "forecast": forecast, "history_days": 28})
        folder = generate_instance(options, home / form)
        if form == "everyday":
            add_everyday(folder)
        frames = {path.stem: pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}
        damaged = EVERYDAY if form == "everyday" else tuple(frames)
        bases[form] = Base(folder, frames, (folder / "instance.yaml").read_text(encoding="utf-8"), damaged)
    return bases


def dice_of(number: int, seed: int, forms: tuple[str, ...] = FORMS) -> tuple[random.Random, str, str]:
    """What chooses a mutation, its form of the forecast and its family."""
    dice = random.Random(f"{seed}/{number}")
    return dice, forms[number % len(forms)], dice.choice(FAMILIES)


def mutate(number: int, seed: int, bases: dict[str, Base], home: Path) -> tuple[str, str, Verdict, Accepted | None]:
    """Make and judge one mutation.

    Returns:
        Its family and form, what was done, the verdict, and what is to be solved where it is accepted.
    """
    dice, form, family = dice_of(number, seed, tuple(bases))
    slack = number // len(bases) % SLACK_EVERY == 0
    if family == "configuration":
        text, done = mutate_yaml(yaml.safe_dump(CONFIG), dice)
        (home / "c.yaml").write_text(text, encoding="utf-8")
        verdict, config = judge_config(home / "c.yaml")
        # It is tried on the instance to which nothing was done.
        if config is None:
            return family, done, verdict, None
        return (
            family,
            done,
            verdict,
            (read_instance(bases[form].folder), shortened(config, slack=slack or "slack" in done)),
        )
    folder = home / "instance"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(bases[form].folder, folder)
    frames, done = dict(bases[form].frames), []
    for _ in range(dice.choice((1, 1, 1, 2))):
        name = dice.choice([name for name in bases[form].damaged if name in frames])
        if family == "settings":
            text, how = mutate_yaml((folder / "instance.yaml").read_text(encoding="utf-8"), dice)
            (folder / "instance.yaml").write_text(text, encoding="utf-8")
            done.append(how)
            break
        if family == "files":
            done.append(mutate_file(folder, name, frames[name], dice))
            del frames[name]
        elif frames[name].height:
            change = {"cells": mutate_cells, "columns": mutate_column, "rows": mutate_rows}[family]
            done.append(change(frames, name, dice))
            frames[name].write_parquet(folder / f"{name}.parquet")
    verdict, tables = judge_folder(folder, rows_of(frames) if family != "settings" else {})
    usual = usual_config(slack=slack)
    return f"{family} ({form})", "; ".join(done), verdict, None if tables is None else (tables, usual)


def run(
    mutations: Annotated[int, typer.Option(help="How many.")] = 5000,
    solves: Annotated[int, typer.Option(help="How many of the accepted ones are solved for five steps.")] = 60,
    seed: Annotated[int, typer.Option(help="Seed of all mutations.")] = 0,
    only: Annotated[int | None, typer.Option(help="This one alone, and what is said of it.")] = None,
    family: Annotated[str, typer.Option(help="Those of this family alone, such as configuration; empty: all.")] = "",
    everyday: Annotated[bool, typer.Option(help="Damage the tables that a retailer adds, and those alone.")] = False,
    out: Annotated[Path, typer.Option(help="JSON file of the counts.")] = Path("results/fuzz.json"),
) -> None:
    """Damage, validate, solve, and count."""
    console, started = Console(), time.perf_counter()
    log = out.with_suffix(".log.jsonl")
    known = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    kept = {one["number"]: one for one in known if one["seed"] == seed}
    with TemporaryDirectory() as temporary:
        home = Path(temporary)
        forms = ("everyday",) if everyday else FORMS
        bases = make_bases(home, forms)
        if only is not None:
            what, done, verdict, _ = mutate(only, seed, bases, home)
            console.print(f"{what}: {done}\n{verdict.outcome}: {verdict.said}", markup=False)
            return
        out.parent.mkdir(parents=True, exist_ok=True)
        numbers = [number for number in range(mutations) if family in ("", dice_of(number, seed, forms)[2])]
        every = max(len(numbers) // max(solves, 1), 1)
        due = 0
        # Those of one form of the forecast in a row: their programs are mostly the same, and are kept.
        for count, number in enumerate(sorted(numbers, key=lambda number: number % len(forms))):
            due += count % every == 0 and solves > 0
            if number in kept:
                due -= kept[number]["solved"] != ""
                continue
            begun = time.perf_counter()
            what, done, verdict, accepted = mutate(number, seed, bases, home)
            solved = judge_solve(*accepted) if due > 0 and accepted is not None else Verdict("")
            due -= solved.outcome != ""
            kept[number] = {
                **{"number": number, "seed": seed, "family": what, "done": done, "outcome": verdict.outcome},
                **{"said": verdict.said if verdict.outcome in BAD else "", "warned": verdict.warnings > 0},
                **{"solved": solved.outcome, "solve_said": solved.said if solved.outcome in BAD else ""},
                **{"process": os.getpid(), "maps": memory_maps() if solved.outcome else 0},
                **{"seconds": round(time.perf_counter() - begun, 3)},
            }
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(kept[number]) + "\n")
            if count % 500 == 499:
                console.print(f"{count + 1} of {len(numbers)}, {time.perf_counter() - started:.0f} s", highlight=False)
    found = [kept[number] for number in numbers]
    asked = f"--mutations {mutations} --solves {solves} --seed {seed}"
    asked += (f" --family {family}" if family else "") + (" --everyday" if everyday else "")
    _write(found, out, asked)
    log.unlink()
    bad = [one for one in found if one["outcome"] in BAD or one["solved"] in BAD]
    console.print(f"{len(found)} mutations, {len(bad)} that must not happen; see {out}")


def memory_maps() -> int:
    """Memory maps that this process holds; the system ends one that asks for more than some 65,000."""
    path = Path("/proc/self/maps")
    return len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0


def _write(found: list[dict], out: Path, asked: str) -> None:
    from provenance import provenance

    families = sorted({one["family"] for one in found})
    table = [
        {"family": family, **Counter(one["outcome"] for one in found if one["family"] == family)} for family in families
    ]
    content = {
        "command": f"python experiments/fuzz.py {asked}",
        "date": time.strftime("%Y-%m-%d"),
        **provenance(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "mutations": len(found),
        "outcomes": Counter(one["outcome"] for one in found),
        "accepted_with_warnings": sum(one["warned"] for one in found if one["outcome"] == "accepted"),
        "solves": Counter(one["solved"] for one in found if one["solved"]),
        "processes": len({one["process"] for one in found}),
        "most_memory_maps": max(one["maps"] for one in found),
        "must_not_happen": {kind: sum(kind in (one["outcome"], one["solved"]) for one in found) for kind in BAD},
        "by_family": table,
        "failures": [one for one in found if one["outcome"] in BAD or one["solved"] in BAD],
        "seconds": round(sum(one["seconds"] for one in found)),
    }
    out.write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    typer.run(run)
