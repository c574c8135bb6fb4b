"""The same system simulated by plain arrays over scenarios: nothing of the planner's simulation, sampling or gradient.

Written from the period of the design page: receive, serve what waits, serve demand (fast, then slow), order from the
shop up, account. Every random number is drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gradient_parts import system
from gradient_parts.projection import expected_stock
from gradient_parts.system import CENTRE, SHOP, Item

_SPAN = system.PERIODS + max(system.SLOW_LEADS) + 1


@dataclass(frozen=True)
class Paths:
    """Demand `[periods, speeds, paths]`, and the lead time of what the slow vendor is asked for `[periods, paths]`."""

    demand: np.ndarray
    lead: np.ndarray

    @classmethod
    def drawn(cls, rng: np.random.Generator, count: int) -> Paths:
        """Independent paths."""
        means = system.MEAN * np.asarray([system.FAST_SHARE, 1 - system.FAST_SHARE])
        demand = rng.poisson(means[None, :, None], (system.PERIODS, 2, count)).astype(float)
        return cls(demand, rng.choice(system.SLOW_LEADS, (system.PERIODS, count)))


@dataclass
class Books:
    """Sums over the charged periods, per path."""

    total: np.ndarray
    revenue: np.ndarray
    lost_revenue: np.ndarray
    carbon: np.ndarray

    @classmethod
    def empty(cls, count: int) -> Books:
        return cls(*(np.zeros(count) for _ in range(4)))


@dataclass
class State:
    """Stock by node, what is due by node and period, and demand that waits by speed."""

    on_hand: np.ndarray
    due: np.ndarray
    waiting: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.waiting = np.zeros((2, self.on_hand.shape[1]))

    def on_order(self, node: int, after: int, until: int | None = None) -> np.ndarray:
        """Units due at a node after one period, up to another."""
        return self.due[after + 1 : None if until is None else until + 1, node].sum(0)


def simulate(name: str, parameters: dict[str, np.ndarray], item: Item, paths: Paths) -> Books:
    """Costs of one item on every path under a policy with these parameters."""
    count = paths.lead.shape[1]
    stock = np.repeat(np.asarray(item.stock)[:, None], count, axis=1)
    state, books = State(stock, np.zeros((_SPAN, 2, count))), Books.empty(count)
    reserve = parameters["protection"][SHOP] if "protection" in parameters else 0.0
    # The first decision is made on the state that is given, in the evening before period 0.
    _order(name, parameters, item, state, -1, paths.lead[0], books, float(system.WARMUP == 0))
    for t in range(system.PERIODS):
        charged = float(t >= system.WARMUP)
        came = state.due[t]
        state.on_hand += came
        books.total += charged * item.inbound * came.sum(0)
        left = _serve(state, item, state.waiting, reserve, books, charged)
        left += _serve(state, item, paths.demand[t], reserve, books, charged)
        state.waiting = left if item.waits else np.zeros_like(left)
        gone = np.zeros(count) if item.waits else left.sum(0)
        books.total += charged * item.lost * gone
        books.lost_revenue += charged * item.forgone * gone
        _order(name, parameters, item, state, t, paths.lead[t], books, charged)
        held = system.HOLDING_FACTOR[CENTRE] * state.on_hand[CENTRE] + system.HOLDING_FACTOR[SHOP] * state.on_hand[SHOP]
        books.total += charged * (item.holding * held + item.waiting * state.waiting.sum(0))
    kept = state.on_hand.sum(0) + state.due[system.PERIODS :].sum((0, 1)) - state.waiting.sum(0)
    books.total -= system.TERMINAL * item.unit_cost * kept
    return books


def _serve(state: State, item: Item, demand: np.ndarray, reserve: float, books: Books, charged: float) -> np.ndarray:
    """Serve one wave from the shop, fast before slow; what is left, by speed, after downgrades."""
    left, moved = np.zeros_like(demand), np.zeros(demand.shape[1])
    for speed, spared in enumerate((0.0, reserve)):
        wanted = demand[speed] + moved
        got = np.minimum(wanted, np.maximum(state.on_hand[SHOP] - spared, 0))
        state.on_hand[SHOP] -= got
        books.total += charged * (item.parcel[speed] + item.handling) * got
        books.revenue += charged * item.price * got
        books.carbon += charged * system.CARBON_PARCEL * got
        moved = item.downgrade_share * (wanted - got) if speed == 0 else 0 * got
        books.total += charged * item.downgrade_cost * moved
        left[speed] = wanted - got - moved
    return left


def _position(state: State, node: int, t: int) -> np.ndarray:
    """Stock and what is on its way, less what waits (at the shop)."""
    waiting = state.waiting.sum(0) if node == SHOP else 0.0
    return state.on_hand[node] - waiting + state.on_order(node, t)


def _arriving(state: State, item: Item, node: int, t: int) -> np.ndarray:
    """Stock expected when an order of this evening arrives; what is due later counts as if it came on that day."""
    shares = (system.SLOW_SHARE, 1 - system.SLOW_SHARE)
    mean_lead = {SHOP: system.LANE_LEAD, CENTRE: np.dot(shares, (np.mean(system.SLOW_LEADS), system.FAST_LEAD))}
    lead = max(round(float(mean_lead[node])), 1)
    stock = _position(state, node, t) - state.on_order(node, t)
    receipts = [state.due[t + day, node] for day in range(1, lead + 1)]
    # Only the shop sells, so only there demand is lost; what the centre cannot ship is asked for again.
    lost = node == SHOP and not item.waits
    return expected_stock(stock, receipts, system.MEAN, lost=lost) + state.on_order(node, t + lead)


def _order(
    name: str,
    parameters: dict[str, np.ndarray],
    item: Item,
    state: State,
    t: int,
    slow_lead: np.ndarray,
    books: Books,
    charged: float,
) -> None:
    """The shop asks the centre, the centre ships what it has and orders from both vendors."""
    target = parameters["target"]
    cap = parameters.get("order_cap", (np.inf, np.inf))
    projected = name in ("projected_level", "neural")
    shop = _arriving(state, item, SHOP, t) if projected else _position(state, SHOP, t)
    wanted = np.minimum(np.maximum(target[SHOP] - shop, 0), cap[SHOP])
    shipped = np.minimum(wanted, state.on_hand[CENTRE])
    state.on_hand[CENTRE] -= shipped
    state.due[t + system.LANE_LEAD, SHOP] += shipped
    books.total += charged * item.transfer * shipped
    books.carbon += charged * system.CARBON_LANE * item.weight * shipped
    centre = _arriving(state, item, CENTRE, t) if projected else _position(state, CENTRE, t)
    if name == "echelon":
        centre = centre + shop + shipped
    if name == "dual_index":
        soon = state.on_hand[CENTRE] + state.on_order(CENTRE, t, t + system.FAST_LEAD)
        fast = np.maximum(parameters["fast_target"][CENTRE] - soon, 0)
        slow = np.maximum(target[CENTRE] - centre - fast, 0)
    else:
        raised = np.minimum(np.maximum(target[CENTRE] - centre, 0), cap[CENTRE])
        weight = parameters.get("source_weight", (system.SLOW_SHARE, 1 - system.SLOW_SHARE))
        share = weight[0] / (weight[0] + weight[1])
        slow, fast = share * raised, (1 - share) * raised
    state.due[t + slow_lead, CENTRE, np.arange(len(slow))] += slow
    state.due[t + system.FAST_LEAD, CENTRE] += fast
    books.total += charged * ((item.slow_cost + item.freight) * slow + (item.fast_cost + item.freight) * fast)
