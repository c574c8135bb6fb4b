"""Items spread over devices: blocks are shared out along one mesh axis, everything else is on every device.

The only communication of a sweep is one sum over devices of what the items add up to; its size does not depend on
the number of items (design page, section 9).
"""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "items"
Tree = TypeVar("Tree")


def item_mesh(devices: int | None = None, *, own: bool = False) -> Mesh | None:
    """A mesh of one axis over so many devices (default: all) of every process; None where there is just one.

    Args:
        devices: Devices of a process.
        own: Whether only this process takes part.
    """
    found = [
        device
        for process in ([jax.process_index()] if own else range(jax.process_count()))
        for device in [one for one in jax.devices() if one.process_index == process][:devices]
    ]
    return Mesh(np.asarray(found), (AXIS,)) if len(found) > 1 else None


def _sum_once(total: Any) -> Any:
    """Sum a tree over devices in one collective: the leaves travel as one flat vector."""
    flat, restore = ravel_pytree(total)
    return restore(jax.lax.psum(flat, AXIS)) if flat.size else total


def over_items(
    local: Callable[[Any, Any], tuple[Any, Any]], mesh: Mesh | None
) -> Callable[[Any, Any], tuple[Any, Any]]:
    """Run a sweep over blocks on all devices of a mesh.

    Args:
        local: Takes what all items share and leaves with a leading block axis; returns totals over its blocks and
            leaves with a leading block axis. It must not close over arrays.
        mesh: The devices; None: call `local` as it is.

    Returns:
        A function of the same arguments whose totals are summed over devices. The number of blocks must be a multiple
        of the number of devices.
    """
    if mesh is None:
        return local

    def shard(shared: Any, at: Any) -> tuple[Any, Any]:
        total, per_block = local(shared, at)
        return _sum_once(total), per_block

    everywhere, split = PartitionSpec(), PartitionSpec(AXIS)
    return jax.shard_map(shard, mesh=mesh, in_specs=(everywhere, split), out_specs=(everywhere, split), check_vma=False)


def _put(leaf: Any, mesh: Mesh, spec: PartitionSpec) -> Any:
    """What this process has of an array, put on its devices; an array that spans processes is there already."""
    if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
        return leaf
    return jax.make_array_from_process_local_data(NamedSharding(mesh, spec), np.asarray(leaf))


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray)


def place_blocks(tree: Tree, mesh: Mesh | None) -> Tree:
    """Put every array of a tree on the devices: those with axes are cut along the first, scalars are repeated.

    With several processes each gives its own blocks, as many as every other.
    """
    if mesh is None:
        return tree

    def put(leaf: Any) -> Any:
        return _put(leaf, mesh, PartitionSpec(AXIS) if np.ndim(leaf) else PartitionSpec()) if _is_array(leaf) else leaf

    return jax.tree.map(put, tree)


def place_copies(tree: Tree, mesh: Mesh | None) -> Tree:
    """Put a copy of every array of a tree on every device; with several processes each must give the same."""
    if mesh is None:
        return tree
    return jax.tree.map(lambda leaf: _put(leaf, mesh, PartitionSpec()) if _is_array(leaf) else leaf, tree)


def local_devices(mesh: Mesh | None) -> int:
    """Devices of the mesh that belong to this process."""
    return 1 if mesh is None else len(mesh.local_devices)


def sum_over_processes(tree: Tree) -> Tree:
    """Sum a tree of 64-bit numpy floats over processes, each of which must call this; one process: as it is.

    The numbers travel as bytes, because arrays of devices may have 32 bits only.
    """
    if jax.process_count() == 1:
        return tree
    leaves, structure = jax.tree.flatten(jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree))
    flat = np.concatenate([leaf.reshape(-1) for leaf in leaves])
    everywhere = multihost_utils.process_allgather(flat.view(np.uint8))
    total = np.asarray(everywhere).view(np.float64).reshape(-1, flat.size).sum(0)
    ends = np.cumsum([leaf.size for leaf in leaves])[:-1]
    parts = np.split(total, ends)
    return jax.tree.unflatten(structure, [part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)])


def own_part(leaf: Any) -> np.ndarray:
    """What this process holds of an array: all of it, or (spread over processes) its own blocks in order."""
    if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable or leaf.is_fully_replicated:
        return np.asarray(leaf)
    shards = sorted(leaf.addressable_shards, key=lambda shard: shard.index[0].start or 0)
    return np.concatenate([np.asarray(shard.data) for shard in shards])
