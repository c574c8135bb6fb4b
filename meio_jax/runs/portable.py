"""A search state as named arrays over items in the order of their table, whatever blocks and devices it was cut for.

This is what checkpoints hold: a run may be continued with another number of devices, and another run may take over
what it knows of the same items.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from meio_jax.distributed.sharding import own_part, place_blocks, place_copies
from meio_jax.instance import Instance
from meio_jax.instance.blocks import Layout
from meio_jax.policy import AbstractPolicy
from meio_jax.solver.optimiser import adam_of, with_moments
from meio_jax.solver.solve import State
from meio_jax.solver.subproblem import ItemState
from meio_jax.tables.write import renamed

Tree = TypeVar("Tree")

ITEMS, SHARED = "items", "shared"


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
        text = np.asarray(json.dumps({"items": self.items, "axes": self.axes}))
        with renamed(path) as unfinished, unfinished.open("wb") as file:
            np.savez(file, text=text, allow_pickle=False, **self.units)

    @classmethod
    def read(cls, path: Path) -> Basis:
        """Read what `write` wrote; OSError, ValueError or KeyError where the file is missing or damaged."""
        # Opened here: of a damaged file the library would leave it open.
        with path.open("rb") as opened:
            try:
                with np.load(opened, allow_pickle=False) as file:
                    text = json.loads(str(file["text"]))
                    return cls(text["items"], text["axes"], {name: file[name] for name in file.files if name != "text"})
            except (zipfile.BadZipFile, EOFError, TypeError, RecursionError) as error:
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
    """Leaves of a tree by their path, such as `best.target`."""
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in paths}


def tables_of(items: ItemState) -> dict[str, AbstractPolicy]:
    """Everything of an item state that has a value per item: parameters, and moments of their gradients."""
    adam = adam_of(items.optimiser)
    return {"raw": items.raw, "mean": items.mean, "best": items.best, "momentum": adam.mu, "square": adam.nu}


def _counters(optimiser: Any) -> list[Any]:
    """The numbers of steps that an optimiser keeps."""
    return [leaf for leaf in jax.tree.leaves(optimiser) if np.ndim(leaf) == 0]


def to_named(state: State[ItemState], layout: Layout, items: int) -> dict[str, np.ndarray]:
    """All arrays of a state by name; those of items (`items.best.target`, say) as `[..., items]` in table order.

    The best parameters are those that `ItemState.plan` gives.
    """
    improved = np.asarray(state.shared.dual.improved)
    own = dataclasses.replace(state.items, best=state.items.plan(improved))
    shared = eqx.tree_at(lambda s: s.dual.improved, state.shared, np.zeros_like(improved))
    joined = lambda leaf: layout.join(own_part(leaf), items)
    counters = np.asarray([own_part(leaf) for leaf in _counters(own.optimiser)], np.int32)
    return {
        **{f"{ITEMS}.{name}": joined(leaf) for name, leaf in named_leaves(tables_of(own)).items()},
        **{f"{SHARED}.{name}": own_part(leaf) for name, leaf in named_leaves(shared).items()},
        f"{SHARED}.optimiser_steps": counters,
    }


def from_named(
    arrays: Mapping[str, np.ndarray], like: State[ItemState], layout: Layout, items: int, mesh: Mesh | None
) -> State[ItemState]:
    """Build a state on the devices of a mesh.

    Args:
        arrays: What `to_named` gave; arrays of size zero may be left out.
        like: A state of the same structure, shapes and types.
        layout: Blocks that the items are cut into.
        items: Number of items in the layout.
        mesh: Devices that share the blocks; None: one device.

    Raises:
        ValueError: If an array has another shape than expected.
    """

    everywhere = jnp.asarray if mesh is None else lambda leaf: place_copies(leaf, mesh)

    def cut(name: str, leaf: Any) -> Any:
        found = _shaped(arrays, f"{ITEMS}.{name}", (*leaf.shape[1:-1], items))
        blocks = layout.cut(found).astype(leaf.dtype)
        return place_blocks(blocks, mesh) if mesh is not None else jnp.asarray(blocks)

    def copied(name: str, leaf: Any) -> Any:
        found = _shaped(arrays, f"{SHARED}.{name}", leaf.shape).astype(leaf.dtype)
        return everywhere(found)

    tables = _mapped(cut, tables_of(like.items))
    shared = _mapped(copied, like.shared)
    counters = iter(arrays[f"{SHARED}.optimiser_steps"])
    number = lambda leaf: everywhere(np.asarray(next(counters), leaf.dtype))
    optimiser = jax.tree.map(lambda leaf: number(leaf) if np.ndim(leaf) == 0 else leaf, like.items.optimiser)
    adam = adam_of(optimiser)._replace(mu=tables["momentum"], nu=tables["square"])
    own = ItemState(tables["raw"], with_moments(optimiser, adam), tables["mean"], tables["best"])
    return State(own, shared)


def _mapped(work: Callable[[str, Any], Any], tree: Tree) -> Tree:
    """A tree of what is made of its leaves and their names."""
    names = named_leaves(tree)
    return jax.tree.unflatten(jax.tree.structure(tree), [work(name, leaf) for name, leaf in names.items()])


def _shaped(arrays: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    found = np.zeros(shape) if 0 in shape else np.asarray(arrays[name])
    if found.shape != shape:
        raise ValueError(f"{name} has shape {found.shape}, expected {shape}")
    return found
