"""Checkpoints of a streamed search: the files of its parts as hard links, and what belongs to no part beside them."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from meio_jax.errors import InputError, Note, Problem
from meio_jax.progress import Step
from meio_jax.runs.checkpoint import check_identity
from meio_jax.solver.solve import State
from meio_jax.solver.stream import PartFiles

_META, _SHARED = "meta.json", "shared.npz"


def _link(source: Path, target: Path) -> None:
    """Another name for a file; a copy where the file system has no such thing, or it is on another one."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


class StreamCheckpoints:
    """The checkpoints of one run: a folder per step, named when it is whole; at most `keep` of them.

    A step of the search writes the files of all parts anew, so a checkpoint costs their size on disk but no time.
    """

    def __init__(self, folder: Path, files: PartFiles, parts: int, *, keep: int, identity: dict[str, Any]) -> None:
        self.folder, self._files, self._parts = folder, files, parts
        self._keep, self._identity = keep, identity

    def steps(self) -> list[int]:
        """Steps of which there is a checkpoint."""
        return sorted(int(path.name) for path in self.folder.glob("*") if path.name.isdigit())

    def save(self, state: State, history: list[Step]) -> None:
        """Save the state after the last step of the history."""
        step = history[-1].step
        if step in self.steps():
            return
        self._files.flush()
        unfinished = self.folder / f"{step}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        sizes = {}
        for part in range(self._parts):
            source = self._files.path("state", part)
            _link(source, unfinished / source.name)
            sizes[source.name] = source.stat().st_size
        with (unfinished / _SHARED).open("wb") as file:
            leaves = jax.tree.leaves(state)
            np.savez(file, allow_pickle=False, **{str(n): np.asarray(leaf) for n, leaf in enumerate(leaves)})
        meta = {"identity": self._identity, "history": [asdict(one) for one in history], "sizes": sizes}
        (unfinished / _META).write_text(json.dumps(meta), encoding="utf-8")
        unfinished.rename(self.folder / str(step))
        for old in self.steps()[: -self._keep]:
            shutil.rmtree(self.folder / str(old))

    def restore(self, like: State) -> tuple[State, list[Step], list[str]] | None:
        """State, reports of its steps, and a line per damaged checkpoint passed over; the parts are put back.

        Returns:
            None where there is no checkpoint yet.

        Raises:
            InputError: If none can be read, or it belongs to another instance or configuration.
        """
        notes: list[str] = []
        for step in reversed(self.steps()):
            try:
                state, history = self._read(self.folder / str(step), like)
            except (OSError, ValueError, KeyError) as error:
                notes.append(f"checkpoint {step} is damaged and cannot be used ({error})")
                continue
            return state, history, notes
        if not notes:
            return None
        problem = Problem(str(self.folder), "", "", Note("; ".join(notes)), "a whole checkpoint", "start again")
        raise InputError([problem])

    def _read(self, saved: Path, like: State) -> tuple[State, list[Step]]:
        meta = json.loads((saved / _META).read_text(encoding="utf-8"))
        for name, size in meta["sizes"].items():
            if (saved / name).stat().st_size != size:
                raise ValueError(f"{name} is not what was saved")
        check_identity(self.folder, meta["identity"], self._identity)
        leaves, structure = jax.tree.flatten(like)
        with np.load(saved / _SHARED, allow_pickle=False) as file:
            values = [jnp.asarray(file[str(n)], leaf.dtype) for n, leaf in enumerate(leaves)]
        self._files.flush()
        for part in range(self._parts):
            target = self._files.path("state", part)
            _link(saved / target.name, target)
        return jax.tree.unflatten(structure, values), [Step(**one) for one in meta["history"]]
