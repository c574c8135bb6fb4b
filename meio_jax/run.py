"""The one place that wires things: configuration and instance folder in, run folder out."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import jax
import polars as pl

from meio_jax.checkpoint import saved_steps
from meio_jax.config import Config, dump_config, load_config
from meio_jax.dual import DUAL_METHODS
from meio_jax.errors import InputError, Problem
from meio_jax.generate import generate_instance
from meio_jax.instance import Instance
from meio_jax.planner import Plan, certify, prepare
from meio_jax.processes import Together, gather, is_first, join, of_first, own_share, watched
from meio_jax.progress import AbstractProgress
from meio_jax.resume import identity, search_saved, table_digests
from meio_jax.tables import (
    Tables,
    read_instance,
    read_item_block,
    read_network,
    scan_item_ids,
    write_table,
    write_text,
)
from meio_jax.warm import read_earlier, warm_model


def ensure_instance(config: Config, progress: AbstractProgress) -> Path:
    """The instance folder; generated first if it does not exist and the configuration says how."""
    folder = config.instance.path
    if (folder / "instance.yaml").exists():
        return folder
    if config.instance.generate is not None:
        progress.stage(f"generating the instance {folder}")
        return generate_instance(config.instance.generate, folder)
    if config.instance.us is not None:
        from meio_jax.generate.us import build_us_instance

        progress.stage(f"building the US instance {folder}")
        options = config.instance.us
        build_us_instance(
            options.data,
            folder,
            options.size,
            seed=options.seed,
            form=options.form,
            periods=options.periods,
            tightness=options.tightness,
        )
        return folder
    remedy = config.instance.hint or "check `instance.path`, or give `instance.generate`"
    raise InputError([Problem(str(folder), "", "instance.path", None, "an instance folder", remedy)])


def configure_jax(config: Config) -> None:
    """Precision, and a device per CPU core, before any array is made.

    Programs of one device leave cores idle, since a block that fits the cache is too small to split.
    """
    jax.config.update("jax_enable_x64", config.precision == "float64")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Refused once arrays exist (in a notebook, say): then the devices are as they are.
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", config.solve.devices or cores)


def load_tables(config: Config, progress: AbstractProgress) -> tuple[Tables, Path]:
    """Read and validate the instance of a configuration; of several processes each reads its own items only."""
    folder = config.instance.path
    if is_first():
        ensure_instance(config, progress)
    if jax.process_count() == 1:
        return read_instance(folder), folder
    gather({"instance": "there"})
    tables, problems = None, InputError([])
    try:
        tables = read_item_block(folder, own_share(scan_item_ids(folder).to_list()), read_network(folder))
    except InputError as error:
        problems = error
    found = sum(one["problems"] for one in gather({"problems": problems.count}))
    if tables is None or found:
        others = Problem(str(folder), "", "", found, "no problems", "see what the other processes say")
        raise problems if problems.count else InputError([others])
    return tables, folder


def run_solve(
    config: Config, progress: AbstractProgress, *, resume: bool = False, warm_start: Path | None = None
) -> Plan:
    """Solve a configuration and write its run folder.

    Args:
        config: The configuration.
        progress: Where to report.
        resume: Continue from the newest readable checkpoint of the run folder.
        warm_start: Run folder whose parameters and prices the search starts from.

    Raises:
        InputError: If the instance or configuration is wrong; then nothing has been written.
    """
    if resume and not saved_steps(config.run / "checkpoints"):
        warm_start = _recorded_start(config.run)
    config = config if warm_start is None else warm_config(config)
    configure_jax(config)
    join()
    if jax.process_count() > 1:
        progress = Together(progress, config.solve.check_every)
    with watched(config.run):
        return _solve(config, progress, resume, warm_start)


def _solve(config: Config, progress: AbstractProgress, resume: bool, warm_start: Path | None) -> Plan:
    tables, folder = load_tables(config, progress)
    progress.stage("preparing arrays and scenarios")
    start = None
    if warm_start is None:
        model = prepare(tables, config, gather=gather)
    else:
        earlier = read_earlier(warm_start, tables.items["item_id"].to_list())
        model, start, report = warm_model(tables, config, earlier, gather)
        progress.stage(report)
    digests = of_first(table_digests(folder) if is_first() else {})
    if is_first() and not resume:
        _fresh(config.run)
        config.run.mkdir(parents=True, exist_ok=True)
        write_text(dump_config(config), config.run / "config.yaml")
        about = _about(model.instance, folder, digests, warm_start)
        write_text(json.dumps(about, indent=1), config.run / "instance.json")
        write_text(json.dumps(model.instance.census.as_dict()), config.run / "census.json")
    gather({"folder": "there"})
    solution = search_saved(
        model, config.run / "checkpoints", identity(config, digests), progress, resume=resume, start=start
    )
    finished = certify(model, solution, progress=progress)
    write_plan(finished, config.run)
    return finished


def _about(instance: Instance, folder: Path, digests: dict[str, str], warm_start: Path | None) -> dict[str, Any]:
    """What a run folder says of its instance, and of the run that it started from."""
    ids = instance.ids
    counts = {"items": instance.census.items, "nodes": len(ids.nodes), "regions": len(ids.regions)}
    about = {"digests": digests, "name": instance.tables.settings.name, "path": str(folder), **counts}
    return about if warm_start is None else {**about, "warm_start": str(warm_start)}


def _recorded_start(run: Path) -> Path | None:
    """The run that a run started from, as its folder says."""
    path = run / "instance.json"
    found = json.loads(path.read_text(encoding="utf-8")).get("warm_start") if path.exists() else None
    return None if found is None else Path(found)


def warm_config(config: Config) -> Config:
    """The configuration with the settings of a warm start in place of those of a cold one."""
    changes = config.warm.model_dump()
    gain, damping = changes.pop("price_gain"), changes.pop("damping")
    changes["final_learning_rate"] = min(config.solve.final_learning_rate, config.warm.learning_rate)
    method = DUAL_METHODS[config.dual.name](**config.dual.options)
    options = {name: gain * value for name, value in vars(method).items()}
    return config.model_copy(
        update={
            "solve": config.solve.model_copy(update=changes),
            "dual": config.dual.model_copy(update={"options": options}),
            "fulfilment": config.fulfilment.model_copy(update={"damping": damping}),
            # What is written down of the run is solved as it is, not faster once more.
            "warm": config.warm.model_copy(update={"price_gain": 1.0}),
        }
    )


def _fresh(folder: Path) -> None:
    """Take away what an earlier run left in the folder, so that no table of it can be mistaken for this run's."""
    for name in ("plan", "checkpoints"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("certificate.json", "prices.parquet", "metrics.parquet", "report.html"):
        (folder / name).unlink(missing_ok=True)


def write_plan(plan: Plan, folder: Path) -> None:
    """Write all tables of a plan and its certificate, each under a temporary name first.

    Of several processes each writes the rows of its own items, and the first puts them together.
    """
    parts = folder / "plan" / ".parts"
    for name, frame in plan.frames().items():
        if jax.process_count() > 1 and "item_id" in frame.columns:
            write_table(frame, parts / Path(name).name / f"{jax.process_index():05d}.parquet")
        elif is_first():
            write_table(frame, folder / f"{name}.parquet")
    gather({"parts": "written"})
    if is_first():
        for part in sorted(parts.glob("*")):
            target = folder / "plan" / f"{part.name}.parquet"
            unfinished = part.with_suffix(".tmp")
            pl.scan_parquet(sorted(part.glob("*.parquet"))).sink_parquet(unfinished)
            unfinished.replace(target)
        shutil.rmtree(parts, ignore_errors=True)
        text = json.dumps(_plain(plan.certificate.as_dict()), indent=1, allow_nan=False)
        write_text(text, folder / "certificate.json")
    gather({"plan": "written"})


def _plain(value: Any) -> Any:
    """JSON has no infinities and no NaN: they become null."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return None
    return value


def config_of_run(run: Path) -> Config:
    """The configuration that a run folder was made with, pointed at that folder."""
    return load_config(run / "config.yaml").model_copy(update={"run": run})


def read_certificate(run: Path) -> dict[str, Any]:
    """The certificate of a run.

    Raises:
        InputError: If the folder holds no finished run.
    """
    path = run / "certificate.json"
    if not path.exists():
        problem = Problem(str(path), "", "", None, "the certificate of a finished run", "give the folder of a run")
        raise InputError([problem])
    return json.loads(path.read_text(encoding="utf-8"))
