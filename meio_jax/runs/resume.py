"""A search that is saved as it goes: checkpoints, continuing from them, and stopping when the machine is taken away."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import jax

from meio_jax.config.settings import Config
from meio_jax.distributed.processes import all_agree
from meio_jax.instance.census import Gather, alone
from meio_jax.planner.planning import Model, search
from meio_jax.progress import AbstractProgress, Preempted, Step
from meio_jax.results import Result
from meio_jax.runs.checkpoint import Checkpoints, Part, restore
from meio_jax.runs.portable import basis_of, from_named, to_named
from meio_jax.solver.solve import Solution, State, Trace, initial_state
from meio_jax.tables.digests import joint_digest
from meio_jax.tables.sources import instance_files

# What a run may change between a checkpoint and its continuation without changing a number.
_FREE = ("run", "checkpoint", "instance", "solve.devices", "stream", "backtest", "output", "exceptions")


def table_digests(folder: Path, only: Collection[str] | None = None, gather: Gather = alone) -> dict[str, str]:
    """Hash of every table of an instance folder (of all its parts together) and of its settings.

    Args:
        folder: The instance.
        only: Names of tables (`instance`: the settings) that are wanted; None: all.
        gather: How hashes of all processes come together; each reads its share of the parts of a table.
    """
    tables = {
        name: list(files)
        for name, files in sorted(instance_files(folder).items())
        if only is None or name.split(".")[0] in only
    }
    process, processes = (0, 1) if gather is alone else (jax.process_index(), jax.process_count())
    own = {
        str(file): _file_digest(folder, file)
        for files in tables.values()
        for number, file in enumerate(files)
        if number * processes // len(files) == process
    }
    known = {name: digest for part in gather(own) for name, digest in part.items()}
    return {name: joint_digest([known[str(file)] for file in files]) for name, files in tables.items()}


def _file_digest(folder: Path, file: Path) -> str:
    digest = hashlib.blake2b(str(file.relative_to(folder)).encode(), digest_size=16)
    with file.open("rb") as content:
        while chunk := content.read(1 << 22):
            digest.update(chunk)
    return digest.hexdigest()


def identity(config: Config, digests: dict[str, str]) -> dict[str, Any]:
    """What a checkpoint must agree with: the instance, and every setting that changes numbers, one entry each."""
    flat: dict[str, Any] = {}
    for key, value in config.model_dump(mode="json").items():
        flat.update({f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value})
    settings = {key: value for key, value in flat.items() if key.split(".")[0] not in _FREE and key not in _FREE}
    return {**{f"instance file {name}": digest for name, digest in digests.items()}, **settings}


def own_items(model: Model) -> list[str]:
    """Ids of the items that this process holds, in the order of its tables."""
    return model.instance.items


def own_process() -> Part:
    """The part of the catalog that this process holds."""
    return Part(jax.process_index(), jax.process_count())


def _restored(
    folder: Path, model: Model, like: State, same: dict[str, Any], progress: AbstractProgress
) -> tuple[State, list[Step]]:
    """The state of the newest checkpoint and the reports of its steps; the start of the search where none is yet."""
    found = restore(folder, own_items(model), same, agree=all_agree)
    if found is None:
        progress.stage("no checkpoint yet: starting from the beginning")
        return like, []
    for note in found.notes:
        progress.stage(f"{note}; using the one before")
    progress.stage(f"continuing after step {found.step}")
    problem, instance = model.problem, model.instance
    value = lambda name, shape: found.arrays[name]
    return from_named(value, like, instance.layout, len(instance.items), problem.mesh), found.history


def search_saved(
    model: Model,
    folder: Path,
    same: dict[str, Any],
    progress: AbstractProgress,
    *,
    resume: bool = False,
    start: State | None = None,
    settled: Callable[[Solution], Solution] = lambda solution: solution,
) -> Solution:
    """Search, with checkpoints on the way and at the end.

    Args:
        model: What to solve.
        folder: Where the checkpoints are.
        same: What a checkpoint must agree with to be continued.
        progress: Where to report.
        resume: Continue from the newest checkpoint.
        start: Where a search that is not continued starts; None: the newsvendor levels without prices.
        settled: What is done to the solution before it is saved.

    Raises:
        InputError: If a checkpoint is to be continued that cannot be.
        Preempted: If the machine was taken away; the state is saved then.
    """
    first = initial_state(model.problem, model.method) if start is None else start
    options, instance = model.config.checkpoint, model.instance
    state, history = _restored(folder, model, first, same, progress) if resume else (first, [])
    basis = basis_of(instance, model.problem.scale, model.problem.item_scale, model.config.policy.name)
    checkpoints = Checkpoints(
        folder, every=options.every, keep=options.keep, identity=same, basis=basis, part=own_process()
    )
    seen = list(history)

    def save(now: State) -> None:
        checkpoints.save(to_named(now, instance.layout, len(instance.items)), seen)

    def on_step(now: State, step: Step, trace: Trace) -> None:
        del trace
        seen.append(step)
        if checkpoints.due(step.step) or progress.should_stop():
            save(now)

    try:
        if start is not None and not resume:
            # What was taken over from an earlier run is not found again without it.
            save(start)
        solution = settled(search(model, state, progress=progress, on_step=on_step, history=tuple(history)))
        save(solution.state)
    finally:
        checkpoints.close()
    if progress.preempted() and solution.result is Result.INTERRUPTED:
        raise Preempted(f"Told to end after step {solution.steps}; a checkpoint of it is in {folder}.")
    return solution
