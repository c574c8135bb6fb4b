"""The clairvoyant bound: what no policy whatsoever can beat at given prices.

Each item and scenario is a minimum-cost flow in the time-expanded network, with all demand and lead times known. Its
value is bounded from below through its dual: any potentials `pi[period, node]` (what a unit at the node is worth) that
rise by no more than its cost along every arc give

    cost >= sum(demand x value of the demand) - sum(supply x potential where and when it appears) + constants.

Where nothing is on hand or on order the cheapest way from a vendor to each node is the best potential and the bound is
the optimum of the flow problem. Stock at the start has no cost of its own, so its potential is searched for on lines.

What is relaxed: any unit may be downgraded (the simulation moves a share), units are divisible, and stock is not shared
among waves by priority. Review days, cut-offs, eligible nodes and sampled lead times are kept.
"""

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from meio_jax.distributed.sharding import over_items, own_part
from meio_jax.model.catalog import draw
from meio_jax.model.network import ItemBlock, Network
from meio_jax.model.resources import MEASURES, Resources
from meio_jax.scenarios.sampling import HOLDOUT, Scenarios
from meio_jax.simulation.received import received_leads
from meio_jax.solver.subproblem import InventorySubproblem

# Where on its line the potential of starting stock is tried, as shares of the largest value that demand can have.
_SHIFTS = (0.0, *(2.0 ** (-k / 2) for k in range(18, -1, -1)))
_SHAPES = 2
_ROUNDING = 1e-5


class ClairvoyantBound(eqx.Module):
    """Lower bound on the expected cost of every plan that keeps the capacities, on the scenarios it was made with.

    `value` is in money over the charged horizon, -inf if any item is unbounded. `per_item` [blocks, items] is the mean
    over scenarios of each item's bound before the rent of the capacities (sum of price x capacity) is taken off; 0 for
    padding. An item is `unbounded` where buying only for the terminal credit would pay, so that no bound exists.
    """

    value: float = eqx.field(static=True)
    per_item: Float[np.ndarray, "blocks items"]
    unbounded: int = eqx.field(static=True)
    scenarios: int = eqx.field(static=True)


class _Costs(eqx.Module):
    """Priced cost of one unit on every arc, by bucket; `serve_unit` is infinite where a node may not serve."""

    hold: Float[Array, "buckets nodes batch"]
    inbound: Float[Array, "buckets nodes batch"]
    outbound: Float[Array, "buckets nodes batch"]
    lane: Float[Array, "buckets lanes batch"]
    offer: Float[Array, "buckets offers batch"]
    reward: Float[Array, "buckets speeds regions batch"]
    floor: Float[Array, "buckets speeds regions"]
    eligible: Bool[Array, "nodes waves speeds regions"]
    serve_unit: Float[Array, "nodes speeds regions"]
    serve_kg: Float[Array, "nodes speeds regions"]


class _Items(eqx.Module):
    """Per-batch data of the items."""

    weight: Float[Array, " batch"]
    holding: Float[Array, " batch"]
    lost_sale: Float[Array, " batch"]
    waiting: Float[Array, " batch"]
    backorder: Bool[Array, " batch"]
    downgrade: Float[Array, " batch"]
    credit: Float[Array, "nodes batch"]
    credit_due: Float[Array, "nodes batch"]
    owed: Float[Array, " batch"]
    open_offer: Bool[Array, "offers batch"]
    open_lane: Bool[Array, "lanes batch"]
    offer_calendar: Int[Array, "offers batch"] | None = None
    bought_until: Int[Array, " batch"] | None = None


def _node_prices(table: Array, prices: Array, weight: Array) -> Float[Array, "buckets nodes items"]:
    return jnp.einsum("br,ri,rn->bni", prices, weight, table)


def _offer_prices(resources: Resources, block: ItemBlock, prices: Array, weight: Array) -> Array:
    """Vendor and spend prices of a unit bought through each offer: `[buckets, offers, items]`."""
    rows = np.asarray(resources.order_index, int)
    if not rows.size:
        return jnp.zeros((prices.shape[0], *block.offer_cost.shape), prices.dtype)
    vendor = resources.order_vendor[:, None, None]
    scope = resources.offer[:, :, None] * jnp.where((vendor < 0) | (vendor == block.offer_vendor), 1.0, 0.0)
    money = (resources.measure[rows] == MEASURES.index("money"))[:, None, None]
    value = scope * jnp.where(money, block.offer_cost, jnp.ones_like(block.offer_cost))
    return jnp.einsum("bv,vi,voi->boi", prices[:, rows], weight[rows], value)


def _arc_costs(network: Network, resources: Resources, block: ItemBlock, prices: Array, samples: int) -> _Costs:
    weight = resources.item_weight(block)
    prices = jnp.where(resources.present, prices, 0)
    at_node = partial(_node_prices, prices=prices, weight=weight)

    def spread(leaf: Array) -> Array:
        return jnp.repeat(leaf, samples, axis=-1)

    if network.region_groups:
        reward = jnp.einsum("br,ri,rsg->bsgi", prices, weight, resources.service)[:, :, network.region_group]
        share = jnp.where(resources.is_service & resources.present, prices * resources.capacity, 0)
        floor = jnp.einsum("br,rsg->bsg", share, resources.service)[:, :, network.region_group]
    else:
        floor = jnp.zeros((network.buckets, network.speeds, network.regions), prices.dtype)
        reward = jnp.zeros((*floor.shape, block.items), prices.dtype)
    lane_cost = network.lane_cost_unit[:, None] + network.lane_cost_kg[:, None] * block.weight
    return _Costs(
        hold=spread(network.holding_factor[:, None] * block.holding_cost + at_node(resources.stock)),
        inbound=spread(network.inbound_cost[:, None] + at_node(resources.inbound)),
        outbound=spread(network.handling_cost[:, None] + at_node(resources.outbound)),
        lane=spread(lane_cost + at_node(resources.lane)),
        offer=spread(block.offer_cost + block.offer_freight + _offer_prices(resources, block, prices, weight)),
        reward=spread(reward),
        floor=floor,
        eligible=jnp.moveaxis(network.eligible & block.group_stockable, -1, 0),
        serve_unit=jnp.moveaxis(network.outbound_unit, -1, 0),
        serve_kg=jnp.moveaxis(network.outbound_kg, -1, 0),
    )


def _item_data(network: Network, block: ItemBlock, samples: int) -> _Items:
    target = np.asarray(network.lane_to, int)
    per_item = _Items(
        weight=block.weight,
        holding=block.holding_cost,
        lost_sale=block.lost_sale_cost,
        waiting=block.backorder_cost,
        backorder=block.backorder,
        downgrade=jnp.where(block.downgrade_share > 0, block.downgrade_cost, jnp.inf),
        credit=block.end_value,
        credit_due=block.end_value_due,
        owed=jnp.max(block.end_value, axis=0),
        open_offer=block.offer_active,
        open_lane=block.stockable[target],
        offer_calendar=None if network.calendar is None else network.calendar.of_vendor[block.offer_vendor],
        bought_until=block.bought_until,
    )
    return jax.tree.map(lambda leaf: jnp.repeat(leaf, samples, axis=-1), per_item)


def _supplies(network: Network, block: ItemBlock, samples: int) -> tuple[Array, Array]:
    """Units that appear without a decision, `[periods, nodes, batch]`, and the credit of what is due later."""
    horizon = network.periods
    arriving = jnp.zeros((horizon, *block.on_hand.shape), block.on_hand.dtype)
    late = jnp.zeros(block.items, block.on_hand.dtype)
    for rows, pipeline in (
        (network.vendor_nodes, block.vendor_pipeline),
        (network.lane_nodes, block.lane_pipeline),
    ):
        if rows:
            slots = min(pipeline.shape[1], horizon)
            at = np.ix_(np.arange(slots), np.asarray(rows, int))
            arriving = arriving.at[at].add(jnp.moveaxis(pipeline[:, :slots], 0, 1))
            worth = block.end_value_due[np.asarray(rows, int)][:, None]
            late = late + jnp.sum(worth * pipeline[:, horizon:], axis=(0, 1))
    return jnp.repeat(arriving, samples, axis=-1), jnp.repeat(late, samples, axis=-1)


class _Program(eqx.Module):
    """All that the recursions share."""

    network: Network
    costs: _Costs
    items: _Items
    scenarios: Scenarios

    def lane_leads(self, period: Array) -> Array:
        leads = self.scenarios.lane_lead
        if leads.ndim == 1:
            return jnp.broadcast_to(leads[:, None], (leads.shape[0], self.items.weight.shape[0]))
        return jnp.broadcast_to(leads[period], (leads.shape[1], self.items.weight.shape[0]))

    def lane_cost(self, period: Array) -> Array:
        """Cost of shipping a unit by each lane at the end of a period; infinite where that is not possible."""
        network = self.network
        cost = self.costs.lane[period // network.bucket_periods]
        if network.pipeline_holding:
            factor = network.holding_factor[np.asarray(network.lane_from, int)][:, None]
            cost = cost + factor * self.lane_leads(period).astype(cost.dtype) * self.items.holding
        due = network.review[period][np.asarray(network.lane_to, int)][:, None]
        if network.calendar is not None:
            due = network.calendar.lane[period][:, None]
        due = due & self.items.open_lane
        return jnp.where(due, network.charged[period] * cost, jnp.inf)

    def offer_cost(self, period: Array) -> Array:
        """Cost of ordering a unit from each offer at the end of a period; infinite where that is not possible."""
        network = self.network
        due = network.review[period][np.asarray(network.offer_node, int)][:, None]
        if network.calendar is not None:
            due = network.calendar.offer[period][self.items.offer_calendar, np.arange(network.offers)[:, None]]
        if self.items.bought_until is not None:
            due = due & (period < self.items.bought_until)
        due = due & self.items.open_offer
        return jnp.where(due, network.charged[period] * self.costs.offer[period // network.bucket_periods], jnp.inf)

    def at(self, table: Array, period: Array) -> Array:
        """A cost table at a period (nothing is charged in the warm-up)."""
        return self.network.charged[period] * table[period // self.network.bucket_periods]


def _terminal_values(program: _Program) -> Float[Array, "periods nodes batch"]:
    """Most that a unit at a node is worth if it is never sold: terminal credit less what keeping it costs."""
    network, credit = program.network, program.items.credit
    origin, target = np.asarray(network.lane_from, int), np.asarray(network.lane_to, int)
    slot = jnp.arange(1, network.lane_limit + 1, dtype=jnp.int32)[:, None, None]

    def back(carry: tuple, period: Array) -> tuple[tuple, Array]:
        tomorrow, arriving = carry
        value = tomorrow - program.at(program.costs.hold, period)
        if network.lanes:
            lead = program.lane_leads(period)
            reached = jnp.max(jnp.where(lead == slot, arriving[:, target], -jnp.inf), axis=0)
            value = value.at[origin].max(reached - program.lane_cost(period))
        now = value - program.at(program.costs.inbound, period)
        return (value, jnp.concatenate([now[None], arriving[:-1]])), value

    buffer = jnp.broadcast_to(program.items.credit_due, (network.lane_limit, *credit.shape))
    return jax.lax.scan(back, (credit, buffer), jnp.arange(network.periods), reverse=True)[1]


def _by_rank(targets: tuple[int, ...], rows: tuple[int, ...]) -> list[np.ndarray]:
    """Sources in rounds: entry j holds, for every row, the number of its j-th source (one past the last: none)."""
    own = [[k for k, node in enumerate(targets) if node == row] for row in rows]
    most = max((len(sources) for sources in own), default=0)
    return [np.asarray([s[j] if j < len(s) else len(targets) for s in own], int) for j in range(most)]


def _placed(pending: Array, cost: Array, lead: Array, ranks: list[np.ndarray]) -> Array:
    """Offer every arrival slot its cheapest new source. Axes: `rows, due, ..., batch`."""
    slot = jnp.arange(1, pending.shape[1] + 1, dtype=lead.dtype)
    slot = slot.reshape(1, -1, *(1,) * (pending.ndim - 2))
    cost = jnp.concatenate([cost, jnp.full_like(cost[:1], jnp.inf)])
    lead = jnp.concatenate([lead, jnp.ones_like(lead[:1])])
    lead = lead.reshape(lead.shape[0], 1, *(1,) * (pending.ndim - 3), lead.shape[-1])
    for rank in ranks:
        pending = jnp.minimum(pending, jnp.where(lead[rank] == slot, cost[rank][:, None], jnp.inf))
    return pending


def _later(pending: Array) -> Array:
    return jnp.concatenate([pending[:, 1:], jnp.full_like(pending[:, :1], jnp.inf)], axis=1)


def _potentials(
    program: _Program, given: Float[Array, "periods shapes nodes batch"]
) -> Float[Array, "periods nodes kinds batch"]:
    """Least cost of a unit at each node and period: kind 0 bought from vendors, the others from stock given at a cost.

    `given` is that cost (infinite where nothing is given).
    """
    network = program.network
    nodes, kinds, batch = network.nodes, 1 + given.shape[1], given.shape[-1]
    origin = np.asarray(network.lane_from, int)
    lane_rows, vendor_rows = np.asarray(network.lane_nodes, int), np.asarray(network.vendor_nodes, int)
    lane_ranks = _by_rank(network.lane_to, network.lane_nodes)
    offer_ranks = _by_rank(network.offer_node, network.vendor_nodes)

    def forward(carry: tuple, at: tuple) -> tuple[tuple, Array]:
        held, bought, shipped = carry
        period, given_now = at
        arriving = jnp.full_like(held, jnp.inf)
        if vendor_rows.size:
            arriving = arriving.at[vendor_rows, 0].min(bought[:, 0])
        if lane_rows.size:
            arriving = arriving.at[lane_rows].min(shipped[:, 0])
        value = jnp.minimum(held, arriving + program.at(program.costs.inbound, period)[:, None])
        value = value.at[:, 1:].min(jnp.moveaxis(given_now, 0, 1))
        if vendor_rows.size:
            lead = program.scenarios.vendor_lead[period]
            bought = _placed(_later(bought), program.offer_cost(period), lead, offer_ranks)
        if lane_rows.size:
            moved = value[origin] + program.lane_cost(period)[:, None]
            shipped = _placed(_later(shipped), moved, program.lane_leads(period), lane_ranks)
        held = value + program.at(program.costs.hold, period)[:, None]
        return (held, bought, shipped), value

    dtype = given.dtype
    nothing = (
        jnp.full((nodes, kinds, batch), jnp.inf, dtype),
        jnp.full((vendor_rows.size, network.vendor_limit, batch), jnp.inf, dtype),
        jnp.full((lane_rows.size, network.lane_limit, kinds, batch), jnp.inf, dtype),
    )
    return jax.lax.scan(forward, nothing, (jnp.arange(network.periods), given))[1]


def _serving(program: _Program, potential: Array, period: Array) -> Float[Array, "waves speeds regions kinds batch"]:
    """Least cost of serving a unit of every class at its own speed, stock included."""
    network, costs, weight = program.network, program.costs, program.items.weight
    source = potential + program.at(costs.outbound, period)[:, None]
    charged = network.charged[period]

    def one_node(best: Array, at: tuple) -> tuple[Array, None]:
        stock, allowed, unit, kg = at
        parcel = charged * (unit[..., None] + kg[..., None] * weight)
        total = jnp.where(allowed[..., None, None], stock + parcel[:, :, None], jnp.inf)
        return jnp.minimum(best, total), None

    shape = (network.waves, network.speeds, network.regions, potential.shape[1], weight.shape[0])
    start = jnp.full(shape, jnp.inf, potential.dtype)
    return jax.lax.scan(one_node, start, (source, costs.eligible, costs.serve_unit, costs.serve_kg))[0]


def _class_values(
    program: _Program, serve: Array, tomorrow: Array, period: Array
) -> tuple[Float[Array, "waves speeds regions kinds batch"], Array]:
    """What one unit of demand of every class costs at least, and what a unit costs that waited for this period."""
    network, items = program.network, program.items
    charged = network.charged[period]
    unmet = charged * items.waiting + tomorrow
    lost = jnp.full_like(tomorrow, jnp.inf).at[:, :, 0].set(charged * items.lost_sale)
    unmet = jnp.where(items.backorder, unmet, lost)
    step = charged * items.downgrade
    # The promise of the slowest speed is the last resort; a faster class may take any slower one.
    resort = [jnp.minimum(serve[:, -1], unmet[-1])]
    for s in range(network.speeds - 2, -1, -1):
        resort.append(jnp.minimum(jnp.minimum(serve[:, s], unmet[s]), resort[-1] + jnp.where(charged > 0, step, 0)))
    any_way = jnp.stack(resort[::-1], axis=1)
    reward = program.at(program.costs.reward, period)[:, :, None]
    return jnp.minimum(any_way, serve - reward), any_way[0]


def _flow_bound(
    program: _Program, potentials: Array, supply: Array, shifts: Float[Array, "shifts batch"]
) -> Float[Array, "shapes shifts batch"]:
    """Demand at its value less supply at its potential, for every shape and shift of the potential of given stock."""
    network, items = program.network, program.items
    shapes = potentials.shape[2] - 1

    def lowest(values: Array, units: Array, shape: int) -> Float[Array, "shifts batch"]:
        """Sum of units x min(bought, given + shift) over all rows."""
        bought, own = values[:, 0], values[:, shape + 1]
        return jax.lax.map(
            lambda shift: jnp.sum(jnp.where(units > 0, units * jnp.minimum(bought, own + shift), 0), axis=0),
            shifts,
        )

    def back(carry: tuple, at: tuple) -> tuple[tuple, None]:
        total, tomorrow = carry
        period, potential, demand, given = at
        serve = _serving(program, potential, period)
        value, tomorrow = _class_values(program, serve, tomorrow, period)
        flat = value.reshape(-1, shapes + 1, value.shape[-1])
        units = demand.reshape(-1, demand.shape[-1])
        gain = jnp.stack([lowest(flat, units, k) - lowest(potential, given, k) for k in range(shapes)])
        floor = network.charged[period] * program.costs.floor[period // network.bucket_periods]
        return (total + gain + jnp.einsum("sr,wsrb->b", floor, demand), tomorrow), None

    batch = items.weight.shape[0]
    start = jnp.zeros((shapes, shifts.shape[0], batch), potentials.dtype)
    # Demand that still waits at the horizon is charged the credit that it takes from the stock.
    waiting = jnp.full((network.speeds, network.regions, shapes + 1, batch), jnp.inf, potentials.dtype)
    waiting = waiting.at[:, :, 0].set(items.owed)
    inputs = (jnp.arange(network.periods), potentials, program.scenarios.demand, supply)
    return jax.lax.scan(back, (start, waiting), inputs, reverse=True)[0][0]


def _pays_to_buy(program: _Program, bought: Array, kept: Array) -> Bool[Array, " batch"]:
    """Where a unit bought only for the terminal credit would earn money, so that no bound exists."""
    network = program.network
    credit = program.items.credit_due[np.asarray(network.offer_node, int)]
    slack = _ROUNDING * (1 + jnp.max(jnp.abs(program.items.credit), axis=0))
    wins = jnp.any(bought < kept - slack, axis=(0, 1))
    periods = jnp.arange(network.periods)
    late = program.scenarios.vendor_lead >= (network.periods - periods).astype(jnp.int32)[:, None, None]
    cost = jax.vmap(program.offer_cost)(periods)
    return wins | jnp.any(late & (cost < credit - slack), axis=(0, 1))


def _reported(network: Network, scenarios: Scenarios) -> Scenarios:
    """The scenarios without the tail: what is left at the end of the reported horizon is credited there."""
    leads = scenarios.lane_lead
    cut = lambda leaf: leaf[: network.periods]
    return Scenarios(cut(scenarios.demand), cut(scenarios.vendor_lead), leads if leads.ndim == 1 else cut(leads))


def scenario_bounds(
    network: Network, resources: Resources, block: ItemBlock, scenarios: Scenarios, prices: Array
) -> Float[Array, " batch"]:
    """Least priced cost (cost + price x usage, service floors with their own sign) of each item and scenario.

    Capacities are not taken off. The batch axis is item-major; -inf where buying for the terminal credit would pay.
    """
    samples = scenarios.demand.shape[-1] // block.items
    demand = scenarios.demand
    if block.owed is not None:
        # What is owed at the start is demand of the first wave that cannot be lost.
        demand = demand.at[0, 0].add(jnp.repeat(block.owed, samples, axis=-1))
    scenarios = _reported(network, Scenarios(demand, *received_leads(network, scenarios)))
    program = _Program(
        network,
        _arc_costs(network, resources, block, prices, samples),
        _item_data(network, block, samples),
        scenarios,
    )
    items = program.items
    arriving, late = _supplies(network, block, samples)
    supply = arriving.at[0].add(jnp.repeat(block.on_hand, samples, axis=-1))
    kept = _terminal_values(program)
    # Two shapes of the potential of given stock: its value if never sold, and one level for all nodes and days.
    has = supply > 0
    level = jnp.max(jnp.where(has, kept, -jnp.inf), axis=(0, 1), keepdims=True)
    given = jnp.stack([jnp.where(has, kept, jnp.inf), jnp.where(has, level, jnp.inf)], axis=1)
    potentials = _potentials(program, given)
    longest = network.periods * items.waiting + items.owed
    most = jnp.where(items.backorder, longest, items.lost_sale)
    least = jnp.min(jnp.where(has, kept, jnp.inf), axis=(0, 1))
    top = jnp.where(jnp.isfinite(least), jnp.maximum(most - least, 0), 0)
    shifts = jnp.asarray(_SHIFTS, top.dtype)[:, None] * top
    best = jnp.max(_flow_bound(program, potentials, supply, shifts), axis=(0, 1))
    periods = jnp.arange(network.periods)
    receipts = jax.vmap(lambda t: program.at(program.costs.inbound, t))(periods)
    constants = jnp.sum(receipts * arriving, axis=(0, 1)) - late
    return jnp.where(_pays_to_buy(program, potentials[:, :, 0], kept), -jnp.inf, best + constants)


@eqx.filter_jit
def _sweep(problem: InventorySubproblem, prices: Array, ids: Array) -> Float[Array, "blocks items"]:
    settings = problem.settings

    def local(shared: tuple, at: tuple) -> tuple[tuple, Array]:
        network, resources, profiles, prices, ids = shared

        def one_block(_: None, leaves: tuple) -> tuple[None, Array]:
            block = leaves[0]
            scenarios = draw(settings.scenarios, profiles, leaves, ids, purpose=HOLDOUT)
            bounds = scenario_bounds(network, resources, block, scenarios, prices)
            mean = jnp.mean(bounds.reshape(block.items, -1), axis=-1)
            return None, jnp.where(block.live > 0, mean, 0)

        return (), jax.lax.scan(one_block, None, at)[1]

    shared = (problem.network, problem.resources, problem.catalog.profiles, prices, ids)
    return over_items(local, problem.mesh)(shared, problem.catalog.per_block())[1]


def capacity_rent(resources: Resources, prices: Float[Array, "buckets resources"]) -> float:
    """What all capacities together are worth at the prices; service floors have no rent."""
    rented = np.asarray(resources.present) & ~np.asarray(resources.is_service)
    price, capacity = np.asarray(prices, np.float64), np.asarray(resources.capacity, np.float64)
    return float(np.sum(np.where(rented & (price > 0), price * capacity, 0)))


def clairvoyant_bound(
    problem: InventorySubproblem,
    prices: Float[Array, "buckets resources"],
    scenarios: int,
    *,
    chunk: int = 16,
    check: Callable[[], None] = lambda: None,
) -> ClairvoyantBound:
    """Bound the expected cost of every plan from below, on holdout scenarios, at the given prices.

    Args:
        problem: The item problems; stored training scenarios are ignored.
        prices: Any non-negative prices; the closer to optimal, the better the bound.
        scenarios: Number of holdout scenarios, from the first on (rounded up to whole chunks).
        chunk: Scenarios handled together; fewer than `scenarios` bounds the memory.
        check: Called before each of them; it may raise to end the work.

    Returns:
        The bound. It concerns costs: risk measures that weigh bad scenarios more are at least as large.
    """
    problem = eqx.tree_at(lambda p: p.catalog.scenarios, problem, None, is_leaf=lambda leaf: leaf is None)
    chunk = max(1, min(chunk, scenarios))
    chunks = max(1, -(-scenarios // chunk))
    total: np.ndarray = np.zeros(())
    for number in range(chunks):
        check()
        ids = jnp.arange(number * chunk, (number + 1) * chunk, dtype=jnp.int32)
        total = total + np.asarray(own_part(_sweep(problem, prices, ids)), np.float64)
    per_item = total / chunks
    return ClairvoyantBound(
        value=float(per_item.sum()) - capacity_rent(problem.resources, prices),
        per_item=per_item,
        unbounded=int(np.sum(~np.isfinite(per_item))),
        scenarios=chunks * chunk,
    )
