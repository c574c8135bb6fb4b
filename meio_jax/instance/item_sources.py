"""Where the items of a catalog come from when they come in parts: from an instance folder, or made on the fly."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import polars as pl
import yaml

from meio_jax.errors import InputError, InputWarning, Note, Problem
from meio_jax.generate import GenerateOptions
from meio_jax.generate.build import add_need, item_frames, item_pieces, plan_network
from meio_jax.generate.capacity import Need, resources_table
from meio_jax.generate.network_tables import describe, network_tables
from meio_jax.generate.shares import shares_table
from meio_jax.generate.vendors import lead_times_table
from meio_jax.tables import (
    InstanceSettings,
    Tables,
    count_item_rows,
    item_block_from_frames,
    network_from_frames,
    read_item_block,
    read_network,
    scan_item_ids,
)
from meio_jax.tables.item_files import check_item_files
from meio_jax.tables.sources import stamps


class AbstractSource(abc.ABC):
    """A catalog of `items` items in parts of `part_items` (the last may be smaller).

    `warnings` say what was found in the tables that all parts share, `assumed` what was taken in place of those that
    were left out.
    """

    items: int
    part_items: int
    warnings: tuple[InputWarning, ...] = ()
    assumed: Mapping[str, str] = MappingProxyType({})

    @property
    def parts(self) -> int:
        """Number of parts."""
        return -(-self.items // self.part_items)

    def bounds(self, part: int) -> tuple[int, int]:
        """First item of a part, and the one after its last."""
        return part * self.part_items, min((part + 1) * self.part_items, self.items)

    @abc.abstractmethod
    def tables(self, part: int) -> Tables:
        """The items of a part, checked, with the tables of the network."""


class FolderSource(AbstractSource):
    """An instance folder; partitioned Parquet whose rows stand in the order of the items is read fastest."""

    def __init__(self, folder: Path, part_items: int) -> None:
        self.folder, self.part_items = folder, part_items
        self._stamps = stamps(folder)
        self.items = count_item_rows(folder)
        self._network = read_network(folder)
        self.warnings, self.assumed = self._network.warnings, self._network.assumed
        check_item_files(folder, self._network)

    def tables(self, part: int) -> Tables:
        """The items of a part; ids are read anew each time, since those of a large catalog fill memory."""
        first, after = self.bounds(part)
        own = scan_item_ids(self.folder, first, after - first)
        found = read_item_block(self.folder, own, self._network, consecutive=True)
        if stamps(self.folder) != self._stamps:
            remedy = "put the files back as they were and resume, or solve again"
            expected = "an instance that stays as it is while it is solved in parts"
            raise InputError([Problem(str(self.folder), "", "", Note("files that changed"), expected, remedy)])
        return found


class OtherCapacities(AbstractSource):
    """The items of another source with another table of resources."""

    def __init__(self, source: AbstractSource, resources: pl.DataFrame) -> None:
        self.items, self.part_items, self.warnings = source.items, source.part_items, source.warnings
        self._source, self._resources = source, resources

    def tables(self, part: int) -> Tables:
        return self._source.tables(part).replace(resources=self._resources)


class GeneratedSource(AbstractSource):
    """A synthetic catalog that is never written: the items of a part are made when they are asked for."""

    def __init__(self, options: GenerateOptions, part_items: int) -> None:
        self.options, self.part_items, self.items = options, part_items, options.items
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
        settings = InstanceSettings(**yaml.safe_load(text))
        self._network = network_from_frames(settings, {name: frame for name, frame in tables.items() if frame.height})

    def tables(self, part: int) -> Tables:
        """The items of a part."""
        network, profiles, vendors = self._plan
        frames: dict[str, list[pl.DataFrame]] = {}
        for items, first in item_pieces(self.options, profiles, *self.bounds(part)):
            for name, frame in item_frames(self.options, network, profiles, vendors, items, first).items():
                frames.setdefault(name, []).append(frame)
        own = {name: pl.concat(pieces) for name, pieces in frames.items()}
        return item_block_from_frames(self._network, own)
