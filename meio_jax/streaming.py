"""Plans for catalogs that do not fit in memory: the items come in parts, from Parquet or made on the fly.

A part is some thousand items that stand together in the catalog. Parts are read twice to count what the arrays of one
item depend on in all the others (`meio_jax.instance.census`), then a third time to build their arrays, which are kept
in a folder of scratch files; each step of the search reads those, and the next part while one is computed. The numbers
are those of a solve in memory: the same items, groups, scenarios and prices, but for the order of sums.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import yaml

from meio_jax.config import Config
from meio_jax.errors import InputError, Problem
from meio_jax.generate import GenerateOptions
from meio_jax.generate.build import add_need, item_frames, item_pieces, plan_network
from meio_jax.generate.capacity import Need, resources_table
from meio_jax.generate.network_tables import describe, network_tables
from meio_jax.generate.shares import shares_table
from meio_jax.generate.vendors import lead_times_table
from meio_jax.holdout import Holdout, evaluate_holdout
from meio_jax.instance import build_instance
from meio_jax.instance.census import count_items
from meio_jax.plan_tables import metrics_frame, plan_frames, prices_frame
from meio_jax.planner import Model, per_step, prepare
from meio_jax.progress import AbstractProgress, Silent
from meio_jax.solve import Solution, initial_state, solve
from meio_jax.stream import Part, PartFiles, PartState, Stream
from meio_jax.tables import InstanceSettings, Tables, read_item_block, read_network, scan_item_ids, write_table


class AbstractSource(abc.ABC):
    """Where the items come from: `parts` parts of at most `part_items` items, each with the tables of the network."""

    parts: int
    part_items: int

    @abc.abstractmethod
    def tables(self, part: int) -> Tables:
        """The items of a part, with the tables of the network."""


class FolderSource(AbstractSource):
    """An instance folder; partitioned Parquet whose rows stand in the order of the items is read fastest."""

    def __init__(self, folder: Path, part_items: int) -> None:
        self.folder, self.part_items = folder, part_items
        self._ids = scan_item_ids(folder)
        self._network = read_network(folder)
        self.parts = -(-len(self._ids) // part_items)

    def tables(self, part: int) -> Tables:
        """The items of a part, checked."""
        own = self._ids.slice(part * self.part_items, self.part_items)
        return read_item_block(self.folder, own, self._network)


class GeneratedSource(AbstractSource):
    """A synthetic catalog that is never written: the items of a part are made when they are asked for."""

    def __init__(self, options: GenerateOptions, part_items: int) -> None:
        self.options, self.part_items = options, part_items
        self.parts = -(-options.items // part_items)
        self._plan = plan_network(options)
        network, profiles, vendors = self._plan
        text = describe(
            name=f"synthetic {options.shape} {options.items} items, seed {options.seed}",
            start_date=options.start_date,
            periods=options.periods,
            bucket_periods=options.bucket_periods,
            wave_ends=network.wave_ends,
            forecast=options.forecast,
        )
        self._settings = InstanceSettings(**yaml.safe_load(text))
        need = Need.empty(len(profiles.name), options.buckets, len(vendors.vendor_id), len(network.node_id))
        for items, first in item_pieces(options, profiles, 0, options.items):
            add_need(options, network, profiles, vendors, items, first, need)
        tables = {**network_tables(network), "shares": shares_table(network, profiles)}
        tables["lead_times"] = lead_times_table(vendors)
        tables["resources"] = resources_table(
            network,
            profiles,
            need,
            vendors.vendor_id,
            kinds=options.resources,
            tightness=options.tightness,
            horizon=(options.periods, options.bucket_periods),
        )
        self._network = {name: frame for name, frame in tables.items() if frame.height}

    def tables(self, part: int) -> Tables:
        """The items of a part, made and checked."""
        low = part * self.part_items
        high = min(low + self.part_items, self.options.items)
        network, profiles, vendors = self._plan
        frames: dict[str, list[pl.DataFrame]] = {}
        for items, first in item_pieces(self.options, profiles, low, high):
            for name, frame in item_frames(self.options, network, profiles, vendors, items, first).items():
                frames.setdefault(name, []).append(frame)
        own = {name: pl.concat(pieces) for name, pieces in frames.items()}
        return Tables.from_frames(self._settings, **self._network, **own)


class _Census:
    """Plays the other processes of `build_instance`: the counts of all parts, for each part in turn.

    `build_instance` asks three times: for the counts of items, for those of groups, and for the number of blocks.
    """

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.groups: list[dict[str, Any]] = []
        self.blocks: list[dict[str, Any]] = []

    def note(self, own: dict[str, Any], into: list[dict[str, Any]]) -> list[dict[str, Any]]:
        into.append(own)
        return [own]

    def replay(self, *, counting_groups: bool = False) -> Callable[[dict[str, Any]], list[dict[str, Any]]]:
        """Answers for one part; while groups are counted, those of the part alone."""

        def gather(own: dict[str, Any]) -> list[dict[str, Any]]:
            if "weights" in own:
                return self.items
            if "blocks" in own:
                return self.note(own, self.blocks) if counting_groups else self.blocks
            return self.note(own, self.groups) if counting_groups else self.groups

        return gather


@dataclass(frozen=True)
class StreamedModel:
    """A catalog in parts, ready to solve: `first` is the model of the first part, for what all parts share."""

    source: AbstractSource
    config: Config
    first: Model
    stream: Stream
    census: _Census


def _read_ahead(source: AbstractSource, files: PartFiles) -> Iterator[Tables]:
    """The tables of every part; the next ones are read while the caller works."""
    coming = files.ahead(source.tables, 0)
    for part in range(source.parts):
        tables = coming.result()
        if part + 1 < source.parts:
            coming = files.ahead(source.tables, part + 1)
        yield tables


def _counted(source: AbstractSource, config: Config, files: PartFiles, progress: AbstractProgress) -> _Census:
    census = _Census()
    bands = config.fulfilment.weight_bands
    progress.stage(f"counting {source.parts} parts of the catalog")
    for tables in _read_ahead(source, files):
        count_items(tables, bands, lambda own: census.note(own, census.items))
    progress.stage("counting groups of items")
    for tables in _read_ahead(source, files):
        _instance(tables, config, census, counting_groups=True)
    return census


def _instance(tables: Tables, config: Config, census: _Census, *, counting_groups: bool = False) -> Any:
    return build_instance(
        tables,
        block_items=_block_items(config),
        bands=config.fulfilment.weight_bands,
        dtype=np.dtype(config.precision).type,
        gather=census.replay(counting_groups=counting_groups),
    )


def _block_items(config: Config) -> int:
    if config.solve.block_items is None:
        raise ValueError("block_items is set before parts are built")
    return config.solve.block_items


def prepare_stream(
    source: AbstractSource, config: Config, scratch: Path, *, progress: AbstractProgress | None = None
) -> StreamedModel:
    """Count the parts, build their arrays and starting levels, and keep both in scratch files.

    Args:
        source: The items.
        config: The configuration. Scenarios are drawn anew in each step (`scenarios.store_gib` has no meaning here).
        scratch: Folder of the scratch files; about as large as the arrays of the catalog.
        progress: Where to report.

    Raises:
        InputError: If a part of the instance is wrong, or there is none.
    """
    if source.parts == 0:
        raise InputError([Problem("items", "", "", None, "at least one item", "add items")])
    from meio_jax.planner import block_items

    progress = Silent() if progress is None else progress
    size = config.solve.block_items or block_items(source.tables(0).nodes.height, per_step(config))
    solve_part = config.solve.model_copy(update={"block_items": min(size, source.part_items)})
    scenarios = config.scenarios.model_copy(update={"store_gib": 0.0})
    config = config.model_copy(update={"solve": solve_part, "scenarios": scenarios})
    files = PartFiles(scratch)
    census = _counted(source, config, files, progress)
    progress.stage("building arrays and starting levels")
    first = None
    for part, tables in enumerate(_read_ahead(source, files)):
        model = prepare(tables, config, gather=census.replay())
        problem = model.problem
        files.write("part", part, Part(problem.catalog.per_block(), problem.scale, problem.item_scale))
        start = problem.init()
        files.write("state", part, PartState(start.raw, start.optimiser, start.raw, start.raw))
        first = model if first is None else first
    if first is None:
        raise ValueError("a source has at least one part")
    return StreamedModel(source, config, first, Stream(first.problem, files, source.parts), census)


def search_stream(model: StreamedModel, *, progress: AbstractProgress | None = None) -> Solution:
    """Run the solver loop; the best parameters stay in the scratch files."""
    swept, first = model.stream.swept(), model.first
    state = initial_state(swept, first.method)
    return solve(swept, first.method, state, first.limits, first.kind_of, progress=progress,
                 advance=model.stream.advance)  # fmt: skip


def best_policies(model: StreamedModel, solution: Solution) -> Iterator[tuple[int, Any, Any]]:
    """Part, item problems (capacities without margin) and best policy, part by part."""
    given = model.first.instance.resources
    for part, problem, policy in model.stream.best(bool(solution.state.dual.improved)):
        yield part, dataclasses.replace(problem, resources=problem.everywhere(given)), policy


def write_streamed_plan(model: StreamedModel, solution: Solution, folder: Path) -> Holdout:
    """Judge the best plan on holdout scenarios and write its tables, each a folder of one Parquet file per part.

    Returns:
        The sums over all parts; `items` are those of the last part.
    """
    prices = np.asarray(solution.prices)
    total: Holdout | None = None
    parts = zip(best_policies(model, solution), _read_ahead(model.source, model.stream.files), strict=True)
    for (part, problem, policy), tables in parts:
        instance = _instance(tables, model.config, model.census)
        holdout = evaluate_holdout(
            problem, policy, solution.best.list_prices, model.config.scenarios.holdout, chunk=per_step(model.config)
        )
        own = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), policy)
        for name, frame in plan_frames(instance, own, prices, holdout):
            if name != "prices":
                (folder / name).mkdir(parents=True, exist_ok=True)
                write_table(frame, folder / name / f"part-{part:05d}.parquet")
        total = holdout if total is None else _added(total, holdout)
    if total is None:
        raise ValueError("a source has at least one part")
    write_table(prices_frame(model.first.instance, prices, total), folder / "prices.parquet")
    write_table(metrics_frame(solution), folder / "metrics.parquet")
    return total


def _added(total: Holdout, new: Holdout) -> Holdout:
    """Sums over items of two holdouts."""
    shared = lambda h: (h.sums, h.usage, h.regional)
    both = jax.tree.map(np.add, shared(total), shared(new))
    return eqx.tree_at(shared, new, both)
