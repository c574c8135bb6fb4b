"""The period of the design page (section 3) as plain loops over one item and one scenario.

Written from the page, without a look-up table or an array product in common with the planner: agreement of the two
is agreement of two readings of the page.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
from helpers import Case

from meio_jax.model.network import ItemBlock

TINY = 1e-12


@dataclass
class Ledger:
    """What one scenario of one item did. Costs and units count charged periods only; flows are by bucket."""

    costs: dict[str, float] = field(default_factory=dict)
    units: dict[str, float] = field(default_factory=dict)
    flows: dict[tuple, float] = field(default_factory=dict)
    stock: list[np.ndarray] = field(default_factory=list)

    def cost(self, name: str, value: float) -> None:
        self.costs[name] = self.costs.get(name, 0.0) + value

    def unit(self, name: str, value: float) -> None:
        self.units[name] = self.units.get(name, 0.0) + value

    def flow(self, *key_and_value: object) -> None:
        *key, value = key_and_value
        self.flows[tuple(key)] = self.flows.get(tuple(key), 0.0) + float(value)


def numpy_of(tree: object, at: tuple | slice = ()) -> SimpleNamespace:
    """The arrays of a module, all of them, or of one item or scenario."""
    return SimpleNamespace(
        **{
            name: np.asarray(value)[at if value.ndim else ()] if hasattr(value, "dtype") else value
            for name, value in vars(tree).items()
        }
    )


def items_only(block: ItemBlock) -> SimpleNamespace:
    """The fields of a block that have an item axis."""
    return SimpleNamespace(**{k: v for k, v in vars(block).items() if not k.startswith("group")})


@dataclass
class Lots:
    """Units of one item by node and by the last day on which they can be sold."""

    life: float
    outlive: np.ndarray
    waste_cost: float
    nodes: list[dict[float, float]]

    @classmethod
    def at_start(cls, shelf: object, which: int, on_hand: np.ndarray) -> Lots:
        """What `stale` does not tell apart counts as received on day 0."""
        own = numpy_of(shelf, (..., which))
        lots: list[dict[float, float]] = []
        for node, units in enumerate(on_hand):
            up_to = [0.0, *own.stale[:, node]]
            known = {float(k): up_to[k + 1] - up_to[k] for k in range(len(up_to) - 1)}
            lots.append({**known, float("inf"): units - up_to[-1]})
        return cls(float(own.life), own.outlive, float(own.waste_cost), lots)

    def add(self, node: int, last: float, units: float) -> None:
        self.nodes[node][last] = self.nodes[node].get(last, 0.0) + units

    def able(self, node: int, day: int) -> float:
        """Units that live long enough to be shipped on a day."""
        return sum(units for last, units in self.nodes[node].items() if last >= day + self.outlive[node])

    def take(self, node: int, units: float, first: float) -> dict[float, float]:
        """Take the oldest units of those whose last day is `first` or later."""
        parts = {}
        for last in sorted(last for last in self.nodes[node] if last >= first):
            parts[last] = min(units, self.nodes[node][last])
            self.nodes[node][last] -= parts[last]
            units -= parts[last]
        return parts

    def expire(self, node: int, day: int) -> float:
        return sum(self.nodes[node].pop(last) for last in list(self.nodes[node]) if last <= day)


def ask_round(wanted: dict, stock: np.ndarray, asked_node: dict) -> dict:
    """One round: what each class gets. Classes that ask a short node share its stock in proportion."""
    got = {}
    for node in range(stock.size):
        askers = [k for k in wanted if asked_node[k] == node]
        total = sum(wanted[k] for k in askers)
        ratio = 1.0 if total <= max(stock[node], TINY) else stock[node] / total
        for k in askers:
            got[k] = wanted[k] * ratio
        stock[node] = max(stock[node] - total, 0.0)
    return got


class DockQueues:
    """Docks of one item and scenario: what passes on a day by node, and what waits outside and to leave."""

    def __init__(self, case: Case, scenario: int) -> None:
        docks, nodes = case.network.docks, case.network.nodes
        self.passes = np.ones((2, 2, case.network.periods, nodes))
        self.outside = {kind: np.zeros(nodes) for kind in ("vendor", "lane")}
        self.old: dict[int, dict[float, float]] = {node: {} for node in range(nodes)}
        self.leaving = np.zeros(nodes)
        if docks is not None:
            for queue, (node, out) in enumerate(zip(docks.node, docks.outbound, strict=True)):
                for which, share in enumerate((docks.shares.waiting, docks.shares.due)):
                    own = np.asarray(share)[:, queue]
                    self.passes[int(out), which, :, node] = own[:, min(scenario, own.shape[1] - 1)]

    def unload(self, kind: str, t: int, node: int, due: float) -> float:
        """Units of a pipeline that pass: of what waits and of what is due."""
        waiting, fresh = self.passes[0, :, t, node]
        before = self.outside[kind][node]
        received = waiting * before + fresh * due
        self.outside[kind][node] = before + due - received
        return received

    def unload_by_life(self, node: int, due: dict[float, float], received: float) -> dict[float, float]:
        """Lots of lanes that pass: of all that stand there the same part."""
        there = self.old[node]
        for last, units in due.items():
            there[last] = there.get(last, 0.0) + units
        part = received / total if (total := sum(there.values())) > 0 else 0.0
        self.old[node] = {last: units * (1 - part) for last, units in there.items()}
        return {last: units * part for last, units in there.items()}

    def close(self, t: int, shipped: np.ndarray) -> None:
        """What was promised and does not leave waits."""
        waiting, fresh = self.passes[1, :, t]
        self.leaving = self.leaving * (1 - waiting) + shipped * (1 - fresh)


def serve_wave(net, item, lists, demand, stock, book, bucket, *, promised, reserved, leaves):
    """Serve one wave: `demand[speed, region]`; returns what is left of it after downgrades.

    `leaves` is the share of what is promised that leaves each node on the day.
    """
    left = np.zeros_like(demand)
    arrived = np.zeros(net.regions)
    for s in range(net.speeds):
        wanted = {r: demand[s, r] + arrived[r] for r in range(net.regions)}
        first_wanted, at_once = dict(wanted), dict.fromkeys(wanted, 0.0)
        usable = np.maximum(stock - reserved[s], 0.0)
        kept = stock - usable
        for p in range(lists.node.shape[1]):
            got = ask_round(wanted, usable, {r: lists.node[s, p, r] for r in wanted})
            for r, units in got.items():
                node = lists.node[s, p, r]
                book.cost("outbound", units * (lists.cost_unit[s, p, r] + lists.cost_kg[s, p, r] * item.weight))
                book.cost("handling", units * net.handling_cost[node])
                book.unit("carbon", units * lists.carbon[s, p, r])
                book.unit("shipped", units)
                book.flow("outbound", bucket, node, units)
                at_once[r] += units * leaves[node] if units else 0.0
                wanted[r] -= units
        stock[:] = kept + usable
        for r in range(net.regions):
            if promised and first_wanted[r] > 0:
                # A downgraded unit counts as promised at its own speed only.
                share = at_once[r] / first_wanted[r]
                book.flow("served", bucket, s, net.region_group[r], demand[s, r] * share)
            moved = wanted[r] * item.downgrade_share if s + 1 < net.speeds else 0.0
            book.cost("downgrade", moved * item.downgrade_cost)
            book.unit("downgraded", moved)
            arrived[r] = moved
            left[s, r] = wanted[r] - moved
    return left


def order_up_to(net, item, target, t, waiting, on_hand, on_order, vendor, lane, leads, book, bucket, placed_on, lots):
    """Base-stock orders, downstream tiers first; suppliers ship what they have, urgent lanes first.

    In the morning a position is counted as it is expected to stand after the day's sales, and a supplier keeps what its
    own customers are expected to ask. `placed_on` is the day from which lead times count.
    """
    placed_vendor, placed_lane = [], []
    own = np.zeros(net.nodes) if net.evening else item.own_share * item.mean_demand[t]
    for tier in net.tiers:
        wanted = {}
        for node in tier:
            sold = own[node] if item.backorder else min(own[node], on_hand[node])
            position = on_hand[node] + on_order[node] - waiting[node] - sold
            raised = max(target[node] - position, 0.0) if net.review[t, node] else 0.0
            for k, (to, _) in enumerate(zip(net.offer_node, net.offer_rank, strict=True)):
                if to == node:
                    wanted["offer", k] = raised * item.source_share[k]
            for k, to in enumerate(net.lane_to):
                if to == node:
                    wanted["lane", k] = raised * item.source_share[len(net.offer_node) + k]
        moved = []
        for urgency in range(net.priority_ranks):
            lanes = [k for kind, k in wanted if kind == "lane" and net.lane_urgency[k] == urgency]
            kept = np.minimum(on_hand, own)
            free = on_hand - kept
            if lots is not None:
                gone = [sum(units for k, units in moved if net.lane_from[k] == n) for n in range(net.nodes)]
                able = np.asarray([lots.able(n, placed_on) for n in range(net.nodes)]) - gone
                free = np.minimum(free, able)
                kept = on_hand - free
            got = ask_round({k: wanted["lane", k] for k in lanes}, free, {k: net.lane_from[k] for k in lanes})
            on_hand[:] = kept + free
            for k, units in got.items():
                on_order[net.lane_to[k]] += units
                moved.append((k, units))
        for origin in range(net.nodes):
            mine = [(k, units) for k, units in moved if net.lane_from[k] == origin]
            total = sum(units for _, units in mine)
            parts = {} if lots is None else lots.take(origin, total, placed_on + lots.outlive[origin])
            for k, units in mine:
                # Lanes that leave a node on a day carry the same mix.
                placed_lane.append((k, units, {d: u * units / total for d, u in parts.items() if total > 0}))
        for (kind, k), units in wanted.items():
            if kind == "offer":
                on_order[net.offer_node[k]] += units
                placed_vendor.append((k, units))
    for k, units, parts in placed_lane:
        book.cost("transfer", units * (net.lane_cost_unit[k] + net.lane_cost_kg[k] * item.weight))
        book.unit("carbon", units * net.lane_carbon_kg[k] * item.weight)
        book.cost("holding", units * leads.lane[t, k] * item.holding_cost * net.holding_factor[net.lane_from[k]])
        book.flow("lane", bucket, k, units)
        lane[net.lane_to[k]].append((placed_on + leads.lane[t, k], units, parts))
    for k, units in placed_vendor:
        book.cost("purchase", units * item.offer_cost[k])
        book.cost("inbound", units * item.offer_freight[k])
        book.flow("offer", bucket, k, units)
        vendor[net.offer_node[k]].append((placed_on + leads.vendor[t, k], units, None))


def _sizes(case: Case) -> SimpleNamespace:
    net = numpy_of(case.network)
    net.speeds, net.regions, net.waves = case.network.speeds, case.network.regions, case.network.waves
    return net


def simulate(case: Case, target: np.ndarray, which: int, scenario: int, protection: np.ndarray | None = None) -> Ledger:
    """One item and scenario under base-stock `target [buckets, nodes]`; `protection [buckets, nodes]` binds speed 1."""
    net, item = _sizes(case), numpy_of(items_only(case.block), (..., which))
    column = which * case.samples + scenario
    demand = np.asarray(case.scenarios.demand)[..., column]
    leads = SimpleNamespace(
        vendor=np.asarray(case.scenarios.vendor_lead)[..., column],
        lane=np.asarray(case.scenarios.lane_lead)[..., column],
    )
    on_hand = np.asarray(case.block.on_hand)[:, which].copy()
    vendor = {n: [] for n in range(net.nodes)}
    lane = {n: [] for n in range(net.nodes)}
    for table, rows, into in (
        (item.vendor_pipeline, case.network.vendor_nodes, vendor),
        (item.lane_pipeline, case.network.lane_nodes, lane),
    ):
        for row, node in enumerate(rows):
            into[node] += [(due, float(units), None) for due, units in enumerate(table[row])]
    on_order = np.asarray([sum(u for _, u, _ in vendor[n] + lane[n]) for n in range(net.nodes)])
    shelf = case.block.shelf
    lots = None if shelf is None else Lots.at_start(shelf, which, on_hand)
    if lots is not None:
        # What is between nodes at the start counts as received on day 0.
        lane = {n: [(due, units, {lots.life - 1: units}) for due, units, _ in lane[n]] for n in range(net.nodes)}
    backlog = np.zeros((net.speeds, net.regions))
    docks = DockQueues(case, scenario)
    book, silent = Ledger(), Ledger()

    def decide(t, bucket, lists, now, placed_on):
        waiting = np.zeros(net.nodes)
        for s in range(net.speeds):
            for r in range(net.regions):
                first = lists.node[0, s, 0, r]
                if first < net.nodes:
                    waiting[first] += backlog[s, r]
        order_up_to(
            net, item, target[bucket], t, waiting, on_hand, on_order, vendor, lane, leads, now, bucket, placed_on, lots
        )

    if net.evening:
        decide(0, 0, numpy_of(case.lists, (0,)), book if net.charged[0] else silent, -1)
    for t in range(net.periods):
        bucket = t // net.bucket_periods
        now = book if net.charged[t] else silent
        lists = numpy_of(case.lists, (bucket,))
        wasted = np.zeros(net.nodes)
        for node in range(net.nodes):
            bought, moved = (sum(u for when, u, _ in rows[node] if when == t) for rows in (vendor, lane))
            received = [docks.unload(kind, t, node, u) for kind, u in (("vendor", bought), ("lane", moved))]
            on_hand[node] += sum(received)
            on_order[node] -= sum(received)
            if lots is not None:
                lots.add(node, t + lots.life - 1, received[0])
                due: dict[float, float] = {}
                for when, _, parts in lane[node]:
                    for last, part in (parts if when == t else {}).items():
                        due[last] = due.get(last, 0.0) + part
                for last, part in docks.unload_by_life(node, due, received[1]).items():
                    lots.add(node, last, part)
                wasted[node] = lots.expire(node, t - 1)
                on_hand[node] -= wasted[node]
            now.cost("inbound", sum(received) * net.inbound_cost[node])
            now.flow("inbound", bucket, node, bought + moved)
        if not net.evening:
            decide(t, bucket, lists, now, t)
        reserved = np.zeros((net.speeds, net.nodes))
        if protection is not None:
            reserved[1] = protection[bucket]
        unmet = np.zeros_like(backlog)
        morning = on_hand.copy()
        waves = [(numpy_of(lists, (w,)), demand[t, w], True) for w in range(net.waves)]
        if case.network.backorders:
            waves.insert(0, (numpy_of(lists, (0,)), backlog, False))
        for wave_lists, arriving, promised in waves:
            unmet += serve_wave(
                net, item, wave_lists, arriving, on_hand, now, bucket, promised=promised, reserved=reserved,
                leaves=docks.passes[1, 1, t],
            )  # fmt: skip
        docks.close(t, morning - on_hand)
        for s in range(net.speeds):
            for r in range(net.regions):
                now.flow("wanted", bucket, s, net.region_group[r], demand[t, :, s, r].sum())
        backlog = unmet if item.backorder else np.zeros_like(unmet)
        gone = 0.0 if item.backorder else unmet.sum()
        if lots is not None:
            for node in range(net.nodes):
                lots.take(node, morning[node] - on_hand[node], -np.inf)
                gone_today = lots.expire(node, t)
                on_hand[node] -= gone_today
                wasted[node] += gone_today
                now.flow("wasted", bucket, node, wasted[node])
            now.cost("waste", wasted.sum() * lots.waste_cost)
            now.unit("wasted", wasted.sum())
        if net.evening:
            decide(t, bucket, lists, now, t)
        outside = docks.outside["vendor"] + docks.outside["lane"]
        now.cost("holding", item.holding_cost * (net.holding_factor * (on_hand + outside + docks.leaving)).sum())
        now.cost("lost_sale", gone * item.lost_sale_cost)
        now.cost("backorder", (backlog.sum() + docks.leaving.sum()) * item.backorder_cost)
        now.unit("lost", gone)
        now.unit("backordered", backlog.sum())
        now.unit("demand", demand[t].sum())
        for node in range(net.nodes):
            now.flow("stock", bucket, node, on_hand[node] + docks.leaving[node])
            now.flow("outside", bucket, node, outside[node])
        book.stock.append(on_hand.copy())
    credit = (item.end_value * on_hand + item.end_value_due * on_order).sum() - item.end_value.max() * backlog.sum()
    book.cost("terminal", -credit)
    return book
