"""A search state as named arrays over items in the order of their table, whatever blocks and devices it was cut for.

This is what checkpoints hold: a run may be continued with another number of devices, and another run may take over
what it knows of the same items.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from meio_jax.distributed.sharding import own_part, place_blocks, place_copies
from meio_jax.instance import Instance
from meio_jax.instance.blocks import Layout

Tree = TypeVar("Tree")

# Parameters and what the optimiser keeps about each of them; all else of a state is shared by the items.
_PER_ITEM = re.compile(r"(^|\.)(raw|optimiser)\.")


@dataclass(frozen=True)
class Basis:
    """What the arrays of a state refer to: ids of every axis, and the units of the parameters.

    `axes` holds ids and dates as plain data (nodes, sources, speeds, resources, bucket dates ...); `units` holds
    arrays over items: the scale of every parameter, the cost of an item, the vendor behind each of its offers.
    """

    items: list[str]
    axes: dict[str, Any]
    units: dict[str, np.ndarray]

    def write(self, path: Path) -> None:
        """Write to an `.npz` file, under a temporary name first."""
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        text = np.asarray(json.dumps({"items": self.items, "axes": self.axes}))
        with unfinished.open("wb") as file:
            np.savez(file, text=text, allow_pickle=False, **self.units)
        unfinished.replace(path)

    @classmethod
    def read(cls, path: Path) -> Basis:
        """Read what `write` wrote; OSError, ValueError or KeyError where the file is missing or damaged."""
        # Opened here: of a damaged file the library would leave it open.
        with path.open("rb") as opened:
            try:
                with np.load(opened, allow_pickle=False) as file:
                    text = json.loads(str(file["text"]))
                    return cls(text["items"], text["axes"], {name: file[name] for name in file.files if name != "text"})
            except (zipfile.BadZipFile, EOFError, TypeError) as error:
                raise ValueError(f"{path.name} is damaged ({error})") from None


def names_of(instance: Instance, policy: str) -> Basis:
    """Ids of every axis, and the vendor behind each offer: a basis without the units of parameters.

    Args:
        instance: The items and the network.
        policy: Registry name of the policy.
    """
    network, ids, settings = instance.network, instance.ids, instance.tables.settings
    offers = [["offer", ids.nodes[n], r] for n, r in zip(network.offer_node, network.offer_rank, strict=True)]
    block = instance.catalog.block
    vendor = np.where(np.asarray(block.offer_active), np.asarray(block.offer_vendor), -1)
    axes = {
        "policy": policy,
        "start_date": settings.start_date.isoformat(),
        "period": settings.period,
        "periods": settings.periods,
        "bucket_periods": settings.bucket_periods,
        "nodes": ids.nodes,
        "speeds": ids.speeds,
        "vendors": ids.vendors,
        "sources": offers + [["lane", *lane] for lane in ids.lanes],
        "resources": ids.resources,
    }
    return Basis(instance.items, axes, {"vendor": instance.layout.join(vendor, len(instance.items))})


def basis_of(instance: Instance, scale: Any, cost: Any, policy: str) -> Basis:
    """Ids and units of the parameters of an instance.

    Args:
        instance: The items and the network.
        scale: Scale of every parameter, in blocks.
        cost: Typical cost of every item, in blocks.
        policy: Registry name of the policy.
    """
    names = names_of(instance, policy)
    leaves = {**{f"scale.{name}": leaf for name, leaf in named_leaves(scale).items()}, "cost": cost}
    units = {name: instance.layout.join(own_part(leaf), len(instance.items)) for name, leaf in leaves.items()}
    return Basis(names.items, names.axes, {**units, **names.units})


def named_leaves(tree: Any) -> dict[str, Any]:
    """Leaves of a tree by their path, such as `warm.raw.target`."""
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in paths}


def is_per_item(name: str, leaf: Any) -> bool:
    """Whether a leaf of a state has a value per item (its first axis is then the blocks, its last the items)."""
    return _PER_ITEM.search(name) is not None and np.ndim(leaf) >= 2


def to_named(state: Any, layout: Layout, items: int) -> dict[str, np.ndarray]:
    """All arrays of a state by name; those of items as `[..., items]` in table order."""

    def portable(name: str, leaf: Any) -> np.ndarray:
        own = own_part(leaf)
        return layout.join(own, items) if is_per_item(name, leaf) else own

    return {name: portable(name, leaf) for name, leaf in named_leaves(state).items()}


def from_named(
    value: Callable[[str, tuple[int, ...]], np.ndarray], like: Tree, layout: Layout, items: int, mesh: Mesh | None
) -> Tree:
    """Build a state on the devices of a mesh.

    Args:
        value: Gives the array of a name; the shape that is expected of it is passed along.
        like: A state of the same structure, shapes and types.
        layout: Blocks that the items are cut into.
        items: Number of items in the layout.
        mesh: Devices that share the blocks; None: one device.

    Raises:
        ValueError: If an array has another shape than expected.
    """

    def leaf_of(name: str, leaf: Any) -> Any:
        per_item = is_per_item(name, leaf)
        shape = (*leaf.shape[1:-1], items) if per_item else tuple(leaf.shape)
        found = np.zeros(shape) if 0 in shape else np.asarray(value(name, shape))
        if found.shape != shape:
            raise ValueError(f"{name} has shape {found.shape}, expected {shape}")
        if per_item:
            cut = layout.cut(found).astype(leaf.dtype)
            return place_blocks(cut, mesh) if mesh is not None else jnp.asarray(cut)
        return place_copies(found.astype(leaf.dtype), mesh) if mesh is not None else jnp.asarray(found, leaf.dtype)

    names = named_leaves(like)
    return jax.tree.unflatten(jax.tree.structure(like), [leaf_of(name, leaf) for name, leaf in names.items()])
