"""What lanes are for: the regular supply of nodes, or transshipment of what other nodes have too much of."""

from __future__ import annotations

import numpy as np
import polars as pl
from jaxtyping import Bool

SUPPLY, TRANSSHIPMENT = "supply", "transshipment"
USES = (SUPPLY, TRANSSHIPMENT)

_HEIGHT = {"same_day": 0, "fc": 1, "dc": 2}


def transships(lanes: pl.DataFrame, nodes: pl.DataFrame) -> Bool[np.ndarray, " lanes"]:
    """Whether each lane is one of transshipment.

    The column `use` says so. Where it is empty, lanes on no cycle supply; of those on a cycle the ones that lead down
    (from a DC to an FC, from there to a same-day site) supply, and all others transship. Lanes that are given as
    transshipment close no cycle.

    Args:
        lanes: Table lanes; `use` may be missing.
        nodes: Table nodes.
    """
    given = lanes.get_column("use") if "use" in lanes.columns else pl.Series([None] * lanes.height, dtype=pl.String)
    marked = (given == TRANSSHIPMENT).fill_null(False).to_numpy()
    open_use = given.is_null().to_numpy()
    if not open_use.any():
        return marked
    names = nodes.get_column("node_id").to_list()
    height = [_HEIGHT.get(kind, 0) for kind in nodes.get_column("kind").to_list()]
    at = {name: number for number, name in enumerate(names)}
    ends = [(at.get(a, -1), at.get(b, -1)) for a, b in lanes.select("from_node", "to_node").iter_rows()]
    known = np.asarray([a >= 0 and b >= 0 for a, b in ends], bool)
    leads = _leads_to(len(names), [end for end, use in zip(ends, known & ~marked, strict=True) if use])
    down = np.asarray([inside and height[a] > height[b] for (a, b), inside in zip(ends, known, strict=True)], bool)
    circular = np.asarray([inside and bool(leads[b, a]) for (a, b), inside in zip(ends, known, strict=True)], bool)
    return marked | (open_use & circular & ~down)


def supply_pairs(lanes: pl.DataFrame, nodes: pl.DataFrame) -> list[tuple[str, str]]:
    """The two ends of every lane of supply."""
    return lanes.filter(~pl.Series(transships(lanes, nodes), dtype=pl.Boolean)).select("from_node", "to_node").rows()


def _leads_to(nodes: int, ends: list[tuple[int, int]]) -> Bool[np.ndarray, "nodes nodes"]:
    """Whether lanes lead from the first node to the second, over one lane or more."""
    step = np.zeros((nodes, nodes), bool)
    for start, end in ends:
        step[start, end] = True
    while True:
        wider = step | ((step.astype(np.float32) @ step.astype(np.float32)) > 0)
        if (wider == step).all():
            return step
        step = wider
