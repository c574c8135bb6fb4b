"""Checkpoints of one process among several: a folder per step, each written by that process alone.

The checkpoint library lets only the first process write arrays of the host, and makes processes wait for each other,
of which one may have died. So here each process writes the arrays of its items by itself: in the background, under a
temporary name until they are whole, the last few kept. A single process does so, too, where the path of its folder
holds characters (`[`, `*`, `?`) for which that library looks for other files.
"""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

ARRAYS, META = "state.npz", "meta.json"
_UNFINISHED = ".unfinished"


class StepFolders:
    """Folders `folder/STEP` of arrays and plain data; at most `keep` of them."""

    def __init__(self, folder: Path, keep: int) -> None:
        self._folder, self._keep = folder, keep
        self._under_way: Future | None = None
        for left in folder.glob(f"*{_UNFINISHED}"):
            shutil.rmtree(left)

    def all_steps(self) -> list[int]:
        """Steps of which there is a whole folder."""
        return sorted(int(path.name) for path in self._folder.iterdir() if path.name.isdigit())

    def save(self, step: int, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
        """Write a step in the background; waits for the one before it."""
        self.wait_until_finished()
        writer = ThreadPoolExecutor(1, "checkpoint")
        self._under_way = writer.submit(self._write, step, arrays, json.dumps(meta))
        writer.shutdown(wait=False)

    def _write(self, step: int, arrays: dict[str, np.ndarray], meta: str) -> None:
        unfinished = self._folder / f"{step}{_UNFINISHED}"
        unfinished.mkdir()
        with (unfinished / ARRAYS).open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            os.fsync(file.fileno())
        (unfinished / META).write_text(meta, encoding="utf-8")
        unfinished.rename(self._folder / str(step))
        for old in self.all_steps()[: -self._keep]:
            shutil.rmtree(self._folder / str(old))

    def wait_until_finished(self) -> None:
        """Wait for the step that is being written.

        Raises:
            OSError: If it could not be written.
        """
        if self._under_way is not None:
            self._under_way.result()
        self._under_way = None

    def close(self) -> None:
        """Wait for what is under way."""
        self.wait_until_finished()


def holds_plain_steps(folder: Path) -> bool:
    """Whether any step in a folder was written by `StepFolders`."""
    return any((step / ARRAYS).exists() for step in folder.iterdir() if step.is_dir())


def read_step(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Arrays and plain data of a step; None where another writer made the folder."""
    if not (folder / ARRAYS).exists():
        return None
    with np.load(folder / ARRAYS, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return arrays, json.loads((folder / META).read_text(encoding="utf-8"))
