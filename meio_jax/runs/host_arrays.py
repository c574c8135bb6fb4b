"""Arrays of one process among several, as an item of a checkpoint: the library writes host arrays of the first only."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import orbax.checkpoint as ocp

_FILE = "arrays.npz"


class HostArraysHandler(ocp.CheckpointHandler):
    """Writes named arrays of the host into a file, whichever process it is."""

    def save(self, directory: Any, args: HostArraysSave) -> None:
        """Write the arrays into a folder that the library renames once it is complete."""
        with (Path(directory) / _FILE).open("wb") as file:
            np.savez(file, allow_pickle=False, **args.item)
            os.fsync(file.fileno())

    def restore(self, directory: Any, args: HostArraysRestore | None = None) -> dict[str, np.ndarray]:
        """The arrays by name."""
        del args
        with np.load(Path(directory) / _FILE, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}


@ocp.args.register_with_handler(HostArraysHandler, for_save=True)
@dataclasses.dataclass
class HostArraysSave(ocp.args.CheckpointArgs):
    """Arrays by name."""

    item: dict[str, np.ndarray]


@ocp.args.register_with_handler(HostArraysHandler, for_restore=True)
@dataclasses.dataclass
class HostArraysRestore(ocp.args.CheckpointArgs):
    """Nothing is asked for: all arrays are read."""


def holds_host_arrays(state: Path) -> bool:
    """Whether the item `state` of a checkpoint was written by `HostArraysHandler`."""
    return (state / _FILE).exists()
