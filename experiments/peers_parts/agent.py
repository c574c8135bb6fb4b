"""Our planner in the suite: every period all episodes of a network are planned anew, warm from the period before."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from meio_jax.config import Config
from meio_jax.planner import Model, prepare, search
from meio_jax.plans.tables import decision_frames
from meio_jax.policy import AbstractPolicy
from meio_jax.solver.first_levels import in_units
from meio_jax.solver.solve import State, initial_state
from meio_jax.solver.store import MemoryStore
from peers_parts.demand import PERIODS
from peers_parts.networks import Link, PeerNetwork
from peers_parts.tables import site_id, tables_of, vendor_id
from peers_parts.world import World


@dataclass(frozen=True)
class Effort:
    """Steps of the first plan and of those after it, and the scenarios that a step simulates."""

    first: int = 150
    later: int = 30
    per_step: int = 16
    train: int = 512


def configuration(policy: str, effort: Effort, steps: int, rate: float) -> Config:
    """Settings of a search for profit; nothing is shared, so that there are no prices."""
    return Config.model_validate(
        {
            "instance": {"path": "in-memory"},
            "run": "in-memory",
            "seed": 1,
            "scenarios": {"train": effort.train, "per_step": effort.per_step, "clairvoyant": 0, "unit_values": 0},
            "policy": {"name": policy},
            "objective": {"name": "expected_profit"},
            "fulfilment": {"rounds": 1, "weight_bands": 1, "dither": 0.0},
            "solve": {
                "max_steps": steps,
                "min_steps": steps,
                "decay_steps": steps,
                "learning_rate": rate,
                "final_learning_rate": rate / 10,
                "probe": False,
                "confirm": False,
                "slack_items": 0,
            },
        }
    )


class Planner:
    """Plans all episodes of a network; what it knows of demand is its mean in every period to come."""

    def __init__(self, network: PeerNetwork, policy: str, effort: Effort) -> None:
        self._network, self._policy, self._effort = network, policy, effort
        self._levels: AbstractPolicy | None = None

    def decide(self, worlds: Mapping[str, World]) -> dict[str, np.ndarray]:
        """Units asked of the seller of every link, by episode: the decisions of the plan, as it issues them."""
        effort, warm = self._effort, self._levels is not None
        steps, rate = (effort.later, 0.05) if warm else (effort.first, 0.1)
        first = next(iter(worlds.values()))
        prepared = prepare(tables_of(worlds), configuration(self._policy, effort, steps, rate))
        model = _until(prepared, PERIODS - first.period)
        found = search(model, self._start(model))
        levels = model.problem.policy(found.state.items.plan(found.improved))
        self._levels = levels
        return self._asked(model, levels, worlds)

    def _start(self, model: Model) -> State | None:
        """The levels of the period before, each a bucket earlier; the first plan starts from nothing."""
        if self._levels is None:
            return None
        later = jax.tree.map(lambda leaf: jnp.concatenate([leaf[:, 1:], leaf[:, -1:]], axis=1), self._levels)
        return initial_state(model.store, model.method, items=model.problem.begin(in_units(later, model.problem.scale)))

    def _asked(self, model: Model, levels: AbstractPolicy, worlds: Mapping[str, World]) -> dict[str, np.ndarray]:
        """The plan's tables of purchase orders and transfers, row by row."""
        issued = dict(decision_frames(model.instance, levels))
        place = {(_seller(link, self._network), site_id(link.buyer)): at for at, link in enumerate(self._network.links)}
        asked = {name: np.zeros(len(place)) for name in worlds}
        for table, seller, buyer in (("orders", "vendor_id", "node_id"), ("transfers", "from_node", "to_node")):
            columns = ("item_id", seller, buyer, "units")
            for name, origin, target, units in issued[f"plan/{table}"].select(columns).iter_rows():
                asked[name][place[origin, target]] = units
        return asked


def _until(model: Model, periods: int) -> Model:
    """The model of an episode that ends after so many periods: nothing is charged, nor earned, from then on.

    Every plan has as many periods, so that all are planned by one compiled programme.
    """
    charged = jnp.where(jnp.arange(PERIODS) < periods, model.problem.network.charged, 0)
    problem = eqx.tree_at(lambda p: p.network.charged, model.problem, charged)
    return dataclasses.replace(model, store=MemoryStore(problem))


def _seller(link: Link, network: PeerNetwork) -> str:
    return vendor_id(link.seller) if network.bought(link) else site_id(link.seller)
