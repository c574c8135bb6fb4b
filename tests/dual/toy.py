"""A problem with a closed form: newsvendors with exponential demand that share one capacity."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from meio_jax.model.costs import CostTerms
from meio_jax.model.resources import Resources, Usage
from meio_jax.solver.store import AbstractStore, Moment
from meio_jax.solver.subproblem import Totals


class Levels(eqx.Module):
    """The search state: levels at the last prices."""

    level: Array


class SharedNewsvendors(AbstractStore[Levels]):
    """min sum_i h (x_i - m_i) + (h + p) m_i exp(-x_i / m_i)  subject to  sum_i x_i <= capacity.

    At price v the best level is m_i log((h + p) / (h + v)), so the optimal price of a binding capacity is
    (h + p) exp(-capacity / sum m) - h.
    """

    mean: Array
    capacity: Array
    holding: float = eqx.field(static=True, default=1.0)
    penalty: float = eqx.field(static=True, default=9.0)
    spoiled: bool = eqx.field(static=True, default=False)

    @property
    def resources(self) -> Resources:
        return capacities(self.capacity)

    @property
    def damping(self) -> float:
        return 0.0

    def start(self) -> Levels:
        return Levels(self.response(jnp.zeros(())))

    def response(self, price: Array) -> Array:
        """Best levels at a price."""
        return self.mean * jnp.maximum(jnp.log((self.holding + self.penalty) / (self.holding + price)), 0)

    def cost(self, level: Array) -> Array:
        """Cost of levels."""
        short = (self.holding + self.penalty) * self.mean * jnp.exp(-level / self.mean)
        return jnp.sum(self.holding * (level - self.mean) + short)

    def optimal_price(self) -> float:
        """Closed form of the capacity's price (0 where it does not bind)."""
        total = self.holding + self.penalty
        return float(np.maximum(total * np.exp(-self.capacity / self.mean.sum()) - self.holding, 0))

    def optimal_cost(self) -> float:
        """Cost at the optimal price."""
        return float(self.cost(self.response(jnp.asarray(self.optimal_price()))))

    def sweep(self, at: Moment, items: Levels) -> tuple[Totals, Levels]:
        del items
        level = self.response(at.prices[0, 0])
        value = self.cost(level) * (jnp.nan if self.spoiled else 1.0)
        nothing = jnp.zeros(())
        terms = CostTerms(*[nothing] * 4, value, *[nothing] * 5)
        return Totals(value, Usage(jnp.sum(level).reshape(1, 1), jnp.zeros((1, 1))), terms), Levels(level)


def capacities(*values: float | Array, buckets: int = 1, service: bool = False) -> Resources:
    """Capacities of these sizes (a floor of service is a share of demand), alike in all buckets; what they count of
    flows does not matter here."""
    rows = len(values)
    nothing = jnp.zeros((rows, 1))
    return Resources(
        stock=nothing,
        inbound=nothing,
        outbound=nothing,
        lane=nothing,
        service=jnp.zeros((rows, 1, 1)),
        offer=jnp.zeros((0, 1)),
        order_vendor=jnp.zeros(0, jnp.int32),
        measure=jnp.zeros(rows, jnp.int32),
        storage_class=jnp.full(rows, -1, jnp.int32),
        is_service=jnp.full(rows, service),
        capacity=jnp.broadcast_to(jnp.asarray(values), (buckets, rows)),
        present=jnp.ones((buckets, rows), bool),
        order_index=(),
    )


def newsvendors(capacity: float = 10.0, *, spoiled: bool = False) -> SharedNewsvendors:
    """Four newsvendors; a capacity above about 17 does not bind."""
    return SharedNewsvendors(jnp.asarray([1.0, 1.5, 2.0, 3.0]), jnp.asarray(capacity), spoiled=spoiled)
