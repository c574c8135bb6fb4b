"""Which demand each node can serve, and which it can supply through lanes: boolean matrices over the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Bool, Float

from meio_jax.tables.lane_use import supply_pairs
from meio_jax.tables.settings import InstanceSettings

Cell = tuple[str, str, int]
"""A class of demand: region, speed, wave."""


@dataclass(frozen=True)
class Reach:
    """What nodes serve.

    Attributes:
        nodes: Ids of nodes.
        cells: Classes of demand that some profile asks for.
        profiles: Names of profiles.
        weight: Share of the demand of each profile in each cell.
        exact: Whether a node serves a cell at its speed.
        slower: Whether a node serves a cell at its speed or a slower one.
        lanes: Whether a lane of supply leads from the first node to the second.
    """

    nodes: list[str]
    cells: list[Cell]
    profiles: list[str]
    weight: Float[np.ndarray, "profiles cells"]
    exact: Bool[np.ndarray, "nodes cells"]
    slower: Bool[np.ndarray, "nodes cells"]
    lanes: Bool[np.ndarray, "nodes nodes"]

    def supplied(self, accepted: Bool[np.ndarray, " nodes"]) -> Bool[np.ndarray, "nodes cells"]:
        """Cells that stock can serve once it is at a node, through lanes between nodes that accept it."""
        return self._onward(self.lanes & accepted[:, None] & accepted[None, :], accepted)

    def from_sources(
        self, accepted: Bool[np.ndarray, " nodes"], shut: Bool[np.ndarray, " nodes"], sources: list[int]
    ) -> Bool[np.ndarray, " cells"]:
        """Cells that stock at some nodes can serve, if nodes that are shut receive none.

        Args:
            accepted: Nodes that accept the item.
            shut: Nodes that may not order it.
            sources: Nodes that have it, or buy it.
        """
        open_lanes = self.lanes & accepted[:, None] & (accepted & ~shut)[None, :]
        return np.asarray(self._onward(open_lanes, accepted)[sources].any(0))

    def _onward(
        self, step: Bool[np.ndarray, "nodes nodes"], accepted: Bool[np.ndarray, " nodes"]
    ) -> Bool[np.ndarray, "nodes cells"]:
        """Cells that stock at each node can serve, through these lanes."""
        closed = (step | np.eye(len(self.nodes), dtype=bool)) & accepted[:, None]
        while True:
            wider = (closed.astype(np.float32) @ closed.astype(np.float32)) > 0
            if (wider == closed).all():
                break
            closed = wider
        return (closed.astype(np.float32) @ self.slower.astype(np.float32)) > 0


def served(
    settings: InstanceSettings, transit: pl.LazyFrame, cutoffs: pl.LazyFrame, ranked: pl.LazyFrame
) -> pl.LazyFrame:
    """What every node serves in time: node_id, region_id, wave and the rank of the speed, from fast (0) to slow."""
    waves = pl.LazyFrame(
        {"wave": list(range(settings.waves)), "__end": list(settings.wave_ends)},
        schema={"wave": pl.Int64, "__end": pl.Float64},
    )
    departure = pl.col("cutoff_hour") + pl.when(pl.col("__end") > pl.col("cutoff_hour")).then(24.0).otherwise(0.0)
    due = 24.0 * pl.col("promise_days") + pl.col("deliver_by_hour")
    return (
        transit.select("node_id", "region_id", "hours")
        .join(cutoffs, on="node_id")
        .join(ranked.select("speed_id", "__rank", "promise_days", "deliver_by_hour"), on="speed_id")
        .join(waves, how="cross")
        .filter(departure + pl.col("hours") <= due)
        .select("node_id", "region_id", "wave", "__rank")
    )


def ranked_speeds(speeds: pl.DataFrame) -> pl.LazyFrame:
    """Speeds from fast to slow, numbered in `__rank`."""
    known = speeds.lazy().filter(pl.col("speed_id").is_not_null())
    return known.sort("promise_days", "deliver_by_hour", "speed_id").with_row_index("__rank")


def network_reach(settings: InstanceSettings, frames: dict[str, pl.DataFrame]) -> Reach:
    """The reach of all nodes.

    Args:
        settings: Settings of the instance.
        frames: Tables nodes, lanes, speeds, transit, cutoffs and shares, as checked.
    """
    nodes = frames["nodes"].get_column("node_id").to_list()
    asked = frames["shares"].filter(pl.col("share") > 0)
    cells: list[Cell] = asked.select("region_id", "speed_id", "wave").unique(maintain_order=True).rows()
    profiles = asked.get_column("profile").unique(maintain_order=True).to_list()
    weight = np.zeros((len(profiles), len(cells)))
    at_profile = {name: number for number, name in enumerate(profiles)}
    at_cell = {cell: number for number, cell in enumerate(cells)}
    for profile, region, speed, wave, share in asked.select(
        "profile", "region_id", "speed_id", "wave", "share"
    ).iter_rows():
        weight[at_profile[profile], at_cell[region, speed, wave]] = share
    exact, slower = _served_cells(settings, frames, nodes, cells)
    lanes = np.zeros((len(nodes), len(nodes)), bool)
    at_node = {name: number for number, name in enumerate(nodes)}
    for start, end in supply_pairs(frames["lanes"], frames["nodes"]):
        if start in at_node and end in at_node:
            lanes[at_node[start], at_node[end]] = True
    return Reach(nodes, cells, profiles, weight, exact, slower, lanes)


def _served_cells(
    settings: InstanceSettings, frames: dict[str, pl.DataFrame], nodes: list[str], cells: list[Cell]
) -> tuple[Bool[np.ndarray, "nodes cells"], Bool[np.ndarray, "nodes cells"]]:
    ranked = ranked_speeds(frames["speeds"])
    rank = dict(ranked.select("speed_id", "__rank").collect().iter_rows())
    at_node = {name: number for number, name in enumerate(nodes)}
    found: dict[tuple[str, int], list[tuple[int, int]]] = {}
    pairs = served(settings, frames["transit"].lazy(), frames["cutoffs"].lazy(), ranked).collect()
    for node, region, wave, speed in pairs.iter_rows():
        if node in at_node:
            found.setdefault((region, wave), []).append((at_node[node], speed))
    exact, slower = (np.zeros((len(nodes), len(cells)), bool) for _ in range(2))
    for number, (region, name, wave) in enumerate(cells):
        own = rank.get(name)
        for node, speed in found.get((region, wave), ()):
            exact[node, number] |= speed == own
            slower[node, number] |= own is not None and speed >= own
    return exact, slower
