"""What a run is asked to do, and what it has made ready to search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meio_jax.config.settings import Config
from meio_jax.errors import InputError, InputWarning
from meio_jax.instance import Instance
from meio_jax.planner.model import Model
from meio_jax.progress import AbstractProgress
from meio_jax.runs.folder import RunFolder
from meio_jax.runs.warm import WarmStart
from meio_jax.solver.solve import State


@dataclass(frozen=True)
class Order:
    """A run that was asked for: `warm` says from which earlier run it starts, `strict` that warnings are errors."""

    config: Config
    folder: RunFolder
    progress: AbstractProgress
    warm: WarmStart | None
    resume: bool
    strict: bool

    def begin(
        self, instance: Instance, place: Path, digests: dict[str, str], warnings: Sequence[Mapping], **more: Any
    ) -> None:
        """Write down what the run solves, unless it is continued.

        Args:
            instance: The instance, or a part of it.
            place: Its folder.
            digests: Hash of every table.
            warnings: What was found in it that is probably not meant.
            more: Further entries of `instance.json`.
        """
        if self.resume:
            return
        if self.warm is not None:
            more["warm_start"] = str(self.warm.earlier.run)
        self.folder.begin(self.config, instance, place, digests, **more, warnings=list(warnings))


@dataclass(frozen=True)
class Task:
    """A catalog ready to search, where the search starts (None: from nothing), and the hash of every table."""

    model: Model
    start: State | None
    digests: dict[str, str]


def tell_assumed(assumed: Mapping[str, str], progress: AbstractProgress) -> None:
    """Say what is taken in place of tables that were left out."""
    for name, text in assumed.items():
        progress.stage(f"no table {name}: {text}")


def heed(warnings: Sequence[InputWarning], progress: AbstractProgress, *, strict: bool) -> None:
    """Show what was found in the input that is probably not meant.

    Raises:
        InputError: With all of it, if `strict`.
    """
    if strict and warnings:
        raise InputError.from_warnings(warnings)
    for one in warnings:
        progress.warning(str(one))
