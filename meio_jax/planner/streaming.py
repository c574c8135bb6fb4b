"""Solving catalogs that do not fit in memory: the items come in parts, from Parquet or made on the fly.

A part is some thousand items that stand together in the catalog. Parts are read twice to count what the arrays of one
item depend on in all the others (`meio_jax.instance.census`), then a third time to build their arrays, which are kept
in a folder of scratch files; each step of the search reads those, and the next part while one is computed. The numbers
are those of a solve in memory: the same items, groups, scenarios and prices, but for the order of sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np

from meio_jax.config.settings import Config
from meio_jax.distributed.sharding import item_mesh, local_devices
from meio_jax.errors import InputError, InputWarning, Problem, merged
from meio_jax.instance import Instance, build_instance
from meio_jax.instance.census import Census, count_items
from meio_jax.instance.item_sources import AbstractSource
from meio_jax.planner.planning import Model, block_items, per_step, prepare
from meio_jax.progress import AbstractProgress, Silent, Step
from meio_jax.solver.solve import Solution, State, Trace, initial_state, solve
from meio_jax.solver.stream import Part, PartFiles, PartState, Stream
from meio_jax.tables import Tables


class PartCounts:
    """The counts of all parts of a catalog, which `build_instance` asks for as it asks the other processes.

    `build_instance` asks three times: for the counts of items, for those of groups, and for the number of blocks.
    """

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.groups: list[dict[str, Any]] = []
        self.blocks: list[dict[str, Any]] = []

    def note_items(self, own: dict[str, Any]) -> list[dict[str, Any]]:
        """Keep the counts of a part; its weights as an array, for a list takes four times the memory."""
        self.items.append({**own, "weights": np.asarray(own["weights"])})
        return [own]

    def replay(self, *, counting_groups: bool = False) -> Callable[[dict[str, Any]], list[dict[str, Any]]]:
        """Answers for one part; while groups are counted, those of the part alone."""

        def gather(own: dict[str, Any]) -> list[dict[str, Any]]:
            if "weights" in own:
                return self.items
            kept = self.blocks if "blocks" in own else self.groups
            if counting_groups:
                kept.append(own)
                return [own]
            return kept

        return gather


@dataclass(frozen=True)
class Counted:
    """A catalog in parts that has been read once and found in order.

    `config` has all sizes set; `warnings` say what was found that is probably not meant, over all parts.
    """

    source: AbstractSource
    config: Config
    counts: PartCounts
    warnings: tuple[InputWarning, ...] = ()

    def instance(self, tables: Tables, *, counting_groups: bool = False) -> Instance:
        """The arrays of a part."""
        return build_instance(
            tables,
            block_items=_set(self.config.solve.block_items),
            bands=self.config.fulfilment.weight_bands,
            dtype=np.dtype(self.config.precision).type,
            devices=local_devices(item_mesh(self.config.solve.devices)),
            gather=self.counts.replay(counting_groups=counting_groups),
        )


@dataclass(frozen=True)
class StreamedModel:
    """A catalog in parts, ready to solve: `first` is the model of the first part, for what all parts share."""

    counted: Counted
    first: Model
    stream: Stream

    @property
    def source(self) -> AbstractSource:
        return self.counted.source

    @property
    def config(self) -> Config:
        return self.counted.config

    @property
    def census(self) -> Census:
        return self.first.instance.census


def _set(block_items: int | None) -> int:
    if block_items is None:
        raise ValueError("block_items is set before parts are built")
    return block_items


def read_ahead(source: AbstractSource, files: PartFiles) -> Iterator[Tables]:
    """The tables of every part; the next ones are read while the caller works."""
    coming = files.ahead(source.tables, 0)
    for part in range(source.parts):
        tables = coming.result()
        if part + 1 < source.parts:
            coming = files.ahead(source.tables, part + 1)
        yield tables


def count_stream(
    source: AbstractSource, config: Config, files: PartFiles, *, progress: AbstractProgress | None = None
) -> Counted:
    """Read and check every part, and count what the arrays of one item depend on in all the others.

    Args:
        source: The items.
        config: The configuration. Scenarios are drawn anew in each step (`scenarios.store_gib` has no meaning here).
        files: Whose reading thread reads ahead; nothing is written.
        progress: Where to report.

    Raises:
        InputError: If a part of the instance is wrong, or there is none.
    """
    if source.parts == 0:
        raise InputError([Problem("items", "", "", None, "at least one item", "add items")])
    progress = Silent() if progress is None else progress
    size = config.solve.block_items or block_items(source.tables(0).nodes.height, per_step(config))
    solve_part = config.solve.model_copy(update={"block_items": min(size, source.part_items, source.items)})
    scenarios = config.scenarios.model_copy(update={"store_gib": 0.0})
    counted = Counted(source, config.model_copy(update={"solve": solve_part, "scenarios": scenarios}), PartCounts())
    progress.stage(f"counting {source.items} items in {source.parts} parts")
    warnings = dict.fromkeys(source.warnings)
    for tables in read_ahead(source, files):
        count_items(tables, config.fulfilment.weight_bands, counted.counts.note_items)
        warnings |= dict.fromkeys(tables.warnings)
    progress.stage("counting groups of items")
    for tables in read_ahead(source, files):
        counted.instance(tables, counting_groups=True)
    return replace(counted, warnings=merged(warnings))


def build_stream(counted: Counted, files: PartFiles, *, progress: AbstractProgress | None = None) -> StreamedModel:
    """Build the arrays and starting levels of every part, and keep both in scratch files.

    Args:
        counted: What `count_stream` gave.
        files: Where to; about as large as the arrays of the catalog.
        progress: Where to report.
    """
    progress = Silent() if progress is None else progress
    progress.stage("building arrays and starting levels")
    first = None
    for part, tables in enumerate(read_ahead(counted.source, files)):
        model = prepare(tables, counted.config, gather=counted.counts.replay())
        problem = model.problem
        files.write("part", part, Part(problem.catalog.per_block(), problem.scale, problem.item_scale))
        start = problem.init()
        files.write("state", part, PartState(start.raw, start.optimiser, start.raw, start.raw))
        first = model if first is None else first
    if first is None:
        raise ValueError("a source has at least one part")
    return StreamedModel(counted, first, Stream(first.problem, files, counted.source.parts))


def prepare_stream(
    source: AbstractSource, config: Config, scratch: Path, *, progress: AbstractProgress | None = None
) -> StreamedModel:
    """Count and build in one call; see `count_stream` and `build_stream`."""
    files = PartFiles(scratch)
    return build_stream(count_stream(source, config, files, progress=progress), files, progress=progress)


def start_stream(model: StreamedModel) -> State:
    """The state of the search before its first step, but for what belongs to items."""
    return initial_state(model.stream.swept(), model.first.method)


def search_stream(
    model: StreamedModel,
    state: State | None = None,
    *,
    progress: AbstractProgress | None = None,
    on_step: Callable[[State, Step, Trace], None] | None = None,
    history: tuple[Step, ...] = (),
) -> Solution:
    """Run the solver loop; the best parameters stay in the scratch files."""
    first = model.first
    return solve(
        model.stream.swept(),
        first.method,
        start_stream(model) if state is None else state,
        first.limits,
        first.kind_of,
        progress=progress,
        on_step=on_step,
        history=history,
        advance=model.stream.advance,
    )


def best_policies(model: StreamedModel, solution: Solution) -> Iterator[tuple[int, Any, Any]]:
    """Part, item problems (capacities without margin) and best policy, part by part."""
    given = model.first.instance.resources
    for part, problem, policy in model.stream.best(bool(solution.state.dual.improved)):
        yield part, eqx.tree_at(lambda p: p.resources, problem, problem.everywhere(given)), policy
