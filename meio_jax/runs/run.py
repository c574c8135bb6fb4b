"""The one place that wires things: configuration and instance folder in, run folder out."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

from meio_jax.config.settings import Config, load_config
from meio_jax.demand import FewPathDemand
from meio_jax.distributed.compile_cache import drop_programs_if_many, keep_compiled_programs
from meio_jax.distributed.processes import SharedProgress, gather, is_first, join, own_range, together, watched
from meio_jax.errors import InputError, Note, Problem, Refusal
from meio_jax.folders import held, keep_private
from meio_jax.generate import generate_instance
from meio_jax.planner.certifying import certify
from meio_jax.planner.finished import Plan
from meio_jax.planner.model import prepare
from meio_jax.planner.steady import steadied
from meio_jax.progress import AbstractProgress
from meio_jax.runs.checkpoint import saved_steps
from meio_jax.runs.files import read_about
from meio_jax.runs.folder import RunFolder, check_new, open_again, open_new, stays, unfinished_place
from meio_jax.runs.mlflow_log import open_store
from meio_jax.runs.plan_files import PlanFiles
from meio_jax.runs.resume import check_bases, identity, own_parts, search_saved, table_digests, write_basis
from meio_jax.runs.saved_run import read_saved_run
from meio_jax.runs.streamed_run import scratch_files, stream_source, streamed_task
from meio_jax.runs.task import Order, Task, heed, tell_assumed
from meio_jax.runs.warm import WarmStart
from meio_jax.solver.solve import Solution
from meio_jax.tables import (
    Tables,
    count_item_rows,
    read_instance,
    read_item_block,
    read_network,
    scan_item_ids,
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

    def own() -> Tables:
        items = own_range(count_item_rows(folder))
        names = scan_item_ids(folder, items.start, len(items))
        return read_item_block(folder, names, read_network(folder), consecutive=True)

    return together(own), folder


def run_solve(
    config: Config,
    progress: AbstractProgress,
    *,
    resume: bool = False,
    warm_start: Path | None = None,
    strict: bool = False,
    overwrite: bool = False,
) -> Plan:
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
            warm_start = _start_again(folder)
        config = config if warm_start is None else warm_config(config)
        store = open_store(config) if is_first() else None
        plan = _solve(config, folder, progress, resume, warm_start, strict)
        if store is not None:
            store.log(config, folder.results(), progress)
        return plan


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
) -> Plan:
    gather({"instance": "there"})
    source = stream_source(config, folder.place, resume=resume)
    warm = None if warm_start is None else WarmStart(read_saved_run(warm_start, []))
    order = Order(config, folder, progress, warm, resume=resume, strict=strict)
    if source is None:
        return _solved(order, _task_in_memory(order))
    with scratch_files(config, folder) as files:
        return _solved(order, streamed_task(order, source, files))


def _solved(order: Order, task: Task) -> Plan:
    """Search, judge the plan, and write its tables."""
    config, folder, progress, model = order.config, order.folder, order.progress, task.model
    if order.warm is not None:
        progress.stage(order.warm.report(model))
    demand = model.problem.catalog.demand
    if isinstance(demand, FewPathDemand):
        progress.stage(demand.note)
    same, hold = identity(config, task.digests), config.warm.hold
    begun = task.start

    def settled(solution: Solution) -> Solution:
        """Levels that hardly changed from those that a warm search began with are put back."""
        return solution if begun is None else steadied(model.store, solution, begun.items, hold)

    solution = search_saved(
        model, folder.checkpoints, same, progress, resume=order.resume, start=begun, settled=settled
    )
    earlier_prices = None if begun is None else np.asarray(begun.shared.dual.price)
    # A plan in memory is judged before anything is written; that of a larger catalog is written part by part.
    plan = None if model.streamed else certify(model, solution, progress=progress)
    if is_first():
        folder.prepare_results()
    gather({"results": "awaited"})
    files = PlanFiles(model, solution, folder.coming, earlier_prices)
    if plan is None:
        plan = certify(model, solution, progress=progress, receive=files.receive)
    for part in plan.parts:
        files.receive(part)
    files.finish(plan)
    if is_first() and not folder.finish(plan.certificate):
        progress.stage(stays(folder))
    gather({"run": "finished"})
    return replace(plan, earlier_prices=earlier_prices)


def _task_in_memory(order: Order) -> Task:
    """Read the instance, and build its arrays."""
    config, progress, warm = order.config, order.progress, order.warm
    tables, instance = load_tables(config)
    heed(tables.warnings, progress, strict=order.strict)
    tell_assumed(tables.assumed, progress)
    progress.check()
    progress.stage("preparing arrays and scenarios")
    model = prepare(tables, config, start_prices=None if warm is None else warm.prices_at, gather=gather)
    start = None
    if warm is not None:
        earlier = read_saved_run(warm.earlier.run, tables.items["item_id"].to_list(), near=jax.process_index())
        start = warm.state(model, warm.items(model, earlier))
    progress.check()
    # Of one process they are those of the bytes that were read, whatever has become of the folder since.
    digests = dict(tables.digests) if jax.process_count() == 1 else table_digests(instance, gather=gather)
    check_bases(order.folder.checkpoints, own_parts(model))
    if is_first():
        order.begin(model.instance, instance, digests, [one.as_dict() for one in tables.warnings])
    gather({"folder": "there"})
    progress.begun(config.run)
    write_basis(order.folder.checkpoints, own_parts(model)[0], model)
    return Task(model, start, digests)


def _recorded_start(run: Path) -> Path | None:
    """The run that a run started from, as its folder says."""
    found = read_about(run).get("warm_start") if (run / "instance.json").exists() else None
    return None if found is None else Path(str(found))


def _start_again(folder: RunFolder) -> Path | None:
    """Where the search of a run that is continued began; None: from nothing, or from a run that is gone since."""
    earlier = _recorded_start(folder.place)
    gone = earlier is not None and not saved_steps(earlier / "checkpoints")
    return None if gone and saved_steps(folder.checkpoints) else earlier


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


def config_of_run(run: Path) -> Config:
    """The configuration that a run folder was made with, pointed at that folder."""
    return load_config(run / "config.yaml").model_copy(update={"run": run})


def config_to_resume(run: Path) -> Config:
    """The configuration of the run that `meio resume` continues, pointed at its folder.

    Raises:
        InputError: If the folder holds no run.
    """
    return load_config(unfinished_place(run) / "config.yaml").model_copy(update={"run": run})
