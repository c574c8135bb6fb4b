"""The system whose cost is differentiated: a centre with a slow and a fast vendor, a shop that serves at two speeds.

One item loses what it cannot serve, another lets it wait; demand is Poisson, the lead time of the slow vendor random.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl

from meio_jax.config import Config
from meio_jax.planner import prepare
from meio_jax.policy import AbstractPolicy, StartingPoint, policy_family
from meio_jax.runs.portable import named_leaves
from meio_jax.solver.subproblem import InventorySubproblem
from meio_jax.tables import InstanceSettings, Tables

PERIODS, WARMUP = 30, 6
MEAN, FAST_SHARE = 2.5, 0.6
SLOW_LEADS = (2, 3, 4)
FAST_LEAD, LANE_LEAD = 1, 1
SLOW_SHARE = 0.7
TERMINAL = 0.8
CARBON_PARCEL, CARBON_LANE = 0.9, 0.4
CENTRE, SHOP = 0, 1


@dataclass(frozen=True)
class Item:
    """Costs of one of the two items, per unit (holding and waiting: and day), and its starting stock by node."""

    name: str
    waits: bool
    price: float = 21.0
    unit_cost: float = 6.0
    slow_cost: float = 6.0
    fast_cost: float = 8.5
    freight: float = 0.4
    inbound: float = 0.15
    transfer: float = 0.3
    handling: float = 0.25
    weight: float = 1.5
    holding: float = 0.2
    lost: float = 24.0
    waiting: float = 3.0
    parcel: tuple[float, float] = (4.0, 2.5)
    downgrade_share: float = 0.3
    downgrade_cost: float = 1.0
    stock: tuple[float, float] = (6.0, 5.0)

    @property
    def forgone(self) -> float:
        """The part of the cost of a lost sale that is revenue."""
        return min(self.price, self.lost)


ITEMS = (Item("a-lost", False), Item("b-waits", True))
HOLDING_FACTOR = (1.0, 1.3)

# Parameters in units of stock, by name of the leaf; rows are nodes, sources or speeds x nodes. What is here is neither
# idle nor flooded: the centre runs out now and then, caps bind, fast vendor and reserve are used. Fractions have
# nothing in common: demand is whole, and where two levels differ by whole units the cost has a kink.
LEVELS: dict[str, dict[str, list[float]]] = {
    "base_stock": {"target": [9.36187, 7.61803]},
    "capped": {"target": [11.29177, 8.53142], "order_cap": [3.34721, 3.71828]},
    "dual_index": {"target": [10.23607, 7.57722], "fast_target": [4.82843, 2.16228]},
    "echelon": {"target": [17.44949, 7.61803]},
    # Without a network: that of the package keeps out of systems like this one.
    "neural": {"target": [5.41421, 6.61803]},
    "projected_level": {"target": [5.41421, 6.61803]},
    "shares": {"target": [9.36187, 7.61803], "source_weight": [0.55391, 0.34657, 0.81649]},
}
RESERVE = [0.56789, 1.41421]


def tables() -> Tables:
    """The system as an instance."""
    names = [item.name for item in ITEMS]
    each = lambda field: [getattr(item, field) for item in ITEMS]
    both = [(item, vendor) for item in ITEMS for vendor in ("slow", "fast")]
    frames = {
        "items": {
            "item_id": names,
            "volume_m3": [1.0] * 2,
            "weight_kg": each("weight"),
            "price": each("price"),
            "unit_cost": each("unit_cost"),
            "holding_cost": each("holding"),
            "lost_sale_cost": each("lost"),
            "backorder_cost": each("waiting"),
            "unmet": ["backorder" if item.waits else "lost" for item in ITEMS],
            "downgrade_share": each("downgrade_share"),
            "downgrade_cost": each("downgrade_cost"),
            "profile": ["all"] * 2,
        },
        "nodes": {
            "node_id": ["centre", "shop"],
            "kind": ["dc", "fc"],
            "holding_factor": list(HOLDING_FACTOR),
            "handling_cost": [0.0, ITEMS[0].handling],
            "inbound_cost": [ITEMS[0].inbound] * 2,
        },
        "lanes": {
            "from_node": ["centre"],
            "to_node": ["shop"],
            "lead_time": [LANE_LEAD],
            "cost_per_unit": [ITEMS[0].transfer],
            "carbon_kg_per_kg": [CARBON_LANE],
        },
        "regions": {"region_id": ["here"]},
        "speeds": {
            "speed_id": ["express", "standard"],
            "promise_days": [1, 3],
            "deliver_by_hour": [24.0] * 2,
            "cost_factor": [ITEMS[0].parcel[0] / ITEMS[0].parcel[1], 1.0],
        },
        "transit": {
            "node_id": ["shop"],
            "region_id": ["here"],
            "hours": [1.0],
            "cost_per_unit": [ITEMS[0].parcel[1]],
            "carbon_kg_per_unit": [CARBON_PARCEL],
        },
        "cutoffs": {"node_id": ["shop"] * 2, "speed_id": ["express", "standard"], "cutoff_hour": [24.0] * 2},
        "shares": {
            "profile": ["all"] * 2,
            "region_id": ["here"] * 2,
            "speed_id": ["express", "standard"],
            "wave": [0] * 2,
            "share": [FAST_SHARE, 1 - FAST_SHARE],
        },
        "offers": {
            "item_id": [item.name for item, _ in both],
            "vendor_id": [vendor for _, vendor in both],
            "node_id": ["centre"] * 4,
            "unit_cost": [item.slow_cost if vendor == "slow" else item.fast_cost for item, vendor in both],
            "freight_cost": [item.freight for item, _ in both],
            "lead_time_mean": [float(np.mean(SLOW_LEADS)) if vendor == "slow" else FAST_LEAD for _, vendor in both],
            "lead_time_law": ["empirical" if vendor == "slow" else "fixed" for _, vendor in both],
            "share": [SLOW_SHARE if vendor == "slow" else 1 - SLOW_SHARE for _, vendor in both],
        },
        "lead_times": {"vendor_id": ["slow"] * len(SLOW_LEADS), "days": list(SLOW_LEADS)},
        "on_hand": {
            "item_id": [item.name for item in ITEMS for _ in item.stock],
            "node_id": ["centre", "shop"] * 2,
            "units": [units for item in ITEMS for units in item.stock],
        },
        "forecast": {
            "item_id": [name for name in names for _ in range(PERIODS)],
            "period": list(range(PERIODS)) * 2,
            "mean": [MEAN] * (2 * PERIODS),
            "dispersion": [0.0] * (2 * PERIODS),
            "law": ["negative_binomial"] * (2 * PERIODS),
        },
    }
    settings = InstanceSettings(
        name="gradients",
        start_date=datetime.date(2025, 1, 6),
        periods=PERIODS,
        warmup_periods=WARMUP,
        bucket_periods=PERIODS,
        wave_ends=(24.0,),
        forecast="mean",
        terminal_credit=TERMINAL,
        stationary_targets=True,
        ordering="evening",
        terminal="liquidate",
    )
    return Tables.from_frames(settings, **{name: pl.DataFrame(columns) for name, columns in frames.items()})


def problem() -> InventorySubproblem:
    """The instance, ready to simulate."""
    config = {"instance": {"path": "in-memory"}, "run": "in-memory", "precision": "float64"}
    rules = {"scenarios": {"train": 2, "per_step": 2}, "fulfilment": {"rounds": 1, "dither": 0.0}}
    return prepare(tables(), Config.model_validate({**config, **rules, "solve": {"devices": 1}})).problem


def levels(name: str, *, protection: bool) -> dict[str, np.ndarray]:
    """Parameters of a policy by the name of the leaf."""
    own = {leaf: np.asarray(values) for leaf, values in LEVELS[name].items()}
    return {**own, "protection": np.asarray(RESERVE)} if protection else own


def policy_of(problem: InventorySubproblem, name: str, parameters: dict[str, np.ndarray]) -> AbstractPolicy:
    """The policy at given parameters, the same for both items."""
    network, block = problem.network, jax.tree.map(lambda leaf: leaf[0], problem.catalog.block)
    none = jnp.zeros((1, network.nodes, block.items), block.volume.dtype)
    family = policy_family(name, "protection" in parameters)
    empty: eqx.Module = family.start(network, block, StartingPoint(none, none, none, none, none))
    leaves = [
        jnp.broadcast_to(jnp.asarray(parameters[leaf.split(".")[-1]], none.dtype)[None, :, None], old.shape)
        for leaf, old in zip(named_leaves(empty), jax.tree.leaves(empty), strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(empty), leaves)
