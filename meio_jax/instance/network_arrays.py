"""Shared tables to the arrays of a `Network`."""

from __future__ import annotations

import numpy as np
import polars as pl

from meio_jax.instance.calendar import build_calendar, longest_waits
from meio_jax.instance.census import Census
from meio_jax.instance.convert import arrays
from meio_jax.instance.dock_arrays import build_docks
from meio_jax.instance.ids import Ids, positions
from meio_jax.instance.resource_arrays import build_node_floors
from meio_jax.model.network import Network
from meio_jax.tables import Tables
from meio_jax.tables.lane_use import transships


def tier_levels(ids: Ids, transships: np.ndarray) -> list[int]:
    """Height of every node above the customers: 0 where a node supplies nobody, else one more than those below.

    Args:
        ids: Nodes and lanes.
        transships: Lanes that are no supply.
    """
    index = ids.node_index
    pairs = [(index[origin], index[target]) for origin, target in ids.lanes]
    below: dict[int, list[int]] = {node: [] for node in range(len(ids.nodes))}
    for (origin, target), beside in zip(pairs, transships, strict=True):
        if not beside:
            below[origin].append(target)
    level = [0] * len(ids.nodes)
    # Lanes of supply form a DAG (checked by the reader), so as many passes as nodes are enough.
    for _ in range(len(ids.nodes)):
        level = [max((level[t] + 1 for t in below[n]), default=0) for n in range(len(ids.nodes))]
    return _side_by_side(level, below, [pair for pair, beside in zip(pairs, transships, strict=True) if beside])


def _side_by_side(level: list[int], below: dict[int, list[int]], lanes: list[tuple[int, int]]) -> list[int]:
    """Heights with nodes that transship to each other at one, so that what they can spare is known to both.

    Nodes of which one supplies the other keep theirs, and so do all where there are no such heights.
    """
    both = [(a, b) for a, b in lanes if (b, a) in lanes]
    found = list(level)
    # No height is above the number of nodes where they exist; raising one of a pair raises all above it.
    for _ in range(len(level) + 1):
        raised = [max([found[n], *(found[t] + 1 for t in below[n])]) for n in range(len(level))]
        for a, b in both:
            raised[a] = raised[b] = max(raised[a], raised[b])
        if raised == found:
            return found
        found = raised
    return level


def transship_rounds(tables: Tables, transships: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """Lanes of transshipment in rounds: of the lanes into a node the cheapest (of a kilogram) is in the first."""
    lanes = tables.lanes
    rounds: list[list[int]] = []
    cost = (lanes["cost_per_unit"] + lanes["cost_per_kg"]).to_numpy()
    target = lanes["to_node"].to_list()
    taken: dict[str, int] = {}
    for lane in sorted(np.flatnonzero(transships).tolist(), key=lambda k: (cost[k], lanes["lead_time"][k], k)):
        turn = taken.get(target[lane], 0)
        taken[target[lane]] = turn + 1
        rounds += [[] for _ in range(turn + 1 - len(rounds))]
        rounds[turn].append(lane)
    return tuple(tuple(sorted(lanes)) for lanes in rounds)


def eligibility(tables: Tables, ids: Ids) -> np.ndarray:
    """Whether an order placed in a wave reaches the region in time: `[waves, speeds, regions, nodes]`.

    The last moment of the wave counts: if the node's cut-off has passed by then, the parcel leaves a day later.
    """
    nodes, regions, speeds = len(ids.nodes), len(ids.regions), len(ids.speeds)
    hours = np.full((regions, nodes), np.inf)
    transit = tables.transit
    hours[positions(transit["region_id"], ids.regions), positions(transit["node_id"], ids.nodes)] = transit["hours"]
    cutoff = np.full((speeds, nodes), np.nan)
    cuts = tables.cutoffs
    cutoff[positions(cuts["speed_id"], ids.speeds), positions(cuts["node_id"], ids.nodes)] = cuts["cutoff_hour"]
    order = positions(tables.speeds["speed_id"], ids.speeds)
    promise = np.empty(speeds)
    promise[order] = 24.0 * tables.speeds["promise_days"].to_numpy() + tables.speeds["deliver_by_hour"].to_numpy()
    waves = np.asarray(tables.settings.wave_ends)
    departure = np.where(waves[:, None, None] <= cutoff, cutoff, cutoff + 24)
    arrival = departure[:, :, None, :] + hours
    return arrival <= promise[None, :, None, None]


def outbound_costs(tables: Tables, ids: Ids) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outbound cost per unit and per kg `[speeds, regions, nodes]`, and carbon per unit `[regions, nodes]`."""
    transit = tables.transit
    at = (positions(transit["region_id"], ids.regions), positions(transit["node_id"], ids.nodes))
    shape = (len(ids.regions), len(ids.nodes))
    unit, kg, carbon = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    unit[at], kg[at], carbon[at] = (
        transit["cost_per_unit"],
        transit["cost_per_kg"],
        transit["carbon_kg_per_unit"],
    )
    factor = np.empty(len(ids.speeds))
    factor[positions(tables.speeds["speed_id"], ids.speeds)] = tables.speeds["cost_factor"]
    return factor[:, None, None] * unit, factor[:, None, None] * kg, carbon


def charged_periods(tables: Tables) -> np.ndarray:
    """1 for periods that count, 0 for warm-up."""
    settings = tables.settings
    return (np.arange(settings.periods) >= settings.warmup_periods).astype(float)


def lane_limits(tables: Tables, census: Census) -> tuple[int, int]:
    """Longest lead time of lanes and of vendor offers, in periods, with a margin for random ones.

    Goods already on order also need a slot for the day they are due, and what is due on a day without receipts one for
    the day on which it arrives.
    """
    limit, wait = tables.settings.lead_time_limit, 0
    if not tables.calendar.is_empty():
        wait = int(longest_waits(tables)["receipt_wait"].to_numpy().max(initial=0))
    lanes = tables.lanes
    lane = float((lanes["lead_time"] + 4 * lanes["lead_time_sd"]).to_numpy().max(initial=1))
    vendor = float(tables.lead_times["days"].to_numpy().max(initial=census.longest_lead))
    lane_limit, vendor_limit = (int(min(np.ceil(value), limit)) + wait for value in (lane, vendor))
    # Under evening orders the pipeline begins with the evening before the first period.
    first = 2 if tables.settings.ordering == "evening" else 1
    for node, due in census.last_due.items():
        last = min(due + first, limit + wait)
        # A node with offers keeps everything on order in its vendor pipeline.
        if node in census.most_offers:
            vendor_limit = max(vendor_limit, last)
        else:
            lane_limit = max(lane_limit, last)
    # What waits at a dock is due on the next day.
    least = 2 if tables.settings.docks == "queue" else 1
    return max(lane_limit, least), max(vendor_limit, least)


def tail_length(tables: Tables, census: Census) -> int:
    """Buckets that are simulated after the horizon, where business goes on.

    What is ordered on the last reported day has passed through the network, and the next order after it as well, before
    the simulation ends.
    """
    settings = tables.settings
    if settings.terminal == "liquidate":
        return 0
    review = int(tables.nodes["review_period"].to_numpy().max(initial=1))
    if census.rhythms:
        gap = dict(tables.nodes.select("node_id", "review_period").iter_rows())
        review = max(review, *(one.every * int(gap[one.node]) for one in census.rhythms))
    if not tables.calendar.is_empty():
        review += int(longest_waits(tables)["order_wait"].to_numpy().max(initial=0))
    return int(np.ceil((census.supply_path + review) / settings.bucket_periods))


def bucket_length(tables: Tables, tail_buckets: int) -> int:
    """Periods per bucket, as they are simulated.

    A loop that runs once is dissolved by the compiler, and what is around it grows together with the period (minutes of
    compilation). So a simulation of a single period is a bucket that is filled up with one that does not count.
    """
    settings = tables.settings
    alone = settings.periods == 1 and not tail_buckets
    return max(settings.bucket_periods, 2) if alone else settings.bucket_periods


def offer_slots(census: Census, ids: Ids) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Nodes and ranks of the offer slots: as many slots at a node as the item with most offers there needs."""
    most = census.most_offers
    slots = [(node, rank) for node, name in enumerate(ids.nodes) for rank in range(most.get(name, 0))]
    return tuple(node for node, _ in slots), tuple(rank for _, rank in slots)


def build_network(tables: Tables, ids: Ids, census: Census, dtype: type) -> Network:
    """The network of an instance, as numpy arrays of the given float type."""
    nodes, settings = tables.nodes, tables.settings
    beside = transships(tables.lanes, nodes)
    level = tier_levels(ids, beside)
    index = ids.node_index
    lane_from = tuple(index[origin] for origin, _ in ids.lanes)
    lane_to = tuple(index[target] for _, target in ids.lanes)
    tail_buckets = tail_length(tables, census)
    day = np.arange(settings.periods + tail_buckets * settings.bucket_periods)[:, None]
    review = day % nodes["review_period"].to_numpy() == nodes["review_offset"].to_numpy()
    priority = (nodes["allocation"] == "priority").to_numpy()
    urgency = np.asarray([level[t] if priority[f] else 0 for f, t in zip(lane_from, lane_to, strict=True)], int)
    unit, kg, carbon = outbound_costs(tables, ids)
    lane_limit, vendor_limit = lane_limits(tables, census)
    offer_node, offer_rank = offer_slots(census, ids)
    by_region = (pl.col("kind") == "service") & pl.col("node_group").is_null()
    has_floors = not tables.resources.filter(by_region).is_empty()

    def real(values: object) -> np.ndarray:
        return np.asarray(values, dtype)

    lanes = tables.lanes
    share: np.ndarray = np.where(beside, 0, real(lanes["share"])).astype(dtype)
    total: np.ndarray = np.zeros(len(ids.nodes), dtype)
    np.add.at(total, np.asarray(lane_to, int), share)
    share = share / np.maximum(total[np.asarray(lane_to, int)], 1e-12)
    calendar = build_calendar(tables, ids.vendors, offer_node, day.shape[0], dtype, census.rhythms)
    return Network(
        **arrays(
            dtype,
            nodes=len(ids.nodes),
            tiers=tuple(
                tuple(n for n in range(len(ids.nodes)) if level[n] == height) for height in range(max(level) + 1)
            ),
            lane_from=lane_from,
            lane_to=lane_to,
            offer_node=offer_node,
            offer_rank=offer_rank,
            lane_limit=lane_limit,
            vendor_limit=vendor_limit,
            periods=settings.periods,
            bucket_periods=bucket_length(tables, tail_buckets),
            region_groups=len(ids.groups) if has_floors else 0,
            backorders=census.backorders,
            pipeline_holding=settings.pipeline_holding,
            priority_ranks=int(urgency.max(initial=0)) + 1,
            tail_buckets=tail_buckets,
            evening=settings.ordering == "evening",
            lots=census.lots,
            late_receipts=census.late_receipts,
            review=review,
            charged=real(charged_periods(tables)),
            holding_factor=real(nodes["holding_factor"]),
            handling_cost=real(nodes["handling_cost"]),
            inbound_cost=real(nodes["inbound_cost"]),
            lane_share=share,
            lane_cost_unit=real(lanes["cost_per_unit"]),
            lane_cost_kg=real(lanes["cost_per_kg"]),
            lane_carbon_kg=real(lanes["carbon_kg_per_kg"]),
            lane_lead=real(lanes["lead_time"]),
            lane_urgency=urgency.astype(np.int32),
            eligible=eligibility(tables, ids),
            outbound_unit=real(unit),
            outbound_kg=real(kg),
            outbound_carbon=real(carbon),
            region_group=positions(tables.regions["region_group"], ids.groups).astype(np.int32),
        ),
        floors=build_node_floors(tables, ids, dtype),
        calendar=calendar,
        lines=_counts_orders(tables) or census.ordering,
        price_breaks=census.breaks > 0,
        transship=transship_rounds(tables, beside),
        docks=build_docks(tables, ids, calendar, dtype),
    )


def _counts_orders(tables: Tables) -> bool:
    """Whether some capacity counts orders, shipments or receipts; what customers order is counted by unit."""
    rows = (tables.resources["measure"] == "lines") & (tables.resources["kind"] != "outbound")
    return bool(rows.any())
