"""Today's purchase orders as vendors take them: what items want of a vendor, put together (`whole_order`).

What an order of a vendor can hold is a table (`order_lines`), so that the items may come in parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from meio_jax.instance import Instance
from meio_jax.instance.vendor_rhythm import Rhythm
from meio_jax.model.flow_shares import flow_shares
from meio_jax.plans.dates import first_day
from meio_jax.plans.whole_order import Lines, Rules, whole_order
from meio_jax.tables.vendor_rules import vendor_rules

_PAIR = ["vendor_id", "node_id"]
_SIZES = ("value", "volume", "weight")
_NUMBERS = ("units", "fixed", "pack", "smallest", "room", "position", "rate", "variance", "lead", "holding", "penalty")


def order_lines(
    instance: Instance, bought: np.ndarray, leaves: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, pl.DataFrame]:
    """What orders of vendors with rules can hold of the items of an instance.

    Args:
        instance: All items of a catalog, or a part of them.
        bought: What each item is to be ordered without rules `[offers, items]`.
        leaves: Arrays of the items by their names in `ItemBlock`, over all items.

    Returns:
        Offer slot and item of every line, and a row for each: item, vendor, node, and the fields of `Lines`.
    """
    facts, ids, census = _Facts.of(instance, leaves), instance.ids, instance.census
    ruled = {(one.vendor, one.node) for one in census.rhythms}
    vendor, active = leaves["offer_vendor"].astype(int), leaves["offer_active"].astype(bool)
    with_rules = np.asarray([[(name, node) in ruled for node in ids.nodes] for name in ids.vendors])
    slot, item = np.nonzero(active & with_rules[vendor, facts.node[:, None]])
    names = {
        "item_id": np.asarray(instance.items, object)[item],
        "vendor_id": np.asarray(ids.vendors, object)[vendor[slot, item]],
        "node_id": np.asarray(ids.nodes, object)[facts.node[slot]],
    }
    frame = pl.DataFrame(names, schema=dict.fromkeys(names, pl.String))
    return slot, item, frame.with_columns(*_columns(facts.lines((slot, item), bought)))


def _columns(lines: Lines) -> list[pl.Series]:
    """The fields of lines as columns; prices by quantity are lists."""
    numbers = [pl.Series(name, np.asarray(getattr(lines, name), float)) for name in _NUMBERS]
    sizes = [pl.Series(name, np.asarray(lines.sizes[name], float)) for name in _SIZES]
    steps = {"from_units": lines.from_units.T, "prices": lines.prices.T}
    lists = [pl.Series(name, table.tolist(), dtype=pl.List(pl.Float64)) for name, table in steps.items()]
    return [*numbers, *sizes, *lists]


def lines_of(rows: pl.DataFrame) -> Lines:
    """Lines of one order, from their rows."""
    numbers = {name: rows[name].to_numpy() for name in _NUMBERS}
    steps = int(rows["prices"].list.len().to_numpy().max(initial=0))
    table = lambda name: np.asarray(rows[name].to_list(), float).reshape(rows.height, steps).T
    sizes = {name: rows[name].to_numpy() for name in _SIZES}
    return Lines(**numbers, sizes=sizes, from_units=table("from_units"), prices=table("prices"))


@dataclass(frozen=True)
class WholeOrder:
    """An order of a node at a vendor: its lines, their units, and what became of it."""

    vendor: str
    node: str
    rules: Rules
    lines: Lines
    units: np.ndarray
    status: str


def whole_orders(
    instance: Instance, lines: pl.DataFrame, rhythms: tuple[Rhythm, ...]
) -> tuple[pl.DataFrame, list[WholeOrder]]:
    """Orders of vendors with rules.

    Args:
        instance: Whose network, tables of vendors and nodes these are; its items are not looked at.
        lines: What orders can hold, of all items of a catalog (`order_lines`).
        rhythms: How nodes order from these vendors.

    Returns:
        Units that are ordered by `item_id, vendor_id, node_id`, a row for every line, and each whole order.
    """
    rhythm = {(one.vendor, one.node): one for one in rhythms}
    gaps = dict(instance.tables.nodes.select("node_id", "review_period").iter_rows())
    # In the order of ids, whatever parts they come from.
    groups = lines.sort("item_id").partition_by(_PAIR, as_dict=True, maintain_order=True)
    decided, found = [lines.clear().select("item_id", *_PAIR, "units")], []
    for row in vendor_rules(instance.tables.vendors, lines).iter_rows(named=True):
        pair = row["vendor_id"], row["node_id"]
        rules = Rules.of(row, usual=rhythm[pair].units, gap=int(gaps[pair[1]]), every=rhythm[pair].every)
        own = lines_of(groups[pair])
        units, status = whole_order(own, rules)
        decided.append(groups[pair].select("item_id", *_PAIR, units=pl.Series(np.rint(units), dtype=pl.Float64)))
        found.append(WholeOrder(*pair, rules, own, units, status))
    return pl.concat(decided), found


@dataclass(frozen=True)
class _Facts:
    """What is known of every offer slot and item `[offers, items]`; `lasting`: items that are not phased out."""

    instance: Instance
    leaves: dict[str, np.ndarray]
    free: np.ndarray
    fixed: np.ndarray
    rate: np.ndarray
    node: np.ndarray
    lasting: np.ndarray

    @classmethod
    def of(cls, instance: Instance, leaves: dict[str, np.ndarray]) -> _Facts:
        network = instance.network
        node = np.asarray(network.offer_node, int)
        flow = flow_shares(network, leaves["own_share"].astype(float), leaves["source_share"].astype(float))
        mean = leaves["mean_demand"][: network.bucket_periods].mean(0)
        active = leaves["offer_active"].astype(bool) & (leaves["bought_until"] > 0)
        part = np.where(active, flow[node] * leaves["source_share"][: network.offers], 0)
        free, fixed = _decided(instance, leaves, active)
        lasting = leaves["bought_until"] >= network.horizon
        return cls(instance, leaves, free, fixed, part * mean, node, lasting)

    def lines(self, at: tuple[np.ndarray, np.ndarray], bought: np.ndarray) -> Lines:
        """The lines of an order of these offer slots and items."""
        leaves, (slot, item) = self.leaves, at
        node = self.node[slot]
        units = bought[at].astype(float)
        mean = leaves["mean_demand"][: self.instance.network.bucket_periods].mean(0)[item]
        scale = np.where(mean > 0, self.rate[at] / np.where(mean > 0, mean, 1), 0)
        first, second = leaves["demand_variance"].astype(float)[:, item]
        waits = leaves["backorder"][item] > 0
        periods = np.where(waits, leaves["backorder_cost"][item], leaves["lost_sale_cost"][item])
        return Lines(
            units=units,
            fixed=np.minimum(self.fixed[at], units),
            pack=leaves["pack"][at].astype(float),
            smallest=np.maximum(np.ceil(leaves["least"][at] / leaves["pack"][at]), 1).astype(float)
            * leaves["pack"][at],
            room=np.where(self.free[at] & self.lasting[item], self._room(node, item), units),
            position=self._position()[node, item],
            rate=np.where(self.free[at], self.rate[at], 0),
            variance=scale * (1 - scale + scale * first) * mean + second * np.square(scale * mean),
            lead=leaves["offer_lead"][at].astype(float),
            holding=leaves["holding_cost"][item] * np.asarray(self.instance.network.holding_factor, float)[node],
            penalty=periods.astype(float),
            sizes={
                "value": leaves["offer_cost"][at].astype(float),
                "volume": leaves["volume"][item].astype(float),
                "weight": leaves["weight"][item].astype(float),
            },
            from_units=leaves["from_units"][:, *at].astype(float),
            prices=leaves["break_cost"][:, *at].astype(float),
        )

    def _position(self) -> np.ndarray:
        """Stock on hand and on order less what customers wait for `[nodes, items]`."""
        network, leaves = self.instance.network, self.leaves
        position = leaves["on_hand"].astype(float)
        np.add.at(position, np.asarray(network.vendor_nodes, int), leaves["vendor_pipeline"].sum(1))
        np.add.at(position, np.asarray(network.lane_nodes, int), leaves["lane_pipeline"].sum(1))
        if "owed" in leaves:
            position = position - leaves["owed"].sum((0, 1)) * leaves["own_share"]
        return position

    def _room(self, node: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Units that may be ordered of each line: up to the most stock, and no more than half a shelf life sells."""
        most = np.full(len(item), np.inf)
        if "most" in self.leaves:
            most = np.maximum(self.leaves["most"][0][node, item] - self._position()[node, item], 0)
        life = self.instance.tables.items["shelf_life"].cast(pl.Float64).fill_null(np.inf).to_numpy()[item]
        bought = np.zeros((len(self.instance.ids.nodes), self.rate.shape[1]))
        np.add.at(bought, self.node, self.rate)
        keeps = np.isinf(life)
        sold = np.where(keeps, np.inf, np.where(keeps, 0, life) / 2 * bought[node, item])
        return np.minimum(most, np.maximum(sold - np.maximum(self._position()[node, item], 0), 0))


def _decided(instance: Instance, leaves: dict[str, np.ndarray], active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offers whose orders the rules may change, and units that planners have fixed for today `[offers, items]`."""
    free, fixed = active.copy(), np.zeros(active.shape)
    if "source" not in leaves:
        return free, fixed
    today, offers = first_day(instance), active.shape[0]
    row, item = np.nonzero((leaves["day"] == today) & (leaves["source"] >= 0) & (leaves["source"] < offers))
    slot = leaves["source"][row, item].astype(int)
    np.add.at(fixed, (slot, item), leaves["units"][row, item])
    free[slot, item] = False
    for name in ("closed_until", "frozen_until"):
        if name in leaves:
            free &= leaves[name][:offers] < today
    return free, fixed


def whole_order_frame(orders: list[WholeOrder]) -> pl.DataFrame:
    """What became of the order of every vendor and node with rules (`plan/vendor_orders`)."""
    return pl.DataFrame([_row(one) for one in orders], schema=_SCHEMA)


def _row(one: WholeOrder) -> dict[str, object]:
    wished, lines = one.lines, one.units > 0
    load = {name: float(one.units @ size) for name, size in wished.sizes.items()}
    trucks = one.rules.count(load)
    cost = one.rules.order_cost + one.rules.truck_cost * trucks if lines.any() else 0.0
    return {
        "vendor_id": one.vendor,
        "node_id": one.node,
        "status": one.status or "nothing to order",
        "lines": int(lines.sum()),
        "units": int(np.rint(one.units.sum())),
        "wanted_units": int(np.rint(wished.units.sum())),
        **load,
        "trucks": trucks,
        "order_cost": float(cost),
        "every": one.rules.every * one.rules.gap,
        "usual_units": float(one.rules.usual),
    }


_SCHEMA = {
    "vendor_id": pl.String, "node_id": pl.String, "status": pl.String, "lines": pl.Int64, "units": pl.Int64,
    "wanted_units": pl.Int64, "value": pl.Float64, "volume": pl.Float64, "weight": pl.Float64, "trucks": pl.Int64,
    "order_cost": pl.Float64, "every": pl.Int64, "usual_units": pl.Float64,
}  # fmt: skip
