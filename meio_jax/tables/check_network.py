"""Checks of the network: reviews, lanes, promises that can be kept, shares of demand."""

from __future__ import annotations

import polars as pl

from meio_jax.tables.context import Context
from meio_jax.tables.findings import ROW
from meio_jax.tables.lane_use import TRANSSHIPMENT, supply_pairs, transships
from meio_jax.tables.reach import ranked_speeds, served

SHARE_TOLERANCE = 1e-6


def check_network(context: Context) -> None:
    """Run every check of this module."""
    _check_reviews(context)
    _check_cycles(context)
    _check_lane_shares(context)
    _check_profile_sums(context)
    _check_waves(context)
    _check_reach(context)
    _check_lead_times(context)


def _check_reviews(context: Context) -> None:
    if found := context.get("nodes"):
        (nodes,) = found
        late = nodes.rows(pl.col("review_offset") >= pl.col("review_period"))
        context.findings.add_rows(
            nodes,
            late,
            "review_offset",
            "a number less than review_period = {review_period}",
            "take the offset modulo the review period",
        )


def _check_cycles(context: Context) -> None:
    """Lanes of supply form no cycle; lanes of transshipment may, but none leads from a node to itself."""
    if not (found := context.get("lanes", "nodes")):
        return
    lanes, nodes = found
    known = lanes.frame.drop_nulls(["from_node", "to_node"])
    loops = [(a, b) for a, b in known.select("from_node", "to_node").iter_rows() if a == b]
    cycle = [*loops[0]] if loops else find_cycle(supply_pairs(known, nodes.frame))
    if cycle:
        bad = lanes.rows((pl.col("from_node") == cycle[-2]) & (pl.col("to_node") == cycle[-1])).head(1)
        mend = "remove it" if loops else f"remove one lane of the cycle, or write {TRANSSHIPMENT} in its column use"
        context.findings.add_rows(
            lanes,
            bad,
            "from_node, to_node",
            "lanes of supply without a cycle",
            mend,
            note=" -> ".join(cycle).replace("{", "{{").replace("}", "}}"),
        )


def find_cycle(pairs: list[tuple[str, str]]) -> list[str]:
    """A cycle of the graph with these directed edges, its first node repeated at the end; else empty."""
    below: dict[str, list[str]] = {}
    waiting: dict[str, int] = {}
    for start, end in pairs:
        below.setdefault(start, []).append(end)
        waiting.setdefault(start, 0)
        waiting[end] = waiting.get(end, 0) + 1
    free = [node for node, count in waiting.items() if count == 0]
    while free:
        node = free.pop()
        del waiting[node]
        for end in below.get(node, ()):
            waiting[end] -= 1
            if waiting[end] == 0:
                free.append(end)
    if not waiting:
        return []
    # every node left has a predecessor that is left: walking backwards must come round
    above = {end: start for start, end in pairs if start in waiting and end in waiting}
    node = next(iter(above))
    seen: list[str] = []
    while node not in seen:
        seen.append(node)
        node = above[node]
    cycle = [node, *reversed(seen[seen.index(node) :])]
    return cycle


def _check_lane_shares(context: Context) -> None:
    """Every node that lanes supply takes a share from one of them."""
    if found := context.get("lanes", "nodes"):
        lanes, nodes = found
        supplies = pl.Series("__supplies", ~transships(lanes.frame, nodes.frame), dtype=pl.Boolean)
        numbered = lanes.numbered().collect().with_columns(supplies).filter(pl.col("__supplies"))
        zero = numbered.filter((pl.col("share").sum() == 0).over("to_node")).unique("to_node", keep="first")
        context.findings.add_rows(
            lanes,
            zero,
            "share",
            "a share > 0 on at least one lane to {to_node}",
            "give a share to the lane that supplies {to_node}, or remove its lanes",
        )


def _check_profile_sums(context: Context) -> None:
    if not (found := context.get("shares")):
        return
    (shares,) = found
    sums = shares.numbered().group_by("profile").agg(pl.col("share").sum().alias("__found"), pl.col(ROW).min())
    off = sums.filter((pl.col("__found") - 1).abs() > SHARE_TOLERANCE).collect()
    context.findings.add_rows(
        shares,
        off,
        "share",
        f"shares that sum to 1 over profile {{profile}} (within {SHARE_TOLERANCE:g})",
        "divide the shares of the profile by their sum",
        value="__found",
    )


def _check_waves(context: Context) -> None:
    found = context.get("shares")
    if found and context.settings:
        (shares,) = found
        waves = context.settings.waves
        context.findings.add_rows(
            shares,
            shares.rows(pl.col("wave") >= waves),
            "wave",
            f"a number of a wave from 0 to {waves - 1} (wave_ends in instance.yaml has {waves})",
            "correct the wave or add its end to wave_ends",
        )


def _check_reach(context: Context) -> None:
    """Every region is reached, and every class of demand is served, in its wave, at its speed or slower."""
    found = context.get("regions", "speeds", "transit", "cutoffs")
    if not found or not context.settings:
        return
    regions, speeds, transit, cutoffs = found
    ranked = ranked_speeds(speeds.frame)
    found_pairs = served(context.settings, transit.frame.lazy(), cutoffs.frame.lazy(), ranked)
    slowest = found_pairs.group_by("region_id", "wave").agg(pl.col("__rank").max().alias("__slowest")).collect()
    lost = regions.numbered().join(slowest.lazy(), on="region_id", how="anti").collect()
    context.findings.add_rows(
        regions,
        lost,
        "region_id",
        "a region that some node reaches within the promise of some speed (rows in transit and cutoffs)",
        "add transit from a node that offers a speed slow enough, or a cut-off there",
    )
    if not (demand := context.get("shares")):
        return
    (shares,) = demand
    reached = pl.col("region_id").is_in(slowest.get_column("region_id").unique().implode())
    unserved = (
        shares.numbered()
        .filter((pl.col("share") > 0) & reached & (pl.col("wave") < context.settings.waves))
        .join(ranked.select("speed_id", "__rank"), on="speed_id")
        .join(slowest.lazy(), on=["region_id", "wave"], how="left")
        .filter(pl.col("__slowest").is_null() | (pl.col("__slowest") < pl.col("__rank")))
        .collect()
    )
    context.findings.add_rows(
        shares,
        unserved,
        "share",
        "no demand where neither this speed nor a slower one is served: no node reaches {region_id} in "
        "time for "
        "{speed_id} in wave {wave}",
        "move the share to another class, or add transit and cut-offs that serve it",
    )


def _check_lead_times(context: Context) -> None:
    if not context.settings:
        return
    limit = context.settings.lead_time_limit
    for name, column in (("lanes", "lead_time"), ("lead_times", "days")):
        if found := context.get(name):
            (view,) = found
            context.findings.add_rows(
                view,
                view.rows(pl.col(column) > limit),
                column,
                f"a lead time of at most {limit} days (lead_time_limit in instance.yaml)",
                "correct the lead time or raise lead_time_limit",
            )
