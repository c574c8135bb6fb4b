"""A two-stage newsvendor network as an extensive-form linear program, solved by HiGHS.

    min  sum_in c_in x_in + sum_iska w (a_ik - k_in) z_isk + sum_is w p_i d_is
    s.t. sum_{k at n} z_isk - x_in           <= 0       every item i, scenario s, node n
         sum_{k of class} z_isk              <= d_isc   every item, scenario and class c
         sum_i v_i (x_in - sum_sk w z_isk)   <= storage of n
         sum_isk w z_isk                     <= outbound of n

with orders x, sales z over pairs k of a node and a class, weight w = 1 / scenarios, parcel and handling cost less what
a lost sale costs a, and holding cost less credit of a unit that is kept k (already part of c and taken back by z).
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
from scipy import sparse

from meio_jax.tables import Tables

_EXACT = 1e-6


@dataclass(frozen=True)
class Optimum:
    """Optimum of a program: value, orders `[items, nodes]` (empty with full knowledge), duals by resource."""

    value: float
    order: np.ndarray
    duals: np.ndarray


@dataclass(frozen=True)
class Data:
    """Numbers of an instance; a pair is a (node, class) that may be served, `[items, pairs]` where it has two axes."""

    buy: np.ndarray
    kept: np.ndarray
    gain: np.ndarray
    lost: np.ndarray
    volume: np.ndarray
    pair_node: np.ndarray
    pair_class: np.ndarray
    capacity: np.ndarray


def read(tables: Tables) -> Data:
    """The instance as arrays; capacities are storage of all nodes, then outbound of all nodes."""
    items, nodes = tables.items, tables.nodes
    place = {name: at for at, name in enumerate(nodes["node_id"])}
    region = {name: at for at, name in enumerate(tables.regions["region_id"])}
    offers = items.select("item_id").join(nodes.select("node_id"), how="cross")
    offers = offers.join(tables.offers, on=["item_id", "node_id"], how="left", maintain_order="left")
    landed = (offers["unit_cost"] + offers["freight_cost"]).to_numpy().reshape(items.height, nodes.height)
    credit = tables.settings.terminal_credit * items["unit_cost"].to_numpy()
    kept = np.outer(items["holding_cost"].to_numpy(), nodes["holding_factor"].to_numpy()) - credit[:, None]
    lost = items["lost_sale_cost"].to_numpy()
    pair_node, pair_class, parcel = [], [], []
    for speed, factor in enumerate(tables.speeds["cost_factor"]):
        for row in tables.transit.iter_rows(named=True):
            pair_node.append(place[row["node_id"]])
            pair_class.append(speed * len(region) + region[row["region_id"]])
            parcel.append(factor * row["cost_per_unit"])
    serve = np.asarray(parcel) + nodes["handling_cost"].to_numpy()[pair_node]
    return Data(
        buy=landed + nodes["inbound_cost"].to_numpy() + kept,
        kept=kept,
        gain=serve[None, :] - lost[:, None] - kept[:, pair_node],
        lost=lost,
        volume=items["volume_m3"].to_numpy(),
        pair_node=np.asarray(pair_node),
        pair_class=np.asarray(pair_class),
        capacity=tables.resources["capacity"].to_numpy(),
    )


class Extensive:
    """The program of an instance and its sampled demand `[items, scenarios, classes]`, kept in HiGHS.

    Capacities can be changed, priced away, and orders fixed; each solve starts from the last basis. With
    `knows_all` every scenario has orders of its own: what full knowledge of demand would give.
    """

    def __init__(self, data: Data, demand: np.ndarray, *, knows_all: bool = False) -> None:
        self.data, self.demand = data, demand
        items, scenarios, classes = demand.shape
        self.nodes, self.sets = data.buy.shape[1], scenarios if knows_all else 1
        pairs = len(data.pair_node)
        self.orders, self.sales = items * self.sets * self.nodes, items * scenarios * pairs
        self.weight = 1 / scenarios
        item, scene, pair = (axis.ravel() for axis in np.indices((items, scenarios, pairs)))
        node, column = data.pair_node[pair], self.orders + np.arange(self.sales)
        b_item, b_scene, b_node = (axis.ravel() for axis in np.indices((items, scenarios, self.nodes)))
        bought = (b_item * self.sets + (b_scene if knows_all else 0)) * self.nodes + b_node
        first, balances = 2 * self.nodes, items * scenarios * self.nodes
        o_item, _, o_node = (axis.ravel() for axis in np.indices((items, self.sets, self.nodes)))
        volume = data.volume
        entries = [
            (o_node, np.arange(self.orders), volume[o_item] / self.sets),
            (node, column, -self.weight * volume[item]),
            (self.nodes + node, column, np.full(self.sales, self.weight)),
            (first + np.arange(balances), bought, np.full(balances, -1.0)),
            (first + (item * scenarios + scene) * self.nodes + node, column, np.ones(self.sales)),
            (
                first + balances + (item * scenarios + scene) * classes + data.pair_class[pair],
                column,
                np.ones(self.sales),
            ),
        ]
        rows, columns, values = (np.concatenate(part) for part in zip(*entries, strict=True))
        upper = np.concatenate([data.capacity, np.zeros(balances), demand.ravel()])
        self.matrix = sparse.csc_matrix((values, (rows, columns)), shape=(len(upper), self.orders + self.sales))
        self.cost = np.concatenate([data.buy[o_item, o_node] / self.sets, self.weight * data.gain[item, pair]])
        self.constant = self.weight * float(np.sum(data.lost[:, None, None] * demand))
        self.highs = load(self.cost, self.matrix, upper)

    def solve(self, capacity: np.ndarray | None = None) -> Optimum:
        """The optimum, with the given capacities (default: those of the instance)."""
        limits = self.data.capacity if capacity is None else capacity
        for row, limit in enumerate(limits):
            self.highs.changeRowBounds(row, -highspy.kHighsInf, float(limit))
        self.highs.run()
        if self.highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise RuntimeError(f"HiGHS: {self.highs.modelStatusToString(self.highs.getModelStatus())}")
        found = self.highs.getSolution()
        order = np.asarray(found.col_value[: self.orders]).reshape(-1, self.nodes) if self.sets == 1 else np.zeros(0)
        duals = -np.asarray(found.row_dual[: 2 * self.nodes])
        return Optimum(self.highs.getObjectiveValue() + self.constant, order, duals)

    def at_prices(self, prices: np.ndarray) -> float:
        """The least cost with capacities priced instead of kept: a lower bound, by weak duality."""
        self._costs(self.cost + self.matrix[: 2 * self.nodes].T @ prices)
        free = np.full(2 * self.nodes, highspy.kHighsInf)
        value = self.solve(free).value - float(prices @ self.data.capacity)
        self._costs(self.cost)
        return value

    def each_at_prices(self, prices: np.ndarray) -> np.ndarray:
        """With full knowledge and capacities priced the program falls apart by scenario: the least cost of each."""
        if self.sets == 1:
            raise ValueError("One order serves all scenarios: there is no value of a single one.")
        cost = self.cost + self.matrix[: 2 * self.nodes].T @ prices
        self._costs(cost)
        free = np.full(2 * self.nodes, highspy.kHighsInf)
        self.solve(free)
        paid = cost * np.asarray(self.highs.getSolution().col_value)
        self._costs(self.cost)
        items = self.demand.shape[0]
        total = paid[: self.orders].reshape(items, self.sets, -1).sum((0, 2))
        total += paid[self.orders :].reshape(items, self.sets, -1).sum((0, 2))
        lost = np.einsum("i,isc->s", self.data.lost, self.demand)
        return total / self.weight + lost - float(prices @ self.data.capacity)

    def with_orders(self, order: np.ndarray, capacity: np.ndarray) -> float:
        """The least cost when the orders are given and only the recourse is decided."""
        columns = np.arange(self.orders, dtype=np.int32)
        self.highs.changeColsBounds(self.orders, columns, order.ravel(), order.ravel())
        value = self.solve(capacity).value
        self.highs.changeColsBounds(
            self.orders, columns, np.zeros(self.orders), np.full(self.orders, highspy.kHighsInf)
        )
        return value

    def dual_ranges(self, share: float = _EXACT) -> np.ndarray:
        """Least and largest dual `[resources, 2]` as each capacity moves by +-`share` of itself, the others fixed.

        With the default, next to no move, the two differ only where the dual is not unique.
        """
        ranges = np.zeros((2 * self.nodes, 2))
        for row, size in enumerate(self.data.capacity):
            for side, sign in enumerate((1, -1)):
                moved = self.data.capacity.copy()
                moved[row] = size * (1 + sign * share)
                ranges[row, side] = self.solve(moved).duals[row]
        return ranges

    def _costs(self, cost: np.ndarray) -> None:
        self.highs.changeColsCost(len(cost), np.arange(len(cost), dtype=np.int32), cost)


def load(cost: np.ndarray, matrix: sparse.csc_matrix, upper: np.ndarray) -> highspy.Highs:
    """A quiet HiGHS model: minimise over columns that are not negative, rows bounded above."""
    program = highspy.HighsLp()
    program.num_row_, program.num_col_ = matrix.shape
    program.col_cost_ = cost
    program.col_lower_, program.col_upper_ = np.zeros(len(cost)), np.full(len(cost), highspy.kHighsInf)
    program.row_lower_, program.row_upper_ = np.full(len(upper), -highspy.kHighsInf), upper
    program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    program.a_matrix_.start_ = matrix.indptr.astype(np.int32)
    program.a_matrix_.index_ = matrix.indices.astype(np.int32)
    program.a_matrix_.value_ = matrix.data
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.passModel(program)
    return solver
