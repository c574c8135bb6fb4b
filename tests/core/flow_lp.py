"""The clairvoyant problem of one item and one scenario as a linear program, written arc by arc and solved by HiGHS."""

from __future__ import annotations

import highspy
import numpy as np

from meio_jax.model.network import ItemBlock, Network
from meio_jax.model.resources import Resources
from meio_jax.scenarios import Scenarios


class Program:
    """A linear program built column by column: rows are balances, columns are flows >= 0."""

    def __init__(self) -> None:
        self.rows: dict[tuple, int] = {}
        self.right: list[float] = []
        self.columns: list[tuple[float, list[tuple[int, float]]]] = []

    def row(self, name: tuple, right: float = 0.0) -> int:
        if name not in self.rows:
            self.rows[name] = len(self.right)
            self.right.append(0.0)
        self.right[self.rows[name]] += right
        return self.rows[name]

    def flow(self, cost: float, out_of: int | None, into: int | None) -> None:
        entries = [(row, sign) for row, sign in ((out_of, -1.0), (into, 1.0)) if row is not None]
        self.columns.append((cost, entries))

    def solve(self) -> float:
        """Optimal value; -inf if unbounded."""
        solver = highspy.Highs()
        solver.setOptionValue("output_flag", False)
        solver.addVars(len(self.columns), np.zeros(len(self.columns)), np.full(len(self.columns), highspy.kHighsInf))
        cost = np.asarray([c for c, _ in self.columns])
        solver.changeColsCost(len(cost), np.arange(len(cost), dtype=np.int32), cost)
        by_row: list[list[tuple[int, float]]] = [[] for _ in self.right]
        for column, (_, entries) in enumerate(self.columns):
            for row, sign in entries:
                by_row[row].append((column, sign))
        for right, entries in zip(self.right, by_row, strict=True):
            index = np.asarray([c for c, _ in entries], np.int32)
            solver.addRow(right, right, len(index), index, np.asarray([v for _, v in entries]))
        solver.run()
        status = solver.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            return -np.inf
        return solver.getObjectiveValue()


def _priced(network: Network, resources: Resources, block: ItemBlock, prices: np.ndarray, item: int) -> dict:
    """Price of one unit of flow by bucket: a plain loop over the rows of the resources."""
    weight = np.asarray(resources.item_weight(block))[:, item]
    table = {k: np.zeros((network.buckets, network.nodes)) for k in ("stock", "inbound", "outbound")}
    table["lane"] = np.zeros((network.buckets, network.lanes))
    table["offer"] = np.zeros((network.buckets, network.offers))
    table["reward"] = np.zeros((network.buckets, network.speeds, max(network.region_groups, 1)))
    table["floor"] = np.zeros_like(table["reward"])
    for r in range(resources.count):
        for b in range(network.buckets):
            price = prices[b, r] if resources.present[b, r] else 0.0
            for kind in ("stock", "inbound", "outbound", "lane"):
                table[kind][b] += price * weight[r] * np.asarray(getattr(resources, kind)[r])
            if resources.is_service[r]:
                table["reward"][b] += price * weight[r] * np.asarray(resources.service[r])
                table["floor"][b] += price * float(resources.capacity[b, r]) * np.asarray(resources.service[r])
            if r in resources.order_index:
                row = resources.order_index.index(r)
                vendor = int(resources.order_vendor[row])
                for k in range(network.offers):
                    if vendor < 0 or vendor == int(block.offer_vendor[k, item]):
                        value = float(block.offer_cost[k, item]) if int(resources.measure[r]) == 3 else 1.0
                        table["offer"][b, k] += price * weight[r] * float(resources.offer[row, k]) * value
    return table


def least_cost(
    network: Network,
    resources: Resources,
    block: ItemBlock,
    scenarios: Scenarios,
    prices: np.ndarray,
    item: int,
    column: int,
) -> float:
    """Least priced cost of one item in one scenario (a column of the batch), everything known in advance."""
    program, total = Program(), 0.0
    price = _priced(network, resources, block, np.asarray(prices, float), item)
    weight, horizon = float(block.weight[item]), network.periods
    credit = float(block.end_value[0, item])
    leads = np.asarray(scenarios.lane_lead)
    demand = np.asarray(scenarios.demand, float)[..., column]
    nodes = range(network.nodes)

    def node(n: int, t: int) -> int:
        return program.row(("stock", n, t))

    def lane_lead(t: int, lane: int) -> int:
        return int(leads[lane] if leads.ndim == 1 else leads[t, lane, min(column, leads.shape[2] - 1)])

    for n in nodes:
        program.row(("stock", n, 0), -float(block.on_hand[n, item]))
    for rows, pipe in (
        (network.vendor_nodes, block.vendor_pipeline),
        (network.lane_nodes, block.lane_pipeline),
    ):
        for at, n in enumerate(rows):
            for due in range(pipe.shape[1]):
                units = float(pipe[at, due, item])
                if due >= horizon:
                    total -= credit * units
                    continue
                bucket = due // network.bucket_periods
                receipt = float(network.inbound_cost[n]) + price["inbound"][bucket, n]
                total += float(network.charged[due]) * receipt * units
                program.row(("stock", n, due), -units)
    for t in range(horizon):
        b, on = t // network.bucket_periods, float(network.charged[t])

        def arrive(cost: float, source: int | None, n: int, due: int) -> None:
            if due >= horizon:
                program.flow(cost - credit, source, None)
                return
            receipt = float(network.inbound_cost[n]) + price["inbound"][due // network.bucket_periods, n]
            program.flow(cost + float(network.charged[due]) * receipt, source, node(n, due))

        for n in nodes:
            hold = on * (float(network.holding_factor[n] * block.holding_cost[item]) + price["stock"][b, n])
            program.flow(
                hold - (credit if t + 1 == horizon else 0),
                node(n, t),
                None if t + 1 == horizon else node(n, t + 1),
            )
        for k, n in enumerate(network.offer_node):
            if bool(network.review[t, n]) and bool(block.offer_active[k, item]):
                cost = float(block.offer_cost[k, item] + block.offer_freight[k, item]) + price["offer"][b, k]
                arrive(on * cost, None, n, t + int(scenarios.vendor_lead[t, k, column]))
        for k, (n, m) in enumerate(zip(network.lane_from, network.lane_to, strict=True)):
            if bool(network.review[t, m]) and bool(block.stockable[n, item] & block.stockable[m, item]):
                lead = lane_lead(t, k)
                cost = float(network.lane_cost_unit[k]) + float(network.lane_cost_kg[k]) * weight + price["lane"][b, k]
                if network.pipeline_holding:
                    cost += float(network.holding_factor[n] * block.holding_cost[item]) * lead
                arrive(on * cost, node(n, t), m, t + lead)
        total += _serve(network, block, program, price, demand[t], item, t, node)
    return total + program.solve()


def _serve(network, block, program, price, demand, item, t, node) -> float:
    """Arcs from stock to demand of one period; returns what service floors ask of the demand."""
    b, on, weight = t // network.bucket_periods, float(network.charged[t]), float(block.weight[item])
    allowed = np.asarray(network.eligible & block.group_stockable)
    lasts = t + 1 == network.periods
    credit = float(block.end_value[0, item])
    fixed = 0.0

    def ship(row: int, wave: int, speed: int, region: int, extra: float) -> None:
        for n in range(network.nodes):
            if allowed[wave, speed, region, n]:
                cost = float(network.outbound_unit[speed, region, n] + network.outbound_kg[speed, region, n] * weight)
                cost += float(network.handling_cost[n]) + price["outbound"][b, n]
                program.flow(on * cost + extra, node(n, t), row)

    def unmet(row: int, speed: int, region: int) -> None:
        if not bool(block.backorder[item]):
            program.flow(on * float(block.lost_sale_cost[item]), None, row)
            return
        waiting = on * float(block.backorder_cost[item])
        later = None if lasts else program.row(("backlog", speed, region, t + 1))
        program.flow(waiting + (credit if lasts else 0), later, row)

    def options(name: tuple, wave: int, speed: int, region: int) -> None:
        """Serve at this speed, go without, or take the next slower one."""
        row = program.row(name)
        ship(row, wave, speed, region, 0.0)
        unmet(row, speed, region)
        if speed + 1 < network.speeds and float(block.downgrade_share[item]) > 0:
            slower = program.row((*name[:1], speed + 1, *name[2:]))
            program.flow(on * float(block.downgrade_cost[item]), slower, row)

    for region in range(network.regions):
        group = int(network.region_group[region]) if network.region_groups else 0
        for speed in range(network.speeds):
            if bool(block.backorder[item]):
                options(("backlog", speed, region, t), 0, speed, region)
            for wave in range(network.waves):
                units = float(demand[wave, speed, region])
                options(("open", speed, region, t, wave), wave, speed, region)
                own = program.row(("demand", wave, speed, region, t), units)
                program.flow(0.0, program.row(("open", speed, region, t, wave)), own)
                ship(own, wave, speed, region, -on * price["reward"][b, speed, group])
                fixed += on * price["floor"][b, speed, group] * units
    return fixed
