"""What a run has saved of its search, read by item ids: for whoever continues it, or asks it something."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from meio_jax.errors import InputError, Note, Problem
from meio_jax.model.network import Network
from meio_jax.model.queues import Shares
from meio_jax.runs.checkpoint import Restored, newest, read_items, saved_items
from meio_jax.runs.portable import ITEMS, SHARED, Basis


@dataclass(frozen=True)
class SavedRun:
    """The newest saved state of a run, over the items that are wanted of it.

    Tables of items are `[buckets, rows, items]`, in units of the parameter's scale; prices `[buckets, resources]`.
    """

    run: Path
    saved: Restored

    @property
    def basis(self) -> Basis:
        """Ids of every axis, and the units of the parameters."""
        return self.saved.basis

    @property
    def axes(self) -> dict[str, Any]:
        """Ids and dates of nodes, sources, resources and buckets."""
        return self.basis.axes

    @property
    def held(self) -> np.ndarray:
        """Which of the items that were asked for the run has."""
        return self.saved.held

    @property
    def prices(self) -> np.ndarray | None:
        """Prices of the capacities at which the best plan was evaluated; None where there are none."""
        return self.saved.arrays.get(f"{SHARED}.dual.price")

    @property
    def list_prices(self) -> np.ndarray | None:
        """Prices that rank its fulfilment options; None where there are none."""
        return self.saved.arrays.get(f"{SHARED}.best_list_prices")

    def at_docks(self, network: Network) -> Network:
        """A network with what passed its docks in the search, where these queued on the same days; else as it is."""
        docks, held = network.docks, self.saved.arrays
        found = (held.get(f"{SHARED}.docks.waiting"), held.get(f"{SHARED}.docks.due"))
        if docks is None or found[0] is None or found[1] is None:
            return network
        if any(one.shape != docks.shares.due.shape for one in found if one is not None):
            return network
        shares = Shares(*(jnp.asarray(one, docks.shares.due.dtype) for one in found))
        return eqx.tree_at(lambda n: n.docks.shares, network, shares)

    @property
    def gradient_steps(self) -> int:
        """Number of gradients behind their running means."""
        return int(self.saved.arrays[f"{SHARED}.optimiser_steps"][0])

    def best(self, name: str) -> np.ndarray | None:
        """The best values of a parameter; None where the run has no such parameter."""
        return self._of_items("best", name)

    def momentum(self, name: str) -> np.ndarray | None:
        """Running mean of the gradient by a parameter."""
        return self._of_items("momentum", name)

    def square(self, name: str) -> np.ndarray | None:
        """Running mean of the squared gradient by a parameter."""
        return self._of_items("square", name)

    def scale(self, name: str) -> np.ndarray | None:
        """Unit of a parameter."""
        return self.basis.units.get(f"scale.{name}")

    def _of_items(self, kind: str, name: str) -> np.ndarray | None:
        found = self.saved.arrays.get(f"{ITEMS}.{kind}.{name}")
        return found if found is not None and self.scale(name) is not None else None


def read_saved_run(run: Path, items: list[str] | None = None, *, near: int = 0) -> SavedRun:
    """Read the newest state that a run has saved.

    Args:
        run: A run folder.
        items: Items that are wanted; None: all that it has.
        near: Number of the part of its catalog in which they are looked for first.

    Raises:
        InputError: If the folder holds no state that can be read.
    """
    folder = run / "checkpoints"
    wanted = list(chain.from_iterable(saved_items(folder))) if items is None else items
    found = newest(folder, lambda at: read_items(folder, at, wanted, partial=True, near=near))
    if found is None and (folder / "streamed").is_dir():
        remedy = "solve anew with `meio solve --overwrite`"
        note = Note("the state of a streamed run of an earlier version")
        raise InputError([Problem(str(folder), "", "", note, "a state that this version has saved", remedy)])
    if found is None:
        remedy = "give the folder of a run that has taken at least one checkpoint"
        raise InputError([Problem(str(folder), "", "", Note("no checkpoint"), "the saved state of a run", remedy)])
    return SavedRun(run, found[0])
