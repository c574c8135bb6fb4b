"""Solving catalogs that do not fit in memory: the items come in parts, from Parquet or made on the fly.

A part is some thousand items that stand together in the catalog. Parts are read twice to count what the arrays of one
item depend on in all the others (`meio_jax.instance.census`), then a third time to build their arrays, which are kept
in a folder of scratch files; each step of the search reads those, and the next part while one is computed. The numbers
are those of a solve in memory: the same items, groups, scenarios and prices, but for the order of sums.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from meio_jax.config.settings import Config
from meio_jax.config.values import Values
from meio_jax.distributed.processes import together
from meio_jax.distributed.sharding import item_mesh, local_devices
from meio_jax.errors import InputError, InputWarning, Problem, merged
from meio_jax.instance import Instance, build_instance
from meio_jax.instance.blocks import Layout
from meio_jax.instance.build import groups_of, loads_of, most_blocks
from meio_jax.instance.census import Census, Counts, Gather, alone, census_of, count_items, merge, merge_groups
from meio_jax.instance.item_sources import AbstractSource
from meio_jax.instance.vendor_rhythm import merged_loads, rhythms_of, warn_of_idle_rules
from meio_jax.planner.block_size import blocks_together, items_per_block
from meio_jax.planner.model import Model, built_from, model_of, per_step
from meio_jax.planner.streamed_start import exact_sum, start_within_capacities
from meio_jax.progress import AbstractProgress, Silent
from meio_jax.solver.file_store import FileStore, PartFiles, write_part
from meio_jax.solver.subproblem import ItemState, Totals
from meio_jax.tables import Tables


@dataclass(frozen=True)
class Counted:
    """A catalog in parts that has been read once and found in order.

    `config` has all sizes set; `blocks` is the number of blocks that any part needs, `parts` are those of this process;
    `warnings` say what was found that is probably not meant, over these parts.
    """

    source: AbstractSource
    config: Config
    parts: range
    census: Census
    blocks: int
    warnings: tuple[InputWarning, ...]

    @property
    def mesh(self) -> Mesh | None:
        """Devices that sweep a part: those of this process."""
        return item_mesh(self.config.solve.devices, own=True)

    def instance(self, tables: Tables) -> Instance:
        """The arrays of a part."""
        return build_instance(
            tables,
            block_items=_set(self.config.solve.block_items),
            dtype=np.dtype(self.config.precision).type,
            devices=local_devices(self.mesh),
            together=blocks_together(),
            census=self.census,
            blocks=self.blocks,
        )


def _set(block_items: int | None) -> int:
    if block_items is None:
        raise ValueError("block_items is set before parts are built")
    return block_items


def count_stream(
    source: AbstractSource,
    config: Config,
    files: PartFiles,
    *,
    progress: AbstractProgress | None = None,
    parts: range | None = None,
    gather: Gather = alone,
) -> Counted:
    """Read and check every part, and count what the arrays of one item depend on in all the others.

    Args:
        source: The items.
        config: The configuration. Scenarios are drawn anew in each step (`scenarios.store_gib` has no meaning here).
        files: Whose reading thread reads ahead; nothing is written.
        progress: Where to report.
        parts: The parts of this process; None: all.
        gather: How counts of all processes come together.

    Raises:
        InputError: If a part of the instance is wrong, or there is none.
    """
    if source.parts == 0:
        raise InputError([Problem("items", "", "", None, "at least one item", "add items")])
    progress = Silent() if progress is None else progress
    parts = range(source.parts) if parts is None else parts
    first = source.tables(parts[0])
    size = items_per_block(first, config, per_step(config))
    size = min(size, source.part_items, source.items)
    solve_part = config.solve.model_copy(update={"block_items": size})
    scenarios = config.scenarios.model_copy(update={"store_gib": 0.0})
    progress.stage(f"counting {source.items} items in {source.parts} parts")
    warnings = dict.fromkeys(source.warnings)

    def counted() -> Counts:
        found = []
        for tables in files.ahead(source.tables, parts):
            found.append(count_items(tables))
            warnings.update(dict.fromkeys(tables.warnings))
        return merge(found)

    census = census_of(merge(gather(together(counted))), config.fulfilment.weight_bands)
    progress.stage("counting groups of items")
    rules = not first.vendors.is_empty()
    own, passing = [], []
    for tables in files.ahead(source.tables, parts):
        own.append(groups_of(tables, census))
        passing += [loads_of(tables, census)] if rules else []
    said = gather({"parts": own, "loads": merged_loads(passing)})
    groups = [one for process in said for one in process["parts"]]
    if rules:
        loads = merged_loads([process["loads"] for process in said])
        warnings.update(dict.fromkeys(warn_of_idle_rules(first, loads)))
        census = replace(census, rhythms=rhythms_of(first, loads))
    return Counted(
        source=source,
        config=config.model_copy(update={"solve": solve_part, "scenarios": scenarios}),
        parts=parts,
        census=replace(census, groups=merge_groups(groups)),
        blocks=most_blocks(groups, size),
        warnings=merged(warnings),
    )


def build_stream(
    counted: Counted,
    files: PartFiles,
    *,
    progress: AbstractProgress | None = None,
    start_prices: Callable[[Instance], np.ndarray] | None = None,
    begin: Callable[[int, Model], ItemState] = lambda part, model: model.store.start(),
) -> Model:
    """Build the arrays and starting levels of every part, and keep both in scratch files.

    Args:
        counted: What `count_stream` gave.
        files: Where to; about as large as the arrays of the catalog.
        progress: Where to report.
        start_prices: Prices `[buckets, resources]` at which the starting levels are set; None: zero.
        begin: The items of a part, given its number and model, before the first step; those of a
            search from nothing are moved to levels that keep the capacities as well as they can.
    """
    progress = Silent() if progress is None else progress
    progress.stage("building arrays and starting levels")
    source, parts, config = counted.source, counted.parts, counted.config
    values = Values.of(config)
    instances = lambda: map(counted.instance, files.ahead(source.tables, parts))
    models: list[Model] = []
    unbounded: list[Totals] = []
    sizes = []
    for part, instance in zip(parts, instances(), strict=True):
        built = built_from(instance, config, counted.mesh, values)
        unbounded = [exact_sum([*unbounded, built.totals])]
        at = None if start_prices is None else jnp.asarray(start_prices(instance), config.precision)
        model = model_of(built.problem if at is None else built.at_prices(at), instance, config, values)
        layout = instance.layout
        files.write("layout", part, (layout.item, layout.live, layout.group))
        sizes.append(write_part(files, part, model.problem, begin(part, model)))
        # The first alone is kept, for what all parts share.
        models = models or [model]
    (first,) = models
    store = FileStore(first.problem, files, tuple(sizes), parts, source.parts)
    layouts = lambda: (Layout(*arrays) for (arrays,) in files.each(parts, "layout"))
    model = replace(first, store=store, instances=instances, layouts=layouts)
    if start_prices is None:
        start_within_capacities(model, store, built.start, *unbounded)
    return model


def prepare_stream(
    source: AbstractSource, config: Config, scratch: Path, *, progress: AbstractProgress | None = None
) -> Model:
    """Count and build in one call; see `count_stream` and `build_stream`."""
    files = PartFiles(scratch)
    return build_stream(count_stream(source, config, files, progress=progress), files, progress=progress)
