"""The order in which nodes, regions, speeds ... appear in arrays."""

from __future__ import annotations

from dataclasses import dataclass

from meio_jax.instance.census import Census
from meio_jax.instance.convert import positions as positions
from meio_jax.tables import Tables


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
