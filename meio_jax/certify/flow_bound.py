"""The dual value of the flow problem: demand at its value less supply at its potential."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from meio_jax.certify.flow_problem import FlowProblem

# Relative rounding of sums over a horizon in single precision, within which buying for the credit alone earns nothing.
_ROUNDING = 1e-5


def flow_bound(
    program: FlowProblem, potentials: Array, supply: Array, shifts: Float[Array, "shifts batch"]
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
        return (total + gain + jnp.sum(floor * jnp.sum(demand, axis=0), axis=(0, 1)), tomorrow), None

    batch = items.weight.shape[0]
    start = jnp.zeros((shapes, shifts.shape[0], batch), potentials.dtype)
    # Demand that still waits at the horizon is charged the credit that it takes from the stock.
    waiting = jnp.full((network.speeds, network.regions, shapes + 1, batch), jnp.inf, potentials.dtype)
    waiting = waiting.at[:, :, 0].set(items.owed)
    inputs = (jnp.arange(network.periods), potentials, program.scenarios.demand, supply)
    return jax.lax.scan(back, (start, waiting), inputs, reverse=True)[0][0]


def _serving(program: FlowProblem, potential: Array, period: Array) -> Float[Array, "waves speeds regions kinds batch"]:
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
    program: FlowProblem, serve: Array, tomorrow: Array, period: Array
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


def pays_to_buy(program: FlowProblem, bought: Array, kept: Array) -> Bool[Array, " batch"]:
    """Where a unit bought only for the terminal credit would earn money, so that no bound exists."""
    network = program.network
    credit = program.items.credit_due[np.asarray(network.offer_node, int)]
    slack = _ROUNDING * (1 + jnp.max(jnp.abs(program.items.credit), axis=0))
    wins = jnp.any(bought < kept - slack, axis=(0, 1))
    periods = jnp.arange(network.periods)
    late = program.scenarios.vendor_lead >= (network.periods - periods).astype(jnp.int32)[:, None, None]
    cost = jax.vmap(program.offer_cost)(periods)
    return wins | jnp.any(late & (cost < credit - slack), axis=(0, 1))
