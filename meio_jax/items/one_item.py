"""One item of a finished run, as the run saw it: its arrays, its policy, and the prices of everything it shares."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from meio_jax.config.settings import Config
from meio_jax.config.values import family_of_part
from meio_jax.distributed.kept_programs import kept_jit
from meio_jax.errors import InputError, Note, Problem
from meio_jax.instance import KINDS, Instance, build_instance
from meio_jax.instance.census import Census
from meio_jax.items.marginal import Batches, OneItem
from meio_jax.model.catalog import draw
from meio_jax.planner.model import settings_of
from meio_jax.policy import AbstractPolicy, StartingPoint
from meio_jax.runs.files import read_census
from meio_jax.runs.portable import named_leaves
from meio_jax.runs.saved_run import SavedRun, read_saved_run
from meio_jax.runs.warm import prices_of
from meio_jax.scenarios.sampling import HOLDOUT
from meio_jax.solver.subproblem import Settings, block_lists
from meio_jax.tables import read_instance, read_item_block

_BATCH = 64

# Scenarios are drawn by many small loops, each of which would be compiled by itself, for every batch anew.
_draw = kept_jit(draw)
_listed = kept_jit(block_lists)

Tree = TypeVar("Tree")


@dataclass(frozen=True)
class ItemOfRun:
    """An item with its problem at the prices of the run, and its policy in units (no block axis, one item)."""

    item: str
    config: Config
    instance: Instance
    settings: Settings
    problem: OneItem
    policy: AbstractPolicy

    def scenarios(self, count: int) -> Batches:
        """Holdout scenarios of the item: at least `count`, in whole batches."""
        size = min(_BATCH, count)
        leaves = _first(self.instance.catalog.per_block())
        parts = []
        for first in range(0, count, size):
            ids = jnp.arange(first, first + size, dtype=jnp.int32)
            parts.append(_draw(self.settings.scenarios, self.instance.catalog.profiles, leaves, ids, HOLDOUT))
        return Batches(parts)


def _first(tree: Tree) -> Tree:
    """The first block, cut by numpy: on a device every shape would be a program of its own."""
    return jax.tree.map(lambda leaf: jax.device_put(np.asarray(leaf)[0]), tree)


def census_of(run: Path, folder: Path, bands: int) -> Census:
    """What the run knows of its whole catalog; counted anew where the run has not kept it."""
    kept = run / "census.json"
    if kept.is_file():
        return read_census(run)
    return build_instance(read_instance(folder), block_items=256, bands=bands).census


def _policy(instance: Instance, config: Config, earlier: SavedRun) -> AbstractPolicy:
    """The parameters of the best plan in units, read from the newest checkpoint."""
    network = instance.network
    none = jnp.zeros((network.buckets, network.nodes, 1), instance.catalog.block.volume.dtype)
    block = _first(instance.catalog.block)
    family = family_of_part(config.policy)
    like = family.start(network, block, StartingPoint(none, none, none, none, none))
    leaves = []
    for name in named_leaves(like):
        best, scale = earlier.best(name), earlier.scale(name)
        if best is None or scale is None:
            found = Note(f"no parameter {name}")
            expected = f"the parameters of policy {config.policy.name}"
            raise InputError([Problem(str(earlier.run / "checkpoints"), "", "", found, expected, "solve anew")])
        leaves.append(jnp.asarray(best * scale, none.dtype))
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _axes(instance: Instance) -> dict[str, Any]:
    chosen = instance.tables.settings
    dates = {"start_date": chosen.start_date.isoformat(), "period": chosen.period, "periods": chosen.periods}
    return {**dates, "bucket_periods": chosen.bucket_periods, "resources": instance.ids.resources}


def first_item(instance: Instance, settings: Settings, prices: Array, list_prices: Array) -> OneItem:
    """The problem of the first item of an instance whose blocks hold one item each.

    Args:
        instance: With `block_items=1`.
        settings: Of the evaluation.
        prices: What capacity use is charged, `[buckets, resources]`.
        list_prices: What fulfilment options are ranked by.
    """
    block = _first(instance.catalog.block)
    rows = np.asarray([instance.kinds == number for number in range(len(KINDS))])
    return OneItem(
        network=instance.network,
        resources=instance.resources,
        settings=settings,
        block=block,
        prices=prices,
        lists=_listed(instance.network, instance.resources, settings, block, list_prices),
        kind_rows=jnp.asarray(rows, prices.dtype),
    )


def item_of_run(run: Path, folder: Path, config: Config, item: str) -> ItemOfRun:
    """Read one item of a run; nothing else of the catalog is built.

    Args:
        run: The run folder; its newest checkpoint holds the parameters.
        folder: The instance that was planned.
        config: The configuration of the run.
        item: Which item.

    Raises:
        InputError: If the item is not in the catalog, or the run has no checkpoint.
    """
    tables = read_item_block(folder, [item])
    earlier = read_saved_run(run, [item])
    if not bool(earlier.held[0]):
        expected = "an item that was in the catalog when the run was made"
        raise InputError([Problem(str(run), "", "--item", item, expected, "solve anew, or ask for another item")])
    dtype = np.dtype(config.precision).type
    bands = config.fulfilment.weight_bands
    instance = build_instance(tables, block_items=1, bands=bands, dtype=dtype, census=census_of(run, folder, bands))
    instance = replace(instance, network=earlier.at_docks(instance.network))
    settings = settings_of(config, instance)
    axes = _axes(instance)
    prices, listed = (
        jnp.asarray(prices_of(earlier, axes, one), dtype) for one in (earlier.prices, earlier.list_prices)
    )
    problem = first_item(instance, settings, prices, listed)
    return ItemOfRun(item, config, instance, settings, problem, _policy(instance, config, earlier))
