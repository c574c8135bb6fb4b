"""Checkpoints of a solve: asynchronous, atomic, the last few kept, refused for another instance or configuration."""

from __future__ import annotations

import glob
import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import jax
import numpy as np
import orbax.checkpoint as ocp

from meio_jax.errors import InputError, Note, Problem, Refusal
from meio_jax.folders import writing
from meio_jax.progress import Step
from meio_jax.runs.folder import check_there
from meio_jax.runs.host_arrays import HostArraysHandler, HostArraysSave, holds_host_arrays
from meio_jax.runs.portable import ITEMS, Basis
from meio_jax.tables import write_text

# What goes wrong in the background is raised where the next save waits for it, and told by the command.
logging.getLogger("absl").setLevel(logging.CRITICAL)

Found = TypeVar("Found")

_SEAL = "files.json"
# Of the names of arrays: checkpoints of earlier versions have others.
_FORM = 2
_PART = re.compile(r"(\d+)-of-(\d+)")


@dataclass(frozen=True)
class Part:
    """Which part of the catalog a process writes: `index` of `count`, from 0."""

    index: int = 0
    count: int = 1

    @property
    def folder(self) -> str:
        return f"{self.index + 1}-of-{self.count}"


@dataclass(frozen=True)
class Restored:
    """A checkpoint that was read.

    `arrays` holds the state by name and `basis` what it refers to, both over the items asked for; `held` marks those
    of them that the run has. `history` has the reports of its steps.
    """

    step: int
    arrays: dict[str, np.ndarray]
    basis: Basis
    held: np.ndarray
    history: list[Step]


class Checkpoints:
    """The checkpoints of one part of a catalog in a run folder.

    Each holds everything that is needed to continue (parameters, optimiser, prices, dual state, step; random keys
    follow from the seed, the item and the step) with a checksum per array and the identity of the run. Saving
    happens in the background under a temporary name, so a kill at any moment leaves the earlier ones whole.
    """

    def __init__(self, folder: Path, *, keep: int, identity: dict[str, Any], part: Part | None = None) -> None:
        self.identity = identity
        self._part = Part() if part is None else part
        self._folder = folder.resolve()
        own = self._folder / self._part.folder
        # Parts may be a save apart when a process dies; what is kept must still have a step in common.
        keep = keep if self._part.count == 1 else max(keep, 2) + 1
        self._named, alone = ExitStack(), _by_itself()
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep,
            create=False,
            # Saves in the background tell each other when they are done by names that all processes share.
            enable_async_checkpointing=jax.process_count() == 1,
            multiprocessing_options=alone,
        )
        place = self._named.enter_context(_plainly_named(own))
        handlers = {"state": _array_handler(), "meta": ocp.JsonCheckpointHandler(multiprocessing_options=alone)}
        self._manager = ocp.CheckpointManager(place, options=options, item_handlers=handlers)
        self._unsealed: Path | None = None

    def save(self, arrays: dict[str, np.ndarray], history: list[Step]) -> None:
        """Save now (in the background); the step is the last one of the history (0: before the first)."""
        step = history[-1].step if history else 0
        # First, for a step that is still being written is not among those that are there.
        self._seal()
        check_there(self._folder / self._part.folder / "basis.npz")
        if step in self._manager.all_steps():
            return
        # The file format knows no empty arrays (prices of an instance without capacities, say).
        arrays = {name: array for name, array in arrays.items() if array.size}
        meta = {
            "form": _FORM,
            "identity": self.identity,
            "history": [asdict(one) for one in history],
            "checksums": {name: checksum(array) for name, array in arrays.items()},
        }
        state = ocp.args.StandardSave(arrays) if jax.process_count() == 1 else HostArraysSave(arrays)
        with writing(self._folder):
            self._manager.save(step, args=ocp.args.Composite(state=state, meta=ocp.args.JsonSave(meta)))
        self._unsealed = self._folder / self._part.folder / str(step)

    def holds(self, step: int, arrays: dict[str, np.ndarray]) -> bool:
        """Whether the checkpoint of a step is there and was saved with these arrays."""
        self._seal()
        try:
            meta = json.loads((self._folder / self._part.folder / str(step) / "meta" / "metadata").read_text("utf-8"))
        except (OSError, ValueError):
            return False
        return meta.get("checksums") == {name: checksum(array) for name, array in arrays.items() if array.size}

    def drop(self, step: int) -> None:
        """Remove the checkpoint of a step, if there is one."""
        self._seal()
        with writing(self._folder):
            if step in self._manager.all_steps():
                self._manager.delete(step)

    def _seal(self) -> None:
        """Note the digest of every file of the last checkpoint, once it is complete."""
        with writing(self._folder):
            self._manager.wait_until_finished()
        if self._unsealed is not None and self._unsealed.is_dir():
            write_text(json.dumps(file_digests(self._unsealed)), self._unsealed / _SEAL)
        self._unsealed = None

    def flush(self) -> None:
        """Wait for the save under way."""
        self._seal()

    def close(self) -> None:
        """Wait for saves under way."""
        try:
            self._seal()
        finally:
            with self._named, writing(self._folder):
                self._manager.close()


def _is_pattern(path: Path) -> bool:
    """Whether the checkpoint library would take a path for a pattern, which finds other files or none."""
    return glob.has_magic(str(path))


@contextmanager
def _plainly_named(path: Path) -> Iterator[Path]:
    """A path to the same folder that the checkpoint library takes for no pattern."""
    if not _is_pattern(path):
        yield path
        return
    with TemporaryDirectory() as folder:
        link = Path(folder) / "checkpoints"
        link.symlink_to(path, target_is_directory=True)
        yield link


def _by_itself() -> ocp.options.MultiprocessingOptions:
    """Every process reads and writes by itself: none waits for another one, which may have died."""
    if jax.process_count() == 1:
        return ocp.options.MultiprocessingOptions()
    me = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"part{me}"
    )


def _array_handler() -> ocp.CheckpointHandler:
    """What writes the arrays of this process."""
    return ocp.StandardCheckpointHandler() if jax.process_count() == 1 else HostArraysHandler()


def checksum(array: np.ndarray) -> str:
    """Digest of an array's bytes: file formats do not notice every flipped bit."""
    return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=8).hexdigest()


def file_digests(step: Path) -> dict[str, str]:
    """Digest of every file of a checkpoint: reading a damaged one with the library leaves loose ends behind."""
    files = (path for path in sorted(step.rglob("*")) if path.is_file() and path.name != _SEAL)
    return {
        str(file.relative_to(step)): hashlib.blake2b(file.read_bytes(), digest_size=8).hexdigest() for file in files
    }


def saved_steps(folder: Path) -> list[tuple[int, int]]:
    """Complete checkpoints of a run as (step, number of parts), the newest first."""
    steps: dict[int, list[set[int]]] = {}
    for own in folder.glob("*-of-*"):
        match = _PART.fullmatch(own.name)
        if match:
            found = {int(step.name) for step in own.iterdir() if step.is_dir() and step.name.isdigit()}
            steps.setdefault(int(match[2]), []).append(found)
    whole = [(step, count) for count, sets in steps.items() if len(sets) == count for step in set.intersection(*sets)]
    return sorted(whole, reverse=True)


def newest(
    folder: Path, read: Callable[[tuple[int, int]], Found], agree: Callable[[bool], bool] = bool
) -> tuple[Found, list[str]] | None:
    """What is read of the newest checkpoint that is whole; None where a run has none yet.

    Args:
        folder: The folder `checkpoints` of a run.
        read: Reads a checkpoint, given its step and number of parts; whatever it raises but InputError means that the
            checkpoint is damaged.
        agree: Whether all processes could read a checkpoint, given that this one could.

    Returns:
        What was read, and a line per damaged checkpoint that was passed over.

    Raises:
        InputError: If none can be read, or it belongs to another instance or configuration.
    """
    damaged: dict[int, str] = {}
    for step, count in saved_steps(folder):
        try:
            found, trouble = read((step, count)), "in another part"
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a damaged file, try the one before
            found, trouble = None, f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"
        if agree(found is not None) and found is not None:
            return found, [f"checkpoint {bad} is damaged and cannot be used ({why})" for bad, why in damaged.items()]
        damaged[step] = trouble
    if not damaged:
        return None
    remedy = "start again with `meio solve`"
    raise InputError(
        [
            Problem(str(folder), f"checkpoint {step}", "", Note(why), "a whole checkpoint", remedy)
            for step, why in damaged.items()
        ]
    )


def read_basis(folder: Path, part: Part) -> Basis:
    """Ids and units of one part of a run."""
    return Basis.read(folder / part.folder / "basis.npz")


def whole_basis(folder: Path, part: Part) -> Basis:
    """Ids and units of one part of a run, for those who have no other to fall back on.

    Raises:
        Refusal: If they are gone or damaged.
    """
    try:
        return read_basis(folder, part)
    except (OSError, ValueError, KeyError) as error:
        place, found = str(folder / part.folder / "basis.npz"), Note(" ".join(str(error).split()))
        remedy = "solve anew with `meio solve --overwrite`"
        raise Refusal(Problem(place, "", "", found, "the ids of a run's items", remedy)) from None


def saved_items(folder: Path) -> Iterator[list[str]]:
    """Ids of the items in every part of a run's newest checkpoint; nothing where there is none.

    Raises:
        InputError: If they cannot be read.
    """
    for _, count in saved_steps(folder)[:1]:
        yield from (whole_basis(folder, Part(index, count)).items for index in range(count))


def read_items(
    folder: Path,
    at: tuple[int, int],
    items: list[str],
    identity: dict[str, Any] | None = None,
    *,
    partial: bool = False,
    near: int = 0,
) -> Restored:
    """Collect the arrays of some items from the parts of a checkpoint.

    Args:
        folder: The folder `checkpoints` of a run.
        at: Its step and number of parts.
        items: Items whose arrays are wanted, in this order; whichever parts hold them are read.
        identity: What the checkpoint must have been made with; None: anything.
        partial: The run need not hold all of the items.
        near: Number of the part in which they are looked for first.

    Raises:
        InputError: If it belongs to another instance or configuration.
        ValueError: If an item is missing, or a file is not what was saved.
    """
    step, count = at
    place = {name: position for position, name in enumerate(items)}
    arrays: dict[str, np.ndarray] = {}
    units: dict[str, np.ndarray] = {}
    held, axes = np.zeros(len(items), bool), {}
    history: list[Step] = []
    order = sorted(range(count), key=lambda index: abs(index - near))
    for index in order:
        if held.all() and arrays:
            break
        part = Part(index, count)
        basis = read_basis(folder, part)
        axes = basis.axes
        own = [(source, place[name]) for source, name in enumerate(basis.items) if name in place]
        # The last part is read in any case where nothing was: what the items share is in all of them.
        if not own and (arrays or index != order[-1]):
            continue
        source, target = (np.asarray(side, int) for side in zip(*own, strict=True)) if own else (np.empty(0, int),) * 2
        found, history = _read_part(folder / part.folder, step, identity, folder)
        held[target] = True
        by_item = {name: array for name, array in found.items() if name.startswith(f"{ITEMS}.")}
        arrays.update({name: array for name, array in found.items() if name not in by_item})
        for here, there in ((by_item, arrays), (basis.units, units)):
            for name, table in here.items():
                whole = there.setdefault(name, np.zeros((*table.shape[:-1], len(items)), table.dtype))
                whole[..., target] = table[..., source]
    if not partial and not held.all():
        raise ValueError(f"{int(np.sum(~held))} of {len(items)} items are in no part")
    return Restored(step, arrays, Basis(items, axes, units), held, history)


def _read_part(
    own: Path, step: int, identity: dict[str, Any] | None, folder: Path
) -> tuple[dict[str, np.ndarray], list[Step]]:
    seal = own / str(step) / _SEAL
    if seal.exists():
        now = file_digests(seal.parent)
        for name, digest in json.loads(seal.read_text(encoding="utf-8")).items():
            if now.get(name) != digest:
                raise ValueError(f"{name} is not what was saved")
    arrays, meta = _read_orbax(own.resolve() / str(step))
    if meta.get("form") != _FORM:
        remedy = "finish or read this run with the version that began it, or solve anew with `meio solve --overwrite`"
        found = Note("a checkpoint of an earlier version")
        raise Refusal(Problem(str(folder), "", "", found, "a checkpoint of this version", remedy))
    if identity is not None:
        check_identity(folder, meta["identity"], identity)
    wrong = [name for name, digest in meta["checksums"].items() if checksum(arrays[name]) != digest]
    if wrong:
        raise ValueError(f"{wrong[0]} is not what was saved")
    return arrays, [Step(**one) for one in meta["history"]]


def _read_orbax(step: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and plain data of a step; the path must be absolute."""
    alone = _by_itself()
    with _plainly_named(step) as place:
        with ocp.Checkpointer(ocp.JsonCheckpointHandler(), multiprocessing_options=alone) as reader:
            meta = reader.restore(place / "meta")
        arrays = HostArraysHandler() if holds_host_arrays(place / "state") else ocp.StandardCheckpointHandler()
        with ocp.Checkpointer(arrays, multiprocessing_options=alone) as reader:
            found = reader.restore(place / "state")
    return {name: np.asarray(array) for name, array in found.items()}, meta


def check_identity(folder: Path, stored: dict[str, Any], expected: dict[str, Any]) -> None:
    """Refuse a checkpoint of something else, naming the first difference.

    Raises:
        InputError: If any entry differs.
    """
    for key in dict.fromkeys([*expected, *stored]):
        ours, theirs = expected.get(key), stored.get(key)
        if json.dumps(theirs, sort_keys=True, default=str) != json.dumps(ours, sort_keys=True, default=str):
            remedy = "resume with the instance and configuration that the checkpoint was made with, or use --warm-start"
            raise InputError([Problem(str(folder), "checkpoint", key, theirs, f"{ours} as in this run", remedy)])
