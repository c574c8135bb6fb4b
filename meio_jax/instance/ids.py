"""The order in which nodes, regions, speeds ... appear in arrays, and look-ups from id to position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from meio_jax.instance.census import Census
from meio_jax.tables import Tables

# Up to here a dictionary is faster than a join.
_FEW = 2000


@dataclass(frozen=True)
class Ids:
    """Ids in array order. Speeds run from fast to slow; everything else in the order of its table."""

    nodes: list[str]
    regions: list[str]
    speeds: list[str]
    vendors: list[str]
    groups: list[str]
    classes: list[str]
    profiles: list[str]
    lanes: list[tuple[str, str]]
    resources: list[str]

    @property
    def node_index(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.nodes)}


def read_ids(tables: Tables, census: Census) -> Ids:
    """Collect the ids of the shared tables, and those that the whole catalog names."""
    speeds = tables.speeds.sort("promise_days", "deliver_by_hour", maintain_order=True)
    return Ids(
        nodes=tables.nodes["node_id"].to_list(),
        regions=tables.regions["region_id"].to_list(),
        speeds=speeds["speed_id"].to_list(),
        vendors=list(census.vendors),
        groups=tables.regions["region_group"].unique().sort().to_list(),
        classes=list(census.classes),
        profiles=tables.shares["profile"].unique().sort().to_list(),
        lanes=list(zip(tables.lanes["from_node"].to_list(), tables.lanes["to_node"].to_list(), strict=True)),
        resources=tables.resources["resource_id"].unique(maintain_order=True).to_list(),
    )


def positions(column: pl.Series, names: list[str]) -> np.ndarray:
    """Position of every entry of a column in a list of names, -1 where it is null or unknown."""
    if len(column) + len(names) < _FEW:
        place = {name: at for at, name in enumerate(names)}
        return np.asarray([place.get(name, -1) for name in column.cast(pl.String).to_list()], np.int64)
    frame = pl.DataFrame({"name": pl.Series(names, dtype=pl.String), "at": np.arange(len(names), dtype=np.int64)})
    joined = pl.DataFrame({"name": column.cast(pl.String)}).join(frame, on="name", how="left", maintain_order="left")
    return joined["at"].fill_null(-1).to_numpy()
