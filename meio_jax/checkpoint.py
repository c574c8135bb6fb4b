"""Checkpoints of a solve: asynchronous, atomic, the last few kept, refused for another instance or configuration."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from meio_jax.errors import InputError, Problem
from meio_jax.progress import Step
from meio_jax.solve import State

logging.getLogger("absl").setLevel(logging.ERROR)


def _leaves(state: State) -> dict[str, np.ndarray]:
    return {f"{number:04d}": np.asarray(leaf) for number, leaf in enumerate(jax.tree.leaves(state))}


class Checkpoints:
    """The checkpoints of one run folder.

    Each holds everything that is needed to continue (parameters, optimiser, prices, dual state, step) and the
    digests of the instance and configuration that it belongs to. Saving happens in the background under a temporary
    name, so a kill at any moment leaves the earlier ones whole.
    """

    def __init__(self, folder: Path, *, every: int, keep: int, identity: dict[str, Any]) -> None:
        self.every = every
        self.identity = identity
        self._folder = folder.resolve()
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=True, enable_async_checkpointing=True)
        self._manager = ocp.CheckpointManager(self._folder, options=options)

    def on_step(self, state: State, history: list[Step]) -> None:
        """Save every `every` steps."""
        step = int(state.step)
        if self.every and step % self.every == 0:
            self.save(state, history)

    def save(self, state: State, history: list[Step]) -> None:
        """Save now (in the background)."""
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        meta = {"identity": self.identity, "history": [asdict(one) for one in history]}
        self._manager.save(
            step,
            args=ocp.args.Composite(state=ocp.args.StandardSave(_leaves(state)), meta=ocp.args.JsonSave(meta)),
        )

    def close(self) -> None:
        """Wait for saves under way."""
        self._manager.wait_until_finished()
        self._manager.close()

    def restore(self, like: State) -> tuple[State, list[Step], list[str]]:
        """The newest checkpoint that can be read: state, reports of its steps, and a note per damaged one.

        Raises:
            InputError: If there is none, or it belongs to another instance or configuration.
        """
        notes: list[str] = []
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                return (*self._read(step, like), notes)
            except InputError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever is wrong with a damaged file, try the one before
                notes.append(f"checkpoint {step} cannot be read ({type(error).__name__}); using the one before")
        raise InputError(
            [
                Problem(
                    str(self._folder),
                    "",
                    "",
                    "; ".join(notes) or None,
                    "a readable checkpoint",
                    "start again with `meio solve`, or set `checkpoint.every` to keep checkpoints",
                )
            ]
        )

    def _read(self, step: int, like: State) -> tuple[State, list[Step]]:
        meta = self._manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))["meta"]
        _check_identity(self._folder, meta["identity"], self.identity)
        leaves, tree = jax.tree.flatten(like)
        abstract = _leaves(like)
        found = self._manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(abstract)))["state"]
        values = [jax.numpy.asarray(found[f"{number:04d}"], leaf.dtype) for number, leaf in enumerate(leaves)]
        return jax.tree.unflatten(tree, values), [Step(**one) for one in meta["history"]]


def _check_identity(folder: Path, stored: dict[str, Any], expected: dict[str, Any]) -> None:
    """Refuse a checkpoint of something else, naming the first difference."""
    for key, value in expected.items():
        if json.dumps(stored.get(key), sort_keys=True, default=str) != json.dumps(value, sort_keys=True, default=str):
            problem = Problem(
                str(folder),
                "checkpoint",
                key,
                stored.get(key),
                f"{value} as in this run",
                "resume with the instance and configuration that the checkpoint was made with, or use --warm-start",
            )
            raise InputError([problem])
