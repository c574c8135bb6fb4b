"""Exact mean cost of a policy of the planner on one site with lost sales: its orders in every state, and their chain.

Orders are those of the function that issues them, asked once for every state of the grid on which the optimum is
computed: nothing is sampled. What is ordered beyond the grid counts as the most that it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from projected_parts.optimum import System
from relaxation_parts.chain import Chain
from scipy import sparse

from meio_jax.instance import build_instance
from meio_jax.model.network import ItemBlock, Network
from meio_jax.policy import AbstractPolicy
from meio_jax.simulation.first_orders import first_orders
from meio_jax.tables import Tables

_CHUNK = 2**15
# The bounds of the mean cost meet to this part of it.
_WITHIN, _MOST = 1e-5, 20_000

Levels = Callable[[jax.Array], AbstractPolicy]


@dataclass
class Site:
    """A system, its chain, and its item as the planner sees it."""

    system: System
    chain: Chain
    network: Network
    block: ItemBlock

    @classmethod
    def of(cls, system: System, tables: Callable[[Sequence[System]], Tables]) -> Site:
        """The site of a system; `tables` gives the instance of some systems."""
        instance = build_instance(tables([system]), block_items=1)
        return cls(system, Chain(system), instance.network, _first(instance.catalog.block))

    def orders(self, policy: Levels, level: float) -> np.ndarray:
        """What is ordered in every state, in whole units, with the axes of the chain."""
        chain = self.chain
        states = np.indices(chain.shape).reshape(len(chain.shape), -1)
        found, size = [], min(_CHUNK, states.shape[1])
        for first in range(0, states.shape[1], size):
            some = states[:, first : first + size]
            missing = size - some.shape[1]
            asked = _orders(self.network, policy, self.block, np.pad(some, ((0, 0), (0, missing))), level)
            found.append(np.asarray(asked)[: some.shape[1]])
        whole = np.rint(np.concatenate(found)).astype(int)
        return np.minimum(whole, chain.orders - 1).reshape(chain.shape)

    def mean_cost(self, orders: np.ndarray) -> float:
        """Mean cost of a period, to within a hundred thousandth of it.

        Raises:
            RuntimeError: If its bounds do not meet.
        """
        moves = transitions(self.chain, orders)
        cost = np.broadcast_to(self.chain.expected_cost, self.chain.shape).ravel()
        value, change = np.zeros(cost.size), cost
        for _ in range(_MOST):
            fresh = cost + moves @ value
            change = fresh - value
            value = fresh - fresh[0]
            if np.ptp(change) < _WITHIN * change.max():
                return float(change.max() + change.min()) / 2
        raise RuntimeError(f"{self.system.label}: bounds {change.min()} and {change.max()} have not met")


def _first(block: ItemBlock) -> ItemBlock:
    return jax.tree.map(lambda leaf: leaf[0], block)


@eqx.filter_jit
def _orders(network: Network, policy: Levels, block: ItemBlock, states: np.ndarray, level: float) -> jax.Array:
    """Orders of one item in many states: stock on hand, and what is due in 1, 2, ... periods."""

    def one(state: jax.Array) -> jax.Array:
        due = jnp.zeros_like(block.vendor_pipeline).at[0, 1 : state.size, 0].set(state[1:])
        own = eqx.tree_at(lambda b: (b.on_hand, b.vendor_pipeline), block, (state[:1, None], due))
        return first_orders(network, policy(jnp.full((1, 1), level)), own).offer[0, 0]

    return jax.vmap(one)(jnp.asarray(states.T, block.on_hand.dtype))


def transitions(chain: Chain, orders: np.ndarray) -> sparse.csr_matrix:
    """Probabilities of the state a period later, by state."""
    others = chain.orders ** (chain.lead - 1)
    rest = np.arange(others)
    # The oldest order arrives, the newest joins the queue.
    if chain.lead == 1:
        due, queue, width = np.zeros(1, int), np.zeros(1, int), 1
    else:
        width = chain.orders ** (chain.lead - 2)
        due, queue = rest // width, rest % width
    flat = orders.reshape(chain.size, others)
    rows, columns, values = [], [], []
    for stock in range(chain.size):
        for left in np.flatnonzero(chain.left[stock] > 0):
            if chain.lead == 1:
                to = np.minimum(left + flat[stock], chain.size - 1)
            else:
                to = np.minimum(left + due, chain.size - 1) * others + queue * chain.orders + flat[stock]
            rows.append(stock * others + rest)
            columns.append(to)
            values.append(np.full(others, chain.left[stock, left]))
    shape = (chain.size * others,) * 2
    found = sparse.coo_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape)
    return found.tocsr()


def best_level(site: Site, policy: Levels, levels: Sequence[float]) -> tuple[float, float]:
    """The best of some levels, and its mean cost."""
    costs = [site.mean_cost(site.orders(policy, level)) for level in levels]
    return float(levels[int(np.argmin(costs))]), float(np.min(costs))
