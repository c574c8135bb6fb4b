"""`meio solve` for catalogs that are too large for memory: which ones are, and their run folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import jax

from meio_jax.config.settings import Config
from meio_jax.errors import InputError, InputWarning, Problem
from meio_jax.folders import Claim, Mark, check_claim, remove, write_mark
from meio_jax.instance.item_sources import AbstractSource, FolderSource, GeneratedSource
from meio_jax.planner.streamed_plan import StreamedPlan, write_streamed_plan
from meio_jax.planner.streaming import StreamedModel, build_stream, count_stream, search_stream, start_stream
from meio_jax.progress import AbstractProgress, Preempted, Step
from meio_jax.results import Result
from meio_jax.runs.files import read_about
from meio_jax.runs.folder import RunFolder, stays
from meio_jax.runs.memory import check_memory, fits
from meio_jax.runs.resume import identity, table_digests
from meio_jax.runs.stream_checkpoint import StreamCheckpoints
from meio_jax.solver.solve import Solution, State, Trace
from meio_jax.solver.stream import PartFiles
from meio_jax.tables import count_item_rows


def stream_source(config: Config, place: Path, *, resume: bool = False) -> AbstractSource | None:
    """The catalog in parts, if it is to be streamed; None where it is solved in memory.

    Args:
        config: The configuration.
        place: Where the run is written.
        resume: Decide as the run that is continued did, whatever memory is free now.

    Raises:
        InputError: If streaming is asked for in a way that is not possible, or there is too little memory.
    """
    options = config.stream
    if options.generate:
        if config.instance.generate is None:
            problem = Problem("stream", "", "generate", True, "options in `instance.generate`", "add them")
            raise InputError([problem])
        return _alone(GeneratedSource(config.instance.generate, options.part_items))
    about = place / "instance.json"
    if resume and about.exists():
        streamed = "streamed" in read_about(place)
        return _alone(_parts(config)) if streamed else None
    items = count_item_rows(config.instance.path)
    limit = options.above_items
    # Of several processes each has its own share of the items in its own memory.
    if limit is None and (jax.process_count() > 1 or fits(config, items)):
        return None
    if limit is not None and items <= limit:
        check_memory(config, items, "lower `stream.above_items`, so that the catalog is solved in parts")
        return None
    check_memory(config, options.part_items, "lower `stream.part_items`")
    return _alone(_parts(config))


def _parts(config: Config) -> AbstractSource:
    return FolderSource(config.instance.path, config.stream.part_items)


def _alone(source: AbstractSource) -> AbstractSource:
    if jax.process_count() > 1:
        remedy = "start one process, or (where the share of each fits in memory) leave `stream` out"
        problem = Problem("stream", "", "", jax.process_count(), "one process for a streamed catalog", remedy)
        raise InputError([problem])
    return source


def run_streamed(
    config: Config,
    folder: RunFolder,
    source: AbstractSource,
    progress: AbstractProgress,
    *,
    resume: bool,
    warm_start: Path | None,
    strict: bool,
) -> StreamedPlan:
    """Solve a catalog in parts and write its run folder.

    Raises:
        InputError: If the instance is wrong (then nothing has been written), if there are warnings about it and they
            are errors (`strict`), or if a warm start is asked for.
        Preempted: If the machine was taken away; the state is saved then.
    """
    if warm_start is not None:
        remedy = "leave --warm-start out, or raise `stream.above_items` if the catalog fits in memory"
        raise InputError([Problem("stream", "", "--warm-start", str(warm_start), "no warm start of parts", remedy)])
    scratch = _scratch(config, folder)
    files = PartFiles(scratch)
    try:
        counted = count_stream(source, config, files, progress=progress)
        heed(counted.warnings, progress, strict=strict)
        digests = table_digests(source.folder) if isinstance(source, FolderSource) else {}
        if not resume:
            streamed = {"parts": source.parts, "part_items": source.part_items}
            about = {"streamed": streamed, "warnings": [one.as_dict() for one in counted.warnings]}
            folder.begin(config, counted.instance(source.tables(0)), config.instance.path, digests, **about)
        progress.begun(config.run)
        model = build_stream(counted, files, progress=progress)
        solution = _search(model, config, folder, files, digests, progress, resume)
        folder.prepare_results()
        plan = write_streamed_plan(model, solution, folder.coming, progress=progress)
        if not folder.finish(plan.certificate):
            progress.stage(stays(folder))
        return plan
    finally:
        files.close()
        remove(scratch)


def heed(warnings: Sequence[InputWarning], progress: AbstractProgress, *, strict: bool) -> None:
    """Show what was found in the input that is probably not meant.

    Raises:
        InputError: With all of it, if `strict`.
    """
    if strict and warnings:
        raise InputError.from_warnings(warnings)
    for one in warnings:
        progress.warning(str(one))


def _scratch(config: Config, folder: RunFolder) -> Path:
    """Folder of this run's scratch files; what a run that was killed left in it is taken away.

    Raises:
        Refusal: If the folder was made by something else.
    """
    if config.stream.scratch is None:
        scratch = folder.place / "scratch"
    else:
        name = hashlib.blake2b(str(folder.home.resolve()).encode(), digest_size=8).hexdigest()
        scratch = config.stream.scratch / f"meio-scratch-{name}"
        claim = Claim("scratch", "stream.scratch", str(folder.home.resolve()), flag=False)
        check_claim(scratch, claim)
    remove(scratch)
    scratch.mkdir(parents=True)
    write_mark(scratch, Mark("scratch", (), str(folder.home.resolve())))
    return scratch


def _same(config: Config, digests: dict[str, str]) -> dict:
    """What a checkpoint must agree with: as in memory, and how the catalog is cut into parts."""
    made = config.instance.generate if config.stream.generate else None
    return {
        **identity(config, digests),
        "stream.part_items": config.stream.part_items,
        "instance.generate": None if made is None else made.model_dump(mode="json"),
        "solve.devices": config.solve.devices,
    }


def _search(
    model: StreamedModel,
    config: Config,
    run: RunFolder,
    files: PartFiles,
    digests: dict[str, str],
    progress: AbstractProgress,
    resume: bool,
) -> Solution:
    """Search, with checkpoints on the way and at the end."""
    folder, every = run.checkpoints / "streamed", config.checkpoint.every
    checkpoints = StreamCheckpoints(
        folder, files, model.source.parts, keep=config.checkpoint.keep, identity=_same(config, digests)
    )
    state = start_stream(model)
    found = checkpoints.restore(state) if resume else None
    history: list[Step] = []
    if found is not None:
        state, history, notes = found
        for note in notes:
            progress.stage(f"{note}; using the one before")
        progress.stage(f"continuing after step {history[-1].step}")
    seen = list(history)

    def on_step(now: State, step: Step, trace: Trace) -> None:
        del trace
        seen.append(step)
        if (every and step.step % every == 0) or progress.should_stop():
            checkpoints.save(now, seen)

    solution = search_stream(model, state, progress=progress, on_step=on_step, history=tuple(history))
    if every:
        checkpoints.save(solution.state, seen)
    if progress.preempted() and solution.result is Result.INTERRUPTED:
        raise Preempted(f"Told to end after step {solution.steps}; a checkpoint of it is in {folder}.")
    return solution
