"""Sources of supply: lanes between nodes and vendor offers, with their lead times and shares."""

from typing import NamedTuple

import numpy as np
import polars as pl

from meio_jax.backtest import draws
from meio_jax.backtest.compiled import compiled
from meio_jax.backtest.lookup import bad, compressed, frame, integers, numbers, rows_of, texts
from meio_jax.backtest.prices import read_steps
from meio_jax.backtest.sales import id_keys
from meio_jax.tables.lane_use import transships
from meio_jax.tables.open_days import Schedule, schedule

LAWS = ("fixed", "gamma", "empirical")
NO_BOUND = 1 << 50
"""Units that no stock comes to: a bound that is none."""


class Supply(NamedTuple):
    """Lanes (arrays `[lanes]`) and offers (arrays `[offers]`, sorted by item).

    Inbound lanes of node n are `into[into_start[n]:into_start[n + 1]]`; offers of item i are rows
    `offer_start[i]:offer_start[i + 1]`. `open` is `[items, lanes]`: the lane can carry the item because its
    upstream node may hold it and is itself supplied with it. `lane_rank` orders lanes where stock is shared
    by priority. `beside` are the lanes of transshipment, which no node orders from; `turn [lanes]` says when each is
    asked, the cheapest into a node first, of so many `turns` (-1: a lane of supply). Observed lead times of vendor v
    are `seen_days[seen_start[v]:...]` with cumulative weights `seen_weight`; `recorded` is `[vendors, days]` (0:
    sample). `most` is `[items, nodes]`: most stock on hand and on order that an order may lead to. From the day
    `offer_until` on nothing is bought through an offer. With a calendar, `offer_calendar` is
    that of the vendor of each offer, `bought` `[days, calendars, nodes]` and `asked` `[days, lanes]` say whether
    orders are made on a day, those that waited included, and `received` `[days, nodes]` is the day on which a node
    receives what is due on a day; all three have no days where there is no calendar. `outlive [items, nodes]` is the
    least number of days by which the last day of sale of a unit must lie ahead for it to be shipped to another node (0
    for items that keep). `offer_fixed` is the fixed cost of an order line, and prices by quantity of offer k are
    `step_cost[step_start[k]:step_start[k + 1]]` from `step_units` on. `limit` is the longest lead time, days.
    """

    lane_from: np.ndarray
    lane_to: np.ndarray
    lane_mean: np.ndarray
    lane_sd: np.ndarray
    lane_cost_unit: np.ndarray
    lane_cost_kg: np.ndarray
    lane_carbon: np.ndarray
    lane_share: np.ndarray
    lane_rank: np.ndarray
    lane_key: np.ndarray
    into_start: np.ndarray
    into: np.ndarray
    open: np.ndarray
    offer_start: np.ndarray
    offer_node: np.ndarray
    offer_vendor: np.ndarray
    offer_cost: np.ndarray
    offer_freight: np.ndarray
    offer_mean: np.ndarray
    offer_sd: np.ndarray
    offer_law: np.ndarray
    offer_pack: np.ndarray
    offer_least: np.ndarray
    offer_share: np.ndarray
    offer_fixed: np.ndarray
    step_start: np.ndarray
    step_units: np.ndarray
    step_cost: np.ndarray
    offer_key: np.ndarray
    seen_start: np.ndarray
    seen_days: np.ndarray
    seen_weight: np.ndarray
    recorded: np.ndarray
    most: np.ndarray
    offer_until: np.ndarray
    offer_calendar: np.ndarray
    bought: np.ndarray
    asked: np.ndarray
    received: np.ndarray
    outlive: np.ndarray
    beside: np.ndarray
    turn: np.ndarray
    turns: int
    limit: int


@compiled
def offer_lead(supply, offer, day, seed):
    """Lead time in days of a purchase order placed on `day`."""
    vendor = supply.offer_vendor[offer]
    if supply.recorded[vendor, min(day, supply.recorded.shape[1] - 1)] > 0:
        return supply.recorded[vendor, day]
    law = supply.offer_law[offer]
    state = draws.key(draws.key(draws.key(seed, draws.VENDOR_LEAD), supply.offer_key[offer]), day)
    if law == 2:
        first, last = supply.seen_start[vendor], supply.seen_start[vendor + 1]
        state, u = draws.uniform(state)
        k = first
        while k < last - 1 and u * supply.seen_weight[last - 1] >= supply.seen_weight[k]:
            k += 1
        return min(supply.seen_days[k], supply.limit)
    spread = supply.offer_sd[offer] if law == 1 else 0.0
    return draws.lead_days(state, supply.offer_mean[offer], spread, supply.limit)


@compiled
def lane_lead(supply, lane, item_key, day, seed):
    """Lead time in days of a transfer that leaves on `day`."""
    state = draws.key(draws.key(draws.key(seed, draws.LANE_LEAD), supply.lane_key[lane]), day)
    return draws.lead_days(draws.key(state, item_key), supply.lane_mean[lane], supply.lane_sd[lane], supply.limit)


def tiers_of(nodes: int, lane_from: np.ndarray, lane_to: np.ndarray) -> list[list[int]]:
    """Nodes by the longest way down to a node that supplies nobody; most downstream tier first."""
    depth = np.zeros(nodes, np.int64)
    for _ in range(nodes + 1):
        deeper = depth.copy()
        np.maximum.at(deeper, lane_from, depth[lane_to] + 1)
        if (deeper == depth).all():
            return [np.flatnonzero(depth == k).tolist() for k in range(int(depth.max(initial=0)) + 1)]
        depth = deeper
    raise bad("lanes", "", "from_node, to_node", "lanes without a cycle")


def _level_tiers(tiers: list[list[int]], supply: tuple, beside: tuple) -> list[list[int]]:
    """Tiers in which nodes that transship to each other stand side by side, if that keeps suppliers above."""
    depth = {node: k for k, tier in enumerate(tiers) for node in tier}
    pairs = set(zip(*(ends.tolist() for ends in beside), strict=True))
    mutual = [pair for pair in pairs if pair[::-1] in pairs]
    supplies = list(zip(*(ends.tolist() for ends in supply), strict=True))
    found = dict(depth)
    while max(found.values(), default=0) <= len(depth):
        before = dict(found)
        for origin, target in supplies:
            found[origin] = max(found[origin], found[target] + 1)
        for one, other in mutual:
            found[one] = found[other] = max(found[one], found[other])
        if found == before:
            return [sorted(n for n in found if found[n] == k) for k in range(max(found.values(), default=0) + 1)]
    return tiers


def _turns(lanes: pl.DataFrame, target: np.ndarray, beside: np.ndarray) -> np.ndarray:
    """Place of every lane of transshipment among those into its target, by the cost of a kilogram (-1: of supply)."""
    cost = numbers(lanes, "cost_per_unit") + numbers(lanes, "cost_per_kg")
    order = np.lexsort((np.arange(len(target)), numbers(lanes, "lead_time", 1.0), cost))
    turn, asked = np.full(len(target), -1, np.int64), dict.fromkeys(target.tolist(), 0)
    for lane in order[beside[order]].tolist():
        turn[lane] = asked[int(target[lane])]
        asked[int(target[lane])] += 1
    return turn


def read_supply(tables, items: list[str], nodes: list[str]) -> tuple[Supply, list[list[int]]]:
    """Sources of supply of an instance, and the nodes by tier."""
    lanes, offers = frame(tables, "lanes"), frame(tables, "offers")
    origin = rows_of(lanes["from_node"], nodes, "lanes") if lanes.height else np.zeros(0, np.int64)
    target = rows_of(lanes["to_node"], nodes, "lanes") if lanes.height else np.zeros(0, np.int64)
    beside = transships(lanes, frame(tables, "nodes")) if lanes.height else np.zeros(0, np.bool_)
    tiers = tiers_of(len(nodes), origin[~beside], target[~beside])
    tiers = _level_tiers(tiers, (origin[~beside], target[~beside]), (origin[beside], target[beside]))
    regular = np.flatnonzero(~beside)
    into_start, into = compressed(target[~beside], len(nodes))
    turn = _turns(lanes, target, beside)
    most, kept = _assortment(frame(tables, "assortment"), items, nodes)
    if offers.height:
        at = rows_of(offers["item_id"], items, "offers"), rows_of(offers["node_id"], nodes, "offers")
        offers = offers.filter(pl.Series(kept[at]))
    item = rows_of(offers["item_id"], items, "offers") if offers.height else np.zeros(0, np.int64)
    offer_start, order = compressed(item, len(items))
    offers = offers[order] if offers.height else offers
    node = rows_of(offers["node_id"], nodes, "offers") if offers.height else np.zeros(0, np.int64)
    names = texts(offers, "vendor_id")
    vendors = vendor_ids(tables)
    vendor = rows_of(pl.Series("vendor_id", names, dtype=pl.String), vendors)
    seen_start, seen_days, seen_weight = _seen(frame(tables, "lead_times"), vendors)
    law = [LAWS.index(text or "fixed") for text in texts(offers, "lead_time_law", "fixed")]
    keyed = [
        f"{a}\n{b}\n{c}" for a, b, c in zip(texts(offers, "item_id"), names, texts(offers, "node_id"), strict=True)
    ]
    step_start, step_units, step_cost = read_steps(tables, offers)
    rank = {node: k for k, tier in enumerate(tiers) for node in tier}
    days = _calendar(tables, origin, target)
    supply = Supply(
        lane_from=origin,
        lane_to=target,
        lane_mean=numbers(lanes, "lead_time", 1.0),
        lane_sd=numbers(lanes, "lead_time_sd"),
        lane_cost_unit=numbers(lanes, "cost_per_unit"),
        lane_cost_kg=numbers(lanes, "cost_per_kg"),
        lane_carbon=numbers(lanes, "carbon_kg_per_kg"),
        lane_share=_lane_shares(numbers(lanes, "share", 1.0), target, len(nodes), beside),
        lane_rank=np.array([rank[node] for node in target.tolist()], np.int64),
        lane_key=id_keys([f"{nodes[a]}\n{nodes[b]}" for a, b in zip(origin, target, strict=True)]),
        into_start=into_start,
        into=regular[into],
        open=_open_lanes(tables, (item[order], node), (origin, target), (tiers, beside), (items, nodes), kept),
        outlive=_outlive(tables, origin, len(nodes)),
        offer_start=offer_start,
        offer_node=node,
        offer_vendor=vendor,
        offer_cost=numbers(offers, "unit_cost"),
        offer_freight=numbers(offers, "freight_cost"),
        offer_mean=numbers(offers, "lead_time_mean", 1.0),
        offer_sd=numbers(offers, "lead_time_sd"),
        offer_law=np.array(law, np.int64),
        offer_pack=np.maximum(integers(offers, "pack_size", 1), 1),
        offer_least=integers(offers, "min_order"),
        offer_share=numbers(offers, "share", 1.0),
        offer_fixed=numbers(offers, "order_cost"),
        step_start=step_start,
        step_units=step_units,
        step_cost=step_cost,
        offer_key=id_keys(keyed),
        seen_start=seen_start,
        seen_days=seen_days,
        seen_weight=seen_weight,
        recorded=np.zeros((max(len(vendors), 1), 1), np.int64),
        most=most,
        offer_until=days_bought(tables)[item[order]],
        offer_calendar=np.zeros(len(node), np.int64) if days is None else days.open.calendars(names),
        bought=np.zeros((0, 1, len(nodes)), np.bool_) if days is None else days.offers,
        asked=np.zeros((0, len(origin)), np.bool_) if days is None else days.lanes,
        received=np.zeros((0, len(nodes)), np.int64) if days is None else days.received,
        beside=np.flatnonzero(beside),
        turn=turn,
        turns=int(turn.max(initial=-1)) + 1,
        limit=int(tables.settings.lead_time_limit),
    )
    return supply, tiers


def _in_time(tables) -> tuple[np.ndarray, np.ndarray]:
    """Days that each lane takes, `[lanes]`, and whether an item is still good where it arrives, `[items, lanes]`."""
    life = integers(frame(tables, "items"), "shelf_life")
    days = np.ceil(numbers(frame(tables, "lanes"), "lead_time", 1.0)).astype(np.int64)
    return days, (life[:, None] == 0) | (days < life[:, None])


def _outlive(tables, origin: np.ndarray, nodes: int) -> np.ndarray:
    """Days of the slowest lane out of each node on which an item with a shelf life arrives in time."""
    life = integers(frame(tables, "items"), "shelf_life")
    days, good = _in_time(tables)
    most = np.zeros((len(life), nodes), np.int64)
    for lane, node in enumerate(origin.tolist()):
        most[:, node] = np.maximum(most[:, node], np.where(good[:, lane] & (life > 0), days[lane], 0))
    return most


def days_bought(tables) -> np.ndarray:
    """Day from which on nothing is bought of each item, `[items]`."""
    table = frame(tables, "items")
    days = np.full(table.height, NO_BOUND, np.int64)
    if "phase_out" in table.columns:
        known = table["phase_out"].is_not_null().to_numpy()
        dates = table["phase_out"].drop_nulls().to_numpy().astype("datetime64[D]")
        days[known] = tables.settings.periods_of(dates)
    return days


def _calendar(tables, origin: np.ndarray, target: np.ndarray) -> Schedule | None:
    """When orders are made and goods received; None where the instance has no table `calendar`."""
    table = frame(tables, "calendar")
    if not table.height:
        return None
    return schedule(table, tables.settings, frame(tables, "nodes"), (origin, target), tables.settings.periods)


@compiled
def buys(supply, offer, node, day):
    """Whether a node may order through an offer on a day."""
    if day >= supply.offer_until[offer]:
        return False
    if supply.bought.shape[0] == 0:
        return True
    return supply.bought[min(day, supply.bought.shape[0] - 1), supply.offer_calendar[offer], node]


@compiled
def asks(supply, lane, day):
    """Whether a lane may be asked on a day."""
    return supply.asked.shape[0] == 0 or supply.asked[min(day, supply.asked.shape[0] - 1), lane]


@compiled
def arrival(supply, node, day):
    """Day on which a node receives what is due on a day."""
    return supply.received[day, node] if day < supply.received.shape[0] else day


def vendor_ids(tables) -> list[str]:
    """Ids of the vendors, in the order of `Supply.offer_vendor`."""
    return sorted(
        set(texts(frame(tables, "offers"), "vendor_id")) | set(texts(frame(tables, "lead_times"), "vendor_id"))
    )


def with_recorded(supply: Supply, record: pl.DataFrame, vendors: list[str], periods: int) -> Supply:
    """The same supply with recorded lead times: columns `vendor_id`, `day` (period of the order) and
    `days`."""
    days = np.zeros((max(len(vendors), 1), periods), np.int64)
    at = record["day"].to_numpy()
    inside = (at >= 0) & (at < periods)
    days[rows_of(record["vendor_id"], vendors, "recorded lead times")[inside], at[inside]] = np.clip(
        record["days"].to_numpy()[inside], 1, supply.limit
    )
    return supply._replace(recorded=days)


def _lane_shares(share: np.ndarray, target: np.ndarray, nodes: int, beside: np.ndarray) -> np.ndarray:
    """Shares that sum to 1 over the inbound lanes of supply of a node; equal where all are 0."""
    if not len(target):
        return np.zeros(0)
    share = np.where(beside, 0.0, share)
    total = np.bincount(target, share, minlength=nodes)[target]
    count = np.maximum(np.bincount(target, ~beside, minlength=nodes)[target], 1.0)
    return np.where(beside, 0.0, np.where(total > 0, share / np.where(total > 0, total, 1.0), 1.0 / count))


def _seen(table: pl.DataFrame, vendors: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observed lead times by vendor, with weights cumulated within the vendor."""
    if not table.height:
        return np.zeros(len(vendors) + 1, np.int64), np.ones(0, np.int64), np.ones(0)
    start, order = compressed(rows_of(table["vendor_id"], vendors, "lead_times"), len(vendors))
    weight = np.cumsum(numbers(table, "weight", 1.0)[order])
    before = np.concatenate([[0.0], weight])[start[:-1]]
    return start, integers(table, "days", 1)[order], weight - np.repeat(before, np.diff(start))


def _assortment(table: pl.DataFrame, items: list[str], nodes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Most units on hand and on order, and whether a node may order an item, `[items, nodes]`."""
    most = np.full((len(items), len(nodes)), NO_BOUND, np.int64)
    kept = np.ones((len(items), len(nodes)), np.bool_)
    if table.height:
        at = rows_of(table["item_id"], items, "assortment"), rows_of(table["node_id"], nodes, "assortment")
        most[at] = np.floor(np.minimum(numbers(table, "max_units", float(NO_BOUND)), NO_BOUND)).astype(np.int64)
        kept[at] = table["stocked"].to_numpy()
    return most, kept


def _open_lanes(tables, offers: tuple, lanes: tuple, order: tuple, sizes: tuple, kept: np.ndarray) -> np.ndarray:
    """`[items, lanes]`: both ends accept the item, the lower end may order it (`kept`), it is still good there, and the
    upstream end has stock, an offer or an open lane of it."""
    (names, nodes), (tiers, beside) = sizes, order
    items = len(names)
    classes = np.array(texts(frame(tables, "items"), "storage_class", "ambient"))
    supplied = np.zeros((items, len(nodes)), bool)
    supplied[offers] = True
    stock = frame(tables, "on_hand")
    if stock.height:
        stock = stock.filter(pl.col("units") > 0)
        supplied[rows_of(stock["item_id"], names), rows_of(stock["node_id"], nodes)] = True
    accepts = np.ones((items, len(nodes)), bool)
    for n, text in enumerate(texts(frame(tables, "nodes"), "storage_classes")):
        named = [word.strip() for word in text.split(";") if word.strip()]
        if named:
            accepts[:, n] = np.isin(classes, named)
    supplied &= accepts
    open_lanes, good = np.zeros((items, len(lanes[0])), bool), _in_time(tables)[1]
    for tier in reversed(tiers):
        for lane in np.flatnonzero(np.isin(lanes[0], tier) & ~beside):
            open_lanes[:, lane] = supplied[:, lanes[0][lane]] & (accepts & kept)[:, lanes[1][lane]] & good[:, lane]
            supplied[:, lanes[1][lane]] |= open_lanes[:, lane]
    # Transshipment brings an item to no node that has no supply of it.
    for lane in np.flatnonzero(beside):
        origin, target = lanes[0][lane], lanes[1][lane]
        open_lanes[:, lane] = (supplied[:, origin] & supplied[:, target]) & kept[:, target] & good[:, lane]
    return open_lanes
