"""The service-cost curve: one instance solved at rising floors of service, each solve warm from the one before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from meio_jax.config.settings import Config, dump_config
from meio_jax.errors import InputError, Problem
from meio_jax.folders import Mark, held, keep_private, remove
from meio_jax.items.curve_point import point_of
from meio_jax.progress import AbstractProgress, Preempted
from meio_jax.results import Result
from meio_jax.runs.beside import SAME_AGAIN, Work, open_beside, take_over
from meio_jax.runs.curves import IDENTITY, KIND, TABLE
from meio_jax.runs.files import read_certificate
from meio_jax.runs.run import ensure_instance, run_solve
from meio_jax.tables import Tables, read_instance, write_instance, write_table
from meio_jax.tables.schema import FLOOR_KINDS

_COMMAND = "meio curve"
_CURVE = Work(Mark(KIND, (IDENTITY, TABLE, "points", "instances", "report.html")), IDENTITY, TABLE, "points", "--out")
_MOST = 50
TOTAL = "total service"


@dataclass(frozen=True)
class Chosen:
    """Which floors move: all of these resources, kinds, classes of items and groups of nodes; empty: whatever."""

    floors: tuple[str, ...] = ()
    kind: str | None = None
    item_class: str | None = None
    node_group: str | None = None


def service_levels(text: str) -> list[float]:
    """The levels of `LOW:HIGH[:STEP]`, lowest first; the step is 0.01 unless it is given.

    Raises:
        InputError: If the text says no such levels.
    """
    try:
        parts = [float(part) for part in text.split(":")]
        low, high, step = (*parts, 0.01) if len(parts) == 2 else parts
    except ValueError:
        low = high = step = 0.0
    within = 0 < low <= high <= 1 and step > 0
    # Asked of the ratio: a step next to nothing would make it infinite.
    if not (within and (high - low) / step < _MOST - 0.5):
        expected = f"LOW:HIGH or LOW:HIGH:STEP with 0 < LOW <= HIGH <= 1 and at most {_MOST} levels"
        raise InputError([Problem(_COMMAND, "", "--service", text, expected, "write 0.90:0.99 or 0.90:0.98:0.02")])
    count = int((high - low) / step + 1e-6) + 1
    found = [round(low + step * number, 9) for number in range(count)]
    return found if high - found[-1] < 1e-9 else [*found, high]


def chosen_floors(resources: pl.DataFrame, chosen: Chosen) -> list[str]:
    """Ids of the floors that move; none where the instance has no floor and none was named.

    Raises:
        InputError: If what was chosen is no floor of the instance.
    """
    floors = resources.filter(pl.col("kind").is_in(FLOOR_KINDS))
    known = floors["resource_id"].unique(maintain_order=True).to_list()
    options = {"--kind": chosen.kind, "--item-class": chosen.item_class, "--node-group": chosen.node_group}
    given = {option: value for option, value in options.items() if value is not None}
    if not known and not chosen.floors and not given:
        return []
    listed = ", ".join(known[:12]) or "the instance has none"
    remedy = f"the floors are: {listed}"
    for name in chosen.floors:
        if name not in known:
            raise InputError([Problem(_COMMAND, "", "--floor", name, "a floor of the table resources", remedy)])
    rows = floors if not chosen.floors else floors.filter(pl.col("resource_id").is_in(list(chosen.floors)))
    for option, value in given.items():
        rows = rows.filter(pl.col(option.removeprefix("--").replace("-", "_")) == value)
        if rows.is_empty():
            raise InputError([Problem(_COMMAND, "", option, value, "what some floor of the instance names", remedy)])
    return rows["resource_id"].unique(maintain_order=True).to_list()


def at_level(tables: Tables, floors: list[str], level: float) -> Tables:
    """The instance with these floors at a level; without any, with a floor on all demand together."""
    resources = tables.resources
    if floors:
        moved = pl.when(pl.col("resource_id").is_in(floors)).then(level).otherwise(pl.col("capacity"))
        return tables.replace(resources=resources.with_columns(moved.alias("capacity")))
    row = {"resource_id": TOTAL, "kind": "service", "measure": "units", "capacity": level}
    total = pl.DataFrame([row], schema={name: resources.schema[name] for name in row})
    return tables.replace(resources=pl.concat([resources, total], how="diagonal"))


def run_curve(
    config: Config,
    folder: Path,
    levels: list[float],
    chosen: Chosen,
    progress: AbstractProgress,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> pl.DataFrame:
    """Solve an instance at every level, lowest first, and write the curve.

    Args:
        config: The configuration; the first solve is cold, the others have its settings of warm starts.
        folder: Where to write: `curve.parquet`, and in `points/` a run folder for every level.
        levels: Shares asked for, lowest first.
        chosen: Which floors move.
        progress: Where solves report.
        resume: Continue a curve that was cut off; its finished points stay.
        overwrite: Replace the curve that the folder holds, a finished one once the new one is complete.

    Returns:
        A row for every level (`point_of`).

    Raises:
        InputError: If the configuration, the instance or what was chosen is wrong, or the folder may not be written.
    """
    tables = read_instance(ensure_instance(config, progress))
    floors = chosen_floors(tables.resources, chosen)
    moved, about = floors or [TOTAL], tables.settings
    same: dict[str, Any] = {"levels": levels, "floors": moved, "name": about.name, "currency": about.currency}
    same["config"] = dump_config(config)
    same |= {f"instance file {name}": digest for name, digest in tables.digests.items()}
    with held(folder, "meio curve"):
        if config.output.private:
            keep_private(folder)
        place = open_beside(folder, _CURVE, same, resume=resume, overwrite=overwrite)
        progress.begun(folder, SAME_AGAIN)
        rows, earlier = [], None
        for number, level in enumerate(levels):
            progress.stage(f"service {level:.4g}, point {number + 1} of {len(levels)}")
            run = place / "points" / f"{number:02d}"
            if not _ended(run):
                _solve(config, at_level(tables, floors, level), place / "instances" / run.name, run, earlier, progress)
            if not _ended(run):
                raise Preempted("Told to end; the finished points stay.")
            rows.append(point_of(run, level, moved))
            earlier = run
        found = pl.DataFrame(rows, infer_schema_length=None)
        write_table(found, place / TABLE)
        take_over(folder, place, _CURVE)
    return found


def _ended(run: Path) -> bool:
    """Whether a point is finished: its solve came to an end by itself."""
    return (run / "certificate.json").is_file() and read_certificate(run)["result"] != Result.INTERRUPTED.name


def _solve(
    config: Config, tables: Tables, instance: Path, run: Path, earlier: Path | None, progress: AbstractProgress
) -> None:
    remove(instance)
    remove(run)
    write_instance(tables, instance)
    part = config.instance.model_copy(update={"path": instance, "generate": None, "us": None})
    run_solve(config.model_copy(update={"instance": part, "run": run}), progress, warm_start=earlier)
