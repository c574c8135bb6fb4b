"""Several processes that share one solve: joining, exchanging small facts, and noticing that one is lost.

The runtime is JAX's own (`jax.distributed`). A process joins where its environment says that it is one of several:
`JAX_COORDINATOR_ADDRESS`, `JAX_NUM_PROCESSES` and `JAX_PROCESS_ID`, or a Slurm or Open MPI step of several tasks. So
launch files need no change of code (docs/scale.md). The first process listens at that address only, or at
`JAX_COORDINATOR_BIND_ADDRESS` where its own name for itself is another.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from meio_jax.errors import InputError, Problem, is_out_of_memory
from meio_jax.progress import AbstractProgress, ProcessLost, Step

Found = TypeVar("Found")
_ADDRESS, _COUNT, _INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
_BIND = "JAX_COORDINATOR_BIND_ADDRESS"
_TASKS = ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE")


def join() -> None:
    """Join the other processes of this run, if the environment says that there are any; once per process.

    Raises:
        InputError: If the environment says it incompletely, or the others do not answer.
    """
    if jax.distributed.is_initialized():
        return
    given = {name: os.environ.get(name) for name in (_ADDRESS, _COUNT, _INDEX)}
    if given[_ADDRESS] is None and all(_whole(name, 1) == 1 for name in _TASKS):
        return
    lacking = [name for name, value in given.items() if value is None] if given[_ADDRESS] is not None else []
    if lacking:
        problem = Problem("environment", "", lacking[0], None, "a value, as an address is given", "set the variable")
        raise InputError([problem])
    try:
        if given[_ADDRESS] is None:
            jax.distributed.initialize()
        else:
            # Under a scheduler the library would give each process one device only; here it has all it sees.
            jax.distributed.initialize(
                given[_ADDRESS],
                _whole(_COUNT, 1),
                _whole(_INDEX, 0),
                cluster_detection_method="deactivate",
                # The library would listen on every network of the machine, and whoever reaches it is believed.
                coordinator_bind_address=os.environ.get(_BIND) or given[_ADDRESS],
            )
    except (RuntimeError, ValueError) as error:
        remedy = "check the address, that its port is open, and that every process was started"
        raise InputError(
            [Problem("environment", "", _ADDRESS, given[_ADDRESS], "processes that answer", f"{remedy} ({error})")]
        ) from None


def starts_first() -> bool:
    """Whether the environment says that this process is the first, before it has joined."""
    names = (_INDEX, "SLURM_PROCID", "OMPI_COMM_WORLD_RANK")
    return all(_whole(name, 0) == 0 for name in names)


def _whole(name: str, absent: int) -> int:
    """The whole number in a variable of the environment.

    Raises:
        InputError: If it holds something else.
    """
    text = (os.environ.get(name) or str(absent)).strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        problem = Problem("environment", "", name, text, "a whole number >= 0", "correct or unset the variable")
        raise InputError([problem])
    return int(text)


def is_first() -> bool:
    """Whether this process writes what is written once."""
    return jax.process_index() == 0


def gather(own: dict[str, Any]) -> list[dict[str, Any]]:
    """What every process says, in order of their numbers; every process must call this at the same point.

    Arrays of numbers arrive as lists.
    """
    if jax.process_count() == 1:
        return [own]
    text = np.frombuffer(json.dumps(own, default=np.ndarray.tolist).encode(), np.uint8)
    sizes = np.asarray(multihost_utils.process_allgather(np.asarray([text.size], np.int32))).reshape(-1)
    padded = np.zeros(int(sizes.max()), np.uint8)
    padded[: text.size] = text
    rows = np.asarray(multihost_utils.process_allgather(padded)).reshape(sizes.size, -1)
    return [json.loads(row[:size].tobytes().decode()) for row, size in zip(rows, sizes, strict=True)]


def all_agree(yes: bool) -> bool:
    """Whether all processes say yes."""
    return all(one["yes"] for one in gather({"yes": yes}))


def together(work: Callable[[], Found]) -> Found:
    """What some work gives, which may find problems: then no process goes on.

    Raises:
        InputError: With the problems of this process, or how many others found.
    """
    found: list[Found] = []
    problems = InputError([])
    try:
        found.append(work())
    except InputError as error:
        problems = error
    total = sum(one["problems"] for one in gather({"problems": problems.count}))
    if total:
        others = Problem("instance", "", "", total, "no problems", "see what the other processes say")
        raise problems if problems.count else InputError([others])
    return found[0]


def own_range(count: int, what: str = "items", remedy: str = "start fewer processes") -> range:
    """Numbers of what this process has of so many things: neighbours in the table, so that each reads few of its files.

    Raises:
        InputError: If there are fewer than processes.
    """
    processes, index = jax.process_count(), jax.process_index()
    if count < processes:
        expected = f"at least as many {what} as processes ({processes})"
        raise InputError([Problem(what, "", "", count, expected, remedy)])
    return range(count * index // processes, count * (index + 1) // processes)


class SharedProgress(AbstractProgress):
    """Progress of a process among others: it stops when any of them was told to, at the same step as all."""

    def __init__(self, inner: AbstractProgress, every: int) -> None:
        self._inner, self._every = inner, every
        self._stop = self._preempted = False

    def update(self, step: Step) -> None:
        self._inner.update(step)
        if step.step % self._every == 0:
            said = gather({"stop": self._inner.should_stop(), "preempted": self._inner.preempted()})
            self._stop = any(one["stop"] for one in said)
            self._preempted = any(one["preempted"] for one in said)

    def stage(self, name: str) -> None:
        if is_first():
            self._inner.stage(name)

    def warning(self, text: str) -> None:
        if is_first():
            self._inner.warning(text)

    def should_stop(self) -> bool:
        return self._stop

    def preempted(self) -> bool:
        return self._preempted

    def check(self) -> None:
        self._inner.check()

    def begun(self, run: Path, how: str | None = None) -> None:
        self._inner.begun(run, how)

    def close(self) -> None:
        self._inner.close()


@contextlib.contextmanager
def watched(run: Path) -> Iterator[None]:
    """Turn the error of an exchange that failed into one that says what to do.

    Raises:
        ProcessLost: If another process is gone.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1 or is_out_of_memory(error):
            raise
        reason = " ".join(str(error).split())[:200]
        raise ProcessLost(
            f"Process {jax.process_index()} of {jax.process_count()} lost another one ({reason}). What was saved is in "
            f"{run / 'checkpoints'}; `meio resume {run}` continues it on any number of processes."
        ) from None
