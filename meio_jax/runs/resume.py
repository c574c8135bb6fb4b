"""A search that is saved as it goes: checkpoints, continuing from them, and stopping when the machine is taken away."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from meio_jax.config.settings import Config
from meio_jax.distributed.processes import all_agree
from meio_jax.instance.census import Gather, alone
from meio_jax.planner.model import Model
from meio_jax.planner.sampled_start import found_by_sample, sampled_start
from meio_jax.planner.searching import search
from meio_jax.progress import AbstractProgress, Preempted, Step
from meio_jax.results import Result
from meio_jax.runs.checkpoint import Checkpoints, Part, newest, read_basis, read_items, saved_steps, whole_basis
from meio_jax.runs.portable import basis_of, from_named, to_named
from meio_jax.solver.solve import Solution, State, Trace, initial_state
from meio_jax.solver.store import Part as StorePart
from meio_jax.solver.subproblem import ItemState
from meio_jax.tables.digests import joint_digest
from meio_jax.tables.sources import instance_files, part_digest

# What a run may change between a checkpoint and its continuation without changing a number.
_FREE = ("run", "checkpoint", "instance", "solve.devices", "stream", "backtest", "output", "exceptions", "mlflow")


def table_digests(folder: Path, only: Collection[str] | None = None, gather: Gather = alone) -> dict[str, str]:
    """Hash of every table of an instance folder (of all its parts together) and of its settings.

    Args:
        folder: The instance.
        only: Names of tables (`instance`: the settings) that are wanted; None: all.
        gather: How hashes of all processes come together; each reads its share of the parts of a table.
    """
    tables = {
        name: files for name, files in sorted(instance_files(folder).items()) if only is None or files.name in only
    }
    process, processes = (0, 1) if gather is alone else (jax.process_index(), jax.process_count())
    own = {
        f"{name}:{number}": part_digest(files, file)
        for name, files in tables.items()
        for number, file in enumerate(files.paths)
        if number * processes // len(files.paths) == process
    }
    known = {name: digest for part in gather(own) for name, digest in part.items()}
    return {
        name: joint_digest([known[f"{name}:{number}"] for number in range(len(files.paths))])
        for name, files in tables.items()
    }


def identity(config: Config, digests: dict[str, str]) -> dict[str, Any]:
    """What a checkpoint must agree with: the instance, and every setting that changes numbers, one entry each."""
    flat: dict[str, Any] = {}
    for key, value in config.model_dump(mode="json").items():
        flat.update({f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value})
    network = config.policy.correction
    flat.pop("policy.correction")
    if network is not None:
        flat["policy.correction"] = f"network {network.digest[:16]}"
    settings = {key: value for key, value in flat.items() if key.split(".")[0] not in _FREE and key not in _FREE}
    return {**{f"instance file {name}": digest for name, digest in digests.items()}, **settings}


def own_parts(model: Model) -> list[Part]:
    """The parts of the catalog that this process writes."""
    return [Part(number, model.store.parts) for number in model.store.numbers]


def check_bases(folder: Path, parts: Iterable[Part]) -> None:
    """Check that what the checkpoints of these parts refer to is there and whole, before it is written anew.

    Raises:
        Refusal: If it is gone or damaged.
    """
    for part in parts if saved_steps(folder) else ():
        if (folder / part.folder).exists():
            whole_basis(folder, part)


def write_basis(folder: Path, part: Part, model: Model) -> None:
    """Write what the arrays of a part's checkpoints refer to; the model is that of the part."""
    problem = model.problem
    (folder / part.folder).mkdir(parents=True, exist_ok=True)
    basis = basis_of(model.instance, problem.scale, problem.item_scale, model.config.policy.name)
    basis.write(folder / part.folder / "basis.npz")


class _Checkpoints:
    """The checkpoints of a search, whichever store holds its items."""

    def __init__(self, model: Model, folder: Path, same: dict[str, Any]) -> None:
        self._model, self._folder, self._same = model, folder, same
        self._parts = own_parts(model)
        keep = model.config.checkpoint.keep
        self._writers = [Checkpoints(folder, keep=keep, identity=same, part=part) for part in self._parts]

    def save(self, state: State, history: list[Step]) -> None:
        """Save the state after the last step of the history: in the background, where there is one part."""
        for writer, arrays in self._named(state):
            writer.save(arrays, history)
            if len(self._writers) > 1:
                writer.flush()

    def save_plan(self, state: State, history: list[Step]) -> None:
        """Save the state that a search ended with, in place of what was saved after its last step if that is another.

        The plan is chosen and probed after that step; whoever reads the run is to find the plan that was issued. Where
        a kill comes between the two the checkpoint before is continued: no part of the step is left then.
        """
        step = history[-1].step if history else 0
        if not all_agree(all(writer.holds(step, arrays) for writer, arrays in self._named(state))):
            for writer in self._writers:
                writer.drop(step)
            all_agree(True)
        self.save(state, history)

    def _named(self, state: State) -> Iterator[tuple[Checkpoints, dict[str, np.ndarray]]]:
        """The writer of every part, and what it writes of a state."""
        at = zip(self._writers, self._model.store.each(state.items), self._model.layouts(), strict=True)
        for writer, part, layout in at:
            yield writer, to_named(State(part.items, state.shared), layout, layout.count)

    def restored(self, like: State) -> tuple[tuple[State, list[Step]], list[str]] | None:
        """The state of the newest checkpoint and the reports of its steps, and what was passed over."""
        return newest(self._folder, lambda at: self._read(at, like), all_agree)

    def _read(self, at: tuple[int, int], like: State) -> tuple[State, list[Step]]:
        own, layouts = iter(self._parts), iter(self._model.layouts())
        shared, history = like.shared, []

        def read(part: StorePart) -> ItemState:
            nonlocal shared, history
            names, layout = read_basis(self._folder, mine := next(own)).items, next(layouts)
            found = read_items(self._folder, at, names, self._same, near=mine.index)
            before = State(part.items, like.shared)
            state = from_named(found.arrays, before, layout, layout.count, part.problem.mesh)
            shared, history = state.shared, found.history
            return state.items

        return State(self._model.store.changed(like.items, read, "state"), shared), history

    def close(self) -> None:
        """Wait for saves under way."""
        for writer in self._writers:
            writer.close()


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
        folder: Where the checkpoints are; each part has its basis there (`write_basis`).
        same: What a checkpoint must agree with to be continued.
        progress: Where to report.
        resume: Continue from the newest checkpoint.
        start: Where a search that is not continued starts; None: the newsvendor levels without prices, or what a
            sample of the items finds (`solve.sample_items`).
        settled: What is done to the solution before it is saved.

    Raises:
        InputError: If a checkpoint is to be continued that cannot be.
        Preempted: If the machine was taken away; the state is saved then.
    """
    begin = sampled_start(model) if start is None else None
    model = model if begin is None else begin.model
    state = initial_state(model.store, model.method) if start is None else start
    checkpoints = _Checkpoints(model, folder, same)
    seen: list[Step] = []
    every = model.config.checkpoint.every

    def on_step(now: State, step: Step, trace: Trace) -> None:
        del trace
        seen.append(step)
        if (every and step.step % every == 0) or progress.should_stop():
            checkpoints.save(now, seen)

    try:
        found = checkpoints.restored(state) if resume else None
        if resume:
            state, history = _continued(found, state, progress)
            seen += history
        if begin is not None and found is None:
            state = found_by_sample(begin, progress)
        if found is None and (begin is not None or (start is not None and not resume)):
            # What was taken over from an earlier run is not found again without it, nor soon what a sample found.
            checkpoints.save(state, seen)
        solution = settled(search(model, state, progress=progress, on_step=on_step, history=tuple(seen)))
        checkpoints.save_plan(solution.state, seen)
    finally:
        checkpoints.close()
    if progress.preempted() and solution.result is Result.INTERRUPTED:
        raise Preempted(f"Told to end after step {solution.steps}; a checkpoint of it is in {folder}.")
    return solution


def _continued(
    found: tuple[tuple[State, list[Step]], list[str]] | None, start: State, progress: AbstractProgress
) -> tuple[State, list[Step]]:
    """Where a search goes on, and the reports of its steps so far; the start where there is no checkpoint yet."""
    if found is None:
        progress.stage("no checkpoint yet: starting from the beginning")
        return start, []
    (state, history), notes = found
    for note in notes:
        progress.stage(f"{note}; using the one before")
    progress.stage(f"continuing after step {int(state.shared.step)}")
    return state, history
