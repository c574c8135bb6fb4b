"""`meio solve` for catalogs that are too large for memory: which ones are, and their run folder."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import jax

from meio_jax.config.settings import Config
from meio_jax.distributed.processes import gather, is_first, own_range, together
from meio_jax.errors import InputError, Problem
from meio_jax.folders import Claim, Mark, check_claim, remove, write_mark
from meio_jax.instance.item_sources import AbstractSource, FolderSource, GeneratedSource
from meio_jax.planner.model import Model
from meio_jax.planner.streaming import build_stream, count_stream
from meio_jax.runs.checkpoint import Part
from meio_jax.runs.files import read_about
from meio_jax.runs.folder import RunFolder
from meio_jax.runs.memory import check_memory, fits
from meio_jax.runs.resume import check_bases, table_digests, write_basis
from meio_jax.runs.task import Order, Task, heed, tell_assumed
from meio_jax.runs.warm import warm_stream
from meio_jax.solver.file_store import PartFiles
from meio_jax.solver.subproblem import ItemState
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
        return GeneratedSource(config.instance.generate, options.part_items)
    about = place / "instance.json"
    if resume and about.exists():
        streamed = "streamed" in read_about(place)
        return _parts(config) if streamed else None
    items = count_item_rows(config.instance.path)
    limit = options.above_items
    # Of several processes each has its own share of the items in its own memory.
    if limit is None and (jax.process_count() > 1 or fits(config, items)):
        return None
    if limit is not None and items <= limit:
        check_memory(config, items, "lower `stream.above_items`, so that the catalog is solved in parts")
        return None
    check_memory(config, options.part_items, "lower `stream.part_items`")
    return _parts(config)


def _parts(config: Config) -> AbstractSource:
    return FolderSource(config.instance.path, config.stream.part_items)


@contextlib.contextmanager
def scratch_files(config: Config, folder: RunFolder) -> Iterator[PartFiles]:
    """Files for the parts of a catalog that this process has, which are taken away at the end.

    Raises:
        InputError: If the folder of scratch files was made by something else.
    """
    scratch = _scratch(config, folder)
    together(lambda: _made_anew(scratch, folder) if is_first() else None)
    own = scratch / str(jax.process_index())
    own.mkdir()
    files = PartFiles(own)
    try:
        yield files
    finally:
        files.close()
        remove(own)
        # Whoever is the last takes away what all had.
        if not any(path.is_dir() for path in scratch.iterdir()):
            shutil.rmtree(scratch, ignore_errors=True)


def streamed_task(order: Order, source: AbstractSource, files: PartFiles) -> Task:
    """Read and check a catalog in parts, and write the arrays of every part to files.

    Raises:
        InputError: If the instance is wrong (then nothing has been written), or if there are warnings about it and they
            are errors.
    """
    config, progress, warm = order.config, order.progress, order.warm
    parts = own_range(source.parts, "parts of the catalog", "lower `stream.part_items`, or start fewer processes")
    counted = count_stream(source, config, files, progress=progress, parts=parts, gather=gather)
    heed(counted.warnings, progress, strict=order.strict)
    tell_assumed(source.assumed, progress)
    digests = table_digests(source.folder, gather=gather) if isinstance(source, FolderSource) else {}
    check_bases(order.folder.checkpoints, (Part(number, source.parts) for number in parts))
    if is_first():
        streamed = {"parts": source.parts, "part_items": source.part_items}
        warnings = [one.as_dict() for one in counted.warnings]
        order.begin(counted.instance(source.tables(0)), config.instance.path, digests, warnings, streamed=streamed)
    gather({"folder": "there"})
    progress.begun(config.run)

    def on_part(number: int, model: Model) -> None:
        write_basis(order.folder.checkpoints, Part(number, source.parts), model)

    def begun(number: int, model: Model) -> ItemState:
        on_part(number, model)
        return model.store.start()

    if warm is None:
        model, start = build_stream(counted, files, progress=progress, begin=begun), None
    else:
        model, start = warm_stream(counted, files, warm, progress, on_part)
    return Task(model, start, {**digests, **_made(config)})


def _made(config: Config) -> dict[str, str]:
    """What stands for the hash of the tables of items that are made on the fly."""
    made = config.instance.generate if config.stream.generate else None
    return {} if made is None else {"instance.generate": made.model_dump_json()}


def _scratch(config: Config, folder: RunFolder) -> Path:
    """Folder of this run's scratch files."""
    if config.stream.scratch is None:
        return folder.place / "scratch"
    name = hashlib.blake2b(str(folder.home.resolve()).encode(), digest_size=8).hexdigest()
    return config.stream.scratch / f"meio-scratch-{name}"


def _made_anew(scratch: Path, folder: RunFolder) -> None:
    """Make the folder of scratch files; what a run that was killed left in it is taken away.

    Raises:
        Refusal: If the folder was made by something else.
    """
    run = str(folder.home.resolve())
    if scratch.parent != folder.place:
        check_claim(scratch, Claim("scratch", "stream.scratch", run, flag=False))
    remove(scratch)
    scratch.mkdir(parents=True)
    write_mark(scratch, Mark("scratch", (), run))
