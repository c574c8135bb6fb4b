"""The one place that wires things: configuration and instance folder in, run folder out."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import polars as pl

from meio_jax.config.settings import Config, load_config
from meio_jax.distributed.compile_cache import drop_programs_if_many, keep_compiled_programs
from meio_jax.distributed.processes import SharedProgress, gather, is_first, join, own_range, watched
from meio_jax.errors import InputError, Note, Problem, Refusal
from meio_jax.folders import held, keep_private
from meio_jax.generate import generate_instance
from meio_jax.planner.planning import Model, Plan, certify, prepare
from meio_jax.planner.steady import steadied
from meio_jax.planner.streamed_plan import StreamedPlan
from meio_jax.plans.flows import ORDER, merged_flows, own_flows
from meio_jax.progress import AbstractProgress
from meio_jax.runs.checkpoint import saved_steps
from meio_jax.runs.files import read_about
from meio_jax.runs.folder import RunFolder, check_new, open_again, open_new, stays, unfinished_place
from meio_jax.runs.resume import identity, search_saved, table_digests
from meio_jax.runs.streamed_run import heed, run_streamed, stream_source
from meio_jax.runs.warm import read_earlier, warm_model
from meio_jax.solver.solve import Solution, State
from meio_jax.tables import (
    Tables,
    count_item_rows,
    read_instance,
    read_item_block,
    read_network,
    scan_item_ids,
    write_table,
)


def _us_builder() -> Callable[..., object]:
    """What reads the US data; a wheel does not ship it."""
    try:
        from meio_jax.generate.us import build_us_instance
    except ModuleNotFoundError:
        expected = "a checkout of the project: its installed package has no reader of this third-party data"
        remedy = "`pip install -e .` in a checkout, or build the instance there and give its folder as `instance.path`"
        raise InputError([Problem("configuration", "", "instance.us", None, expected, remedy)]) from None
    return build_us_instance


def ensure_instance(config: Config, progress: AbstractProgress) -> Path:
    """The instance folder; generated first if it does not exist and the configuration says how."""
    folder = config.instance.path
    if (folder / "instance.yaml").exists():
        return folder
    if config.instance.generate is not None:
        progress.stage(f"generating the instance {folder}")
        return generate_instance(config.instance.generate, folder)
    if config.instance.us is not None:
        build_us_instance = _us_builder()
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
    """Precision, compiled programs of earlier processes, and a device per CPU core, before any array is made.

    Programs of one device leave cores idle, since a block that fits the cache is too small to split.
    """
    jax.config.update("jax_enable_x64", config.precision == "float64")
    keep_compiled_programs()
    drop_programs_if_many()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Refused once arrays exist (in a notebook, say): then the devices are as they are.
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", config.solve.devices or cores)


def load_tables(config: Config) -> tuple[Tables, Path]:
    """Read and validate the instance of a configuration; of several processes each reads its own items only."""
    folder = config.instance.path
    if jax.process_count() == 1:
        return read_instance(folder), folder
    tables, problems = None, InputError([])
    try:
        own = scan_item_ids(folder, *own_range(count_item_rows(folder)))
        tables = read_item_block(folder, own, read_network(folder), consecutive=True)
    except InputError as error:
        problems = error
    found = sum(one["problems"] for one in gather({"problems": problems.count}))
    if tables is None or found:
        others = Problem(str(folder), "", "", found, "no problems", "see what the other processes say")
        raise problems if problems.count else InputError([others])
    return tables, folder


def run_solve(
    config: Config,
    progress: AbstractProgress,
    *,
    resume: bool = False,
    warm_start: Path | None = None,
    strict: bool = False,
    overwrite: bool = False,
) -> Plan | StreamedPlan:
    """Solve a configuration and write its run folder.

    Args:
        config: The configuration.
        progress: Where to report.
        resume: Continue from the newest readable checkpoint of the run folder.
        warm_start: Run folder whose parameters and prices the search starts from.
        strict: Whether warnings about the input are errors.
        overwrite: Replace the run that the folder holds, once this one is complete.

    Raises:
        InputError: If the instance or configuration is wrong, or the run folder may not be written; then nothing has
            been written.
    """
    configure_jax(config)
    join()
    if jax.process_count() > 1:
        progress = SharedProgress(progress, config.solve.check_every)
    if is_first() and not resume and not config.stream.generate:
        # Before the instance is made, which may take long: a folder that is refused later would have been for nothing.
        check_new(config.run, overwrite=overwrite)
        ensure_instance(config, progress)
    with watched(config.run), _opened(config.run, resume, overwrite) as folder:
        if config.output.private and is_first():
            keep_private(config.run)
        if resume:
            progress.begun(config.run)
        if resume and not saved_steps(folder.checkpoints):
            warm_start = _recorded_start(folder.place)
        config = config if warm_start is None else warm_config(config)
        return _solve(config, folder, progress, resume, warm_start, strict)


@contextlib.contextmanager
def _opened(run: Path, resume: bool, overwrite: bool) -> Iterator[RunFolder]:
    """The run folder, held by the first process for all of them."""
    with contextlib.ExitStack() as stack:
        folder, refused = RunFolder(run, run), None
        if is_first():
            try:
                stack.enter_context(held(run, f"meio {'resume' if resume else 'solve'}"))
                folder = open_again(run) if resume else open_new(run, overwrite=overwrite)
            except InputError as error:
                refused = error
        said = gather({"place": str(folder.place), "refused": refused is not None})[0]
        if said["refused"]:
            others = Problem(str(run), "", "", Note("refused"), "a run folder", "see what the first process says")
            raise refused or Refusal(others)
        yield RunFolder(run, Path(said["place"]))


def _solve(
    config: Config,
    folder: RunFolder,
    progress: AbstractProgress,
    resume: bool,
    warm_start: Path | None,
    strict: bool,
) -> Plan | StreamedPlan:
    gather({"instance": "there"})
    source = stream_source(config, folder.place, resume=resume)
    if source is not None:
        return run_streamed(config, folder, source, progress, resume=resume, warm_start=warm_start, strict=strict)
    tables, instance = load_tables(config)
    heed(tables.warnings, progress, strict=strict)
    progress.check()
    progress.stage("preparing arrays and scenarios")
    start = None
    if warm_start is None:
        model = prepare(tables, config, gather=gather)
    else:
        earlier = read_earlier(warm_start, tables.items["item_id"].to_list())
        model, start, report = warm_model(tables, config, earlier, gather)
        progress.stage(report)
    progress.check()
    # Of one process they are those of the bytes that were read, whatever has become of the folder since.
    digests = dict(tables.digests) if jax.process_count() == 1 else table_digests(instance, gather=gather)
    if is_first() and not resume:
        more: dict[str, Any] = {} if warm_start is None else {"warm_start": str(warm_start)}
        more["warnings"] = [one.as_dict() for one in tables.warnings]
        folder.begin(config, model.instance, instance, digests, **more)
    gather({"folder": "there"})
    progress.begun(config.run)
    begun = _begun_from(model, tables, folder, start, resume=resume)
    same, settled = identity(config, digests), _calmed(config, begun)
    solution = search_saved(model, folder.checkpoints, same, progress, resume=resume, start=start, settled=settled)
    earlier_prices = None if begun is None else np.asarray(begun.dual.price)
    finished = replace(certify(model, solution, progress=progress), earlier_prices=earlier_prices)
    if is_first():
        folder.prepare_results()
    gather({"results": "awaited"})
    write_plan(finished, folder.coming)
    if is_first() and not folder.finish(finished.certificate):
        progress.stage(stays(folder))
    gather({"run": "finished"})
    return finished


def _begun_from(model: Model, tables: Tables, folder: RunFolder, start: State | None, *, resume: bool) -> State | None:
    """Where the search of a warm start began, also where it is continued; None: it began from nothing."""
    earlier = _recorded_start(folder.place) if resume and start is None else None
    if earlier is None or not saved_steps(earlier / "checkpoints"):
        return start
    return warm_model(tables, model.config, read_earlier(earlier, tables.items["item_id"].to_list()), gather)[1]


def _calmed(config: Config, begun: State | None) -> Callable[[Solution], Solution]:
    """What puts levels back that hardly changed from those that a warm search began with (`warm.hold`)."""
    if begun is None or not config.warm.hold:
        return lambda solution: solution
    before = begun.warm.raw
    return lambda solution: steadied(solution, before, config.warm.hold)


def _recorded_start(run: Path) -> Path | None:
    """The run that a run started from, as its folder says."""
    found = read_about(run).get("warm_start") if (run / "instance.json").exists() else None
    return None if found is None else Path(str(found))


def warm_config(config: Config) -> Config:
    """The configuration with the settings of a warm start in place of those of a cold one."""
    changes = config.warm.model_dump()
    damping = changes.pop("damping")
    changes.pop("hold")
    changes["final_learning_rate"] = min(config.solve.final_learning_rate, config.warm.learning_rate)
    return config.model_copy(
        update={
            "solve": config.solve.model_copy(update=changes),
            "fulfilment": config.fulfilment.model_copy(update={"damping": damping}),
        }
    )


def write_plan(plan: Plan, folder: Path) -> None:
    """Write all tables of a plan, each under a temporary name first.

    Of several processes each writes the rows of its own items, and the first puts them together.
    """
    parts = folder / "plan" / ".parts"
    for name, frame in plan.frames().items():
        if jax.process_count() > 1 and name in ORDER:
            write_table(
                own_flows(frame, first=is_first()), parts / Path(name).name / f"{jax.process_index():05d}.parquet"
            )
        elif jax.process_count() > 1 and "item_id" in frame.columns:
            write_table(frame, parts / Path(name).name / f"{jax.process_index():05d}.parquet")
        elif is_first():
            write_table(frame, folder / f"{name}.parquet")
    gather({"parts": "written"})
    if is_first():
        for part in sorted(parts.glob("*")):
            _put_together(part, folder / "plan" / f"{part.name}.parquet")
        shutil.rmtree(parts, ignore_errors=True)
    gather({"plan": "written"})


def _put_together(part: Path, target: Path) -> None:
    """One table of the parts in a folder."""
    name, files = f"plan/{target.stem}", sorted(part.glob("*.parquet"))
    if name in ORDER:
        write_table(merged_flows([pl.read_parquet(file, glob=False) for file in files], name), target)
        return
    unfinished = part.with_suffix(".tmp")
    pl.scan_parquet(files, glob=False, hive_partitioning=False).sink_parquet(unfinished)
    unfinished.replace(target)


def config_of_run(run: Path) -> Config:
    """The configuration that a run folder was made with, pointed at that folder."""
    return load_config(run / "config.yaml").model_copy(update={"run": run})


def config_to_resume(run: Path) -> Config:
    """The configuration of the run that `meio resume` continues, pointed at its folder.

    Raises:
        InputError: If the folder holds no run.
    """
    return load_config(unfinished_place(run) / "config.yaml").model_copy(update={"run": run})
